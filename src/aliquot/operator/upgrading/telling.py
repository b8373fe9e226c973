"""Tells of upgrades: on each Node, of its own; on the GPUPolicy, of all of them together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.kube.api.core import Node
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import GPUPOLICIES, NODES
from aliquot.operator.core.upgrade.effects import Step
from aliquot.operator.core.upgrade.node import UpgradeNode
from aliquot.operator.core.upgrade.states import UNDER_WAY, State

_IN_WORDS: Mapping[State, str] = {
    State.NONE: "its driver is not to be upgraded any more",
    State.UPGRADE_REQUIRED: "its driver is to be upgraded",
    State.CORDON_REQUIRED: "the upgrade of its driver starts",
    State.WAIT_FOR_JOBS_REQUIRED: "cordoned; its jobs come first",
    State.POD_DELETION_REQUIRED: "pods with GPUs are evicted",
    State.DRAIN_REQUIRED: "pods with GPUs did not go: the node is drained",
    State.POD_RESTART_REQUIRED: "the driver is exchanged",
    State.VALIDATION_REQUIRED: "the new driver runs, and is validated",
    State.UNCORDON_REQUIRED: "the new driver is validated",
    State.UPGRADE_DONE: "its driver is upgraded",
}


@dataclass(slots=True)
class _Roll:
    is_under_way: bool = False
    failed: frozenset[str] = frozenset()
    held_back: str = ""


class Telling:
    """Of this process: one that takes over may say again what the last one said."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._rolls: dict[str, _Roll] = {}
        self.failures = 0

    def stepped(self, node: Node, before: State | None, step: Step) -> None:
        """The node came into the state of the step."""
        if step.state is State.UPGRADE_FAILED and before is not State.UPGRADE_FAILED:
            self.failures += 1
            message = f"the upgrade of its driver failed: {step.waits_for}"
            self._recorder.event(NODES, node, Severity.WARNING, "DriverUpgradeFailed", message)
        elif step.state is not before:
            attempt = f", attempt {step.memory.attempt}" if step.memory.attempt > 1 else ""
            message = f"{step.state or 'none'}: {_IN_WORDS[step.state]}{attempt}"
            self._recorder.event(NODES, node, Severity.NORMAL, "DriverUpgrade", message)
        elif step.state in (State.NONE, State.UPGRADE_DONE) and step.waits_for:
            self._recorder.event(NODES, node, Severity.WARNING, "DriverDoesNotFit", step.waits_for)

    def looked(self, policy: dict[str, Any], nodes: Sequence[UpgradeNode], held_back: str) -> None:
        """At all nodes of a policy. `held_back`: why those that wait do not start."""
        roll = self._rolls.setdefault(policy["metadata"]["name"], _Roll())
        under_way = sum(node.state in UNDER_WAY for node in nodes)
        waiting = sum(node.state is State.UPGRADE_REQUIRED for node in nodes)
        failed = frozenset(node.name for node in nodes if node.state is State.UPGRADE_FAILED)
        if under_way and not roll.is_under_way:
            message = f"drivers of {under_way + waiting} of {len(nodes)} nodes are upgraded"
            self._event(policy, Severity.NORMAL, "DriverUpgradeStarted", message)
        for name in sorted(failed - roll.failed):
            reason = next((n.memory.reason for n in nodes if n.name == name and n.memory is not None), "")
            message = f"node {name} failed: {reason}" + ("; the others wait" if waiting else "")
            self._event(policy, Severity.WARNING, "DriverUpgradeStopped", message)
        # While some are under way, that others wait for them is no news.
        why = held_back if not under_way and not failed else ""
        if why and why != roll.held_back:
            message = f"{waiting} nodes wait: {why}"
            self._event(policy, Severity.NORMAL, "DriverUpgradeHeldBack", message)
        is_under_way = bool(under_way or (roll.is_under_way and waiting))
        if roll.is_under_way and not is_under_way and not failed:
            message = f"the drivers of all {len(nodes)} nodes are as the policy has them"
            self._event(policy, Severity.NORMAL, "DriverUpgradeDone", message)
        roll.is_under_way, roll.failed, roll.held_back = is_under_way, failed, why

    def forget(self, policy: str) -> None:
        self._rolls.pop(policy, None)

    def _event(self, policy: dict[str, Any], severity: Severity, reason: str, message: str) -> None:
        self._recorder.event(GPUPOLICIES, policy, severity, reason, message)
