from typing import Any

import pytest

from aliquot.clock import rfc3339
from aliquot.emulator.controllers.daemon_set_plan import (
    GENERATION_LABEL,
    TEMPLATE_GENERATION,
    Fit,
    Fits,
    plan,
    pod_of,
    tolerations,
)
from aliquot.emulator.controllers.revision_history import POD_LABEL
from aliquot.emulator.controllers.types import DaemonSet, DaemonSetSpec, RollingUpdate, UpdateStrategy
from aliquot.emulator.kinds import node_affinity
from aliquot.kube.api.core import Node, NodeSpec, Pod, PodCondition, PodSpec, PodStatus, Taint
from aliquot.kube.api.meta import ObjectMeta

NOW = 1_767_225_600.0
OLD, NEW = "old", "new"


def daemon_set(
    strategy: UpdateStrategy | None = None,
    *,
    spec: dict[str, Any] | None = None,
    min_ready_seconds: int = 0,
    deleted: bool = False,
) -> DaemonSet:
    return DaemonSet(
        metadata=ObjectMeta(
            name="ds",
            namespace="ns",
            generation=2,
            annotations={TEMPLATE_GENERATION: "7"},
            deletion_timestamp=rfc3339(NOW) if deleted else None,
        ),
        spec=DaemonSetSpec(
            template={"metadata": {"labels": {"app": "d"}}, "spec": spec or {}},
            min_ready_seconds=min_ready_seconds,
            update_strategy=strategy or UpdateStrategy(),
        ),
    )


def rolling(max_unavailable: int | str = 1, max_surge: int | str = 0) -> UpdateStrategy:
    return UpdateStrategy(rolling_update=RollingUpdate(max_unavailable=max_unavailable, max_surge=max_surge))


def node(name: str, *taints: Taint, **labels: str) -> Node:
    return Node(metadata=ObjectMeta(name=name, labels=labels or None), spec=NodeSpec(taints=taints or None))


def pod(
    name: str,
    revision: str = NEW,
    *,
    on: str = "",
    ready: bool = True,
    phase: str = "Running",
    deleted: bool = False,
    since: float = NOW - 100,
    created: float = NOW - 200,
    bound: bool = True,
) -> Pod:
    """Named for its node, which is the first part of the name."""
    place = on or name.partition("-")[0]
    condition = PodCondition(type="Ready", status="True", last_transition_time=rfc3339(since))
    return Pod(
        metadata=ObjectMeta(
            name=name,
            labels={POD_LABEL: revision},
            creation_timestamp=rfc3339(created),
            deletion_timestamp=rfc3339(NOW) if deleted else None,
        ),
        spec=PodSpec(node_name=place) if bound else PodSpec(affinity=node_affinity.pinned_to(None, place)),
        status=PodStatus(phase=phase, conditions=(condition,) if ready else ()),
    )


def taint(key: str, effect: str = "NoSchedule") -> Taint:
    return Taint(key=key, effect=effect)


UNSCHEDULABLE = taint("node.kubernetes.io/unschedulable")


