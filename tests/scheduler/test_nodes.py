"""Reading nodes and GPUNodes of the API."""

from typing import Any

import msgspec
import pytest

from aliquot.kube.api.core import Node
from aliquot.kube.api.gpuclass import GPUClassSpec
from aliquot.kube.api.gpunode import AllocationPolicy, GPUNode, WantedGPU
from aliquot.scheduler.core.facts import DeviceState, Withheld
from aliquot.scheduler.core.topology import GpuLevel
from aliquot.scheduler.nodes import facts
from aliquot.scheduler.testing import taint
from tests.partition.objects import PRODUCT, reported


def node(*, spec: dict[str, Any] | None = None, **status: Any) -> Node:
    return msgspec.convert({"metadata": {"name": "a"}, "spec": spec or {}, "status": status}, Node)


def gpu(index: int, **more: Any) -> dict[str, Any]:
    fixed = {
        "uuid": f"GPU-{index}",
        "index": index,
        "product": "NVIDIA H100",
        "board": "h100-80gb",
        "memoryMib": 81920,
        "migMode": "Disabled",
    }
    return {**fixed, **more}


def instance(start: int, **more: Any) -> dict[str, Any]:
    fixed = {"uuid": f"MIG-{start}", "profile": "1g.10gb", "start": start, "size": 1, "giId": 1, "ciId": 0}
    return {**fixed, "resource": "nvidia.com/mig-1g.10gb", "ready": True, **more}


def gpu_node(*gpus: dict[str, Any]) -> GPUNode:
    return msgspec.convert({"metadata": {"name": "a"}, "status": {"gpus": list(gpus)}}, GPUNode)


def test_allocatable_in_whole_units() -> None:
    read = facts(
        node(allocatable={"cpu": "3920m", "memory": "1Ki", "pods": "110", "x.com/y": 2, "zero": "0"}), None
    )
    assert read.allocatable == {"cpu": 3920, "memory": 1024, "pods": 110, "x.com/y": 2}


def test_of_what_a_node_has_a_part_of_a_unit_is_none() -> None:
    said = {"cpu": "1.0009", "memory": "1023500m", "x.com/y": "1.9", "x.com/z": "0.5", "x.com/less": "-3"}
    assert facts(node(allocatable=said), None).allocatable == {"cpu": 1000, "memory": 1023, "x.com/y": 1}


def test_a_quantity_that_cannot_be_read_is_left_out() -> None:
    assert facts(node(allocatable={"cpu": "many", "pods": "1"}), None).allocatable == {"pods": 1}


def test_devices_are_listed_whole_and_sliced_by_index_and_start() -> None:
    read = facts(
        node(),
        gpu_node(
            gpu(1, migMode="Enabled", instances=[instance(3, pods=["ns/p"]), instance(0, ready=False)]),
            gpu(0, resource="nvidia.com/gpu", ready=True, pods=["ns/r", "ns/q"]),
            gpu(2, resource="nvidia.com/gpu", ready=True, health="Unhealthy"),
            gpu(3, migMode="Enabled", instances=[instance(0, resource="")]),
        ),
    )
    small = "nvidia.com/mig-1g.10gb"
    assert read.devices.all == (
        DeviceState("nvidia.com/gpu", "GPU-0", size=8, holders=("ns/q", "ns/r")),
        DeviceState(small, "GPU-1", "1g.10gb", 0, withheld=Withheld.NOT_ADVERTISED),
        DeviceState(small, "GPU-1", "1g.10gb", 3, holders=("ns/p",)),
        DeviceState("nvidia.com/gpu", "GPU-2", size=8, withheld=Withheld.UNHEALTHY),
    )


@pytest.mark.parametrize(
    ("case", "wanted", "ready"),
    [
        ("nothing is said of the GPU", None, [True, True]),
        ("instances are left as they are", {"mig": True}, [True, True]),
        (
            "one slice stays, the other goes",
            {"instances": [{"profile": "1g.10gb", "start": 3}]},
            [False, True],
        ),
        (
            "another profile at the same start",
            {"instances": [{"profile": "2g.20gb", "start": 0}]},
            [False, False],
        ),
        ("MIG is to go", {"mig": False}, [False, False]),
    ],
)
def test_a_slice_that_is_to_be_cut_away_is_given_to_nobody(
    case: str, wanted: dict[str, Any] | None, ready: list[bool]
) -> None:
    cut = gpu_node(gpu(0, migMode="Enabled", instances=[instance(0), instance(3)]))
    assert [d.usable for d in facts(node(), wanting(cut, wanted)).devices.all] == ready, case


