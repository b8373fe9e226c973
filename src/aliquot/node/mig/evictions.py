"""Evicts the pods that hold what has to go, where that was asked for. PodDisruptionBudgets have their say each time."""

import asyncio
from collections.abc import Callable, Collection

import structlog

from aliquot.clock import Clock
from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.resources import split_key

_AGAIN_S = 5.0
"""Between two askings for the same pod: its budget may allow it by then, and its grace period needs its time."""

_log = structlog.get_logger()


class Evictions:
    """`changed` is called when something new was said of a pod."""

    def __init__(self, client: Client, clock: Clock, changed: Callable[[], None]) -> None:
        self._client = client
        self._clock = clock
        self._changed = changed
        self._asked_at: dict[str, float] = {}
        self.refusals: dict[str, str] = {}
        """Pod -> why its eviction is not allowed now."""

    def want(self, pods: Collection[str], tasks: asyncio.TaskGroup) -> None:
        """`namespace/name`s. May be asked at every look."""
        now = self._clock.now()
        for pod in pods:
            if now - self._asked_at.get(pod, -_AGAIN_S) >= _AGAIN_S:
                self._asked_at[pod] = now
                tasks.create_task(self._evict(pod))
        for pod in [pod for pod, asked_at in self._asked_at.items() if now - asked_at > 10 * _AGAIN_S]:
            del self._asked_at[pod]
            self.refusals.pop(pod, None)

    async def _evict(self, pod: str) -> None:
        namespace, name = split_key(pod)
        try:
            await self._client.evict(namespace, name)
        except errors.NotFound:
            self.refusals.pop(pod, None)
        except errors.ApiError as error:
            if self.refusals.get(pod) != error.message:
                self.refusals[pod] = error.message
                _log.info("eviction not allowed", pod=pod, why=error.message)
                self._changed()
        else:
            self.refusals.pop(pod, None)
            _log.info("evicted", pod=pod)
