"""What a step does to pods. All of it may be done again."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from aliquot.clock import rfc3339
from aliquot.kube import errors
from aliquot.kube.api.checkpoint import REQUESTED
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import PODS, key
from aliquot.operator.core.upgrade.effects import AskCheckpoint, DeletePod, Evict, Step

_log = structlog.get_logger()

_AGAIN_S = 5.0
"""Between two askings for the same pod, however often the node is looked at."""


class PodWrites:
    """`may_write` is asked right before each write."""

    def __init__(self, client: Client, *, pods: Cache[Pod], may_write: Callable[[], bool]) -> None:
        self._client = client
        self._pods = pods
        self._may_write = may_write
        self._asked_at: dict[str, float] = {}
        self.refusals: dict[str, str] = {}
        """Why the eviction of a pod was refused last, by UID. Of this process: the next one asks anew."""

    def follow(self) -> Callable[[], None]:
        """Of pods that are gone nothing is kept. Returns the function that ends it."""
        self._asked_at.clear()
        return self._pods.subscribe(self._pod_changed)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None and old is not None:
            self._asked_at.pop(old.metadata.uid, None)
            self.refusals.pop(old.metadata.uid, None)

    async def carry_out(self, step: Step) -> bool:
        """True: something else is known of refusals than before. Raises ApiError."""
        before = dict(self.refusals)
        for effect in step.effects:
            match effect:
                case AskCheckpoint():
                    asked_s = step.memory.checkpoint_asked_s
                    await self._ask_checkpoint(effect.pods, rfc3339(asked_s or self._client.clock.now()))
                case Evict():
                    await self._evict(effect.pods)
                case DeletePod():
                    await self._delete(effect)
        return self.refusals != before

    async def _ask_checkpoint(self, names: Sequence[str], when: str) -> None:
        for name in names:
            pod = self._pods.get(name)
            if pod is None or not self._may_write():
                continue
            metadata = {"uid": pod.metadata.uid, "annotations": {REQUESTED: when}}
            try:
                await self._client.patch(
                    PODS, pod.metadata.name, {"metadata": metadata}, pod.metadata.namespace
                )
            except (errors.NotFound, errors.Conflict, errors.Invalid):
                # It is gone, or another of its name is there.
                continue

    async def _evict(self, names: Sequence[str]) -> None:
        now_s = asyncio.get_running_loop().time()
        for name in names:
            pod = self._pods.get(name)
            if pod is None or not self._may_write():
                continue
            uid = pod.metadata.uid
            if now_s - self._asked_at.get(uid, -_AGAIN_S) < _AGAIN_S:
                continue
            self._asked_at[uid] = now_s
            try:
                await self._client.evict(pod.metadata.namespace, pod.metadata.name, uid=uid)
            except (errors.NotFound, errors.Conflict):
                self.refusals.pop(uid, None)
            except errors.ApiError as error:
                # Whatever speaks against it, the node's other pods are asked all the same.
                self.refusals[uid] = why = _why(error)
                _log.info("eviction refused", pod=key(pod), why=why)
            else:
                self.refusals.pop(uid, None)
                _log.info("evicted for the driver's upgrade", pod=key(pod))

    async def _delete(self, effect: DeletePod) -> None:
        namespace, _, name = effect.pod.rpartition("/")
        if not self._may_write():
            return
        try:
            await self._client.delete(PODS, name, namespace, uid=effect.uid or None)
        except (errors.NotFound, errors.Conflict):
            return
        _log.info("driver restarted", pod=effect.pod)


def _why(error: errors.ApiError) -> str:
    """Which budget it is, Kubernetes says beside the message."""
    causes = error.details.causes if error.details is not None else None
    said = [error.message, *(cause.message for cause in causes or () if cause.message)]
    return ": ".join(one.rstrip(".") for one in said)
