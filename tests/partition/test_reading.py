"""From objects of the API to what planners see: who holds what, who may move, who waits, where nothing new goes."""

from typing import Any

import pytest

from aliquot.gpu.boards import board
from aliquot.gpu.profiles import resource_name
from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION, AssignedDevice, Assignment, encode
from aliquot.kube.api.core import (
    Container,
    Node,
    NodeSpec,
    Pod,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    SchedulingGate,
    Taint,
)
from aliquot.kube.api.gpunode import (
    GPUInstance,
    GPUNode,
    GPUNodeSpec,
    GPUNodeStatus,
    GPUStatus,
    Health,
    MigMode,
    MigProfile,
    Partitioning,
)
from aliquot.kube.api.meta import ObjectMeta, OwnerReference
from aliquot.kube.api.policy import (
    LabelRequirement,
    LabelSelector,
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
    PodDisruptionBudgetStatus,
)
from aliquot.partition.cluster import NODE_NAME, Cluster, Instance
from aliquot.partition.reading import read

OWNER = (OwnerReference(api_version="apps/v1", kind="ReplicaSet", name="r", uid="u", controller=True),)


def instance(profile: str, start: int, size: int, *pods: str, ci: int = 0) -> GPUInstance:
    return GPUInstance(
        uuid=f"MIG-{start}-{ci}",
        profile=profile,
        start=start,
        size=size,
        gi_id=start,
        ci_id=ci,
        pods=list(pods),
    )


def gpu_node(*instances: GPUInstance, mode: MigMode = MigMode.ENABLED, **more: Any) -> GPUNode:
    mig = board("h100-80gb").mig
    assert mig is not None
    profiles = [
        MigProfile(
            product="H100",
            name=p.name,
            id=p.profile_id,
            compute_slices=p.compute_slices,
            memory_slots=p.memory_slots,
            starts=[placement.start for placement in p.placements],
            max_instances=p.max_instances,
        )
        for p in mig.instance_profiles()
    ]
    gpu = GPUStatus(
        uuid="GPU-0",
        index=0,
        product="H100",
        board="h100-80gb",
        memory_mib=81559,
        mig_mode=mode,
        instances=list(instances),
        health=more.pop("health", Health.HEALTHY),
    )
    status = GPUNodeStatus(gpus=[gpu], mig_profiles=profiles, mig_strategy="mixed")
    return GPUNode(metadata=ObjectMeta(name="n0"), status=status, **more)


def pod(name: str, *, node: str = "n0", **more: Any) -> Pod:
    metadata = {"owner_references": OWNER} | more.pop("metadata", {})
    status = PodStatus(phase="Running" if node else "Pending", start_time="2026-01-01T00:00:00Z")
    spec = PodSpec(**({"node_name": node} | more.pop("spec", {})))
    return Pod(
        metadata=ObjectMeta(name=name, namespace="ml", **metadata),
        spec=spec,
        status=more.pop("status", status),
    )


def asking(name: str, limits: dict[str, str | int | float], **spec: Any) -> Pod:
    container = Container(name="c", resources=ResourceRequirements(limits=limits))
    return pod(name, node="", spec={"containers": (container,), **spec})


def cluster_of(
    node: GPUNode, *pods: Pod, budgets: tuple[PodDisruptionBudget, ...] = (), **spec: Any
) -> Cluster:
    labels = spec.pop("labels", {})
    kube_node = Node(metadata=ObjectMeta(name="n0", labels=labels), spec=NodeSpec(**spec))
    return read([node], [kube_node], pods, budgets)


def budget(name: str, selector: LabelSelector | None, allowed: int = 1) -> PodDisruptionBudget:
    return PodDisruptionBudget(
        metadata=ObjectMeta(name=name, namespace="ml"),
        spec=PodDisruptionBudgetSpec(selector=selector),
        status=PodDisruptionBudgetStatus(disruptions_allowed=allowed),
    )


def test_devices_of_one_gpu_instance_are_one_slice_of_all_who_hold_them() -> None:
    node = gpu_node(
        instance("1c.2g.20gb", 0, 2, "ml/a"),
        instance("1c.2g.20gb", 0, 2, "ml/b", ci=1),
        instance("1g.10gb", 4, 1),
    )
    found = cluster_of(node, pod("a"), pod("b"))
    assert found.gpus[0].instances == (Instance("2g.20gb", 0, 2, ("ml/a", "ml/b")), Instance("1g.10gb", 4, 1))
    assert set(found.running) == {"ml/a", "ml/b"}


