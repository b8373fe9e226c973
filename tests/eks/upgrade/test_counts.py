"""What is counted before and after."""

from typing import Any

import msgspec
import pytest

from aliquot.eks.estate.objects import Node
from aliquot.eks.upgrade.counts import Counts, count, missing


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
        "nodes of no group: 0 of 1 node is ready",
        "nvidia.com/gpu: 8 of 16",
    ]


BEFORE = Counts(ready_nodes={"cpu": 2, "gpu": 2}, resources={"nvidia.com/gpu": 16})


@pytest.mark.parametrize(
    ("nodes", "instead", "lacks"),
    [
        ({"cpu": 2, "gpu": 2}, {}, []),
        ({"cpu": 2, "gpu-1-32": 2}, {"gpu": "gpu-1-32"}, []),
        ({"cpu": 2, "gpu-1-32": 1}, {"gpu": "gpu-1-32"}, ["node group gpu-1-32: 1 of 2 nodes are ready"]),
        ({"cpu": 2, "gpu-1-32": 2}, {}, ["node group gpu: 0 of 2 nodes are ready"]),
    ],
)
def test_nodes_of_a_group_that_another_one_stands_in_for(
    nodes: dict[str, int], instead: dict[str, str], lacks: list[str]
) -> None:
    now = Counts(ready_nodes=nodes, resources=BEFORE.resources)
    assert missing(BEFORE, now, {}, instead) == lacks