@pytest.mark.parametrize(("mig", "ready"), [(None, True), (False, True), (True, False)])
def test_a_gpu_that_is_to_be_cut_is_given_to_nobody_as_a_whole(mig: bool | None, ready: bool) -> None:
    whole = gpu_node(gpu(0, resource="nvidia.com/gpu", ready=True))
    (device,) = facts(node(), wanting(whole, {"mig": mig})).devices.all
    assert device.withheld is (None if ready else Withheld.TO_BE_CUT)


@pytest.mark.parametrize(
    ("health", "ready", "mig", "withheld"),
    [
        ("Healthy", True, None, None),
        ("Healthy", False, None, Withheld.NOT_ADVERTISED),
        ("Healthy", False, True, Withheld.TO_BE_CUT),
        ("Unhealthy", False, True, Withheld.UNHEALTHY),
    ],
)
def test_what_will_last_is_the_cause(
    health: str, ready: bool, mig: bool | None, withheld: Withheld | None
) -> None:
    listed = gpu_node(gpu(0, resource="nvidia.com/gpu", ready=ready, health=health))
    (device,) = facts(node(), wanting(listed, {"mig": mig})).devices.all
    assert device.withheld is withheld


@pytest.mark.parametrize(
    ("memory", "ready", "pods", "withheld"),
    [
        ("9Gi", True, [], None),
        ("15Gi", True, [], Withheld.OUTDATED),
        ("15Gi", True, ["ns/p"], Withheld.OUTDATED),
        ("15Gi", False, [], Withheld.NOT_ADVERTISED),
        # The class is gone.
        ("", True, [], Withheld.OUTDATED),
    ],
)
def test_what_is_not_what_its_class_asks_for_is_given_to_nobody(
    memory: str, ready: bool, pods: list[str], withheld: Withheld | None
) -> None:
    small = instance(0, resource="class.aliquot.dev/small", ready=ready, pods=pods)
    listed = wanting(
        gpu_node(gpu(0, product=PRODUCT, migMode="Enabled", instances=[small])),
        {"sliceClasses": [{"start": 0, "className": "small"}]},
    )
    listed.status.mig_strategy, listed.status.mig_profiles = "mixed", reported()
    classes = {"small": GPUClassSpec(memory=memory)} if memory else {}
    (device,) = facts(node(), listed, classes).devices.all
    assert (device.withheld, device.holders) == (withheld, tuple(pods))


def wanting(gpu_node: GPUNode, wanted: dict[str, Any] | None) -> GPUNode:
    if wanted is not None:
        gpu_node.spec.gpus.append(msgspec.convert({"uuid": "GPU-0", **wanted}, WantedGPU))
    return gpu_node


@pytest.mark.parametrize(
    ("policy", "packs_shares", "packs_slices"),
    [(None, False, True), ("packed", True, True), ("distributed", False, False)],
)
def test_the_policy_that_the_node_goes_by_is_followed(
    policy: str | None, packs_shares: bool, packs_slices: bool
) -> None:
    listed = gpu_node(gpu(0))
    listed.status.allocation_policy = AllocationPolicy(policy) if policy else None
    read = facts(node(), listed)
    assert (read.packs_shares, read.packs_slices) == (packs_shares, packs_slices)


@pytest.mark.parametrize("said", [{}, {"onePerContainer": False}, {"onePerContainer": True}])
def test_how_many_shares_a_container_may_have_is_read(said: dict[str, bool]) -> None:
    shares = {"strategy": "mps", "replicas": 4, **said}
    whole = gpu(0, resource="nvidia.com/gpu", ready=True, shares=shares)
    cut = gpu(1, migMode="Enabled", instances=[instance(0, shares=shares)])
    one_each = said.get("onePerContainer", False)
    for device in facts(node(), gpu_node(whole, cut)).devices.all:
        assert (device.shares, device.one_per_container) == (4, one_each)


