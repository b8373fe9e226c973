"""Claims and volumes come together and part: the shell around `claim_plan` and `volume_plan`."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aliquot.clock import Clock, rfc3339
from aliquot.emulator.controllers import claim_plan, notices, pods, volume_plan
from aliquot.emulator.controllers.claim_plan import Amend, Bind, Grow, Lose, Provision, Wait, World
from aliquot.emulator.controllers.notices import Notice
from aliquot.kube import errors
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.storage import Claim, StorageClass, Volume
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder
from aliquot.kube.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, key

AGAIN_S = 15.0
"""As often is told what a claim still waits for."""
_CLAIM, _VOLUME = "claim ", "volume "


class Volumes:
    """`pod_cache` has `pods.INDEXES`. `provisioner` records in the name of the simulated provisioner."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        recorder: Recorder,
        provisioner: Recorder,
        claims: Cache[Claim],
        volumes: Cache[Volume],
        classes: Cache[StorageClass],
        pod_cache: Cache[Pod],
        nodes: Cache[Node],
    ) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._provisioner = provisioner
        self._claims = claims
        self._volumes = volumes
        self._classes = classes
        self._pods = pod_cache
        self._nodes = nodes
        self.controller = Controller("volumes", self.reconcile, rng=rng, workers=2)
        self.controller.watch(claims, lambda claim: (_CLAIM + key(claim), *_volume_of(claim)))
        self.controller.watch(volumes, self._of_volume)
        self.controller.watch(classes, lambda _: self._waiting())
        self.controller.watch(pod_cache, _claimed)

    async def run(self) -> None:
        await self.controller.run()

    def _of_volume(self, volume: Volume) -> Iterable[str]:
        yield _VOLUME + volume.metadata.name
        reference = volume.spec.claim_ref
        if reference is not None:
            yield f"{_CLAIM}{reference.namespace}/{reference.name}"
        elif volume.status.phase == "Available":
            yield from self._waiting()

    def _waiting(self) -> Iterable[str]:
        return [_CLAIM + key(claim) for claim in self._claims.values() if claim.status.phase == "Pending"]

    async def reconcile(self, name: str) -> float | None:
        try:
            if name.startswith(_VOLUME):
                volume = self._volumes.get(name.removeprefix(_VOLUME))
                if volume is not None:
                    await self._look_after_volume(volume)
                return None
            claim = self._claims.get(name.removeprefix(_CLAIM))
            return await self._look_after_claim(claim) if claim is not None else None
        except errors.NotFound:
            return None

    # ---- claims ------------------------------------------------------------------------------------------

    async def _look_after_claim(self, claim: Claim) -> float | None:
        match claim_plan.plan(claim, self._world(claim)):
            case Wait(told):
                self._tell(claim, told)
                if claim.status.phase != "Pending":
                    await self._set_claim_status(claim, {"phase": "Pending"})
                return AGAIN_S if told else None
            case Lose(notice):
                self._tell(claim, (notice,))
                await self._set_claim_status(claim, {"phase": "Lost", "accessModes": None, "capacity": None})
            case Amend(patch, told):
                self._tell(claim, told)
                await self._patch_claim(claim, patch)
            case Bind() as bind:
                await self._bind(claim, bind)
            case Provision(volume):
                await self._provision(claim, volume)
            case Grow(volume, size):
                await self._grow(claim, volume, size)
        return None

    def _world(self, claim: Claim) -> World:
        users = self._pods.indexed(pods.CLAIM_INDEX, key(claim))
        return World(
            volumes={volume.metadata.name: volume for volume in self._volumes.values()},
            classes={found.metadata.name: found for found in self._classes.values()},
            nodes={node.metadata.name: node for node in self._nodes.values()},
            users=[pod for pod in users if pod.status.phase not in pods.TERMINAL_PHASES],
        )

    def _tell(self, claim: Claim, told: Sequence[Notice]) -> None:
        for notice in told:
            notices.tell(self._recorder, PERSISTENTVOLUMECLAIMS, claim, notice)

    async def _bind(self, claim: Claim, bind: Bind) -> None:
        """The volume first: of two claims that want it, one loses here. Then the claim, as it was before."""
        if bind.on_volume is not None:
            await self._patch_volume(bind.volume, bind.on_volume)
        version = claim.metadata.resource_version
        if bind.on_claim is not None:
            version = await self._patch_claim(claim, bind.on_claim)
        await self._set_claim_status(claim, bind.status, version)

    async def _provision(self, claim: Claim, volume: Mapping[str, Any]) -> None:
        name = volume["metadata"]["name"]
        text = f'External provisioner is provisioning volume for claim "{key(claim)}"'
        told = Notice(False, "Provisioning", text)
        notices.tell(self._provisioner, PERSISTENTVOLUMECLAIMS, claim, told)
        try:
            await self._client.create(PERSISTENTVOLUMES, dict(volume))
        except errors.AlreadyExists:
            return
        told = Notice(False, "ProvisioningSucceeded", f"Successfully provisioned volume {name}")
        notices.tell(self._provisioner, PERSISTENTVOLUMECLAIMS, claim, told)

    async def _grow(self, claim: Claim, volume: Volume, size: str) -> None:
        told = Notice(False, "Resizing", f"External resizer is resizing volume {volume.metadata.name}")
        notices.tell(self._provisioner, PERSISTENTVOLUMECLAIMS, claim, told)
        if volume.spec.size != size:
            await self._patch_volume(volume, {"spec": {"capacity": {"storage": size}}})
        await self._set_claim_status(claim, {"capacity": {"storage": size}})
        told = Notice(False, "VolumeResizeSuccessful", "Resize volume succeeded")
        notices.tell(self._provisioner, PERSISTENTVOLUMECLAIMS, claim, told)

    async def _patch_claim(self, claim: Claim, patch: Mapping[str, Any]) -> str:
        """Answers the new resourceVersion."""
        metadata = claim.metadata
        guarded = _guarded(patch, metadata.resource_version)
        patched = await self._client.patch(PERSISTENTVOLUMECLAIMS, metadata.name, guarded, metadata.namespace)
        return str(patched["metadata"]["resourceVersion"])

    async def _set_claim_status(self, claim: Claim, status: Mapping[str, Any], version: str = "") -> None:
        metadata = claim.metadata
        patch = _guarded({"status": status}, version or metadata.resource_version)
        await self._client.patch(
            PERSISTENTVOLUMECLAIMS, metadata.name, patch, metadata.namespace, subresource="status"
        )

    # ---- volumes -----------------------------------------------------------------------------------------

    async def _look_after_volume(self, volume: Volume) -> None:
        reference = volume.spec.claim_ref
        claim = self._claims.get(f"{reference.namespace}/{reference.name}") if reference is not None else None
        match volume_plan.plan(volume, claim):
            case volume_plan.Phase(phase, message, notice):
                if notice is not None:
                    notices.tell(self._recorder, PERSISTENTVOLUMES, volume, notice)
                since = rfc3339(self._clock.now())
                status = {"phase": phase, "message": message or None, "lastPhaseTransitionTime": since}
                await self._patch_volume(volume, {"status": status}, subresource="status")
            case volume_plan.Remove():
                metadata = volume.metadata
                await self._client.delete(
                    PERSISTENTVOLUMES,
                    metadata.name,
                    uid=metadata.uid,
                    resource_version=metadata.resource_version,
                )

    async def _patch_volume(self, volume: Volume, patch: Mapping[str, Any], *, subresource: str = "") -> None:
        guarded = _guarded(patch, volume.metadata.resource_version)
        await self._client.patch(
            PERSISTENTVOLUMES, volume.metadata.name, guarded, subresource=subresource or None
        )


def _guarded(patch: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Only upon the object as it was seen."""
    return {**patch, "metadata": {**(patch.get("metadata") or {}), "resourceVersion": version}}


def _volume_of(claim: Claim) -> tuple[str, ...]:
    return (_VOLUME + claim.spec.volume_name,) if claim.spec.volume_name else ()


def _claimed(pod: Pod) -> Iterable[str]:
    return (_CLAIM + name for name in pods.claims_of(pod))
