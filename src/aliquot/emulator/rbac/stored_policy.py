"""The RBAC objects of a store, as the authorizer looks them up."""

from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.emulator.storage.store import Store

_GROUP = "rbac.authorization.k8s.io"
ROLES = f"roles.{_GROUP}"
CLUSTER_ROLES = f"clusterroles.{_GROUP}"
ROLE_BINDINGS = f"rolebindings.{_GROUP}"
CLUSTER_ROLE_BINDINGS = f"clusterrolebindings.{_GROUP}"
_ALL = (ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS)

Object = Mapping[str, Any]


class StoredPolicy:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked_at = -1
        self._revision = -1

    def revision(self) -> int:
        if self._store.revision != self._looked_at:
            self._looked_at = self._store.revision
            self._revision = max(map(self._store.changed, _ALL))
        return self._revision

    def role(self, namespace: str, name: str) -> Object | None:
        return self._get(ROLES, namespace, name)

    def cluster_role(self, name: str) -> Object | None:
        return self._get(CLUSTER_ROLES, "", name)

    def cluster_roles(self) -> Sequence[Object]:
        return self._list(CLUSTER_ROLES)

    def role_bindings(self, namespace: str) -> Sequence[Object]:
        return self._list(ROLE_BINDINGS, namespace)

    def cluster_role_bindings(self) -> Sequence[Object]:
        return self._list(CLUSTER_ROLE_BINDINGS)

    def _get(self, resource: str, namespace: str, name: str) -> Object | None:
        record = self._store.get(resource, namespace, name)
        return self._store.view(record) if record is not None else None

    def _list(self, resource: str, namespace: str | None = None) -> Sequence[Object]:
        return [self._store.view(record) for record in self._store.list(resource, namespace).records]
