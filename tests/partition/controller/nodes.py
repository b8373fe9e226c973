"""GPUNodes and claims in a line."""

from typing import Any

import msgspec

from aliquot.gpu import boards
from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.gpunode import GPUNode
from aliquot.partition.controller.claims import Claim


def gpu(index: int, *, board: str = "h100-80gb", **more: Any) -> dict[str, Any]:
    found = boards.board(board)
    fixed = {
        "uuid": f"GPU-{index}",
        "index": index,
        "product": found.product,
        "board": board,
        "memoryMib": found.memory_mib,
        "migMode": "Disabled" if found.mig is not None else "Unsupported",
        "resource": "nvidia.com/gpu",
        "ready": True,
    }
    return {**fixed, **more}


def sliced(index: int, *instances: dict[str, Any], **more: Any) -> dict[str, Any]:
    return gpu(index, migMode="Enabled", resource="", ready=False, instances=list(instances), **more)


def instance(profile: str, start: int, *pods: str, resource: str = "") -> dict[str, Any]:
    return {
        "uuid": f"MIG-{start}",
        "profile": profile,
        "start": start,
        "size": 1,
        "giId": start,
        "ciId": 0,
        "resource": resource or f"nvidia.com/mig-{profile}",
        "ready": True,
        "pods": list(pods),
    }


def gpu_node(*gpus: dict[str, Any], partitioning: str = "onDemand", **spec: Any) -> GPUNode:
    profiles = [
        one for product in dict.fromkeys(one["product"] for one in gpus) for one in _profiles(product)
    ]
    return msgspec.convert(
        {
            "metadata": {"name": "a", "generation": 1},
            "spec": {"partitioning": partitioning, **spec},
            "status": {"gpus": list(gpus), "migProfiles": profiles, "migStrategy": "mixed"},
        },
        GPUNode,
    )


def claim(pod: str, index: int, resource: str, *, bound: bool = False, **device: Any) -> Claim:
    body = {"container": "main", "resource": resource, "gpu": f"GPU-{index}", **device}
    return Claim(pod, msgspec.convert(body, AssignedDevice), bound, 0.0)


def _profiles(product: str) -> list[dict[str, Any]]:
    board = boards.by_product(product)
    assert board is not None
    return [
        {
            "product": product,
            "name": one.name,
            "id": one.profile_id,
            "computeSlices": one.compute_slices,
            "memorySlots": one.memory_slots,
            "starts": [placement.start for placement in one.placements],
            "maxInstances": one.max_instances,
            "memoryMib": one.memory_mib,
        }
        for one in (board.mig.instance_profiles() if board.mig is not None else ())
    ]