@pytest.mark.parametrize(
    ("spec", "found", "expected"),
    [
        ({}, node("a"), Fit(True, True)),
        ({"nodeName": "b"}, node("a"), Fit(False, False)),
        ({"nodeSelector": {"gpu": "yes"}}, node("a"), Fit(False, False)),
        ({"nodeSelector": {"gpu": "yes"}}, node("a", gpu="yes"), Fit(True, True)),
        ({"affinity": node_affinity.pinned_to(None, "b")}, node("a"), Fit(False, False)),
        ({}, node("a", UNSCHEDULABLE), Fit(True, True)),
        ({}, node("a", taint("node.kubernetes.io/unreachable", "NoExecute")), Fit(True, True)),
        ({}, node("a", taint("node.kubernetes.io/network-unavailable")), Fit(False, True)),
        ({"hostNetwork": True}, node("a", taint("node.kubernetes.io/network-unavailable")), Fit(True, True)),
        ({}, node("a", taint("mine")), Fit(False, True)),
        ({}, node("a", taint("mine", "NoExecute")), Fit(False, False)),
        ({}, node("a", taint("mine", "PreferNoSchedule")), Fit(True, True)),
        ({"tolerations": [{"operator": "Exists"}]}, node("a", taint("mine", "NoExecute")), Fit(True, True)),
    ],
)  # fmt: skip
def test_where_daemons_run(spec: dict[str, Any], found: Node, expected: Fit) -> None:
    assert Fits(daemon_set(spec=spec)).of([found]) == {found.metadata.name: expected}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, node("a", x="y"), True),
        (None, node("a"), False),
        (node("a"), node("a", x="y"), True),
        (node("a", x="y"), node("a", x="y", other="z"), False),
        (node("a"), node("a", other="z"), False),
        (node("a", x="y"), node("a", taint("mine"), x="y"), True),
        (node("a"), node("a", taint("mine")), False),
        (node("a", x="y"), None, True),
        # A pod may wait for it still.
        (node("a"), None, True),
    ],
)
def test_which_changes_of_nodes_are_looked_at(old: Node | None, new: Node | None, expected: bool) -> None:
    assert Fits(daemon_set(spec={"nodeSelector": {"x": "y"}})).differ(old, new) is expected


NODES = [node("a"), node("b"), node("c", taint("mine"))]


@pytest.mark.parametrize(
    ("found", "held", "create", "delete", "ended"),
    [
        (daemon_set(), [], ["a", "b"], [], []),
        (daemon_set(), [pod("a-1")], ["b"], [], []),
        (daemon_set(), [pod("a-1", bound=False)], ["b"], [], []),
        (daemon_set(), [pod("a-1"), pod("b-1", deleted=True)], [], [], []),
        # Of two the older stays, one that is placed before one that is not.
        (daemon_set(), [pod("a-2", created=NOW), pod("a-1"), pod("b-1")], [], ["a-2"], []),
        (daemon_set(), [pod("a-1", bound=False), pod("a-2", created=NOW), pod("b-1")], [], ["a-1"], []),
        # A pod that is there already bears what keeps others away, but is not made anew.
        (daemon_set(), [pod("a-1"), pod("b-1"), pod("c-1")], [], [], []),
        (daemon_set(spec={"nodeSelector": {"x": "y"}}), [pod("a-1"), pod("c-1")], [], ["a-1", "c-1"], []),
        (daemon_set(), [pod("a-1", phase="Failed"), pod("b-1", phase="Succeeded")], [], [], ["a-1", "b-1"]),
        # Waiting for a node that is gone; one bound to it is not the DaemonSet's to delete.
        (daemon_set(), [pod("a-1"), pod("b-1"), pod("z-1", bound=False), pod("z-2")], [], ["z-1"], []),
        (daemon_set(deleted=True), [], [], [], []),
    ],
)  # fmt: skip
def test_putting_nodes_right(
    found: DaemonSet, held: list[Pod], create: list[str], delete: list[str], ended: list[str]
) -> None:
    wanted = plan(found, held, Fits(found).of(NODES), NEW, NOW)
    assert list(wanted.create) == create
    assert sorted(one.metadata.name for one in wanted.delete) == delete
    assert sorted(one.metadata.name for one in wanted.ended) == ended


FOUR = [node(name) for name in "abcd"]
OLD_ONES = [pod(f"{name}-1", OLD) for name in "abcd"]


