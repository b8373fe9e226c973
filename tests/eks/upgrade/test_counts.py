"""What is counted before and after."""

from typing import Any

import msgspec

from aliquot.eks.estate.objects import Node
from aliquot.eks.upgrade.counts import count, missing


def node(**labels: str) -> Node:
    told: dict[str, Any] = {
        "metadata": {"name": "n", "labels": {key.replace("_", "/"): value for key, value in labels.items()}},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {"cpu": "4", "nvidia.com/gpu": "8"},
        },
    }
    return msgspec.convert(told, Node)


def test_karpenter_has_as_many_nodes_as_pods_need() -> None:
    group, own = node(**{"eks.amazonaws.com_nodegroup": "gpu"}), node()
    of_karpenter = node(**{"karpenter.sh_nodepool": "gpu"})
    before = count([group, own, of_karpenter, of_karpenter], [], [])
    assert before.ready_nodes == {"gpu": 1, "": 1}
    assert before.resources == {"nvidia.com/gpu": 16}
    assert missing(before, count([group, own], [], []), {}) == []
    assert missing(before, count([group, of_karpenter], [], []), {}) == [
        "nodes of no group: 0 of 1 nodes are ready",
        "nvidia.com/gpu: 8 of 16",
    ]
