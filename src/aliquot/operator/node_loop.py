"""Brings each node from bare to validated: its labels, which let one operand after the other onto it, and the conditions of
its GPUNode. One node at a time, from the whole of the present; a node's change writes to that node's objects alone.

Labels are written on the condition that the Node is as it was seen: what its user says in that moment is not overruled.
"""

import asyncio
import random
from collections.abc import Callable, Mapping

import msgspec

from aliquot.clock import Clock
from aliquot.kube import errors
from aliquot.kube.api.agent_labels import FIELD_MANAGER as AGENTS_LABELS
from aliquot.kube.api.agent_labels import MIG_STATE
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.api.meta import Condition, OwnerReference
from aliquot.kube.api.node_checks import CHECKS_PASSED
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import GPUNODES, NODES
from aliquot.operator.answers import Answers
from aliquot.operator.board import Board
from aliquot.operator.core import after_agent, conditions
from aliquot.operator.core.discovered import BY_HAND, said_by_hand
from aliquot.operator.core.operands import POLICY_LABEL, PRESENT_LABEL, OperandName
from aliquot.operator.core.pods import operand_of, operand_pods
from aliquot.operator.core.policies import Policy
from aliquot.operator.core.pools import POOL_LABEL, fitting, no_pool, pool_change
from aliquot.operator.core.progress import NodeView, Progress, Step, Told, leave, progress
from aliquot.operator.core.refusals import daemon_set_of
from aliquot.operator.core.summary import NodeStanding
from aliquot.operator.core.upgrade.memory import Memory, decode
from aliquot.operator.core.upgrade.states import MEMORY, STATE_LABEL, UNDER_WAY, State, state_of
from aliquot.operator.effort import Effort
from aliquot.operator.standing import NodeStands, Standing
from aliquot.operator.watched import BY_NODE, Json, Watched

FIELD_MANAGER = "aliquot-operator"
_WORKERS = 8
_REWORDED_S = 3.0
"""For which a step that stands as it is written may be so in other words: most are others again by then, or the step is done."""
_STEPS = tuple(str(step) for step in Step)


