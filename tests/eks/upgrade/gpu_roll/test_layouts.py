"""What is kept of a node, which new one takes its place, and what that one is given and still lacks: as tables."""

from typing import Any

import pytest

from aliquot.eks.upgrade.gpu_roll.layouts import (
    CONFIG,
    ONE_MORE,
    SHARING,
    SavedGroup,
    SavedNode,
    SeenNode,
    matched,
    save,
    seen_node,
    usual,
)
from aliquot.eks.upgrade.gpu_roll.marks import RESTORED_FROM
from aliquot.eks.upgrade.gpu_roll.restoring import lacks, places, without, writes
from aliquot.eks.versions.minor import Minor
from aliquot.kube.api.agent_labels import MIG_STATE

ZONE = "topology.kubernetes.io/zone"
M132 = Minor(1, 32)
SLICES = {"nvidia.com/mig-1g.10gb": 56}


def seen(name: str, zone: str = "a", **more: Any) -> SeenNode:
    labels = {ZONE: zone, **more.pop("labels", {})}
    return SeenNode(name=name, labels=labels, **{"kubelet": "v1.32.4-eks-1", "ready": True, **more})


def group(*nodes: SavedNode) -> SavedGroup:
    return SavedGroup(group="gpu", saved_s=1.0, nodes=nodes)


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        (CONFIG, "all-1g.10gb", True),
        (SHARING, "shared", True),
        ("nvidia.com/gpu.workload.config", "vm-passthrough", True),
        ("nvidia.com/gpu.deploy.dcgm", "false", True),
        ("nvidia.com/gpu.deploy.dcgm", "true", False),
        ("nvidia.com/gpu.product", "NVIDIA-H100", False),
        (MIG_STATE, "success", False),
        ("team", "vision", True),
        ("example.com/rack", "r1", True),
        ("node-role.kubernetes.io/train", "", True),
        ("kubernetes.io/hostname", "n1", False),
        (ZONE, "eu-west-1a", False),
        ("feature.node.kubernetes.io/cpu", "x", False),
        ("eks.amazonaws.com/nodegroup", "gpu", False),
        ("topology.k8s.aws/network-node-layer-1", "nn-1", False),
        ("topology.ebs.csi.aws.com/zone", "eu-west-1a", False),
        ("aliquot.dev/validated", "true", False),
        ("of-the-group", "yes", False),
    ],
)
def test_labels_that_somebody_gave_to_a_node_are_kept(key: str, value: str, kept: bool) -> None:
    node = SeenNode(name="n1", labels={key: value})
    assert (key in save(node, {"of-the-group": "yes"}, ()).labels) is kept


def test_a_label_of_the_group_that_a_node_has_otherwise_is_its_own() -> None:
    node = SeenNode(name="n1", labels={CONFIG: "all-3g.40gb"})
    assert save(node, {CONFIG: "all-1g.10gb"}, ()).labels == {CONFIG: "all-3g.40gb"}


@pytest.mark.parametrize(
    ("taint", "kept"),
    [
        (("dedicated", "NoSchedule"), True),
        (("nvidia.com/gpu", "NoSchedule"), False),
        (("mine", "NoSchedule"), False),
        (("mine", "NoExecute"), True),
        (("node.kubernetes.io/unschedulable", "NoSchedule"), False),
        (("ToBeDeletedByClusterAutoscaler", "NoSchedule"), False),
        (("aliquot.dev/startup", "NoSchedule"), False),
    ],
)
def test_taints_that_somebody_gave_to_a_node_are_kept(taint: tuple[str, str], kept: bool) -> None:
    node = SeenNode(name="n1", taints=({"key": taint[0], "effect": taint[1], "timeAdded": "x"},))
    found = save(node, {}, [("mine", "NoSchedule")]).taints
    assert found == (({"key": taint[0], "effect": taint[1]},) if kept else ())


WANTED = [
    {"uuid": "GPU-a", "mig": True, "instances": [{"start": 0, "profile": "3g.40gb"}]},
    {"uuid": "GPU-gone", "mig": True},
]
GPU_NODE = {
    "spec": {"partitioning": "static", "gpus": WANTED},
    "status": {
        "driverVersion": "570.133.20",
        "gpus": [{"index": 1, "uuid": "GPU-a"}, {"index": 0, "uuid": "GPU-b"}],
    },
}
NODE: dict[str, Any] = {
    "metadata": {"name": "n1", "resourceVersion": "7", "labels": {}},
    "status": {
        "allocatable": {"nvidia.com/mig-3g.40gb": "1", "nvidia.com/gpu": "0", "cpu": "4"},
        "nodeInfo": {"kubeletVersion": "v1.31.4"},
    },
}


