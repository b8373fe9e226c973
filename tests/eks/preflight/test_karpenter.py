"""Karpenter, Auto Mode and the cluster autoscaler: each row is what a cluster has, and what is found in it."""

from typing import Any

import pytest

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.checks import karpenter
from aliquot.eks.preflight.deployed import with_image
from aliquot.eks.preflight.findings import Severity
from aliquot.eks.versions.minor import Minor
from tests.eks.preflight.estates import nodes, pods, workloads

BLOCK, WARN, INFO = Severity.BLOCK, Severity.WARN, Severity.INFO


def running(*images: str) -> Objects:
    made = [
        {
            "metadata": {"name": f"d{number}", "namespace": "kube-system"},
            "spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}},
        }
        for number, image in enumerate(images)
    ]
    return Objects(workloads={"Deployment": workloads(*made)})


KARPENTER = "public.ecr.aws/karpenter/controller"


@pytest.mark.parametrize(
    ("image", "now", "to", "found"),
    [
        (f"{KARPENTER}:1.2.0", "1.31", "1.32", []),
        (f"{KARPENTER}:1.1.9", "1.31", "1.32", [(BLOCK, "1.32")]),
        (f"{KARPENTER}:1.10.0", "1.34", "1.35", []),
        (f"{KARPENTER}:v1.5.3@sha256:abc", "1.32", "1.33", []),
        (f"{KARPENTER}:1.2.0", "1.31", "1.35", [(BLOCK, "1.33")]),
        (f"{KARPENTER}:0.36.2", "1.30", "1.31", [(BLOCK, "1.31")]),
        (f"{KARPENTER}@sha256:abc", "1.31", "1.32", [(WARN, "None")]),
        ("registry:5000/karpenter/controller", "1.31", "1.32", [(WARN, "None")]),
        ("registry:5000/karpenter/controller:1.13.0-fips", "1.35", "1.36", []),
        ("example.com/mykarpenter/controller:0.1.0", "1.31", "1.32", []),
        (f"{KARPENTER}:1.2.0", "1.40", "1.41", []),
    ],
)
def test_karpenters_version(image: str, now: str, to: str, found: list[Any]) -> None:
    judged = karpenter.judge(running(image), Minor.parse(now), Minor.parse(to))
    assert [(one.severity, str(one.minor)) for one in judged] == found


def node_class(**spec: Any) -> Objects:
    return Objects(things={"EC2NodeClass": ({"metadata": {"name": "gpu"}, "spec": spec},)})


@pytest.mark.parametrize(
    ("spec", "to", "found"),
    [
        ({"amiSelectorTerms": [{"alias": "al2023@latest"}]}, "1.33", []),
        ({"amiSelectorTerms": [{"alias": "al2@latest"}]}, "1.32", [WARN]),
        ({"amiSelectorTerms": [{"alias": "al2@latest"}]}, "1.33", [BLOCK]),
        ({"amiFamily": "AL2"}, "1.34", [BLOCK]),
        ({"amiFamily": "AL2023"}, "1.34", []),
        ({"amiSelectorTerms": [{"id": "ami-1"}]}, "1.32", [INFO]),
        ({"amiSelectorTerms": [{"name": "golden-*", "owner": "self"}]}, "1.32", [INFO]),
        ({"amiSelectorTerms": [{"tags": {"team": "ml"}}]}, "1.32", [INFO]),
        ({"amiSelectorTerms": [{"ssmParameter": "/golden"}]}, "1.32", [INFO]),
        ({}, "1.33", []),
    ],
)
def test_node_classes(spec: dict[str, Any], to: str, found: list[Severity]) -> None:
    judged = karpenter.judge(node_class(**spec), Minor(1, 31), Minor.parse(to))
    assert [one.severity for one in judged] == found


def pool(group: str = "karpenter.k8s.aws", **disruption: Any) -> Objects:
    template = {"spec": {"nodeClassRef": {"group": group, "name": "x"}}}
    spec = {"template": template, "disruption": disruption}
    return Objects(things={"NodePool": ({"metadata": {"name": "spot"}, "spec": spec},)})


AUTO = "eks.amazonaws.com"
NIGHTS = {"nodes": "0", "schedule": "0 8 * * *", "duration": "10h"}


