"""Aggregated ClusterRoles: the rules that they gather are written into them, where people look for them.

The authorizer works them out itself and does not wait for this.
"""

import random
from typing import Any

from aliquot.emulator import rbac
from aliquot.kube import errors
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.resources import Resource

CLUSTERROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)


class ClusterRoles:
    def __init__(self, client: Client, rng: random.Random, roles: Cache[dict[str, Any]]) -> None:
        self._client = client
        self._roles = roles
        self.controller = Controller("clusterroles", self.reconcile, rng=rng)
        roles.subscribe(self._changed)

    async def run(self) -> None:
        await self.controller.run()

    def _changed(self, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        for role in self._roles.values():
            if role.get("aggregationRule"):
                self.controller.enqueue(role["metadata"]["name"])

    async def reconcile(self, name: str) -> float | None:
        role = self._roles.get(name)
        if role is None or not role.get("aggregationRule"):
            return None
        rules = rbac.aggregate(role, self._roles.values())
        if rules == (role.get("rules") or []):
            return None
        version = role["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "rules": rules}
        try:
            await self._client.patch(CLUSTERROLES, name, patch)
        except errors.NotFound:
            return None
        return None