def test_a_layout_is_kept_by_index() -> None:
    kept = save(seen_node(NODE, GPU_NODE), {}, ())
    assert kept.layout == ({"index": 1, "mig": True, "instances": [{"start": 0, "profile": "3g.40gb"}]},)
    assert kept.resources == {"nvidia.com/mig-3g.40gb": 1}
    assert (kept.partitioning, kept.gpus, kept.driver) == ("static", 2, "570.133.20")


@pytest.mark.parametrize(
    ("spec", "labels", "layout", "resources"),
    [
        # Whoever cuts as pods ask does it anew: nothing is to be as it was but the GPUs.
        ({"partitioning": "onDemand", "gpus": WANTED}, {}, 0, 0),
        ({"partitioning": "budgeted", "gpus": WANTED}, {}, 0, 0),
        # A label says it, and somebody makes a spec of it.
        ({"gpus": WANTED}, {CONFIG: "all-3g.40gb"}, 0, 1),
        ({"gpus": WANTED}, {}, 1, 1),
    ],
)
def test_whose_layout_it_is(
    spec: dict[str, Any], labels: dict[str, str], layout: int, resources: int
) -> None:
    node = {**NODE, "metadata": {**NODE["metadata"], "labels": labels}}
    kept = save(seen_node(node, {**GPU_NODE, "spec": spec}), {}, ())
    assert (len(kept.layout), len(kept.resources)) == (layout, resources)


OLD_A, OLD_B, OLD_C = (SavedNode(name=f"old-{zone}", zone=zone) for zone in "abc")


@pytest.mark.parametrize(
    ("nodes", "places_"),
    [
        ([seen("n1", "a"), seen("n2", "b"), seen("n3", "c")], {"n1": "old-a", "n2": "old-b", "n3": "old-c"}),
        ([seen("n1", "c"), seen("n2", "b"), seen("n3", "a")], {"n1": "old-c", "n2": "old-b", "n3": "old-a"}),
        # First all of the same zone, then those that are left.
        ([seen("n1", "a"), seen("n2", "a"), seen("n3", "b")], {"n1": "old-a", "n2": "old-c", "n3": "old-b"}),
        # One that stayed is itself, and what was decided stays decided.
        ([seen("old-b", "b"), seen("n1", "b")], {"old-b": "old-b", "n1": "old-a"}),
        (
            [seen("n1", "a"), seen("n2", "a", annotations={RESTORED_FROM: "old-a"})],
            {"n2": "old-a", "n1": "old-b"},
        ),
        (
            [seen("n1", "a", annotations={RESTORED_FROM: ONE_MORE}), seen("n2", "a")],
            {"n1": None, "n2": "old-a"},
        ),
        (
            [seen(f"n{number}", "a") for number in range(4)],
            {"n0": "old-a", "n1": "old-b", "n2": "old-c", "n3": None},
        ),
    ],
)
def test_who_takes_whose_place(nodes: list[SeenNode], places_: dict[str, str | None]) -> None:
    found = matched(group(OLD_A, OLD_B, OLD_C), nodes)
    assert {name: one and one.name for name, one in found.items()} == places_


def test_one_more_is_cut_as_most_are() -> None:
    slices = {CONFIG: "all-1g.10gb", "team": "vision"}
    saved = group(
        SavedNode(name="a", labels={CONFIG: "all-disabled"}),
        SavedNode(name="b", labels=slices, resources=SLICES, taints=({"key": "t", "effect": "NoSchedule"},)),
        SavedNode(name="c", labels={CONFIG: "all-1g.10gb"}, resources=SLICES),
    )
    like = usual(saved)
    assert (like.labels, like.resources, like.taints) == ({CONFIG: "all-1g.10gb"}, SLICES, ())
    assert usual(group()).labels == {}