@pytest.mark.parametrize(
    ("objects", "to", "found", "says"),
    [
        (pool(), "1.32", [INFO], "10% at once"),
        (pool(budgets=[{"nodes": "3"}]), "1.32", [INFO], "3 at once"),
        (pool(budgets=[{"nodes": "0"}]), "1.32", [WARN], "no node drift, ever"),
        (pool(budgets=[NIGHTS, {"nodes": "20%"}]), "1.32", [INFO], "0 at once (0 8 * * * for 10h), 20% at"),
        (pool(budgets=[{"nodes": "100%"}]), "1.32", [WARN], "100% at once"),
        (pool(budgets=[{"nodes": "0", "reasons": ["Empty"]}]), "1.32", [WARN], "no budget is of drift"),
        (pool(budgets=[{"nodes": "0", "reasons": ["Drifted"]}]), "1.32", [WARN], "no node drift, ever"),
        (pool(AUTO), "1.37", [WARN, INFO], "consolidationPolicy"),
        (pool(AUTO, consolidationPolicy="WhenEmpty"), "1.37", [INFO], "drift"),
        (pool(AUTO), "1.36", [INFO], "drift"),
        (pool(), "1.37", [INFO], "drift"),
    ],
)
def test_node_pools(objects: Objects, to: str, found: list[Severity], says: str) -> None:
    judged = list(karpenter.judge(objects, Minor.parse(to).previous, Minor.parse(to)))
    assert [one.severity for one in judged] == found
    assert says in judged[0].why


HELD = {"karpenter.sh/do-not-disrupt": "true"}


def held(node: dict[str, str], pod: dict[str, str], grace: str | None) -> Objects:
    template = {"spec": {"terminationGracePeriod": grace} if grace else {}}
    spec = {"template": template, "disruption": {"budgets": [{"nodes": "1"}]}}
    labels = {"karpenter.sh/nodepool": "spot"}
    return Objects(
        nodes=nodes({"metadata": {"name": "a", "labels": labels, "annotations": node}}, {"metadata": {"name": "b"}}),
        pods=pods(
            {"metadata": {"name": "p", "namespace": "shop", "annotations": pod}, "spec": {"nodeName": "a"}},
            {"metadata": {"name": "elsewhere", "annotations": HELD}, "spec": {"nodeName": "b"}},
        ),
        things={"NodePool": ({"metadata": {"name": "spot"}, "spec": spec},)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("node", "pod", "grace", "found"),
    [
        ({}, {}, None, []),
        (HELD, {}, None, [(WARN, "1 node, a first")]),
        ({}, HELD, None, [(WARN, "1 pod, shop/p first")]),
        ({}, HELD, "24h", [(INFO, "1 pod, shop/p first")]),
        ({"karpenter.sh/do-not-disrupt": "false"}, {}, None, []),
    ],
)
def test_what_may_not_be_disrupted(
    node: dict[str, str], pod: dict[str, str], grace: str | None, found: list[Any]
) -> None:
    judged = karpenter.judge(held(node, pod, grace), Minor(1, 31), Minor(1, 32))
    assert [(one.severity, one.what) for one in judged if "NodePool" not in one.what] == found


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        (":v1.31.2", [INFO]),
        (":v1.32.0", []),
        (":v1.29.0", [WARN]),
        (":v1.33.0", [INFO]),
        ("@sha256:abc", [WARN]),
    ],
)
def test_the_cluster_autoscaler_is_of_one_minor(tag: str, found: list[Severity]) -> None:
    objects = running(f"registry.k8s.io/autoscaling/cluster-autoscaler{tag}", "web:v1.2.3")
    judged = karpenter.judge_autoscaler(objects, Minor(1, 31), Minor(1, 32))
    assert [one.severity for one in judged] == found


def test_a_version_is_in_the_tag_alone() -> None:
    images = (
        "quay.io/jetstack/cert-manager-controller:v1.16.1",
        "r:5000/v1.2/cert-manager-controller:latest",
    )
    found = list(with_image(running(*images), "cert-manager-controller"))
    assert [one.release for one in found] == [(1, 16, 1), None]
