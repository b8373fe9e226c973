"""Claims and volumes that were asked to go are held as long as they are in use."""

import random
from typing import Any

from aliquot.emulator.admission.volumes import CLAIM_GUARD, VOLUME_GUARD
from aliquot.emulator.controllers import pods
from aliquot.emulator.controllers.ownership import HasMetadata
from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.api.storage import Claim, Volume
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, Resource


def uses(pod: Pod) -> bool:
    """Pods that are not placed use nothing yet: none will be started with a claim that is on its way out."""
    return bool(pod.spec.node_name)


class VolumeProtection:
    """`pod_cache` has `pods.INDEXES`."""

    def __init__(
        self,
        client: Client,
        rng: random.Random,
        claims: Cache[Claim],
        volumes: Cache[Volume],
        pod_cache: Cache[Pod],
    ) -> None:
        self._client = client
        self._claims = claims
        self._volumes = volumes
        self._pods = pod_cache
        self.controller = Controller("volume protection", self.reconcile, rng=rng)
        self.controller.watch(claims)
        self.controller.watch(volumes)
        self.controller.watch(pod_cache, pods.claims_of)

    async def run(self) -> None:
        await self.controller.run()

    async def reconcile(self, name: str) -> float | None:
        if "/" in name:
            claim = self._claims.get(name)
            if claim is not None and not any(map(uses, self._pods.indexed(pods.CLAIM_INDEX, name))):
                await self._let_go(PERSISTENTVOLUMECLAIMS, claim, CLAIM_GUARD)
            return None
        volume = self._volumes.get(name)
        if volume is not None and volume.status.phase != "Bound":
            await self._let_go(PERSISTENTVOLUMES, volume, VOLUME_GUARD)
        return None

    async def _let_go(self, resource: Resource, obj: HasMetadata, guard: str) -> None:
        metadata = obj.metadata
        held = metadata.finalizers or ()
        if metadata.deletion_timestamp is None or guard not in held:
            return
        left = [one for one in held if one != guard]
        patch: dict[str, Any] = {
            "metadata": {"finalizers": left or None, "resourceVersion": metadata.resource_version}
        }
        try:
            await self._client.patch(resource, metadata.name, patch, metadata.namespace or None)
        except errors.NotFound:
            return
