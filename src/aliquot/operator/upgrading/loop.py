"""Drives upgrades: each node by itself from step to step, and for each policy, in one place, who starts.

Every write of a node names the revision that it was decided on, and whoever dies between two of them is carried on from
what the node says. Of a start it has to be known for sure whether it was written before the next one is decided: while the
answer is out, it is asked for again, under the same revision.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import structlog

from aliquot.clock import Clock
from aliquot.kube import errors
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder
from aliquot.kube.resources import GPUNODES, NODES, PODS
from aliquot.kube.retry import Backoff
from aliquot.operator.board import Board
from aliquot.operator.core.operands import POLICY_LABEL, OperandName
from aliquot.operator.core.policies import Policy
from aliquot.operator.core.pools import POOL_LABEL
from aliquot.operator.core.rendering.pods import OPERAND_LABEL, REVISION_LABEL, revision
from aliquot.operator.core.upgrade.cordons import Cordoner, cordoner
from aliquot.operator.core.upgrade.effects import Step
from aliquot.operator.core.upgrade.memory import decode
from aliquot.operator.core.upgrade.node import UpgradeNode
from aliquot.operator.core.upgrade.roll import nobody, starts
from aliquot.operator.core.upgrade.rules import Rules
from aliquot.operator.core.upgrade.states import (
    MEMORY,
    REQUESTED,
    RETRY,
    STATE_LABEL,
    UNDER_WAY,
    State,
    state_of,
)
from aliquot.operator.core.upgrade.steps import release, step
from aliquot.operator.effort import Effort
from aliquot.operator.standing import Standing
from aliquot.operator.upgrading.latest import Latest
from aliquot.operator.upgrading.node_write import may_uncordon, node_patch
from aliquot.operator.upgrading.pod_writes import PodWrites
from aliquot.operator.upgrading.reading import (
    OnNode,
    checks_of,
    glance,
    has_our_driver,
    is_blocked,
    is_driver,
    is_ready,
    pod_marks,
    read,
    upgrade_of,
)
from aliquot.operator.upgrading.telling import Telling
from aliquot.operator.watched import BY_NODE, Json, Watched

_log = structlog.get_logger()

_WORKERS = 8
_GATHER_S = 0.5
_DECIDED_FOR_S = 5.0
"""For so long what was decided on is taken to be so still."""
_Here: TypeAlias = tuple[Sequence[Pod], GPUNode | None]
_NOBODY_MAKES_ONE = "there is no DaemonSet of the driver for it"


class Upgrades:
    """`may_write` is asked right before each write: leadership, where there is an election."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        watched: Watched,
        standing: Standing,
        board: Board,
        effort: Effort,
        recorder: Recorder,
        namespace: str,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng
        self._watched = watched
        self._standing = standing
        self._board = board
        self._effort = effort
        self._namespace = namespace
        self._may_write = may_write
        self._latest = Latest(client, watched.nodes)
        self._pod_writes = PodWrites(client, pods=watched.pods, may_write=may_write)
        self._telling = Telling(recorder)
        self._rules: dict[str, Rules] = {}
        """Of each policy as it could last be used: those under way are finished by them."""
        self._in_doubt: dict[str, tuple[Node, Step]] = {}
        """Nodes whose start was sent, with no word on what became of it."""
        self._steps = Controller("driver upgrades", self._step, rng=rng, workers=_WORKERS)
        self._starts = Controller("driver upgrade starts", self._start, rng=rng, max_retry_delay_s=10.0)

    async def run(self) -> None:
        """Until cancelled. The caches have synced, and `standing` follows. May be run again."""
        self._in_doubt.clear()
        # Whoever led before has written what this process' copy may not show yet.
        await self._ask_for_all()
        stops = [
            self._pod_writes.follow(),
            self._standing.subscribe(node=self._steps.enqueue, policy=self._starts.enqueue),
            self._watched.nodes.subscribe(self._node_changed),
            self._watched.pods.subscribe(self._pod_changed),
            self._watched.gpu_nodes.subscribe(self._gpu_node_changed),
            self._watched.daemon_sets.subscribe(self._daemon_set_changed),
        ]
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._steps.run(), name="driver upgrades")
                tasks.create_task(self._starts.run(), name="driver upgrade starts")
        finally:
            for stop in stops:
                stop()

    @property
    def failures(self) -> int:
        """Of this process, from its start."""
        return self._telling.failures

    async def _ask_for_all(self) -> None:
        backoff = Backoff(self._rng)
        while True:
            try:
                return await self._latest.ask_for_all()
            except errors.ApiError as error:
                delay_s = backoff.delay_s()
                _log.warning("driver upgrades wait", error=error.message, retry_in_s=round(delay_s, 3))
                await asyncio.sleep(delay_s)

    # --- what is heard ---

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        before, after = (_seen(one) if one is not None else None for one in (old, new))
        if before == after:
            return
        some = new if new is not None else old
        assert some is not None
        name = some.metadata.name
        self._steps.enqueue(name)
        for policy in {
            self._standing.node(name).claim.policy: None,
            (some.metadata.labels or {}).get(POLICY_LABEL, ""): None,
        }:
            self._look_at(policy)

    def _look_at(self, policy: str) -> None:
        """Soon: nobody needs a start at once, and nodes change many at a time."""
        if policy:
            self._starts.enqueue_after(policy, _GATHER_S)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        some = new if new is not None else old
        assert some is not None
        name = some.spec.node_name
        if not name or (old is not None and new is not None and pod_marks(old) == pod_marks(new)):
            return
        node = self._latest.get(name)
        state = upgrade_of(node)[0] if node is not None else State.NONE
        # Before, and after, only the driver counts.
        if state in UNDER_WAY or is_driver(some, self._namespace):
            self._steps.enqueue(name)

    def _gpu_node_changed(self, old: GPUNode | None, new: GPUNode | None) -> None:
        if new is None or checks_of(old) == checks_of(new):
            return
        name = new.metadata.name
        node = self._latest.get(name)
        if node is not None and upgrade_of(node)[0] in UNDER_WAY:
            self._steps.enqueue(name)
        self._look_at(self._standing.node(name).claim.policy)

    def _daemon_set_changed(self, old: Json | None, new: Json | None) -> None:
        """What its pods are made of: their counts are written into it many times a minute."""
        if old is not None and new is not None and _makes(old) == _makes(new):
            return
        for one in (old, new):
            if one is not None and _is_driver(one):
                for name in self._standing.nodes_of(_label(one, POLICY_LABEL)):
                    self._steps.enqueue(name)

    # --- what is seen ---

    def _view(
        self, node: Node, wanted_revision: str, policy: Policy | None, here: _Here | None = None
    ) -> UpgradeNode:
        name = node.metadata.name
        pods, gpu_node = here or (
            self._watched.pods.indexed(BY_NODE, name),
            self._watched.gpu_nodes.get(name),
        )
        seen = OnNode(node, pods, gpu_node, self._namespace, self._pod_writes.refusals)
        found = read(seen, wanted_revision, policy)
        if found.driver is not None:
            return found
        whose, labels = self._standing.node(name).claim.policy, node.metadata.labels or {}
        refused = self._watched.refusal(whose, OperandName.DRIVER, labels, self._clock.now())
        return replace(found, refused=refused)

    def _wanted_revision(self, policy: str, node: Node) -> str | None:
        """What a pod of the driver would be made of there now, whatever the policy is about to make of that. None: nobody would
        make one."""
        return self._revisions(policy).get(self._pool(node))

    def _pool(self, node: Node) -> str:
        wanted = self._standing.node(node.metadata.name).pool
        # The label stays at a pool that the node is not of any more until its driver is restarted.
        return wanted.key if wanted is not None else (node.metadata.labels or {}).get(POOL_LABEL, "")

    def _revisions(self, policy: str) -> dict[str, str]:
        """By pool, as their DaemonSets are now."""
        found = {}
        for one in self._watched.daemon_sets.values():
            if _is_driver(one) and _label(one, POLICY_LABEL) == policy:
                selector = one["spec"]["template"]["spec"].get("nodeSelector") or {}
                found[selector.get(POOL_LABEL, "")] = revision(one)
        return found

    # --- one node ---

    async def _step(self, name: str) -> float | None:
        self._effort.looked("upgrades")
        node = self._latest.get(name)
        if node is None:
            return None
        found = self._next(node)
        if found is not None and _is_given_up(node, found):
            # Time has passed, but what came of it may not have been heard: not over a copy that trails.
            node, found = await self._asked(node)
        if found is None or not self._may_write():
            return None
        has_news = await self._pod_writes.carry_out(found)
        if not await self._write(node, found):
            return 0.0
        return 0.0 if has_news else found.look_again_s

    async def _asked(self, node: Node) -> tuple[Node, Step | None]:
        """As the API server has the node and what is on it. Raises ApiError."""
        name = node.metadata.name
        pods = await self._client.list(PODS, field_selector=f"spec.nodeName={name}", into=Pod)
        try:
            gpu_node = await self._client.get(GPUNODES, name, into=GPUNode)
        except errors.NotFound:
            gpu_node = None
        await self._latest.ask(name)
        latest = self._latest.get(name)
        return (node, None) if latest is None else (latest, self._next(latest, (pods.items, gpu_node)))

    def _next(self, node: Node, here: _Here | None = None) -> Step | None:
        """`here`: what is on it, where that was asked for."""
        remembers = MEMORY in (node.metadata.annotations or {})
        if (
            upgrade_of(node)[0] is State.NONE
            and not remembers
            and not self._standing.node(node.metadata.name).has_gpus
        ):
            return None
        stands = self._standing.node(node.metadata.name)
        policy = self._standing.policy(stands.claim.policy)
        if not stands.claim.policy or (
            policy is not None and (stands.pool is None or not has_our_driver(policy, node))
        ):
            return release(self._view(node, "", policy, here))
        wanted = self._wanted_revision(stands.claim.policy, node)
        if wanted is None or self._is_as_wanted(node, wanted):
            return None
        view = self._view(node, wanted, policy, here)
        if policy is None and view.state not in UNDER_WAY:
            return None
        rules = policy.rules if policy is not None else self._rules.get(stands.claim.policy, Rules())
        return step(view, rules, self._clock.now())

    def _is_as_wanted(self, node: Node, revision: str) -> bool:
        """Nothing of it is to be upgraded, and nothing to be given back: most nodes, most of the time."""
        text = (node.metadata.annotations or {}).get(MEMORY, "")
        memory = decode(text)
        if memory is None and text:
            return False
        if upgrade_of(node)[0] not in (State.NONE, State.UPGRADE_DONE) or (
            memory is not None and (memory.cordoned or memory.paused or memory.reason)
        ):
            return False
        pods = self._watched.pods.indexed(BY_NODE, node.metadata.name)
        return all(
            (pod.metadata.labels or {}).get(REVISION_LABEL) == revision and not is_blocked(pod)
            for pod in pods
            if is_driver(pod, self._namespace)
        )

    async def _write(self, node: Node, found: Step) -> bool:
        """False: the node has moved on. Raises ApiError."""
        # Of a policy that is refused nobody looks after the order.
        policy = self._standing.policy(self._standing.node(node.metadata.name).claim.policy)
        try:
            cordoned_by = await self._cordoner(node) if may_uncordon(node, found) else Cordoner.UNKNOWN
            patch = node_patch(node, found, in_order=policy is not None, cordoned_by=cordoned_by)
            if patch is None or not self._may_write():
                return True
            self._effort.wrote("upgrade", node.metadata.name)
            written = await self._client.patch(NODES, node.metadata.name, patch, into=Node)
        except (errors.Conflict, errors.NotFound):
            await self._latest.ask(node.metadata.name)
            return False
        self._latest.note(written)
        before = state_of((node.metadata.labels or {}).get(STATE_LABEL, ""))
        self._telling.stepped(written, before, found)
        return True

    async def _cordoner(self, node: Node) -> Cordoner:
        """Of a node that has moved on since, the write is refused. Raises ApiError."""
        return cordoner(await self._client.get(NODES, node.metadata.name))

    # --- who starts ---

    async def _start(self, name: str) -> float | None:
        if not self._may_write():
            return None
        await self._settle()
        policy, stored = self._standing.policy(name), self._watched.policies.get(name)
        if policy is None or stored is None:
            self._board.hold_back(name, "")
            if name not in self._standing.stored:
                self._rules.pop(name, None)
                self._telling.forget(name)
            return None
        self._rules[name] = policy.rules
        views = self._views(policy)
        now_s = self._clock.now()
        # Most of the time there is no room, and then nobody's pods are looked at.
        found = nobody(views, policy.rules, now_s)
        if found is None:
            found = starts([self._closer(view, policy) for view in views], policy.rules, now_s)
        look_again_s = found.look_again_s
        began_s = asyncio.get_running_loop().time()
        for one, first in found.nodes.items():
            if asyncio.get_running_loop().time() - began_s > _DECIDED_FOR_S:
                look_again_s = 0.0
                break
            node = self._latest.get(one)
            if node is None or not self._may_write():
                continue
            self._in_doubt[one] = node, first
            await self._settle()
        if found.nodes:
            views = self._views(policy)
        self._board.hold_back(name, found.held_back)
        self._telling.looked(stored, views, found.held_back)
        return look_again_s

    def _views(self, policy: Policy) -> list[UpgradeNode]:
        """Without their pods."""
        revisions = self._revisions(policy.name)
        nodes = (self._latest.get(name) for name in self._standing.nodes_of(policy.name))
        return [
            glance(node, self._watched.gpu_nodes.get(node.metadata.name), revisions.get(self._pool(node), ""))
            for node in nodes
            if node is not None
        ]

    def _closer(self, view: UpgradeNode, policy: Policy) -> UpgradeNode:
        """Of one that waits: which go together, and which first, goes by their pods."""
        node = self._latest.get(view.name) if view.state is State.UPGRADE_REQUIRED else None
        if node is None:
            return view
        wanted = self._wanted_revision(policy.name, node)
        found = self._view(node, wanted or "", policy)
        return found if wanted is not None else replace(found, misfit=_NOBODY_MAKES_ONE)

    async def _settle(self) -> None:
        """No start is in doubt after it. One that nothing came of is for the next look. Raises ApiError."""
        for name, (node, first) in list(self._in_doubt.items()):
            await self._write(node, first)
            self._in_doubt.pop(name, None)
            self._steps.enqueue(name)


def _seen(node: Node) -> tuple[Any, ...]:
    """All of a node that its upgrade goes by."""
    annotations = node.metadata.annotations or {}
    return (
        node.metadata.uid,
        node.metadata.labels,
        [annotations.get(name) for name in (MEMORY, REQUESTED, RETRY)],
        node.spec.unschedulable,
        is_ready(node),
    )


def _is_given_up(node: Node, found: Step) -> bool:
    return found.state is State.UPGRADE_FAILED and upgrade_of(node)[0] is not State.UPGRADE_FAILED


def _is_driver(daemon_set: Json) -> bool:
    return _label(daemon_set, OPERAND_LABEL) == OperandName.DRIVER


def _makes(daemon_set: Json) -> tuple[Any, ...]:
    template = daemon_set["spec"]["template"]
    return (
        daemon_set["metadata"].get("labels"),
        template["metadata"].get("labels"),
        template["spec"].get("nodeSelector"),
    )


def _label(obj: Json, name: str) -> str:
    found: str = (obj["metadata"].get("labels") or {}).get(name, "")
    return found
