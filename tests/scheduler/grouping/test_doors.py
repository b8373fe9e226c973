"""Pods that say themselves where they belong, in the words of each project."""

from collections.abc import Mapping

import pytest

from aliquot.scheduler.grouping.sequence import After
from tests.scheduler.grouping.objects import Cluster, owner, pod, refusal, shown
from tests.scheduler.grouping.test_kinds import LEADER, PYTORCH, kubeflow

OURS = """
apiVersion: aliquot.dev/v1alpha1
kind: PodGroup
metadata: {name: train}
spec:
  minMember: 4
  queue: research
  priorityClassName: high
  preemptibility: NonPreemptible
  topologyConstraint: {topology: racks, requiredTopologyLevel: rack}
  maxRuntime: 2h
  minRuntime: 10m
  stalenessGracePeriod: 90s
  after: [{name: prepare}, {name: other, condition: Ended}]
"""
OUR_TREE = """
apiVersion: aliquot.dev/v1alpha1
kind: PodGroup
metadata: {name: serve}
spec:
  minSubGroup: 1
  subGroups:
  - {name: prefill, topologyConstraint: {topology: racks, preferredTopologyLevel: rack}}
  - {name: leader, parent: prefill, minMember: 1}
  - {name: workers, parent: prefill, minMember: 3}
  - {name: decode, minMember: 2}
"""
UPSTREAM = """
apiVersion: scheduling.k8s.io/v1beta1
kind: PodGroup
metadata: {name: train}
spec:
  schedulingPolicy: {gang: {minCount: 4}}
  schedulingConstraints: {topology: [{key: topology.kubernetes.io/rack}]}
  priority: 500
"""
UPSTREAM_BASIC = """
apiVersion: scheduling.k8s.io/v1beta1
kind: PodGroup
metadata: {name: train}
spec: {schedulingPolicy: {basic: {}}}
"""
UPSTREAM_CHILD = """
apiVersion: scheduling.k8s.io/v1beta1
kind: PodGroup
metadata: {name: train}
spec: {parentCompositePodGroupName: half, schedulingPolicy: {gang: {minCount: 4}}}
"""
UPSTREAM_SIBLING = UPSTREAM_CHILD.replace("name: train", "name: evaluate").replace(
    "minCount: 4", "minCount: 1"
)
HALF = """
apiVersion: scheduling.k8s.io/v1alpha3
kind: CompositePodGroup
metadata: {name: half}
spec:
  parentCompositePodGroupName: whole
  workloadRef: {workloadName: llm, templateName: half}
  schedulingPolicy: {gang: {minGroupCount: 2}}
"""
WHOLE = """
apiVersion: scheduling.k8s.io/v1alpha3
kind: CompositePodGroup
metadata: {name: whole}
spec:
  workloadRef: {workloadName: llm, templateName: whole}
  schedulingPolicy: {basic: {}}
  priorityClassName: high
"""
COSCHEDULING = """
apiVersion: scheduling.x-k8s.io/v1alpha1
kind: PodGroup
metadata: {name: train}
spec: {minMember: 4, scheduleTimeoutSeconds: 60}
"""
KAI = """
apiVersion: scheduling.run.ai/v2alpha2
kind: PodGroup
metadata: {name: train}
spec: {minMember: 4, queue: research, priorityClassName: build, stalenessGracePeriod: -1s}
"""
KAI_TREE = """
apiVersion: scheduling.run.ai/v2alpha2
kind: PodGroup
metadata: {name: train}
spec:
  minMember: 5
  preemptibility: non-preemptible
  priorityClassName: train
  topologyConstraint: {topology: racks, requiredTopologyLevel: block, preferredTopologyLevel: rack}
  subGroups: [{name: leader, minMember: 1}, {name: workers, minMember: 4}]
"""
VOLCANO = """
apiVersion: scheduling.volcano.sh/v1beta1
kind: PodGroup
metadata: {name: train}
spec: {minMember: 4, minTaskMember: {ps: 1, worker: 3}, queue: default}
"""
VOLCANO_LESS = VOLCANO.replace("minMember: 4", "minMember: 2").replace("queue: default", "queue: research")

