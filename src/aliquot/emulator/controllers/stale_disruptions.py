"""Pods that were to be evicted and are still there: after two minutes they are told that they may stay."""

import random

from aliquot.clock import Clock, rfc3339
from aliquot.emulator.controllers import pods
from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.controller import Controller
from aliquot.kube.resources import PODS, key

TIMEOUT_S = 120.0
_CONDITION = "DisruptionTarget"


def stays_in_s(pod: Pod, now: float) -> float | None:
    """Seconds until the eviction has come to nothing (0 or less: it has), None for a pod that is not to be told."""
    found = pods.condition(pod, _CONDITION)
    if found is None or found.status != "True" or not pods.is_active(pod):
        return None
    return pods.seconds(found.last_transition_time) + TIMEOUT_S - now


class StaleDisruptions:
    def __init__(self, client: Client, clock: Clock, rng: random.Random, pod_cache: Cache[Pod]) -> None:
        self._client = client
        self._clock = clock
        self._pods = pod_cache
        self.controller = Controller("stale-disruptions", self.reconcile, rng=rng)
        pod_cache.subscribe(self._pod_changed)

    async def run(self) -> None:
        await self.controller.run()

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None and stays_in_s(new, self._clock.now()) is not None:
            self.controller.enqueue(key(new))

    async def reconcile(self, name: str) -> float | None:
        pod = self._pods.get(name)
        now = self._clock.now()
        left_s = stays_in_s(pod, now) if pod is not None else None
        if pod is None or left_s is None or left_s > 0:
            return left_s
        condition = {
            "type": _CONDITION,
            "status": "False",
            "reason": None,
            "message": None,
            "lastTransitionTime": rfc3339(now),
        }
        metadata = pod.metadata
        patch = {"metadata": {"uid": metadata.uid}, "status": {"conditions": [condition]}}
        try:
            await self._client.patch(
                PODS,
                metadata.name,
                patch,
                metadata.namespace,
                kind=PatchKind.STRATEGIC,
                subresource="status",
            )
        except (errors.NotFound, errors.Conflict):
            return None
        return None