class NodeLoop:
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
        self._watched = watched
        self._standing = standing
        self._board = board
        self._effort = effort
        self._recorder = recorder
        self._namespace = namespace
        self._may_write = may_write
        self._nodes: Answers[Node] = Answers()
        self._gpu_nodes: Answers[GPUNode] = Answers()
        self._reworded: dict[str, float] = {}
        """By node, the loop's time from which on what is written of it are not the words any more."""
        self._controller = Controller("operator nodes", self._reconcile, rng=rng, workers=_WORKERS)

    async def run(self) -> None:
        """Until cancelled. The caches have synced, and the standing follows them. May be run again."""
        stops = (
            self._standing.subscribe(node=self._controller.enqueue, policy=lambda _name: None),
            self._watched.nodes.subscribe(self._node_changed),
            self._watched.gpu_nodes.subscribe(self._gpu_node_changed),
            self._watched.pods.subscribe(self._pod_changed),
            self._watched.refusals.subscribe(self._refused),
        )
        try:
            await self._controller.run()
        finally:
            for stop in stops:
                stop()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        """Heartbeats are nothing to us."""
        some = new or old
        assert some is not None
        if old is None or new is None or _marks(old) != _marks(new):
            self._controller.enqueue(some.metadata.name)

    def _gpu_node_changed(self, old: GPUNode | None, new: GPUNode | None) -> None:
        some = new or old
        assert some is not None
        if new is None:
            self._gpu_nodes.forget(some.metadata.name)
        if old is None or new is None or _said(old) != _said(new):
            self._controller.enqueue(some.metadata.name)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        some = new or old
        assert some is not None
        if some.spec.node_name and operand_of(some) is not None:
            self._controller.enqueue(some.spec.node_name)

    def _refused(self, old: Json | None, new: Json | None) -> None:
        """A DaemonSet says that it can make no pods: for whom is not said."""
        name = daemon_set_of(new or old or {})
        daemon_set = self._watched.daemon_sets.get(f"{self._namespace}/{name}") if name else None
        if daemon_set is not None:
            policy = (daemon_set["metadata"].get("labels") or {}).get(POLICY_LABEL, "")
            for node in self._standing.nodes_of(policy):
                self._controller.enqueue(node)

    async def _reconcile(self, name: str) -> float | None:
        self._effort.looked("nodes")
        node = self._nodes.newest(name, self._watched.nodes.get(name))
        if node is None:
            self._forget(name)
            return None
        stands = self._standing.node(name)
        if not self._may_write():
            return None
        if not stands.claim.policy:
            await self._leave(node)
            await self._clean_after_agent(name)
            return None
        policy = self._standing.policy(stands.claim.policy)
        if policy is None:
            # Its spec is refused: the node stays as it is, and nothing is known of how far it would have to be.
            self._board.drop_node(name)
            return None
        look_again_s = await self._follow(node, policy, stands)
        await self._clean_after_agent(name)
        return look_again_s

    def _forget(self, name: str) -> None:
        self._board.drop_node(name)
        self._effort.forget(name)
        self._nodes.forget(name)
        self._gpu_nodes.forget(name)
        self._reworded.pop(name, None)

    # --- a node of a policy ---

    async def _follow(self, node: Node, policy: Policy, stands: NodeStands) -> float | None:
        name = node.metadata.name
        gpu_node = self._gpu_nodes.newest(name, self._watched.gpu_nodes.get(name))
        now_s = self._clock.now()
        found = progress(self._view(node, policy, stands, gpu_node, now_s), now_s)
        await self._write_marks(node, self._changes(node, policy, stands, found))
        held_back_s = await self._write_conditions(node, gpu_node, found)
        self._board.put_node(policy.name, _standing_of(node, found))
        return min((wait for wait in (found.look_again_s, held_back_s) if wait is not None), default=None)

    def _view(
        self, node: Node, policy: Policy, stands: NodeStands, gpu_node: GPUNode | None, now_s: float
    ) -> NodeView:
        name, labels = node.metadata.name, node.metadata.labels or {}
        revisions = {one: self._standing.revision(policy.name, one, name) for one in OperandName}
        pods = self._watched.pods.indexed(BY_NODE, name)
        said = conditions.shown(gpu_node.status.conditions) if gpu_node is not None else {}
        checks = said.get(CHECKS_PASSED)
        found = operand_pods(pods, policy.name, self._namespace, revisions)
        without_driver = stands.pool is None and POOL_LABEL not in labels
        return NodeView(
            name,
            labels,
            policy,
            found,
            said,
            driver_version=gpu_node.status.driver_version if gpu_node is not None else "",
            validated={"True": True, "False": False}.get(checks.status) if checks is not None else None,
            validation_message=checks.message if checks is not None else "",
            is_upgrading=_is_upgrading(node),
            misfit=no_pool(node.status.node_info.os_image) if without_driver else "",
            refused={
                one: refused
                for one in OperandName
                if one not in found and (refused := self._watched.refusal(policy.name, one, labels, now_s))
            },
        )

    def _changes(self, node: Node, policy: Policy, stands: NodeStands, found: Progress) -> "_Marks":
        labels, annotations = node.metadata.labels or {}, node.metadata.annotations or {}
        info, memory = node.status.node_info, _memory(node)
        moved = pool_change(
            labels,
            stands.pool,
            is_driver_wanted=policy.operands[OperandName.DRIVER].wanted,
            fits=fitting(labels, info.os_image, info.kernel_version),
            may_restart=not self._has_driver(node, policy)
            or (
                state_of(labels.get(STATE_LABEL, "")) is State.POD_RESTART_REQUIRED
                and memory is not None
                and memory.restarted_s is not None
            ),
        )
        by_hand = POLICY_LABEL not in labels and said_by_hand(labels) and annotations.get(BY_HAND) != "true"
        changes = {**found.labels, **moved}
        after = {label: value for label, value in {**labels, **changes}.items() if value is not None}
        return changes, {**({BY_HAND: "true"} if by_hand else {}), **after_agent.noted(after, annotations)}

    def _has_driver(self, node: Node, policy: Policy) -> bool:
        return any(
            operand_of(pod) == (policy.name, OperandName.DRIVER) and pod.metadata.deletion_timestamp is None
            for pod in self._watched.pods.indexed(BY_NODE, node.metadata.name)
        )

    async def _write_conditions(self, node: Node, gpu_node: GPUNode | None, found: Progress) -> float | None:
        """Answers the seconds after which other words are to be written, if they still are others then."""
        name = node.metadata.name
        before = gpu_node.status.conditions if gpu_node is not None else []
        wanted = conditions.timed(_by_type(found), before, self._clock.now())
        if gpu_node is not None and conditions.same(wanted, before, _STEPS):
            self._reworded.pop(name, None)
            return None
        if conditions.is_reworded(wanted, before):
            now = asyncio.get_running_loop().time()
            left_s = self._reworded.setdefault(name, now) + _REWORDED_S - now
            if left_s > 0:
                return left_s
        self._reworded.pop(name, None)
        if gpu_node is None:
            gpu_node = await self._create(node)
        try:
            await self._apply(gpu_node, wanted)
        except errors.NotFound:
            self._gpu_nodes.forget(name)
            raise
        for is_bad, reason, message in conditions.news(found, conditions.shown(before)):
            severity = Severity.WARNING if is_bad else Severity.NORMAL
            self._recorder.event(NODES, node, severity, reason, message)
        return None

    async def _create(self, node: Node) -> GPUNode:
        """The agent comes late, and its conditions are wanted from the first step on."""
        owner = OwnerReference(api_version="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid)
        body = {"metadata": {"name": node.metadata.name, "ownerReferences": [msgspec.to_builtins(owner)]}}
        self._effort.wrote("gpunode", node.metadata.name)
        return await self._client.apply(GPUNODES, body, field_manager=FIELD_MANAGER, force=True, into=GPUNode)

    async def _apply(self, gpu_node: GPUNode, wanted: list[Condition]) -> None:
        name = gpu_node.metadata.name
        body = {
            "metadata": {"name": name, "uid": gpu_node.metadata.uid},
            # Of an apply that names fewer fields than the last one the server goes through all of the object.
            "status": {"conditions": [{"message": "", **msgspec.to_builtins(one)} for one in wanted]},
        }
        self._effort.wrote("conditions", name)
        cached = self._watched.gpu_nodes.get(name)
        answer = await self._client.apply(
            GPUNODES, body, field_manager=FIELD_MANAGER, force=True, subresource="status", into=GPUNode
        )
        self._gpu_nodes.put(name, cached, answer)

    # --- a node that is nobody's ---

    async def _leave(self, node: Node) -> None:
        name = node.metadata.name
        self._board.drop_node(name)
        labels, annotations = node.metadata.labels or {}, node.metadata.annotations or {}
        if POLICY_LABEL in labels or POOL_LABEL in labels or BY_HAND in annotations:
            changes = dict(leave(labels))
            if POOL_LABEL in labels:
                changes[POOL_LABEL] = None
            if annotations.get(BY_HAND) == "true":
                changes.pop(PRESENT_LABEL, None)
            await self._write_marks(node, (changes, {BY_HAND: None} if BY_HAND in annotations else {}))
            why = (
                "no GPUPolicy is for it" if self._standing.node(name).has_gpus else "it has no GPUs any more"
            )
            self._recorder.event(NODES, node, Severity.NORMAL, "NodeLeft", f"{why}: its node software goes")
        gpu_node = self._gpu_nodes.newest(name, self._watched.gpu_nodes.get(name))
        if gpu_node is not None and any(one.type in _STEPS for one in gpu_node.status.conditions):
            await self._apply(gpu_node, [])

    async def _clean_after_agent(self, name: str) -> None:
        node = self._nodes.newest(name, self._watched.nodes.get(name))
        if node is None:
            return
        labels, annotations = node.metadata.labels or {}, node.metadata.annotations or {}
        pods = (operand_of(pod) for pod in self._watched.pods.indexed(BY_NODE, name))
        has_pod = any(found is not None and found[1] is OperandName.AGENT for found in pods)
        if not after_agent.is_over(labels, annotations, has_pod=has_pod):
            return
        # Of the agent's own alone: what somebody else says as well stays.
        nothing = {"metadata": {"name": name, "uid": node.metadata.uid}}
        self._effort.wrote("labels", name)
        left = await self._client.apply(NODES, nothing, field_manager=AGENTS_LABELS, force=True, into=Node)
        state: _Labels = {MIG_STATE: None} if MIG_STATE in (left.metadata.labels or {}) else {}
        await self._write_marks(left, (state, {after_agent.HAS_AGENT: None}))

    async def _write_marks(self, node: Node, marks: "_Marks") -> None:
        labels, annotations = marks
        if not labels and not annotations:
            return
        name = node.metadata.name
        metadata = {"uid": node.metadata.uid, "resourceVersion": node.metadata.resource_version}
        patch = {"metadata": {**metadata, **_given(labels=labels, annotations=annotations)}}
        self._effort.wrote("labels", name)
        cached = self._watched.nodes.get(name)
        try:
            answer = await self._client.patch(NODES, name, patch, into=Node)
        except errors.Conflict:
            self._nodes.forget(name)
            raise
        self._nodes.put(name, cached, answer)


_Labels = Mapping[str, str | None]
_Marks = tuple[_Labels, _Labels]
"""Labels and annotations that change."""


def _given(**marks: Mapping[str, str | None]) -> dict[str, Mapping[str, str | None]]:
    return {name: one for name, one in marks.items() if one}


def _is_upgrading(node: Node) -> bool:
    """Or has left its node paused, with a driver that does not run."""
    memory, state = _memory(node), state_of((node.metadata.labels or {}).get(STATE_LABEL, ""))
    return state in UNDER_WAY or (memory is not None and memory.paused)


def _standing_of(node: Node, found: Progress) -> NodeStanding:
    memory = _memory(node)
    state = state_of((node.metadata.labels or {}).get(STATE_LABEL, ""))
    return NodeStanding(node.metadata.name, found, state, memory.reason if memory is not None else "")


def _by_type(found: Progress) -> dict[str, Told]:
    return {str(step): told for step, told in found.conditions.items()}


def _memory(node: Node) -> Memory | None:
    return decode((node.metadata.annotations or {}).get(MEMORY, ""))


def _marks(node: Node) -> tuple[object, ...]:
    return node.metadata.uid, node.metadata.labels, node.metadata.annotations


def _said(gpu_node: GPUNode) -> tuple[object, ...]:
    return gpu_node.metadata.uid, gpu_node.status.conditions, gpu_node.status.driver_version
