"""Pods that nobody else will remove: those of nodes that are gone, and far too many that have ended."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import structlog

from aliquot.clock import Clock, rfc3339
from aliquot.emulator.controllers import pods
from aliquot.kube import errors
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.resources import NODES, PODS, key

PERIOD_S = 20.0
QUARANTINE_S = 40.0
"""A node must have been missing for so long before its pods are taken for lost."""
MOST_ENDED = 12_500

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Removal:
    """`lost`: the pod never said how it ended, and is made to say that it failed."""

    pod: Pod
    lost: bool


def judge(
    found: Collection[Pod], nodes: Collection[str], missing_since: Mapping[str, float], now: float
) -> list[Removal]:
    """`missing_since` says of the nodes that are not among `nodes` since when they are not."""
    removals = []
    ended = []
    for pod in found:
        node = pod.spec.node_name
        if not node:
            if pod.metadata.deletion_timestamp is not None and not pod.metadata.finalizers:
                removals.append(Removal(pod, lost=False))
        elif node not in nodes and now - missing_since.get(node, now) >= QUARANTINE_S:
            removals.append(Removal(pod, lost=pod.status.phase not in pods.TERMINAL_PHASES))
        elif pod.status.phase in pods.TERMINAL_PHASES and pod.metadata.deletion_timestamp is None:
            ended.append(pod)
    ended.sort(key=lambda pod: (pods.seconds(pod.metadata.creation_timestamp), key(pod)))
    removals += [Removal(pod, lost=False) for pod in ended[: max(0, len(ended) - MOST_ENDED)]]
    return removals


class PodGarbage:
    def __init__(self, client: Client, clock: Clock, nodes: Cache[Node], pod_cache: Cache[Pod]) -> None:
        self._client = client
        self._clock = clock
        self._nodes = nodes
        self._pods = pod_cache
        self._missing_since: dict[str, float] = {}

    async def run(self) -> None:
        while True:
            try:
                await self.sweep()
            except errors.ApiError as error:
                _log.warning("pods not swept", error=error.message)
            await asyncio.sleep(PERIOD_S)

    async def sweep(self) -> None:
        """Raises ApiError."""
        now = self._clock.now()
        there = {key(node) for node in self._nodes.values()}
        wanted = dict.fromkeys(pod.spec.node_name for pod in self._pods.values() if pod.spec.node_name)
        self._missing_since = {
            node: self._missing_since.get(node, now) for node in wanted if node not in there
        }
        confirmed: dict[str, bool] = {}
        for removal in judge(list(self._pods.values()), there, self._missing_since, now):
            node = removal.pod.spec.node_name
            if node and node not in there:
                if node not in confirmed:
                    confirmed[node] = await self._is_gone(node)
                if not confirmed[node]:
                    continue
            await self._remove(removal, now)

    async def _is_gone(self, node: str) -> bool:
        try:
            await self._client.get(NODES, node)
        except errors.NotFound:
            return True
        return False

    async def _remove(self, removal: Removal, now: float) -> None:
        metadata = removal.pod.metadata
        try:
            if removal.lost:
                change = {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "DeletionByPodGC",
                    "message": "PodGC: node no longer exists",
                    "lastTransitionTime": rfc3339(now),
                }
                await self._client.patch(
                    PODS,
                    metadata.name,
                    {
                        "metadata": {"uid": metadata.uid},
                        "status": {"phase": "Failed", "conditions": [change]},
                    },
                    metadata.namespace,
                    kind=PatchKind.STRATEGIC,
                    subresource="status",
                )
            await self._client.delete(
                PODS, metadata.name, metadata.namespace, grace_period_s=0, uid=metadata.uid
            )
        except (errors.NotFound, errors.Conflict):
            return