def promised(name: str, profile: str, *starts: int, node: str = "n0", written_for: str = "") -> Pod:
    """`node` empty: it is not bound yet."""
    resource = resource_name(profile)
    devices = tuple(
        AssignedDevice(container="c", resource=resource, gpu="GPU-0", profile=profile, start=start)
        for start in starts
    )
    annotation = {
        ASSIGNMENT_ANNOTATION: encode(Assignment(devices=devices, pod_uid=written_for or name, node="n0"))
    }
    container = Container(name="c", resources=ResourceRequirements(limits={resource: str(len(starts))}))
    return pod(
        name, node=node, metadata={"annotations": annotation, "uid": name}, spec={"containers": (container,)}
    )


def test_what_is_promised_is_taken() -> None:
    found = cluster_of(
        gpu_node(instance("1g.10gb", 3, 1), instance("1g.10gb", 4, 1)),
        promised("soon", "2g.20gb", 2, node=""),
    )
    assert found.gpus[0].instances == (Instance("2g.20gb", 2, 2, ("ml/soon",)), Instance("1g.10gb", 4, 1))
    assert found.running["ml/soon"].fixed == "it does not run yet" and found.pending == ()


@pytest.mark.parametrize("node", ["", "n0"])
def test_what_was_promised_to_another_pod_is_not_taken(node: str) -> None:
    """The annotation was copied with the pod's manifest."""
    found = cluster_of(gpu_node(), promised("copy", "2g.20gb", 2, node=node, written_for="another"))
    assert found.gpus[0].instances == ()
    assert [one.key for one in found.pending] == ([] if node else ["ml/copy"])


def test_what_was_given_instead_is_not_taken_twice() -> None:
    """Kubelet exchanged the slices of two pods, and has still to give the third its second one."""
    node = gpu_node(
        instance("1g.10gb", 0, 1, "ml/b"),
        instance("1g.10gb", 1, 1, "ml/a"),
        instance("1g.10gb", 2, 1, "ml/c"),
    )
    found = cluster_of(
        node, promised("a", "1g.10gb", 0), promised("b", "1g.10gb", 1), promised("c", "1g.10gb", 2, 3)
    )
    assert [(one.start, one.pods) for one in found.gpus[0].instances] == [
        (0, ("ml/b",)),
        (1, ("ml/a",)),
        (2, ("ml/c",)),
        (3, ("ml/c",)),
    ]


def test_the_oldest_waits_first() -> None:
    limits: dict[str, str | int | float] = {"nvidia.com/mig-1g.10gb": 1}
    ages = {"b": "2026-01-01T00:00:00Z", "c": "2026-01-03T00:00:00Z", "a": "2026-01-03T00:00:00Z"}
    container = Container(name="c", resources=ResourceRequirements(limits=limits))
    pods = [
        pod(name, node="", metadata={"creation_timestamp": age}, spec={"containers": (container,)})
        for name, age in ages.items()
    ]
    assert [one.key for one in cluster_of(gpu_node(), *pods).pending] == ["ml/b", "ml/a", "ml/c"]


@pytest.mark.parametrize(
    "node",
    [
        gpu_node(mode=MigMode.DISABLED),
        gpu_node(mode=MigMode.PENDING_ENABLE),
        gpu_node(health=Health.UNHEALTHY),
    ],
)
def test_gpus_that_are_not_planned(node: GPUNode) -> None:
    assert cluster_of(node).gpus == ()


@pytest.mark.parametrize(
    ("node", "spec", "why"),
    [
        (gpu_node(), {}, ""),
        (gpu_node(), {"unschedulable": True}, "it is cordoned"),
        (gpu_node(), {"taints": (Taint(key="spot", effect="NoSchedule"),)}, "it has the taint spot"),
        (gpu_node(), {"taints": (Taint(key="nvidia.com/gpu", effect="NoSchedule"),)}, ""),
        (gpu_node(), {"taints": (Taint(key="soft", effect="PreferNoSchedule"),)}, ""),
        (
            gpu_node(),
            {"labels": {"nvidia.com/mig.config": "x"}},
            "its label nvidia.com/mig.config says how it is cut",
        ),
        (gpu_node(spec=GPUNodeSpec(partitioning=Partitioning.STATIC)), {}, "its partitioning is static"),
    ],
)
def test_where_nothing_new_goes(node: GPUNode, spec: dict[str, Any], why: str) -> None:
    assert cluster_of(node, **spec).node["n0"].closed == why


