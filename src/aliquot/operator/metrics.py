"""What Prometheus reads of the operator."""

from collections import Counter
from collections.abc import Iterable, Mapping

from aliquot.metrics.exposition import Family, Kind, Sample, labels
from aliquot.operator.board import Board
from aliquot.operator.core.summary import NodeStanding
from aliquot.operator.core.upgrade.states import State
from aliquot.operator.effort import Effort
from aliquot.operator.standing import Standing

_STATUSES = ("True", "False", "Unknown")


def families(standing: Standing, board: Board, effort: Effort, upgrade_failures: int) -> list[Family]:
    """`upgrade_failures`: of this process, from its start."""
    steps: list[Sample] = []
    failures: list[Sample] = []
    upgrades: list[Sample] = []
    for name in standing.stored:
        nodes = [board.nodes[node] for node in standing.nodes_of(name) if node in board.nodes]
        steps += _steps(name, nodes)
        failures += _failures(name, nodes)
        upgrades += _upgrades(name, nodes)
    per_node = [sum(one.values()) for one in effort.by_node.values()]
    return [
        Family("aliquot_operator_nodes", Kind.GAUGE, "Nodes by policy, step and how the step stands.", steps),
        Family("aliquot_operator_failed_nodes", Kind.GAUGE, "Nodes whose way has stopped, by policy and reason.", failures),
        Family("aliquot_operator_upgrading_nodes", Kind.GAUGE, "Nodes by policy and state of their driver's upgrade.", upgrades),
        Family("aliquot_operator_upgrade_failures_total", Kind.COUNTER, "Upgrades of a node's driver that failed.", [Sample("", upgrade_failures)]),
        Family("aliquot_operator_refused_policies", Kind.GAUGE, "Policies whose spec cannot be used.", [Sample("", _refused(standing, board))]),
        Family("aliquot_operator_reconciles_total", Kind.COUNTER, "Looks at a node or a policy, by loop.", _counted("loop", effort.looks)),
        Family("aliquot_operator_writes_total", Kind.COUNTER, "Calls that change something, by what.", _counted("what", effort.writes)),
        Family("aliquot_operator_writes_of_a_node", Kind.GAUGE, "Calls that the nodes that are there have cost: the most of any.", [Sample("", max(per_node, default=0))]),
    ]  # fmt: skip


def _steps(policy: str, nodes: Iterable[NodeStanding]) -> list[Sample]:
    found: Counter[tuple[str, str]] = Counter()
    steps: dict[str, None] = {}
    for node in nodes:
        for step, told in node.progress.conditions.items():
            steps[str(step)] = None
            found[str(step), str(told.status)] += 1
    return [
        Sample(labels(("policy", policy), ("step", step), ("status", status)), found[step, status])
        for step in steps
        for status in _STATUSES
    ]


def _failures(policy: str, nodes: Iterable[NodeStanding]) -> list[Sample]:
    found: Counter[str] = Counter()
    for node in nodes:
        if node.progress.failure is not None:
            found[node.progress.failure.reason] += 1
        elif node.state is State.UPGRADE_FAILED:
            found["UpgradeFailed"] += 1
    return [
        Sample(labels(("policy", policy), ("reason", reason)), count)
        for reason, count in sorted(found.items())
    ]


def _upgrades(policy: str, nodes: Iterable[NodeStanding]) -> list[Sample]:
    found = Counter(
        str(node.state) for node in nodes if node.state is not None and node.state is not State.NONE
    )
    return [
        Sample(labels(("policy", policy), ("state", state)), count) for state, count in sorted(found.items())
    ]


def _refused(standing: Standing, board: Board) -> int:
    return sum(one.policy is None or bool(board.refused(name)) for name, one in standing.stored.items())


def _counted(label: str, counts: Mapping[str, int]) -> list[Sample]:
    return [Sample(labels((label, name)), count) for name, count in sorted(counts.items())]
