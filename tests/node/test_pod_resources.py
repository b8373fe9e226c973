"""Reading kubelet's answers."""

from aliquot.clock import VirtualClock
from aliquot.kube.kubeletapi.podresources_pb2 import (
    AllocatableResourcesResponse,
    ContainerDevices,
    ContainerResources,
    ListPodResourcesResponse,
    NUMANode,
    PodResources,
    TopologyInfo,
)
from aliquot.kube.kubeletapi.sockets import MemorySockets
from aliquot.node.pod_resources import Allocations, ClaimedDevice, Holding, allocatable, claimed, holdings
from aliquot.node.pod_resources import PodResources as Asking
from tests.node.kubelet import Kubelet, claiming
from tests.node.machines import virtual


def numa(node: int, *ids: str, resource: str = "nvidia.com/gpu") -> ContainerDevices:
    return ContainerDevices(
        resource_name=resource, device_ids=ids, topology=TopologyInfo(nodes=[NUMANode(ID=node)])
    )


def test_entries_of_one_container_are_joined_over_numa_nodes() -> None:
    container = ContainerResources(
        name="main",
        devices=[numa(1, "GPU-b"), numa(0, "GPU-a", "GPU-b"), numa(0, "eth0", resource="example.com/nic")],
    )
    response = ListPodResourcesResponse(
        pod_resources=[PodResources(name="train", namespace="ml", containers=[container])]
    )
    assert holdings(response) == (Holding("ml/train", "main", "nvidia.com/gpu", ("GPU-a", "GPU-b")),)


def test_what_is_allocatable_is_joined_too_and_only_of_our_names() -> None:
    entries = [numa(0, "GPU-a"), numa(1, "GPU-b"), numa(0, "eth0", resource="example.com/nic")]
    assert allocatable(AllocatableResourcesResponse(devices=entries)) == {
        "nvidia.com/gpu": frozenset({"GPU-a", "GPU-b"})
    }


def test_a_claim_of_two_containers_is_one() -> None:
    twice = [claiming("gpu-0"), claiming("gpu-0"), claiming("eth0", driver="dra.net")]
    response = ListPodResourcesResponse(
        pod_resources=[PodResources(name="train", namespace="ml", containers=twice)]
    )
    assert claimed(response) == (
        ClaimedDevice("ml/train", "default/gpus", "gpu.nvidia.com", "gpu-0"),
        ClaimedDevice("ml/train", "default/gpus", "dra.net", "eth0"),
    )


def test_a_device_of_two_containers_names_its_pod_once() -> None:
    both = tuple(Holding("ml/train", name, "nvidia.com/gpu", ("GPU-a",)) for name in ("init", "main"))
    assert Allocations(both).shares_by_device == {"GPU-a": {"ml/train": 1}}


def test_after_a_failure_holders_stand_and_nothing_is_allocatable() -> None:
    async def main() -> None:
        sockets = MemorySockets()
        kubelet = Kubelet(MemorySockets(), sockets)
        await kubelet.start()
        kubelet.offered["nvidia.com/gpu"] = {"GPU-a": True, "GPU-b": False}
        kubelet.hold("train", "nvidia.com/gpu", ("GPU-a",))
        asking = Asking(sockets, VirtualClock())
        good = await asking.ask()
        assert good.allocatable == frozenset({"GPU-a"})
        assert good.failure == ""
        await kubelet.stop()
        bad = await asking.ask()
        assert bad.holdings == good.holdings
        assert bad.allocatable == frozenset()
        assert (
            bad.failure == "kubelet's pod-resources do not answer: UNAVAILABLE: kubelet.sock: no such socket"
        )
        await asking.close()

    virtual(main())
