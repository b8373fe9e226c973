"""What labels and annotations add to a job, and a job whose pods say different things of it."""

from collections.abc import Mapping
from functools import reduce
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aliquot.scheduler.core.jobs import Group, JobSpec, TopologyWish
from aliquot.scheduler.core.reasons import Kind, Reason
from aliquot.scheduler.grouping.membership import joined
from tests.scheduler.grouping.objects import Cluster, owner, pod, refusal

WORKLOAD = """
apiVersion: batch/v1
kind: Job
metadata: {name: train}
"""

FOR_Y = Reason(Kind.DEPENDENCY, "waits for y to succeed")


@pytest.mark.parametrize(
    ("said", "field", "value"),
    [
        ({"aliquot.dev/queue": "a"}, "queue", "a"),
        ({"kai.scheduler/queue": "a"}, "queue", "a"),
        ({"kueue.x-k8s.io/queue-name": "a"}, "queue", "a"),
        ({"scheduling.volcano.sh/queue-name": "a"}, "queue", "a"),
        ({"volcano.sh/queue-name": "a"}, "queue", "a"),
        ({"yunikorn.apache.org/queue": "root.a"}, "queue", "root.a"),
        ({"kai.scheduler/queue": "b", "aliquot.dev/queue": "a"}, "queue", "a"),
        ({"aliquot.dev/user": "ann"}, "user", "ann"),
        ({"priorityClassName": "high"}, "priority", 1000),
        ({"priorityClassName": "high"}, "preemptible", False),
        ({"priorityClassName": "train"}, "priority", 50),
        ({"priorityClassName": "train"}, "preemptible", True),
        ({"priorityClassName": "high", "kai.scheduler/preemptibility": "preemptible"}, "preemptible", True),
        ({"ray.io/priority-class-name": "high"}, "preemptible", True),
        ({"aliquot.dev/preemptibility": "NonPreemptible"}, "preemptible", False),
        ({"volcano.sh/preemptable": "false"}, "preemptible", False),
        ({"volcano.sh/preemptable": "true"}, "preemptible", True),
        ({"aliquot.dev/max-runtime": "90m"}, "max_runtime_s", 5400.0),
        ({"kueue.x-k8s.io/max-exec-time-seconds": "60"}, "max_runtime_s", 60.0),
        ({"aliquot.dev/min-runtime": "5m"}, "minimum_runtime_s", 300.0),
        ({"aliquot.dev/staleness-grace-period": "5m"}, "stale_after_s", 300.0),
        ({"kai.scheduler/staleness-grace-period": "-1s"}, "stale_after_s", None),
        ({}, "stale_after_s", 60.0),
        ({}, "preemptible", True),
    ],
)
def test_what_is_said_of_a_job(said: Mapping[str, str], field: str, value: object) -> None:
    """On the pod or on the workload, as a label or as an annotation."""
    cluster = Cluster(priorities={"high": 1000})
    for one in (pod("p", said), pod("p", annotations=said)):
        assert getattr(cluster.membership(one).job, field) == value
    labels = ", ".join(f"{key}: '{text}'" for key, text in said.items())
    workload = owner(WORKLOAD.replace("{name: train}", "{name: train, labels: {" + labels + "}}"))
    assert getattr(cluster.membership(pod("p"), workload).job, field) == value


@pytest.mark.parametrize(
    ("said", "wish"),
    [
        (
            {"aliquot.dev/topology": "racks", "aliquot.dev/required-topology-level": "rack"},
            TopologyWish("racks", required="rack"),
        ),
        (
            {
                "kai.scheduler/topology": "racks",
                "kai.scheduler/topology-required-placement": "block",
                "kai.scheduler/topology-preferred-placement": "rack",
            },
            TopologyWish("racks", required="block", preferred="rack"),
        ),
        ({"kueue.x-k8s.io/podset-preferred-topology": "rack"}, TopologyWish("", preferred="rack")),
        ({"kai.scheduler/topology": "racks"}, None),
    ],
)
def test_where_its_pods_should_be(said: Mapping[str, str], wish: TopologyWish | None) -> None:
    root = Cluster().membership(pod("p", annotations=said), owner(WORKLOAD)).job.root
    assert root is not None and root.topology == wish


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            {"aliquot.dev/preemptibility": "maybe"},
            "aliquot.dev/preemptibility is 'maybe': give Preemptible or NonPreemptible",
        ),
        (
            {"aliquot.dev/max-runtime": "tomorrow"},
            "aliquot.dev/max-runtime: 'tomorrow' is not a duration: write 90s, 45m or 1h30m",
        ),
        (
            {"kueue.x-k8s.io/max-exec-time-seconds": "-4"},
            "kueue.x-k8s.io/max-exec-time-seconds is -4: give at least 1",
        ),
        (
            {"kueue.x-k8s.io/max-exec-time-seconds": "9" * 400},
            f"kueue.x-k8s.io/max-exec-time-seconds is '{'9' * 64}'...: give at most 2147483647",
        ),
        (
            {"aliquot.dev/min-member": "9" * 5000},
            f"aliquot.dev/min-member is '{'9' * 64}'...: give a whole number",
        ),
        (
            {"aliquot.dev/max-runtime": "9" * 400 + "h"},
            f"aliquot.dev/max-runtime: '{'9' * 64}'... is too long: 68 years are the most, 2147483647s",
        ),
        (
            {"aliquot.dev/queue": "two\nlines"},
            "aliquot.dev/queue is 'two\\nlines': no queue can be called so, give the name of one",
        ),
        (
            {"priorityClassName": "gone"},
            "its PriorityClass 'gone' does not exist, or is not shown to the scheduler: create it, or name another",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(said: Mapping[str, str], reason: str) -> None:
    found = Cluster().membership(pod("p", said), owner(WORKLOAD))
    assert refusal(found) == reason
    assert found.job.refusal is not None and found.job.refusal.kind is Kind.POD_GROUP


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            {"aliquot.dev/required-topology-level": "aliquot.dev/numa"},
            "aliquot.dev/numa is asked for as the topology level of a pod of its own: give it by annotation aliquot.dev/required-gpu-level",
        ),
        (
            {"kai.scheduler/topology-preferred-placement": "aliquot.dev/nvlink"},
            "aliquot.dev/nvlink is asked for as the topology level of a pod of its own: give it by annotation aliquot.dev/preferred-gpu-level",
        ),
    ],
)
def test_a_pod_of_its_own_has_no_group_that_its_gpus_could_be_near_to(
    said: Mapping[str, str], reason: str
) -> None:
    assert refusal(Cluster().membership(pod("p", annotations=said))) == reason
    root = Cluster().membership(pod("p", annotations=said), owner(WORKLOAD)).job.root
    assert root is not None and root.wishes_gpus_together


