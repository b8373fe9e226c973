"""Ephemeral volumes: a claim for each, made for a pod and owned by it."""

import random

from aliquot.emulator.controllers import ownership, pods
from aliquot.kube import errors
from aliquot.kube.api.core import Pod, PodVolume
from aliquot.kube.api.storage import Claim
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import PERSISTENTVOLUMECLAIMS, PODS


class EphemeralClaims:
    def __init__(
        self,
        client: Client,
        rng: random.Random,
        recorder: Recorder,
        claims: Cache[Claim],
        pod_cache: Cache[Pod],
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._claims = claims
        self._pods = pod_cache
        self.controller = Controller("ephemeral claims", self.reconcile, rng=rng)
        self.controller.watch(pod_cache, _concerns)

    async def run(self) -> None:
        await self.controller.run()

    async def reconcile(self, name: str) -> float | None:
        pod = self._pods.get(name)
        if pod is None or not pods.is_active(pod):
            return None
        for volume in pod.spec.volumes or ():
            if volume.ephemeral is not None:
                await self._make(pod, volume)
        return None

    async def _make(self, pod: Pod, volume: PodVolume) -> None:
        name = volume.claim_name(pod.metadata.name)
        found = self._claims.get(f"{pod.metadata.namespace}/{name}")
        if found is None:
            template = (volume.ephemeral or {}).get("volumeClaimTemplate") or {}
            metadata = {
                **(template.get("metadata") or {}),
                "name": name,
                "namespace": pod.metadata.namespace,
                "ownerReferences": [ownership.reference(PODS, pod)],
            }
            try:
                await self._client.create(
                    PERSISTENTVOLUMECLAIMS, {"metadata": metadata, "spec": template.get("spec") or {}}
                )
            except errors.AlreadyExists:
                return
            except errors.ApiError as error:
                text = f'failed to create PVC "{name}": {error.message}'
                self._recorder.event(PODS, pod, Severity.WARNING, "FailedCreate", text)
                raise
        elif not any(owner.uid == pod.metadata.uid for owner in found.metadata.owner_references or ()):
            text = f"PVC {pod.metadata.namespace}/{name} was not created for pod (pod is not owner)"
            self._recorder.event(PODS, pod, Severity.WARNING, "FailedBinding", text)


def _concerns(pod: Pod) -> tuple[str, ...]:
    if any(volume.ephemeral is not None for volume in pod.spec.volumes or ()):
        return (f"{pod.metadata.namespace}/{pod.metadata.name}",)
    return ()
