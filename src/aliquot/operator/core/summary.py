"""GPUPolicy.status: how far all of its nodes are, at a glance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aliquot.operator.core.operands import OperandName
from aliquot.operator.core.policies import Policy
from aliquot.operator.core.progress import Progress, Status, Step, Told
from aliquot.operator.core.upgrade.states import UNDER_WAY, State

READY = "Ready"
PROGRESSING = "Progressing"
DEGRADED = "Degraded"

_STEPS: Mapping[OperandName, Step] = {
    OperandName.DRIVER: Step.DRIVER,
    OperandName.TOOLKIT: Step.TOOLKIT,
    OperandName.AGENT: Step.AGENT,
    OperandName.EXPORTER: Step.EXPORTER,
    OperandName.VALIDATOR: Step.VALIDATED,
}
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class NodeStanding:
    name: str
    progress: Progress
    state: State | None
    """Of the upgrade of its driver."""
    waits_for: str = ""
    """Of the upgrade."""


@dataclass(frozen=True, slots=True)
class OperandCounts:
    name: OperandName
    image: str
    nodes: int
    ready: int
    updated: int
    failed: int


@dataclass(frozen=True, slots=True)
class Summary:
    total: int
    ready: int
    progressing: int
    failed: int
    upgrading: int
    operands: tuple[OperandCounts, ...]
    conditions: Mapping[str, Told]


def summary(
    policy: Policy, nodes: Sequence[NodeStanding], *, held_back: str = "", overlaps: Sequence[str] = ()
) -> Summary:
    """`held_back`: why upgrades that could start do not. `overlaps`: nodes that are for an older policy too."""
    failed = sorted((node for node in nodes if _has_failed(node)), key=lambda node: node.name)
    upgrading = [node for node in nodes if node.state in UNDER_WAY]
    ready = [
        node for node in nodes if node.progress.is_ready and not _has_failed(node) and node not in upgrading
    ]
    progressing = len(nodes) - len(ready) - len(failed)
    return Summary(
        len(nodes),
        len(ready),
        progressing,
        len(failed),
        len(upgrading),
        tuple(_operand(policy, name, nodes) for name in OperandName if policy.operands[name].wanted),
        {
            READY: _ready(nodes, ready, failed, overlaps),
            PROGRESSING: _progressing(nodes, progressing, held_back),
            DEGRADED: _degraded(nodes, failed, overlaps),
        },
    )


def refused(problem: str) -> Mapping[str, Told]:
    """Of a policy whose spec cannot be used."""
    message = f"{problem}; what runs goes on as it was"
    return {
        READY: Told(Status.FALSE, "SpecRefused", message),
        PROGRESSING: Told(Status.FALSE, "SpecRefused", message),
        DEGRADED: Told(Status.TRUE, "SpecRefused", message),
    }


def _has_failed(node: NodeStanding) -> bool:
    return node.state is State.UPGRADE_FAILED or node.progress.failure is not None


def _operand(policy: Policy, name: OperandName, nodes: Sequence[NodeStanding]) -> OperandCounts:
    told = [node.progress.conditions[_STEPS[name]] for node in nodes]
    here = [one for one in told if one.reason != "NotWanted"]
    good = [one for one in here if one.status is Status.TRUE]
    return OperandCounts(
        name,
        str(policy.operands[name].image),
        nodes=len(here),
        ready=len(good),
        updated=sum(one.reason != "Outdated" for one in good),
        failed=sum(one.reason == "DeadlineExceeded" for one in here),
    )


def _ready(
    nodes: Sequence[NodeStanding],
    ready: Sequence[NodeStanding],
    failed: Sequence[NodeStanding],
    overlaps: Sequence[str],
) -> Told:
    if not nodes and overlaps:
        return Told(Status.FALSE, "NoGPUNodes", "all nodes with GPUs that it selects are an older policy's")
    if not nodes:
        return Told(Status.FALSE, "NoGPUNodes", "no node with GPUs is selected")
    counted = f"{len(ready)} of {len(nodes)} nodes are ready"
    waiting = _waiting(nodes)
    if waiting:
        counted += f", {_count(waiting, 'waits', 'wait')} to be upgraded"
    if failed:
        return Told(Status.FALSE, "NodesFailed", counted)
    if waiting or any(node.state in UNDER_WAY for node in nodes):
        return Told(Status.FALSE, "NodesUpgrading", counted)
    if len(ready) < len(nodes):
        return Told(Status.FALSE, "NodesProgressing", counted)
    earlier = sum(_has_earlier(node, OperandName.DRIVER) for node in nodes)
    return Told(Status.TRUE, "Ready", f"{counted}, {earlier} with an earlier driver" if earlier else counted)


def _progressing(nodes: Sequence[NodeStanding], progressing: int, held_back: str) -> Told:
    upgrading, waiting = [node for node in nodes if node.state in UNDER_WAY], _waiting(nodes)
    if upgrading or waiting:
        done = sum(_has_its_driver(node) for node in nodes)
        parts = [f"{done} of {len(nodes)} nodes have their driver"]
        if upgrading:
            parts.append(f"{len(upgrading)} under way ({_named(upgrading)})")
        if waiting:
            parts.append(f"{_count(waiting, 'waits', 'wait')}: {held_back or 'about to start'}")
        told = ", ".join(parts)
        if (first := next((node for node in upgrading if node.waits_for), None)) is not None:
            told += f"; {first.name} {first.waits_for}"
        return Told(Status.TRUE, "Upgrading" if upgrading else "UpgradeWaits", told)
    if progressing:
        first = next((node for node in nodes if not node.progress.is_ready and not _has_failed(node)), None)
        if first is not None:
            step, now = next(
                (s, t) for s, t in first.progress.conditions.items() if t.status is not Status.TRUE
            )
            return Told(
                Status.TRUE,
                "Installing",
                f"{progressing} of {len(nodes)} nodes; {first.name}: {step} {now.reason}",
            )
    for name in OperandName:
        if name is not OperandName.DRIVER and (
            earlier := [node for node in nodes if _has_earlier(node, name)]
        ):
            told = f"{len(earlier)} of {len(nodes)} nodes have an earlier {name}: {_named(earlier)}"
            return Told(Status.TRUE, "Updating", told)
    return Told(Status.FALSE, "AsWanted")


def _waiting(nodes: Sequence[NodeStanding]) -> list[NodeStanding]:
    return [node for node in nodes if node.state is State.UPGRADE_REQUIRED]


def _has_its_driver(node: NodeStanding) -> bool:
    told = node.progress.conditions[Step.DRIVER]
    settled = node.state not in UNDER_WAY and node.state not in (State.UPGRADE_REQUIRED, State.UPGRADE_FAILED)
    return settled and told.status is Status.TRUE and told.reason != "Outdated"


def _has_earlier(node: NodeStanding, name: OperandName) -> bool:
    return node.progress.conditions[_STEPS[name]].reason == "Outdated"


def _count(nodes: Sequence[NodeStanding], one: str, many: str) -> str:
    return f"{len(nodes)} {one if len(nodes) == 1 else many}"


def _degraded(nodes: Sequence[NodeStanding], failed: Sequence[NodeStanding], overlaps: Sequence[str]) -> Told:
    if failed:
        first = failed[0]
        failure = first.progress.failure
        why = failure.message if failure is not None else first.waits_for
        return Told(Status.TRUE, "NodesFailed", f"{_named(failed)}: {why}")
    if overlaps:
        told = f"nodes that an older policy is for are left to it: {_some(overlaps)}"
        return Told(Status.TRUE, "OverlappingPolicies", told)
    if unconfigured := sorted(
        (node for node in nodes if node.progress.unconfigured), key=lambda node: node.name
    ):
        told = f"{_named(unconfigured)}: {unconfigured[0].progress.unconfigured}"
        return Told(Status.TRUE, "NodesNotConfigured", told)
    return Told(Status.FALSE, "AsWanted")


def _named(nodes: Sequence[NodeStanding]) -> str:
    return _some([node.name for node in nodes])


def _some(names: Sequence[str]) -> str:
    told = ", ".join(sorted(names)[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{told} and {more} more" if more > 0 else told