def test_what_makes_the_job_is_named() -> None:
    assert Cluster().membership(pod("p")).source.kind == "Pod"
    source = Cluster().membership(pod("p"), owner(WORKLOAD)).source
    assert (source.api_version, source.kind, source.name, source.uid) == (
        "batch/v1",
        "Job",
        "train",
        "uid-train",
    )


NEVER = {"preemptionPolicy": "Never"}
NAMED = {"ray.io/priority-class-name": "high"}


@pytest.mark.parametrize(
    ("of_pod", "of_class", "labels", "evicts"),
    [
        ({}, "", {}, True),
        ({"preemptionPolicy": "PreemptLowerPriority"}, "", {}, True),
        (NEVER, "", {}, False),
        ({}, "Never", NAMED, False),
        (NEVER, "PreemptLowerPriority", NAMED, True),
        # A class that KAI brings along says nothing of it.
        (NEVER, "", {"priorityClassName": "train"}, False),
    ],
)
def test_whether_others_are_evicted_for_it_is_said_where_the_priority_is(
    of_pod: Mapping[str, Any], of_class: str, labels: Mapping[str, str], evicts: bool
) -> None:
    cluster = Cluster(priorities={"high": 1000})
    high = cluster.priority_classes["high"]
    cluster.priority_classes["high"] = replace(high, preemption_policy=of_class)
    assert cluster.membership(pod("p", labels, **of_pod)).job.evicts is evicts


ONE = JobSpec("team-a/x", root=Group(minimum=2), queue="a", user="bob", priority=5, created_s=7.0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"root": Group(minimum=3)}, {"root": Group(minimum=3)}),
        ({"priority": 9}, {"priority": 9}),
        ({"created_s": 3.0}, {"created_s": 3.0}),
        ({"queue": ""}, {}),
        ({"user": "ann"}, {"user": "ann"}),
        ({"user": "zoe"}, {}),
        ({"user": ""}, {}),
        ({"preemptible": False}, {"preemptible": False}),
        ({"max_runtime_s": 9.0}, {"max_runtime_s": 9.0}),
        ({"minimum_runtime_s": 9.0}, {"minimum_runtime_s": 9.0}),
        ({"stale_after_s": None}, {"stale_after_s": None}),
        ({"stale_after_s": 90.0}, {"stale_after_s": 90.0}),
        ({"waits": FOR_Y}, {"waits": FOR_Y}),
        ({"evicts": False}, {"evicts": False}),
    ],
)
def test_what_counts_where_pods_differ(change: Mapping[str, object], expected: Mapping[str, object]) -> None:
    assert joined(ONE, replace(ONE, **change)) == replace(ONE, **expected)


def test_two_queues_are_a_contradiction() -> None:
    found = joined(ONE, replace(ONE, queue="b"))
    assert found.refusal is not None
    assert found.refusal.detail == "its pods name different queues: give all of them the same"


SPECS = st.builds(
    JobSpec,
    st.just("team-a/x"),
    root=st.sampled_from([Group(minimum=n) for n in (1, 2)] + [Group("", 1, (Group("a", 2),))]),
    queue=st.sampled_from(["", "a", "b"]),
    user=st.sampled_from(["", "ann", "bob"]),
    priority=st.integers(0, 2),
    preemptible=st.booleans(),
    created_s=st.sampled_from([1.0, 2.0]),
    max_runtime_s=st.sampled_from([None, 1.0, 2.0]),
    minimum_runtime_s=st.sampled_from([None, 1.0, 2.0]),
    stale_after_s=st.sampled_from([None, 1.0, 2.0]),
    waits=st.sampled_from([None, FOR_Y, Reason(Kind.DEPENDENCY, "waits for z to end")]),
    evicts=st.booleans(),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SPECS, min_size=3, max_size=3))
def test_the_order_of_pods_does_not_count_nor_does_a_second_look(specs: list[JobSpec]) -> None:
    outcomes = {reduce(joined, order) for order in permutations([*specs, specs[0]])}
    assert len(outcomes) == 1