TASKS = (
    '[{"name": "driver", "minMember": 1, "minResource": {"cpu": 1}}, {"name": "executor", "minMember": 4}]'
)

Said = Mapping[str, str]


def ours(name: str = "train") -> dict[str, str]:
    return {"aliquot.dev/pod-group": name}


@pytest.mark.parametrize(
    ("manifests", "labels", "key", "tree", "leaf"),
    [
        ([OURS], ours(), "podgroup.aliquot.dev:train", "4", ""),
        (
            [OUR_TREE],
            ours("serve") | {"aliquot.dev/sub-group": "workers"},
            "podgroup.aliquot.dev:serve",
            "1[prefill:2[leader:1 workers:3] decode:2]",
            "workers",
        ),
        (
            [OUR_TREE],
            ours("serve") | {"kai.scheduler/subgroup-name": "decode"},
            "podgroup.aliquot.dev:serve",
            "1[prefill:2[leader:1 workers:3] decode:2]",
            "decode",
        ),
        (
            [COSCHEDULING],
            {"scheduling.x-k8s.io/pod-group": "train"},
            "podgroup.scheduling.x-k8s.io:train",
            "4",
            "",
        ),
        ([KAI], {"pod-group-name": "train"}, "podgroup.scheduling.run.ai:train", "4", ""),
        (
            [KAI_TREE],
            {"pod-group-name": "train", "kai.scheduler/subgroup-name": "workers"},
            "podgroup.scheduling.run.ai:train",
            "2[leader:1 workers:4]",
            "workers",
        ),
        (
            [VOLCANO],
            {"scheduling.k8s.io/group-name": "train", "volcano.sh/task-spec": "worker"},
            "podgroup.scheduling.volcano.sh:train",
            "3[ps:1 worker:3 *:0]",
            "worker",
        ),
        (
            [VOLCANO],
            {"scheduling.volcano.sh/group-name": "train"},
            "podgroup.scheduling.volcano.sh:train",
            "3[ps:1 worker:3 *:0]",
            "*",
        ),
        (
            [VOLCANO_LESS],
            {"scheduling.k8s.io/group-name": "train", "volcano.sh/task-spec": "ps"},
            "podgroup.scheduling.volcano.sh:train",
            "2",
            "",
        ),
        (
            [],
            {"scheduling.volcano.sh/group-name": "train", "scheduling.volcano.sh/group-min-member": "3"},
            "podgroup.scheduling.volcano.sh:train",
            "3",
            "",
        ),
        (
            [],
            {"kueue.x-k8s.io/pod-group-name": "train", "kueue.x-k8s.io/pod-group-total-count": "3"},
            "podgroup.kueue.x-k8s.io:train",
            "3",
            "",
        ),
        (
            [],
            {
                "yunikorn.apache.org/app-id": "spark-1",
                "yunikorn.apache.org/task-group-name": "executor",
                "yunikorn.apache.org/task-groups": TASKS,
            },
            "application.yunikorn.apache.org:spark-1",
            "3[driver:1 executor:4 *:0]",
            "executor",
        ),
        (
            [],
            {"applicationId": "spark-1", "yunikorn.apache.org/task-groups": TASKS},
            "application.yunikorn.apache.org:spark-1",
            "3[driver:1 executor:4 *:0]",
            "*",
        ),
    ],
)
def test_what_a_pod_says_of_its_group(
    manifests: list[str], labels: Said, key: str, tree: str, leaf: str
) -> None:
    """As labels, or as annotations: it is the same."""
    cluster = Cluster(*manifests, priorities={"high": 1000})
    for one in (pod("p", labels), pod("p", annotations=labels)):
        found = cluster.membership(one)
        assert refusal(found) == ""
        assert (found.job.key, shown(found.job.root), found.leaf) == (f"team-a/{key}", tree, leaf)