def test_what_the_agent_lists_is_not_counted_twice() -> None:
    allocatable = {
        "nvidia.com/gpu": "8",
        "nvidia.com/mig-1g.10gb": "7",
        "nvidia.com/gpu.shared": "4",
        "cpu": "1",
    }
    listed = facts(node(allocatable=allocatable), gpu_node(gpu(0)))
    counted = facts(node(allocatable=allocatable), gpu_node())
    assert listed.allocatable == {"cpu": 1000}
    assert counted.allocatable == {
        "nvidia.com/gpu": 8,
        "nvidia.com/mig-1g.10gb": 7,
        "nvidia.com/gpu.shared": 4,
        "cpu": 1000,
    }


@pytest.mark.parametrize("known", [None, gpu_node(), gpu_node(gpu(0))])
def test_a_class_is_never_counted_from_node_status(known: GPUNode | None) -> None:
    """Without a GPUNode nobody knows what is behind it, nor whether the agent offers it still."""
    read = facts(node(allocatable={"cpu": "1", "class.aliquot.dev/small": "7"}), known)
    assert read.allocatable == {"cpu": 1000}


def test_links_hold_in_both_directions() -> None:
    read = facts(
        node(),
        gpu_node(
            gpu(
                0,
                links=[
                    {"peer": "GPU-1", "kind": "NVLink", "lanes": 12},
                    {"peer": "GPU-2", "kind": "SameCPU"},
                ],
            ),
            gpu(1),
            gpu(2, links=[{"peer": "GPU-0", "kind": "SameCPU"}]),
        ),
    )
    assert read.devices.links == {
        ("GPU-0", "GPU-1"): 1200,
        ("GPU-1", "GPU-0"): 1200,
        ("GPU-0", "GPU-2"): 20,
        ("GPU-2", "GPU-0"): 20,
    }


@pytest.mark.parametrize(
    ("case", "gpus", "numa", "nvlink"),
    [
        ("nothing is told", [{}, {}], [], [{0}, {1}]),
        ("NUMA nodes by their numbers", [{"numaNode": 1}, {"numaNode": 0}, {}], [{1}, {0}], [{0}, {1}, {2}]),
        ("a bridge, which one of the two tells", [{"nvlink": [1]}, {}, {}], [], [{0, 1}, {2}]),
        (
            "some over others",
            [{"nvlink": [1]}, {"nvlink": [0, 2]}, {"nvlink": [1]}, {"nvlink": [9]}],
            [],
            [{0, 1, 2}, {3}],
        ),
    ],
)
def test_which_gpus_are_together(
    case: str, gpus: list[dict[str, Any]], numa: list[set[int]], nvlink: list[set[int]]
) -> None:
    read = facts(
        node(),
        gpu_node(
            *(
                gpu(
                    index,
                    **{key: value for key, value in said.items() if key == "numaNode"},
                    links=[
                        {"peer": f"GPU-{peer}", "kind": "NVLink", "lanes": 4}
                        for peer in said.get("nvlink", ())
                    ],
                )
                for index, said in enumerate(gpus)
            )
        ),
    )
    found = [
        [{int(uuid.removeprefix("GPU-")) for uuid in domain} for domain in read.devices.domains[level]]
        for level in (GpuLevel.NUMA, GpuLevel.NVLINK)
    ]
    assert found == [numa, nvlink]


def test_taints_and_cordon() -> None:
    spec = {"unschedulable": True, "taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]}
    read = facts(node(spec=spec), None)
    assert read.unschedulable
    assert read.taints == (taint("a=b:NoSchedule"),)


def test_a_node_that_is_not_ready_counts_as_tainted() -> None:
    def taints(status: str, *more: dict[str, str]) -> tuple[object, ...]:
        return facts(
            node(spec={"taints": list(more)}, conditions=[{"type": "Ready", "status": status}]), None
        ).taints

    not_ready = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    assert taints("True") == ()
    assert taints("False") == (taint("node.kubernetes.io/not-ready:NoSchedule"),)
    assert taints("False", not_ready) == (taint("node.kubernetes.io/not-ready:NoSchedule"),)
    assert taints("Unknown") == (taint("node.kubernetes.io/unreachable:NoSchedule"),)
