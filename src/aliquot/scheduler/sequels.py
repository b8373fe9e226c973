"""That a job may begin is written on its pods, where it has to wait for room all the same.

What it was to begin after may be deleted any moment, as finished Jobs are; who leads next would know nothing of it.
"""

import random
from collections.abc import Callable
from contextlib import suppress

from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.controller import Controller
from aliquot.kube.resources import PODS, key, split_key
from aliquot.scheduler.grouping.keys import AFTER_MET

_PATIENCE_S = 2.0
"""Most are placed by then."""


class Sequels:
    """`met`: names of the jobs that a pod's job was to begin after, when all of them have ended as they were to."""

    def __init__(
        self,
        client: Client,
        *,
        rng: random.Random,
        pods: Cache[Pod],
        met: Callable[[str], tuple[str, ...]],
        may_write: Callable[[], bool],
    ) -> None:
        self._client = client
        self._pods = pods
        self._met = met
        self._may_write = may_write
        self._controller = Controller("sequels", self._write, rng=rng, workers=2)

    async def run(self) -> None:
        """Until cancelled."""
        for pod in self._pods.values():
            self.look((key(pod),))
        await self._controller.run()

    def look(self, pods: tuple[str, ...]) -> None:
        """Their jobs are others now."""
        for name in pods:
            if self._met(name):
                self._controller.enqueue_after(name, _PATIENCE_S)

    async def _write(self, name: str) -> float | None:
        pod, met = self._pods.get(name), self._met(name)
        if pod is None or pod.spec.node_name or not met or not self._may_write():
            return None
        written = (pod.metadata.annotations or {}).get(AFTER_MET, "")
        both = sorted({*written.split(","), *met} - {""})
        namespace, bare = split_key(name)
        body = {"metadata": {"uid": pod.metadata.uid, "annotations": {AFTER_MET: ",".join(both)}}}
        # It may be gone, perhaps made anew: the cache will tell.
        with suppress(errors.NotFound, errors.Conflict):
            await self._client.patch(PODS, bare, body, namespace, kind=PatchKind.MERGE)
        return None
