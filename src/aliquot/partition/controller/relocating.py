"""Moves pods to make room for others, on nodes whose partitioning is `budgeted`: one relocation at a time, within its budget.

Who asks for slices by profile is planned for exactly, with all that waits beside it (`replanned`); of the plan the most urgent
pod's part is carried out, and then it is planned anew. For pods that ask for GPUClasses or whole GPUs, of which the planner
knows nothing, the search of `relocation` looks one pod ahead; for all, where the planner's solver is not installed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from aliquot.clock import Clock
from aliquot.kube import errors
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpuclass import GPUClass
from aliquot.kube.api.gpunode import GPUNode, Partitioning
from aliquot.kube.api.policy import PodDisruptionBudget
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import PODS, key
from aliquot.partition.class_specs import ClassSpecs
from aliquot.partition.controller.budget import MoveBudget
from aliquot.partition.controller.claims import Claims, open_claims
from aliquot.partition.controller.moves import Relocation
from aliquot.partition.controller.moving import Mover, controller_of, created_s, is_assigned
from aliquot.partition.controller.needs import Need, Place, needs_of, place_of
from aliquot.partition.controller.relocation import relocation
from aliquot.partition.controller.replanned import (
    Planned,
    Snapshot,
    is_planned_for,
    now_of,
    planned,
    relocation_in,
)
from aliquot.partition.gpus import partitioning_of
from aliquot.partition.integer_program import is_installed
from aliquot.partition.reading import is_marked
from aliquot.partition.replanning.limits import Limits
from aliquot.partition.replanning.plan import Plan, StaleSnapshot, check_basis
from aliquot.partition.replanning.planning import Request
from aliquot.partition.replanning.wording import done_in_words, gaps_in_words
from aliquot.partition.value import BY_RULE, Valuation

_log = structlog.get_logger()

PATIENCE_S = 5.0
"""A pod waits so long before another is moved for it: something may come free, or be made."""
_LOOK_S = 2.0
PLAN_WITHIN_S = 3.0
"""What is found by then is the plan, with its gap."""
_MOST_SEARCHED = 32
"""Pods for which a place is searched in one look, the most urgent first."""

RunAside = Callable[..., Awaitable[Any]]
"""`run_aside(function, *arguments)` runs it off the event loop, or in it, where time is virtual."""


class Relocating:
    """`names`: the schedulers whose pods room is made for. `minimum_run_s`: a pod that has run for less stays."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        pods: Cache[Pod],
        nodes: Cache[Node],
        gpu_nodes: Cache[GPUNode],
        gpu_classes: Cache[GPUClass],
        budgets: Cache[PodDisruptionBudget],
        claims: Claims,
        names: Collection[str],
        recorder: Recorder,
        budget: MoveBudget,
        minimum_run_s: float,
        may_write: Callable[[], bool],
        valuation: Valuation = BY_RULE,
        run_aside: RunAside = asyncio.to_thread,
    ) -> None:
        self._clock = clock
        self._pods = pods
        self._nodes = nodes
        self._gpu_nodes = gpu_nodes
        self._classes = ClassSpecs(gpu_classes)
        self._budgets = budgets
        self._claims = claims
        self._names = frozenset(names)
        self._recorder = recorder
        self._budget = budget
        self._minimum_run_s = minimum_run_s
        self._may_write = may_write
        self._valuation = valuation
        self._run_aside = run_aside
        self._exactly = is_installed()
        self._mover = Mover(client, pods=pods, recorder=recorder, budget=budget, minimum_run_s=minimum_run_s)
        self._planned: Planned | None = None

    async def run(self) -> None:
        """Until cancelled."""
        if not self._exactly:
            _log.info(
                "moves are searched one pod at a time: the exact planner is not installed; "
                "pip install 'aliquot[partition]' has it"
            )
        self._planned = None
        stop = self._classes.follow()
        try:
            while True:
                await asyncio.sleep(_LOOK_S)
                if not self._may_write():
                    continue
                try:
                    await self._look()
                except errors.ApiError as error:
                    _log.warning("relocation failed", error=error.message)
        finally:
            stop()

    async def _look(self) -> None:
        now = self._clock.now()
        if self._budget.left(now) < 1 or self._mover.is_under_way():
            return
        # Most clusters move nobody, and most of the time nobody waits: the rest is looked at only then.
        nodes = self._budgeted()
        waiting = self._waiting(now) if nodes else ()
        if not any(_is_patient(pod, now) for pod, _ in waiting):
            return
        plan = await self._plan(nodes, [pod for pod, _ in waiting if self._is_planned_for(pod)], now)
        found = self._next(waiting, plan)
        if found is None or not self._may_write():
            return
        one, by_plan = found
        indexes = {gpu.uuid: gpu.index for node in self._gpu_nodes.values() for gpu in node.status.gpus}
        await self._mover.carry_out(
            one, indexes, self._clock.now(), _in_words(plan) if plan is not None and by_plan else ""
        )

    def _next(
        self, waiting: Sequence[tuple[Pod, Sequence[Need]]], plan: Plan | None
    ) -> tuple[Relocation, bool] | None:
        """What is to be done for the most urgent pod that anything can be done for, and whether the plan says so."""
        now = self._clock.now()
        search: Callable[[Pod, Need], Relocation | None] | None = None
        searched = 0
        for pod, needs in waiting:
            if not _is_patient(pod, now):
                continue
            if self._is_planned_for(pod):
                found = relocation_in(plan, key(pod)) if plan is not None else None
                if found is not None and self._is_still_so(found, plan):
                    return found, True
            elif len(needs) == 1 and searched < _MOST_SEARCHED:
                searched += 1
                search = search or self._search(now)
                found = search(pod, needs[0])
                if found is not None and found.moves <= self._budget.left(now):
                    return found, False
        return None

    def _is_planned_for(self, pod: Pod) -> bool:
        return self._exactly and is_planned_for(pod)

    def _waiting(self, now: float) -> Sequence[tuple[Pod, Sequence[Need]]]:
        """Pods that their scheduler found no node for, the most urgent first."""
        found = []
        for pod in self._pods.values():
            if pod.spec.node_name or pod.spec.scheduler_name not in self._names or is_assigned(pod):
                continue
            needs = needs_of(pod)
            if needs and not self._mover.rests(pod, now):
                found.append((pod, needs))
        return sorted(found, key=lambda one: (-one[0].spec.priority, created_s(one[0]), key(one[0])))

    def _budgeted(self) -> Sequence[tuple[Node, GPUNode]]:
        found = []
        for gpu_node in self._gpu_nodes.values():
            node = self._nodes.get(gpu_node.metadata.name)
            if gpu_node.spec.partitioning is not Partitioning.BUDGETED or node is None:
                continue
            if partitioning_of(gpu_node, node.metadata.labels or {}) is Partitioning.BUDGETED:
                found.append((node, gpu_node))
        return sorted(found, key=lambda one: one[0].metadata.name)

    # --- by plan ---

    async def _plan(
        self, nodes: Sequence[tuple[Node, GPUNode]], waiting: Iterable[Pod], now: float
    ) -> Plan | None:
        """None: there is nothing to plan for."""
        names = {key(pod) for pod in waiting}
        if not names:
            return None
        staying = {**self._mover.resting(now), **self._mover.refused(now)}
        snapshot = Snapshot(nodes, tuple(self._pods.values()), tuple(self._budgets.values()), names, staying)
        limits = Limits(self._budget.left(now), self._minimum_run_s)
        request = Request(limits, now, PLAN_WITHIN_S)
        before = self._planned
        self._planned = await self._run_aside(planned, snapshot, request, before, time.monotonic)
        plan = self._planned.plan
        if self._planned is not before:
            self._tell(plan, now)
        return plan

    def _is_still_so(self, found: Relocation, plan: Plan | None) -> bool:
        """Whether the plan was made for what is there now: it took a while. If not, it is planned anew at the next look."""
        assert plan is not None
        pod = self._pods.get(found.pod)
        if pod is None or pod.spec.node_name or is_assigned(pod):
            return False
        now = now_of(plan, self._budgeted(), tuple(self._pods.values()))
        try:
            check_basis(plan, now)
        except StaleSnapshot as error:
            _log.info("not moved", pod=found.pod, why=str(error))
            self._planned = None
            return False
        return True

    def _tell(self, plan: Plan, now: float) -> None:
        """To pods that no plan helps: why not."""
        stay = (
            f"{len(plan.fixed)} pods may not be moved" if len(plan.fixed) != 1 else "1 pod may not be moved"
        )
        left = f"{self._budget.left(now)} of {self._budget.per_hour} moves left in this hour"
        for name, why in plan.waiting.items():
            pod = self._pods.get(name)
            if pod is not None and _is_patient(pod, now):
                message = f"{why}; {stay} ('aliquot partition plan' says why); {left}"
                message += "".join(f"; {gap}" for gap in gaps_in_words(plan))
                self._recorder.event(PODS, pod, Severity.NORMAL, "NotRelocating", message)

    # --- by search ---

    def _search(self, now: float) -> Callable[[Pod, Need], Relocation | None]:
        nodes = self._budgeted()
        places, holders, classes = self._places(nodes), _holders(nodes), self._classes.now
        staying = {**self._mover.resting(now), **self._mover.refused(now)}

        def search(pod: Pod, need: Need) -> Relocation | None:
            stays = partial(self._why_it_stays, pod, now, staying)
            return relocation(need, places, classes, holders, stays, self._valuation)

        return search

    def _places(self, nodes: Sequence[tuple[Node, GPUNode]]) -> list[Place]:
        found = []
        for node, gpu_node in nodes:
            claims = open_claims(self._claims.on(node.metadata.name), gpu_node.status)
            place = place_of(node, gpu_node, claims)
            if place is not None:
                found.append(place)
        return found

    def _why_it_stays(self, by: Pod, now: float, staying: Mapping[str, str], name: str) -> str:
        pod = self._pods.get(name)
        if pod is None or pod.metadata.deletion_timestamp is not None or pod.status.phase != "Running":
            return "it does not run, or is going"
        if not controller_of(pod):
            return "nothing would start it again"
        if is_marked(pod):
            return "it is marked do-not-disrupt"
        if pod.spec.priority > by.spec.priority:
            return "its priority is higher"
        if now - created_s(pod) < self._minimum_run_s:
            return "it has not run for long enough"
        return staying.get(name, "")


def _is_patient(pod: Pod, now: float) -> bool:
    """Whether it has waited for long enough."""
    return now - created_s(pod) >= PATIENCE_S


def _in_words(plan: Plan) -> str:
    return "; ".join([f"plan: {done_in_words(plan)}", *(gaps_in_words(plan) or ["proven optimal"])])


def _holders(nodes: Sequence[tuple[Node, GPUNode]]) -> Mapping[tuple[str, int], str]:
    return {
        (gpu.uuid, instance.start): instance.pods[0]
        for _, gpu_node in nodes
        for gpu in gpu_node.status.gpus
        for instance in gpu.instances
        if len(instance.pods) == 1 and instance.shares is None
    }