@pytest.mark.parametrize(
    ("manifests", "key", "tree"),
    [
        ([UPSTREAM], "podgroup.scheduling.k8s.io:train", "4"),
        ([UPSTREAM_BASIC], "podgroup.scheduling.k8s.io:train", "1"),
        ([UPSTREAM_CHILD], "podgroup.scheduling.k8s.io:train", "4"),
        (
            [UPSTREAM_CHILD, UPSTREAM_SIBLING, HALF, WHOLE],
            "compositepodgroup.scheduling.k8s.io:whole",
            "1[composite:half:2[evaluate:1 train:4]]",
        ),
        (
            [UPSTREAM_CHILD, HALF, WHOLE],
            "compositepodgroup.scheduling.k8s.io:whole",
            "1[composite:half:2[train:4]]",
        ),
    ],
    ids=["gang", "basic", "no composites here", "tree", "a member is still to come"],
)
def test_kubernetes_own_groups(manifests: list[str], key: str, tree: str) -> None:
    cluster = Cluster(*manifests, priorities={"high": 1000})
    found = cluster.membership(pod("p", schedulingGroup={"podGroupName": "train"}))
    assert refusal(found) == ""
    assert (found.job.key, shown(found.job.root), found.leaf) == (f"team-a/{key}", tree, "train")


def test_priority_and_topology_of_kubernetes_own_groups() -> None:
    named = pod("p", priority=3, schedulingGroup={"podGroupName": "train"})
    job = Cluster(UPSTREAM).membership(named).job
    assert job.priority == 500
    assert job.root is not None and job.root.topology is not None
    assert (job.root.topology.topology, job.root.topology.required) == ("", "topology.kubernetes.io/rack")
    tree = Cluster(UPSTREAM_CHILD, HALF, WHOLE, priorities={"high": 1000})
    assert tree.membership(named).job.priority == 1000


def test_all_that_our_own_group_says() -> None:
    found = Cluster(OURS, priorities={"high": 1000}).membership(pod("p", ours()))
    job = found.job
    assert found.after == (After("team-a/other", False), After("team-a/prepare"))
    assert (job.queue, job.priority, job.preemptible) == ("research", 1000, False)
    assert (job.max_runtime_s, job.minimum_runtime_s, job.stale_after_s) == (7200, 600, 90)
    assert job.root is not None and job.root.topology is not None
    assert (job.root.topology.topology, job.root.topology.required) == ("racks", "rack")
    decode = pod("p", ours("serve") | {"aliquot.dev/sub-group": "decode"})
    root = Cluster(OUR_TREE).membership(decode).job.root
    assert root is not None
    prefill = root.groups[0]
    assert prefill.topology is not None and prefill.topology.preferred == "rack"


def test_kai_tells_who_is_preemptible_by_priority_unless_it_is_said() -> None:
    named = pod("p", annotations={"pod-group-name": "train", "kai.scheduler/subgroup-name": "leader"})
    job = Cluster(KAI).membership(named).job
    assert (job.priority, job.preemptible, job.stale_after_s, job.queue) == (100, False, None, "research")
    assert Cluster(KAI, priorities={"build": 7}).membership(named).job.preemptible
    job = Cluster(KAI_TREE).membership(named).job
    assert (job.priority, job.preemptible) == (50, False)
    assert job.root is not None and job.root.topology is not None
    assert (job.root.topology.required, job.root.topology.preferred) == ("block", "rack")


def test_volcanos_word_for_no_queue_is_none() -> None:
    named = pod("p", annotations={"scheduling.k8s.io/group-name": "train", "volcano.sh/task-spec": "ps"})
    assert Cluster(VOLCANO).membership(named).job.queue == ""
    assert Cluster(VOLCANO_LESS).membership(named).job.queue == "research"


