"""Nodes with GPUs in a line of text each (see tests/partition/objects.py), as the partitioner's searches see them."""

from aliquot.kube.api.core import Node
from aliquot.kube.api.gpunode import GPUNode, GPUNodeSpec, GPUNodeStatus, Partitioning
from aliquot.kube.api.meta import ObjectMeta
from aliquot.partition.controller.needs import Need, Place, place_of
from aliquot.partition.controller.relocation import Holders
from tests.partition.objects import reported, status


def gpu_node(name: str, *layouts: str) -> GPUNode:
    """Its GPUs are `NAME-0`, `NAME-1`, ..."""
    gpus = [status(layout, f"{name}-{index}", index=index) for index, layout in enumerate(layouts)]
    return GPUNode(
        metadata=ObjectMeta(name=name),
        spec=GPUNodeSpec(partitioning=Partitioning.BUDGETED),
        status=GPUNodeStatus(gpus=gpus, mig_profiles=reported(), mig_strategy="mixed"),
    )


def place(name: str, *layouts: str, labels: dict[str, str] | None = None) -> Place:
    node = Node(metadata=ObjectMeta(name=name, labels=labels or {}))
    found = place_of(node, gpu_node(name, *layouts), ())
    assert found is not None
    return found


def holders(name: str, *layouts: str) -> Holders:
    return {
        (gpu.uuid, instance.start): instance.pods[0]
        for gpu in gpu_node(name, *layouts).status.gpus
        for instance in gpu.instances
        if len(instance.pods) == 1 and instance.shares is None
    }


def need(profile: str, pod: str = "default/new", *, at: float = 0.0, count: int = 1) -> Need:
    return Need(pod, f"nvidia.com/mig-{profile}", count, at)