@pytest.mark.parametrize(
    ("strategy", "held", "create", "delete"),
    [
        (rolling(), OLD_ONES, [], ["a-1"]),
        (rolling(2), OLD_ONES, [], ["a-1", "b-1"]),
        (rolling("30%"), OLD_ONES, [], ["a-1", "b-1"]),
        (rolling(0), OLD_ONES, [], ["a-1"]),
        (UpdateStrategy(type="OnDelete"), OLD_ONES, [], []),
        (rolling(), [pod("a-1", ready=False), *OLD_ONES[1:]], [], []),
        (rolling(), [pod("a-1", OLD, deleted=True), *OLD_ONES[1:]], [], []),
        # What is broken anyway goes at once.
        (rolling(), [pod("a-1", ready=False), pod("b-1", OLD, ready=False), *OLD_ONES[2:]], [], ["b-1"]),
        # With a surge the new one comes first.
        (rolling(0, 1), OLD_ONES, ["a"], []),
        (rolling(0, 2), OLD_ONES, ["a", "b"], []),
        (rolling(0, 1), [*OLD_ONES, pod("a-2", ready=False)], [], []),
        (rolling(0, 1), [*OLD_ONES, pod("a-2")], [], ["a-1"]),
        (rolling(0, 1), [pod("a-1", OLD, ready=False), *OLD_ONES[1:]], ["a", "b"], []),
        (rolling(0, 1), [pod("a-1", OLD, ready=False), *OLD_ONES[1:], pod("a-2", ready=False)], [], ["a-1"]),
    ],
)  # fmt: skip
def test_updates(strategy: UpdateStrategy, held: list[Pod], create: list[str], delete: list[str]) -> None:
    rolled = daemon_set(strategy)
    wanted = plan(rolled, held, Fits(rolled).of(FOUR), NEW, NOW)
    assert list(wanted.create) == create
    assert sorted(one.metadata.name for one in wanted.delete) == delete


def test_a_pod_of_the_template_by_its_number_is_up_to_date() -> None:
    numbered = pod("a-1", OLD)
    numbered = Pod(
        metadata=ObjectMeta(name="a-1", labels={GENERATION_LABEL: "7", POD_LABEL: OLD}),
        spec=numbered.spec,
        status=numbered.status,
    )
    fits = Fits(daemon_set()).of([node("a")])
    assert plan(daemon_set(), [numbered], fits, NEW, NOW).delete == ()


def test_status() -> None:
    held = [
        pod("a-1"),
        pod("b-1", OLD, ready=False),
        pod("c-1"),
        pod("d-1", since=NOW - 10),
        pod("z-1"),
    ]
    nodes = [node("a"), node("b"), node("c", taint("mine")), node("d"), node("e")]
    patient = daemon_set(min_ready_seconds=30)
    found = plan(patient, held, Fits(patient).of(nodes), NEW, NOW)
    assert found.status == {
        "desiredNumberScheduled": 4,
        "currentNumberScheduled": 3,
        "numberMisscheduled": 1,
        "numberReady": 2,
        "numberAvailable": 1,
        "numberUnavailable": 3,
        "updatedNumberScheduled": 2,
        "observedGeneration": 2,
    }
    assert found.again_s == 20.0


def test_a_pod_is_pinned_to_its_node() -> None:
    made = pod_of(daemon_set(spec={"containers": []}), "a", NEW, {"uid": "ds"})
    assert made["metadata"]["labels"] == {"app": "d", POD_LABEL: NEW, GENERATION_LABEL: "7"}
    assert made["metadata"]["generateName"] == "ds-"
    assert node_affinity.pinned_node(made["spec"]["affinity"]) == "a"


def test_daemons_bear_what_ails_a_node() -> None:
    mine = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    found = tolerations({"tolerations": [mine], "hostNetwork": True})
    assert found[0] == mine
    assert [one["key"].rpartition("/")[2] for one in found] == [
        "not-ready",
        "unreachable",
        "disk-pressure",
        "memory-pressure",
        "pid-pressure",
        "unschedulable",
        "network-unavailable",
    ]


def test_a_node_is_judged_anew_when_it_is_another_and_forgotten_when_it_is_gone() -> None:
    fits = Fits(daemon_set(spec={"nodeSelector": {"gpu": "yes"}}))
    before, other = node("a"), node("b", gpu="yes")
    assert fits.of([before, other]) == {"a": Fit(False, False), "b": Fit(True, True)}
    assert fits.of([node("a", gpu="yes")]) == {"a": Fit(True, True)}
    assert fits.of([]) == {}