def test_what_a_new_node_is_given() -> None:
    place = SavedNode(
        name="old-a",
        labels={CONFIG: "all-1g.10gb", "team": "vision", "mine": "a"},
        taints=({"key": "dedicated", "effect": "NoSchedule"},),
        layout=({"index": 1, "mig": True},),
        partitioning="static",
    )
    node = seen(
        "n1",
        version="9",
        labels={CONFIG: "all-disabled", "mine": "b"},
        taints=({"key": "t", "effect": "NoExecute"},),
        uuids={0: "GPU-x", 1: "GPU-y"},
    )
    to_node, to_gpu_node = writes(node, place)
    assert to_node.body == {
        "metadata": {
            "labels": {CONFIG: "all-1g.10gb", "team": "vision"},
            "annotations": {RESTORED_FROM: "old-a"},
            "resourceVersion": "9",
        },
        "spec": {
            "taints": [{"key": "t", "effect": "NoExecute"}, {"key": "dedicated", "effect": "NoSchedule"}]
        },
    }
    assert to_gpu_node.body == {"spec": {"gpus": [{"uuid": "GPU-y", "mig": True}], "partitioning": "static"}}
    done = seen(
        "n1",
        annotations={RESTORED_FROM: "old-a"},
        uuids={0: "GPU-x", 1: "GPU-y"},
        wanted=({"uuid": "GPU-y", "mig": True},),
        partitioning="static",
    )
    assert writes(done, place) == []
    assert writes(seen("old-a"), SavedNode(name="old-a", labels={"team": "x"})) == []


@pytest.mark.parametrize(
    ("node", "place", "says"),
    [
        ({}, {}, None),
        ({"ready": False}, {}, "is not ready"),
        ({"kubelet": "v1.31.9"}, {}, "its kubelet is v1.31.9, not 1.32"),
        ({"kubelet": ""}, {}, "its kubelet is unknown"),
        ({"resources": SLICES}, {"resources": SLICES}, None),
        ({}, {"resources": SLICES}, "node n1: 0 nvidia.com/mig-1g.10gb, old had 56"),
        ({"resources": {"nvidia.com/gpu": 8}}, {}, None),
        (
            {"resources": {**SLICES, "nvidia.com/gpu": 1}},
            {"resources": SLICES},
            "node n1: 1 nvidia.com/gpu, old had 0",
        ),
        ({"labels": {CONFIG: "c"}}, {"follows_label": True}, f"{CONFIG}=c is not taken up"),
        ({"labels": {CONFIG: "c", MIG_STATE: "failed"}}, {"follows_label": True}, f"{CONFIG}=c is failed"),
        ({"labels": {CONFIG: "c", MIG_STATE: "success"}}, {"follows_label": True}, None),
        ({"uuids": {0: "a"}}, {"gpus": 8}, "node n1: 1 GPU, old had 8"),
        ({}, {"layout": ({"index": 0, "mig": True},)}, "its GPUNode does not have all of its GPUs yet"),
    ],
)
def test_what_a_new_node_lacks(node: dict[str, Any], place: dict[str, Any], says: str | None) -> None:
    found = list(lacks(seen("n1", **node), SavedNode(name="old", **place), M132, ""))
    assert len(found) == (0 if says is None else 1)
    assert says is None or says in found[0]


@pytest.mark.parametrize(
    ("driver", "before", "least", "enough"),
    [
        ("580.65.06", "", "570.133.20", True),
        ("570.133.20", "", "570.133.20", True),
        ("560.35.03", "", "570", False),
        ("", "570.133.20", "570", False),
        # Nobody told of one before, either.
        ("", "", "570", True),
        ("", "", "", True),
    ],
)
def test_a_driver_that_is_too_old(driver: str, before: str, least: str, enough: bool) -> None:
    node = seen("n1", agents_driver=driver)
    assert (list(lacks(node, SavedNode(name="old", driver=before), M132, least)) == []) is enough


def test_a_startup_taint_goes_and_others_stay() -> None:
    mine, startup = {"key": "t", "effect": "NoSchedule"}, {"key": "s", "effect": "NoSchedule"}
    write = without(seen("n1", version="4", taints=(startup, mine)), "s")
    assert write is not None
    assert write.body == {"metadata": {"resourceVersion": "4"}, "spec": {"taints": [mine]}}
    assert without(seen("n1", taints=(mine,)), "s") is None


def test_places_of_a_group() -> None:
    found = places(group(OLD_A), (seen("n1", "a"), seen("n2", "a")))
    assert [(node.name, place.name) for node, place in found] == [("n1", "old-a"), ("n2", ONE_MORE)]
