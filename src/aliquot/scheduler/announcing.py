"""Tells of pods that have got a node, with the event that kube-scheduler writes: `Scheduled`.

In a burst that is a second call to the API server for every pod, and more than the Binding costs it. Summed, only the
first few pods of a namespace in a while have their event; those that follow share one, about the namespace. So one
that looks at a small job sees no difference.
"""

import asyncio
from collections.abc import Sequence
from enum import StrEnum

from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import NAMESPACES, PODS, split_key
from aliquot.scheduler.core.pod import PodRequest

SCHEDULED = "Scheduled"
WHILE_S = 5.0
FIRST = 16
"""Pods of a namespace in a while that have events of their own."""
_NAMED = 8
"""Of those that are summed: the event of ten thousand has to stay readable."""


class Events(StrEnum):
    EACH = "each"
    SUMMED = "summed"


class Announcer:
    """Call `bound` for each; what is summed is told while `run` runs, and when it ends."""

    def __init__(self, recorder: Recorder, events: Events) -> None:
        self._recorder = recorder
        self._first = FIRST if events is Events.SUMMED else None
        self._told: dict[str, int] = {}
        """By namespace, how many pods had their own in this while."""
        self._summed: dict[str, list[tuple[str, str]]] = {}
        """By namespace: (pod, node)."""
        self._begun = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self._begun.wait()
                await asyncio.sleep(WHILE_S)
                self._sum_up()
        finally:
            self._sum_up()

    def bound(self, pod: PodRequest, node: str) -> None:
        namespace, name = split_key(pod.key)
        if self._first is not None:
            told = self._told.get(namespace, 0)
            self._begun.set()
            if told == self._first:
                self._summed.setdefault(namespace, []).append((name, node))
                return
            self._told[namespace] = told + 1
        subject = {"metadata": {"namespace": namespace, "name": name, "uid": pod.uid}}
        message = f"Successfully assigned {pod.key} to {node}"
        self._recorder.event(PODS, subject, Severity.NORMAL, SCHEDULED, message)

    def _sum_up(self) -> None:
        for namespace, pods in self._summed.items():
            subject = {"metadata": {"namespace": namespace, "name": namespace}}
            self._recorder.event(NAMESPACES, subject, Severity.NORMAL, SCHEDULED, _sum(pods))
        self._summed.clear()
        self._told.clear()
        self._begun.clear()


def _sum(pods: Sequence[tuple[str, str]]) -> str:
    named = [f"{pod} to {node}" for pod, node in pods[:_NAMED]]
    if len(pods) > _NAMED:
        named.append(f"{len(pods) - _NAMED} more")
    nodes = len({node for _, node in pods})
    return (
        f"Successfully assigned {len(pods)} {'pods' if len(pods) > 1 else 'pod'} to {nodes} "
        f"{'nodes' if nodes > 1 else 'node'}: {', '.join(named)}"
    )
