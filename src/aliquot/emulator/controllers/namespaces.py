"""Namespaces: what each of them has from the start, and how one that is deleted is emptied."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aliquot.clock import Clock
from aliquot.emulator.controllers import conditions
from aliquot.emulator.controllers.kinds import Kinds
from aliquot.emulator.controllers.types import MetadataOnly, Namespace, WorkloadCondition
from aliquot.kube import errors
from aliquot.kube.api.core import ConfigMap
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, Propagation
from aliquot.kube.controller import Controller
from aliquot.kube.resources import CONFIGMAPS, NAMESPACES, SERVICEACCOUNTS, Resource, key

FINALIZER = "kubernetes"
ROOT_CA = "kube-root-ca.crt"

_AGAIN_S = 0.2
_STUCK_AGAIN_S = 1.0


def remaining_conditions(
    known: Sequence[WorkloadCondition], left: Mapping[str, Sequence[MetadataOnly]], now: float
) -> tuple[WorkloadCondition, ...]:
    """What a terminating namespace says of its content. `left` is what is there, by `resource.group`."""
    counted = ", ".join(
        f"{name}{'' if '.' in name else '.'} has {len(found)} resource instances"
        for name, found in left.items()
        if found
    )
    finalizers: dict[str, int] = {}
    for found in left.values():
        for obj in found:
            for finalizer in obj.metadata.finalizers or ():
                finalizers[finalizer] = finalizers.get(finalizer, 0) + 1
    held = ", ".join(f"{name} in {number} resource instances" for name, number in sorted(finalizers.items()))
    said = (
        (
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            f"Some resources are remaining: {counted}",
        )
        if counted
        else ("NamespaceContentRemaining", "False", "ContentRemoved", "All content successfully removed"),
        (
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {held}",
        )
        if held
        else (
            "NamespaceFinalizersRemaining",
            "False",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    )
    result = tuple(known)
    for kind, value, reason, message in said:
        condition = WorkloadCondition(type=kind, status=value, reason=reason, message=message)
        before = conditions.find(result, kind)
        changed = before is None or before.message != message
        result = conditions.put(result, condition, now, refresh=changed)
    return result


class Namespaces:
    """`accounts` holds every ServiceAccount, `authorities` the ConfigMaps named kube-root-ca.crt.

    `root_ca_pem` is the certificate by which pods know the API server.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        kinds: Kinds,
        namespaces: Cache[Namespace],
        accounts: Cache[MetadataOnly],
        authorities: Cache[ConfigMap],
        *,
        root_ca_pem: str,
    ) -> None:
        self._client = client
        self._clock = clock
        self._kinds = kinds
        self._namespaces = namespaces
        self._accounts = accounts
        self._authorities = authorities
        self._root_ca_pem = root_ca_pem
        self.controller = Controller("namespaces", self.reconcile, rng=rng, workers=4)
        self.controller.watch(namespaces)
        self.controller.watch(accounts, lambda obj: (obj.metadata.namespace,))
        self.controller.watch(authorities, lambda obj: (obj.metadata.namespace,))

    async def run(self) -> None:
        await self.controller.run()

    async def reconcile(self, name: str) -> float | None:
        namespace = self._namespaces.get(name)
        if namespace is None:
            return None
        if namespace.metadata.deletion_timestamp is not None:
            return await self._empty(namespace)
        await self._furnish(name)
        return None

    async def _furnish(self, name: str) -> None:
        if self._accounts.get(f"{name}/default") is None:
            await self._create(SERVICEACCOUNTS, {"metadata": {"name": "default", "namespace": name}})
        wanted = {"ca.crt": self._root_ca_pem}
        held = self._authorities.get(f"{name}/{ROOT_CA}")
        if held is None:
            note = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints"
            annotations = {"kubernetes.io/description": note}
            metadata = {"name": ROOT_CA, "namespace": name, "annotations": annotations}
            await self._create(CONFIGMAPS, {"metadata": metadata, "data": wanted})
        elif held.data != wanted:
            patch = {"data": {**dict.fromkeys(held.data or {}), **wanted}}
            await self._client.patch(CONFIGMAPS, ROOT_CA, patch, name)

    async def _create(self, resource: Resource, body: dict[str, Any]) -> None:
        try:
            await self._client.create(resource, body)
        except errors.AlreadyExists:
            # The cache lags.
            return
        except errors.Forbidden:
            # The namespace has begun to end since.
            return
        except errors.NotFound:
            return

    async def _empty(self, namespace: Namespace) -> float | None:
        """Delete everything in it, look again until nothing is left, then let it go."""
        if FINALIZER not in namespace.spec.finalizers:
            return None
        name = namespace.metadata.name
        left: dict[str, Sequence[MetadataOnly]] = {}
        deleted = 0
        for resource in self._kinds.all():
            if not resource.namespaced:
                continue
            try:
                found = (await self._client.list(resource, name, into=MetadataOnly)).items
            except errors.NotFound:
                # The kind has gone since.
                continue
            if found:
                left[resource.name] = found
                deleted += await self._delete_all(resource, found)
        if not left:
            others = [finalizer for finalizer in namespace.spec.finalizers if finalizer != FINALIZER]
            await self._finalize(namespace, others)
            return None
        await self._say(namespace, left)
        return _AGAIN_S if deleted else _STUCK_AGAIN_S

    async def _delete_all(self, resource: Resource, found: Sequence[MetadataOnly]) -> int:
        deleted = 0
        for obj in found:
            if obj.metadata.deletion_timestamp is not None:
                continue
            try:
                await self._client.delete(
                    resource,
                    obj.metadata.name,
                    obj.metadata.namespace,
                    propagation=Propagation.BACKGROUND,
                    uid=obj.metadata.uid,
                )
            except (errors.NotFound, errors.Conflict):
                continue
            deleted += 1
        return deleted

    async def _say(self, namespace: Namespace, left: Mapping[str, Sequence[MetadataOnly]]) -> None:
        known = tuple(namespace.status.conditions or ())
        said = remaining_conditions(known, left, self._clock.now())
        if conditions.to_json(said) == msgspec.to_builtins(list(known)) and namespace.status.phase:
            return
        status = {"phase": "Terminating", "conditions": conditions.to_json(said)}
        try:
            await self._client.patch(NAMESPACES, key(namespace), {"status": status}, subresource="status")
        except errors.NotFound:
            return

    async def _finalize(self, namespace: Namespace, left: Sequence[str]) -> None:
        patch = {
            "metadata": {
                "uid": namespace.metadata.uid,
                "resourceVersion": namespace.metadata.resource_version,
            },
            "spec": {"finalizers": list(left) or None},
        }
        try:
            await self._client.patch(NAMESPACES, key(namespace), patch, subresource="finalize")
        except errors.NotFound:
            return
