"""Carries decisions out: one Binding for each, with the assignment on it.

A bind whose answer is lost may have happened. It is sent again, the same, until the server either takes it or says
that the pod has a node; until then what was assumed for it stays taken, so that nothing is given to a second pod.
Its owner is told so, unless it takes within a moment.
A decision that was cut off (leadership lost) is not sent again: others have decided meanwhile.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.resources import PODS, split_key
from aliquot.kube.retry import RetryPolicy
from aliquot.scheduler.announcing import Announcer
from aliquot.scheduler.core.attempts import Bind
from aliquot.scheduler.metrics import Counts
from aliquot.scheduler.mirror import Mirror
from aliquot.scheduler.pods import annotations
from aliquot.scheduler.reporter import BIND_FAILED, SCHEDULER_ERROR, Notice, Reporter

_log = structlog.get_logger()

_WORKERS = 32
_RETRY = RetryPolicy(first_delay_s=0.5, max_delay_s=60.0)


@dataclass(slots=True)
class _Decision:
    bind: Bind
    cut_off: bool = False
    """The binder was stopped before this was settled: whether its Binding took is not known."""


class Binder:
    """`may_write` is asked right before each write: leadership, where there is an election."""

    def __init__(
        self,
        client: Client,
        *,
        rng: random.Random,
        mirror: Mirror,
        reporter: Reporter,
        announcer: Announcer,
        counts: Counts,
        may_write: Callable[[], bool],
    ) -> None:
        self._client = client
        self._rng = rng
        self._counts = counts
        self._mirror = mirror
        self._reporter = reporter
        self._announcer = announcer
        self._may_write = may_write
        self._decisions: dict[str, _Decision] = {}
        self._failures: dict[str, int] = {}
        self._controller = Controller("binder", self._carry_out, rng=rng, workers=_WORKERS)

    async def run(self) -> None:
        """Until cancelled. May be run again: what was cut off is then decided anew, if it has not happened."""
        try:
            await self._controller.run()
        finally:
            for decision in self._decisions.values():
                decision.cut_off = True

    def submit(self, bind: Bind) -> None:
        self._decisions[bind.pod.key] = _Decision(bind)
        self._controller.enqueue(bind.pod.key)

    def forget(self, key: str) -> None:
        """The pod is on its node, or gone."""
        self._failures.pop(key, None)

    async def _carry_out(self, key: str) -> float | None:
        decision = self._decisions.get(key)
        if decision is None:
            self._mirror.reconsider(key)
            return None
        if decision.cut_off and not await self._still_waits(decision):
            return None
        if decision.cut_off or not self._may_write():
            self._settle(decision)
            self._mirror.give_back(decision.bind.pod)
            return None
        pod, placed = decision.bind.pod, decision.bind.placed
        namespace, name = split_key(key)
        try:
            await self._client.bind(
                namespace, name, placed.node, pod_uid=pod.uid, annotations=annotations(placed)
            )
        except (errors.Unavailable, errors.TooManyRequests) as error:
            message = f"binding to node {placed.node} failed, and is tried again: {error.message}"
            self._counts.failed()
            self._reporter.tell(key, Notice(pod.uid, BIND_FAILED, message, in_doubt=True))
            raise  # to be called again, after a wait that grows
        except errors.ApiError as error:
            return await self._refused(decision, error)
        self._done(decision)
        return None

    async def _still_waits(self, decision: _Decision) -> bool:
        """Ask the server itself. False: the decision is settled, one way or the other."""
        pod = decision.bind.pod
        namespace, name = split_key(pod.key)
        try:
            seen = await self._client.get(PODS, name, namespace, into=Pod)
        except errors.NotFound:
            self._drop(decision)
            return False
        if seen.metadata.uid != pod.uid or seen.status.has_ended:
            self._drop(decision)
            return False
        if seen.spec.node_name:
            # What is assumed stays until the cache shows the same.
            self._done(decision, here=seen.spec.node_name == decision.bind.placed.node)
            return False
        return True

    async def _refused(self, decision: _Decision, error: errors.ApiError) -> float | None:
        if not await self._still_waits(decision):
            return None
        pod, node = decision.bind.pod, decision.bind.placed.node
        self._settle(decision)
        self._counts.refused()
        self._mirror.hold_back(pod)
        failures = self._failures[pod.key] = self._failures.get(pod.key, 0) + 1
        message = f"binding to node {node} was refused: {error.message}"
        _log.warning("bind refused", pod=pod.key, node=node, error=error.message)
        self._reporter.tell(pod.key, Notice(pod.uid, SCHEDULER_ERROR, message))
        return _RETRY.delay_s(failures, self._rng)

    def _done(self, decision: _Decision, *, here: bool = True) -> None:
        self._settle(decision)
        pod = decision.bind.pod
        self._reporter.forget(pod.key)
        if here:
            self._counts.bound(pod)
            self._announcer.bound(pod, decision.bind.placed.node)

    def _drop(self, decision: _Decision) -> None:
        self._settle(decision)
        self._mirror.release(decision.bind.pod)

    def _settle(self, decision: _Decision) -> None:
        if self._decisions.get(decision.bind.pod.key) is decision:
            del self._decisions[decision.bind.pod.key]
