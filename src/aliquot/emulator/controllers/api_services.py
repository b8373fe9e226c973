"""APIServices: which API versions this server serves itself. It aggregates no others, and says so of those that ask.

An object for each version of the built-in groups and, as they come and go, of the custom ones. What somebody else
brings (a metrics server's chart does) is kept and told to be unavailable.
"""

import random
import re
from typing import Any

from aliquot.clock import Clock, rfc3339
from aliquot.emulator import discovery
from aliquot.emulator.controllers import conditions
from aliquot.emulator.controllers.kinds import Crd
from aliquot.emulator.controllers.types import ApiService
from aliquot.emulator.versions import STANDARD, Surface
from aliquot.kube import errors
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.resources import APISERVICES

MANAGED = "kube-aggregator.kubernetes.io/automanaged"
_ON_START, _ALWAYS = "onstart", "true"
_OWN_GROUP = "apiregistration.k8s.io"
_CUSTOM_PRIORITY = 1000

_GROUPS = {
    "": 18_000,
    "apps": 17_800,
    "events.k8s.io": 17_750,
    "authentication.k8s.io": 17_700,
    "authorization.k8s.io": 17_600,
    "autoscaling": 17_500,
    "batch": 17_400,
    "certificates.k8s.io": 17_300,
    "networking.k8s.io": 17_200,
    "policy": 17_100,
    "rbac.authorization.k8s.io": 17_000,
    "storage.k8s.io": 16_800,
    "admissionregistration.k8s.io": 16_700,
    "apiextensions.k8s.io": 16_700,
    "scheduling.k8s.io": 16_600,
    "coordination.k8s.io": 16_500,
    "node.k8s.io": 16_300,
    "discovery.k8s.io": 16_200,
    "flowcontrol.apiserver.k8s.io": 16_100,
    "resource.k8s.io": 16_000,
}
"""The higher, the earlier in discovery."""

_LOCAL = ("True", "Local", "Local APIServices are always available")
_FOREIGN = (
    "False",
    "NotAggregated",
    "this server aggregates no APIs: requests for this one are answered 404",
)
_BETA = re.compile(r"v\d+beta\d+")
_STABLE = re.compile(r"v(\d+)")


def local(surface: Surface, crds: Cache[Crd]) -> dict[str, dict[str, Any]]:
    """The objects that there should be, by name."""
    found: dict[str, dict[str, Any]] = {}
    for resource in discovery.builtin(surface):
        if resource.group != _OWN_GROUP:
            made = _object(resource.group, resource.version, _ON_START)
            found.setdefault(made["metadata"]["name"], made)
    for crd in crds.values():
        if conditions.is_true(crd.status.conditions, "Established"):
            for version in crd.spec.versions:
                if version.served:
                    made = _object(crd.spec.group, version.name, _ALWAYS)
                    found.setdefault(made["metadata"]["name"], made)
    return found


def _object(group: str, version: str, managed: str) -> dict[str, Any]:
    custom = managed == _ALWAYS
    return {
        "metadata": {"name": f"{version}.{group}", "labels": {MANAGED: managed}},
        "spec": {
            "group": group,
            "version": version,
            "groupPriorityMinimum": _GROUPS.get(group, _CUSTOM_PRIORITY),
            "versionPriority": 100 if custom else _version_priority(version),
        },
    }


def _version_priority(version: str) -> int:
    stable = _STABLE.fullmatch(version)
    if stable is not None:
        return 15 * int(stable[1])
    return 9 if _BETA.fullmatch(version) else 1


class ApiServices:
    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        services: Cache[ApiService],
        crds: Cache[Crd],
        surface: Surface = STANDARD,
    ) -> None:
        self._client = client
        self._clock = clock
        self._services = services
        self._crds = crds
        self._surface = surface
        self.controller = Controller("apiservices", self.reconcile, rng=rng)
        self.controller.watch(services)
        self.controller.watch(crds, self._versions)

    async def run(self) -> None:
        for name in local(self._surface, self._crds):
            self.controller.enqueue(name)
        await self.controller.run()

    @staticmethod
    def _versions(crd: Crd) -> list[str]:
        return [f"{version.name}.{crd.spec.group}" for version in crd.spec.versions]

    async def reconcile(self, name: str) -> float | None:
        wanted, found = local(self._surface, self._crds).get(name), self._services.get(name)
        try:
            if found is None:
                if wanted is not None:
                    await self._client.create(APISERVICES, wanted)
            elif wanted is None and MANAGED in (found.metadata.labels or {}):
                await self._client.delete(APISERVICES, name, uid=found.metadata.uid)
            else:
                await self._tell(found, *(_LOCAL if wanted is not None else _FOREIGN))
        except (errors.AlreadyExists, errors.NotFound):
            return None
        return None

    async def _tell(self, found: ApiService, status: str, reason: str, message: str) -> None:
        known = conditions.find(found.status.conditions, "Available")
        if known is not None and (known.status, known.reason) == (status, reason):
            return
        condition = {
            "type": "Available",
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": rfc3339(self._clock.now()),
        }
        patch = {
            "metadata": {"resourceVersion": found.metadata.resource_version},
            "status": {"conditions": [condition]},
        }
        await self._client.patch(APISERVICES, found.metadata.name, patch, subresource="status")