DAEMON = (OwnerReference(api_version="apps/v1", kind="DaemonSet", name="d", uid="u", controller=True),)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (pod("x"), ""),
        (pod("x", metadata={"owner_references": None}), "nothing would start it again"),
        (pod("x", metadata={"owner_references": DAEMON}), "its DaemonSet wants it on that node"),
        (pod("x", metadata={"deletion_timestamp": "2026-01-01T00:00:00Z"}), "it is going already"),
        (pod("x", status=PodStatus(phase="Pending")), "it does not run yet"),
        (
            pod(
                "x",
                spec={
                    "containers": (
                        Container(name="c", resources=ResourceRequirements(limits={"nvidia.com/gpu": 1})),
                    )
                },
            ),
            "it has a whole GPU besides",
        ),
    ],
)
def test_pods_that_stay_whatever_the_limits(one: Pod, why: str) -> None:
    assert cluster_of(gpu_node(instance("1g.10gb", 0, 1, "ml/x")), one).running["ml/x"].fixed == why


@pytest.mark.parametrize(
    ("selector", "guarded"),
    [
        (None, False),
        (LabelSelector(), True),
        (LabelSelector(match_labels={"app": "web"}), True),
        (LabelSelector(match_labels={"app": "db"}), False),
        (LabelSelector(match_expressions=(LabelRequirement(key="app", operator="Exists"),)), True),
        (
            LabelSelector(
                match_expressions=(LabelRequirement(key="app", operator="NotIn", values=("web",)),)
            ),
            False,
        ),
    ],
)
def test_budgets_select_pods_of_their_namespace(selector: LabelSelector | None, guarded: bool) -> None:
    one = pod("x", metadata={"labels": {"app": "web"}})
    found = cluster_of(gpu_node(instance("1g.10gb", 0, 1, "ml/x")), one, budgets=(budget("b", selector, 2),))
    assert found.running["ml/x"].budget == ("ml/b" if guarded else "") and found.budgets == {"ml/b": 2}


def test_two_budgets_are_one_too_many() -> None:
    both = (budget("a", LabelSelector()), budget("b", LabelSelector()))
    found = cluster_of(gpu_node(instance("1g.10gb", 0, 1, "ml/x")), pod("x"), budgets=both)
    assert (
        found.running["ml/x"].fixed
        == "it has more than one PodDisruptionBudget, which the eviction API refuses"
    )


SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
MARKS = [
    ("aliquot.dev/do-not-disrupt", "true", True),
    ("karpenter.sh/do-not-disrupt", "true", True),
    (SAFE_TO_EVICT, "false", True),
    # What says that a pod may go is no mark, nor is what its author has not written out.
    (SAFE_TO_EVICT, "true", False),
    ("aliquot.dev/do-not-disrupt", "false", False),
    ("aliquot.dev/do-not-disrupt", "", False),
]
"""Annotations of pods, and whether they keep the pod from being evicted for others: by the scheduler as by the partitioner."""


@pytest.mark.parametrize(("name", "value", "stays"), MARKS)
def test_do_not_disrupt(name: str, value: str, stays: bool) -> None:
    one = pod("x", metadata={"annotations": {name: value}}, spec={"priority": 7})
    found = cluster_of(gpu_node(instance("1g.10gb", 0, 1, "ml/x")), one).running["ml/x"]
    assert found.do_not_disrupt is stays and found.priority == 7 and found.started_s == 1767225600


def test_who_waits() -> None:
    found = cluster_of(
        gpu_node(),
        asking("two", {"nvidia.com/mig-1g.10gb": "2", "cpu": 1}, priority=3, node_selector={"zone": "a"}),
        asking("whole", {"nvidia.com/gpu": 1}),
        asking("gated", {"nvidia.com/mig-1g.10gb": 1}, scheduling_gates=(SchedulingGate(name="g"),)),
        pod("placed"),
    )
    (two,) = found.pending
    assert (two.key, two.needs, two.priority) == ("ml/two", (("1g.10gb", 2),), 3)
    assert two.where.allows({"zone": "a"}) and not two.where.allows({"zone": "b"})


@pytest.mark.parametrize(
    ("term", "allowed"),
    [
        ({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}, True),
        ({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}, False),
        ({"matchExpressions": [{"key": "spot", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "gen", "operator": "Gt", "values": ["4"]}]}, True),
        ({"matchExpressions": [{"key": "gen", "operator": "Lt", "values": ["4"]}]}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "Lt", "values": ["4"]}]}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}, False),
    ],
)
def test_node_affinity(term: dict[str, Any], allowed: bool) -> None:
    affinity = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    }
    (one,) = cluster_of(gpu_node(), asking("w", {"nvidia.com/mig-1g.10gb": 1}, affinity=affinity)).pending
    assert one.where.allows({"zone": "a", "gen": "5", NODE_NAME: "n0"}) is allowed
