"""What Karpenter's objects say of its nodes: how many may go at once, and of which minor new ones are."""

from datetime import UTC, datetime
from typing import Any

import pytest

from aliquot.eks.estate.karpenter import Image, Pool, at_once, claim, made_for_gpus, node_class, pool

MONDAY_NOON_S = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
BY_DAY: dict[str, Any] = {"nodes": "0", "schedule": "0 9 * * 1-5", "duration": "8h"}


def nodepool(**spec: Any) -> dict[str, Any]:
    reference = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}
    return {"metadata": {"name": "web"}, "spec": {"template": {"spec": {"nodeClassRef": reference}}, **spec}}


@pytest.mark.parametrize(
    ("budgets", "nodes", "most"),
    [
        (None, 30, 3),
        (None, 1, 1),
        (None, 11, 2),
        ([{"nodes": "20%"}, {"nodes": "3"}], 30, 3),
        ([{"nodes": "100%"}], 7, 7),
        ([{"nodes": "50"}], 7, 7),
        ([], 7, 7),
        ([{"nodes": "2", "reasons": ["Empty"]}], 7, 7),
        ([{"nodes": "2", "reasons": ["Drifted", "Empty"]}], 7, 2),
        # Who wants none ever wants no upgrade, and has approved one.
        ([{"nodes": "0"}], 7, 1),
        ([{"nodes": "0%"}], 7, 1),
        ([{"nodes": "2"}, BY_DAY], 7, 0),
        ([{"nodes": "2"}, {**BY_DAY, "nodes": "1"}], 7, 1),
        ([{"nodes": "2"}, {**BY_DAY, "schedule": "0 18 * * *"}], 7, 2),
        ([{"nodes": "2"}, {"nodes": "0", "schedule": "@daily", "duration": "10h30m"}], 7, 2),
        ([{"nodes": "2"}, {"nodes": "0", "schedule": "@daily", "duration": "13h"}], 7, 0),
        # Nobody can say when that counts.
        ([{"nodes": "2"}, {"nodes": "0", "schedule": "often", "duration": "13h"}], 7, 1),
        (None, 0, 0),
    ],
)
def test_how_many_go_at_once(budgets: Any, nodes: int, most: int) -> None:
    one = pool(nodepool() if budgets is None else nodepool(disruption={"budgets": budgets}))
    assert at_once(one, nodes, MONDAY_NOON_S) == most


def test_budgets_of_one_that_stands_still_are_those_before() -> None:
    still = nodepool(disruption={"budgets": [{"nodes": "0"}]})
    assert at_once(pool(still, [{"nodes": "3"}]), 9, MONDAY_NOON_S) == 3


def test_a_pool_of_another_kind_of_class() -> None:
    one = nodepool()
    one["spec"]["template"]["spec"]["nodeClassRef"] = {
        "group": "eks.amazonaws.com",
        "kind": "NodeClass",
        "name": "x",
    }
    assert pool(one).node_class == ""
    assert pool(nodepool()).node_class == "default"


@pytest.mark.parametrize(
    ("name", "minor"),
    [
        ("amazon-eks-node-al2023-x86_64-standard-1.32-v20260920", "1.32"),
        ("amazon-eks-node-al2023-x86_64-nvidia-1.33-v20260920", "1.33"),
        ("amazon-eks-gpu-node-1.31-v20250103", "1.31"),
        ("bottlerocket-aws-k8s-1.32-nvidia-x86_64-v1.26.1-943d9a41", "1.32"),
        ("Windows_Server-2022-English-Core-EKS_Optimized-1.32-2026.01.15", "1.32"),
        ("golden-v1.26.1-943d9a41", "None"),
        ("golden", "None"),
        ("", "None"),
    ],
)
def test_the_minor_of_an_image(name: str, minor: str) -> None:
    assert str(Image(id="ami-1", name=name).minor) == minor


@pytest.mark.parametrize(
    ("terms", "alias", "how"),
    [
        ([{"alias": "al2023@latest"}], "al2023@latest", "alias al2023@latest"),
        ([{"alias": "bottlerocket@v1.20.0"}], "bottlerocket@v1.20.0", "alias bottlerocket@v1.20.0"),
        ([{"id": "ami-1"}, {"id": "ami-2"}], "", "AMIs by id"),
        ([{"name": "golden-*", "owner": "self"}, {"tags": {"a": "b"}}], "", "AMIs by name and tags"),
        ([{"ssmParameter": "/golden"}], "", "AMIs by ssmParameter"),
        ([], "", "AMIs by nothing"),
    ],
)
def test_how_a_class_selects(terms: list[dict[str, Any]], alias: str, how: str) -> None:
    amis = [{"id": "ami-1", "name": "golden", "requirements": []}]
    found = node_class(
        {"metadata": {"name": "x"}, "spec": {"amiSelectorTerms": terms}, "status": {"amis": amis}}
    )
    assert (found.alias, found.how) == (alias, how)
    assert found.images == (Image(id="ami-1", name="golden"),)


@pytest.mark.parametrize(
    ("template", "gpus"),
    [
        ({}, False),
        ({"requirements": [{"key": "karpenter.k8s.aws/instance-gpu-count", "operator": "Gt"}]}, True),
        (
            {
                "requirements": [
                    {
                        "key": "node.kubernetes.io/instance-type",
                        "operator": "In",
                        "values": ["m7i.large", "p5.48xlarge"],
                    }
                ]
            },
            True,
        ),
        (
            {
                "requirements": [
                    {"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["c", "g"]}
                ]
            },
            True,
        ),
        (
            {
                "requirements": [
                    {"key": "karpenter.k8s.aws/instance-category", "operator": "NotIn", "values": ["g"]}
                ]
            },
            False,
        ),
        (
            {
                "requirements": [
                    {"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["c", "m"]}
                ]
            },
            False,
        ),
        ({"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]}, True),
        ({"taints": [{"key": "batch", "effect": "NoSchedule"}]}, False),
    ],
)
def test_what_is_made_for_gpus(template: dict[str, Any], gpus: bool) -> None:
    assert made_for_gpus(Pool(name="x", node_class="y", template=template)) is gpus


def test_a_claim() -> None:
    told = {
        "metadata": {
            "name": "web-1",
            "creationTimestamp": "2026-11-01T00:00:00Z",
            "deletionTimestamp": "2026-11-02T00:00:00Z",
            "annotations": {"karpenter.sh/do-not-disrupt": "true"},
        },
        "spec": {"terminationGracePeriod": "1h30m"},
        "status": {"nodeName": "ip-10-0-0-1", "imageID": "ami-1", "capacity": {"nvidia.com/gpu": "8"}},
    }
    found = claim(told, "v1.31.4")
    assert (found.name, found.node, found.kubelet, found.image) == (
        "web-1",
        "ip-10-0-0-1",
        "v1.31.4",
        "ami-1",
    )
    assert (found.leaving, found.held, found.grace_s, found.gpus) == (True, True, 5400.0, 8)