@pytest.mark.parametrize(
    "labels",
    [
        ours(),
        {"scheduling.x-k8s.io/pod-group": "train"},
        {"pod-group-name": "train"},
        {"scheduling.k8s.io/group-name": "train"},
    ],
)
def test_a_closed_door_leaves_it_to_the_workload(labels: Said) -> None:
    one = pod("p", {**labels, **kubeflow("worker")}, schedulingGroup={"podGroupName": "train"})
    found = Cluster().membership(one, owner(PYTORCH))
    assert (found.job.key, refusal(found)) == ("team-a/pytorchjob.kubeflow.org:mnist", "")


@pytest.mark.parametrize(
    ("group", "labels", "reason"),
    [
        (
            "aliquot.dev",
            ours(),
            "PodGroup team-a/train does not exist: create it, or take the label aliquot.dev/pod-group off the pod",
        ),
        (
            "scheduling.x-k8s.io",
            {"scheduling.x-k8s.io/pod-group": "train"},
            "PodGroup team-a/train of scheduling.x-k8s.io does not exist: create it, or take the label "
            "scheduling.x-k8s.io/pod-group off the pod",
        ),
        (
            "scheduling.run.ai",
            {"pod-group-name": "train"},
            "PodGroup team-a/train of scheduling.run.ai, which the pod's annotation pod-group-name names, does not exist",
        ),
        (
            "scheduling.volcano.sh",
            {"scheduling.k8s.io/group-name": "train"},
            "PodGroup team-a/train of scheduling.volcano.sh does not exist: create it, or take the annotation "
            "scheduling.k8s.io/group-name off the pod",
        ),
    ],
)
def test_a_group_that_is_not_there_is_waited_for_with_a_reason(group: str, labels: Said, reason: str) -> None:
    cluster = Cluster()
    cluster.open(group)
    found = cluster.membership(pod("p", labels), owner(PYTORCH))
    assert (found.job.key, refusal(found)) == ("team-a/p", reason)


