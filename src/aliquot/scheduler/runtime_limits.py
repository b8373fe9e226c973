"""maxRuntime is written on the pod that has a node, as its activeDeadlineSeconds: kubelet holds it, whoever runs by then."""

import random
from collections.abc import Callable
from math import ceil

import structlog

from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.controller import Controller
from aliquot.kube.duration import LONGEST_S
from aliquot.kube.resources import PODS, key, split_key
from aliquot.scheduler.core.jobs import JobSpec

_log = structlog.get_logger()

_WORKERS = 4


class RuntimeLimits:
    """Told of pods that have a node; writes happen in `run`, while `may_write`."""

    def __init__(
        self, client: Client, *, rng: random.Random, pods: Cache[Pod], may_write: Callable[[], bool]
    ) -> None:
        self._client = client
        self._pods = pods
        self._may_write = may_write
        self._limits: dict[str, int] = {}
        """Seconds, by pod: those that do not say so themselves yet."""
        self._controller = Controller("runtime limits", self._write, rng=rng, workers=_WORKERS)

    async def run(self) -> None:
        """Until cancelled. May be run again."""
        for name in self._limits:
            self._controller.enqueue(name)
        await self._controller.run()

    def placed(self, pod: Pod, spec: JobSpec) -> None:
        if spec.max_runtime_s is None:
            return
        # A Job's deadline may be longer than one of a pod.
        limit_s = min(max(1, ceil(spec.max_runtime_s)), LONGEST_S)
        own_s = pod.spec.active_deadline_seconds
        # A deadline can be made earlier, never later.
        if own_s is None or own_s > limit_s:
            self._limits[key(pod)] = limit_s
            self._controller.enqueue(key(pod))
        else:
            self._limits.pop(key(pod), None)

    def gone(self, name: str) -> None:
        self._limits.pop(name, None)

    async def _write(self, name: str) -> None:
        limit_s, pod = self._limits.get(name), self._pods.get(name)
        if limit_s is None or pod is None or not self._may_write():
            return
        namespace, short = split_key(name)
        body = {"metadata": {"uid": pod.metadata.uid}, "spec": {"activeDeadlineSeconds": limit_s}}
        try:
            await self._client.patch(PODS, short, body, namespace, kind=PatchKind.MERGE)
        except (errors.NotFound, errors.Conflict):
            return  # gone, perhaps made anew: the cache will tell
        except (errors.Invalid, errors.Forbidden) as error:
            _log.warning("maxRuntime cannot be written on the pod", pod=name, error=error.message)
            self._limits.pop(name, None)