@pytest.mark.parametrize(
    ("manifests", "labels", "reason"),
    [
        (
            [OUR_TREE],
            ours("serve"),
            "its group has leader, workers, decode: say which by the label aliquot.dev/sub-group",
        ),
        (
            [OUR_TREE],
            ours("serve") | {"aliquot.dev/sub-group": "prefill"},
            "aliquot.dev/sub-group is 'prefill': its group has leader, workers, decode, give one of them",
        ),
        (
            [OUR_TREE.replace("minSubGroup: 1", "minSubGroup: 3")],
            ours("serve") | {"aliquot.dev/sub-group": "decode"},
            "PodGroup serve: minSubGroup needs 3 subGroups and has 2",
        ),
        (
            [OUR_TREE.replace("name: prefill,", "name: prefill, parent: leader,")],
            ours("serve") | {"aliquot.dev/sub-group": "decode"},
            "PodGroup serve: some of its subGroups are each other's parents: give one of them no parent",
        ),
        (
            [OUR_TREE.replace("name: decode,", "name: decode, parent: nobody,")],
            ours("serve") | {"aliquot.dev/sub-group": "decode"},
            "PodGroup serve: subGroup 'decode' is in 'nobody', which is none of the subGroups",
        ),
        (
            [OURS.replace("name: prepare", "name: train")],
            ours(),
            "PodGroup train waits for its own end: take it out of its list `after`",
        ),
        (
            [OURS],
            ours(),
            "its PriorityClass 'high' does not exist, or is not shown to the scheduler: create it, or name another",
        ),
        (
            [OURS.replace("maxRuntime: 2h", "maxRuntime: 2d")],
            ours(),
            "PodGroup train: maxRuntime: '2d' is not a duration: write 90s, 45m or 1h30m",
        ),
        (
            [],
            {"kueue.x-k8s.io/pod-group-name": "train"},
            "its group 'train' has no size: give the annotation kueue.x-k8s.io/pod-group-total-count",
        ),
        (
            [],
            {"kueue.x-k8s.io/pod-group-name": "train", "kueue.x-k8s.io/pod-group-total-count": "many"},
            "kueue.x-k8s.io/pod-group-total-count is 'many': give a whole number",
        ),
        (
            [],
            {"applicationId": "a", "yunikorn.apache.org/task-groups": "[{}]"},
            "annotation yunikorn.apache.org/task-groups cannot be read: Object missing required field `name` - at `$[0]`",
        ),
        (
            [],
            {
                "applicationId": "a",
                "yunikorn.apache.org/task-groups": TASKS,
                "yunikorn.apache.org/task-group-name": "x",
            },
            "annotation yunikorn.apache.org/task-group-name is 'x': yunikorn.apache.org/task-groups has driver, executor",
        ),
        (
            [KAI.replace("-1s", "soon")],
            {"pod-group-name": "train"},
            "PodGroup train: stalenessGracePeriod: 'soon' is not a duration: write 90s, 45m or 1h30m",
        ),
        (
            [KAI_TREE.replace("non-preemptible", "seldom")],
            {"pod-group-name": "train", "kai.scheduler/subgroup-name": "leader"},
            "preemptibility of PodGroup train is 'seldom': give Preemptible or NonPreemptible",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(manifests: list[str], labels: Said, reason: str) -> None:
    found = Cluster(*manifests).membership(pod("p", labels))
    assert (found.job.key, refusal(found)) == ("team-a/p", reason)


def test_composites_in_a_circle_are_refused() -> None:
    circle = WHOLE + "  parentCompositePodGroupName: half\n"
    found = Cluster(UPSTREAM_CHILD, HALF, circle).membership(
        pod("p", schedulingGroup={"podGroupName": "train"})
    )
    assert "is in itself, or too deep: give it no parent" in refusal(found)


def test_a_composite_that_is_still_to_come_is_waited_for() -> None:
    found = Cluster(UPSTREAM_CHILD, HALF).membership(pod("p", schedulingGroup={"podGroupName": "train"}))
    assert refusal(found) == "CompositePodGroup team-a/whole does not exist: create it"


def test_kubernetes_own_group_has_the_first_word_and_ours_the_second() -> None:
    labels = {**ours(), "scheduling.x-k8s.io/pod-group": "train", "kueue.x-k8s.io/pod-group-name": "train"}
    named = pod("p", labels, schedulingGroup={"podGroupName": "train"})
    everything = Cluster(UPSTREAM, OURS, COSCHEDULING, priorities={"high": 1})
    assert everything.membership(named).job.key == "team-a/podgroup.scheduling.k8s.io:train"
    without = Cluster(OURS, COSCHEDULING, priorities={"high": 1})
    assert without.membership(named).job.key == "team-a/podgroup.aliquot.dev:train"
    assert Cluster(COSCHEDULING).membership(named).job.key == "team-a/podgroup.scheduling.x-k8s.io:train"


def test_a_group_that_names_no_queue_takes_that_of_the_workload() -> None:
    """Operators make the group and the pods, and leave the label where the user put it."""
    workload = owner(PYTORCH.replace("{name: mnist}", "{name: mnist, labels: {aliquot.dev/queue: research}}"))
    found = Cluster(COSCHEDULING).membership(pod("p", {"scheduling.x-k8s.io/pod-group": "train"}), workload)
    assert found.job.queue == "research"


def test_task_groups_of_a_driver_are_its_executors_too() -> None:
    annotations = "annotations: {yunikorn.apache.org/task-groups: '" + TASKS + "'}"
    driver = owner(LEADER.replace("{name: vllm-1}", "{name: driver, " + annotations + "}"))
    labels = {"spark-app-selector": "spark-1", "yunikorn.apache.org/task-group-name": "executor"}
    found = Cluster().membership(pod("p", labels), driver)
    assert (found.job.key, found.leaf) == ("team-a/application.yunikorn.apache.org:spark-1", "executor")
