"""The list of images is what nodes without a way out have to be given: all of it, and no more."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from aliquot.installation import hook, rendering
from aliquot.installation.images import images, moved, moved_image
from aliquot.installation.rendering import Offers
from aliquot.installation.values import Values, merged
from aliquot.kube.api.gpupolicy import GPUPolicy, GPUPolicySpec
from aliquot.kube.api.meta import ObjectMeta
from aliquot.operator.core.operands import parse_image, shipped
from aliquot.operator.core.policies import read
from aliquot.operator.core.pools import Pool
from aliquot.operator.core.rendering.operands import manifests

Json = dict[str, Any]

REGISTRY = "registry.example.com/gpu"
SYSTEMS = ("ubuntu24.04", "rhel9")
DIGEST = "sha256:" + "0" * 64
SPECS = [
    pytest.param({}, id="as shipped"),
    pytest.param(
        {"driver": {"preinstalled": True}, "toolkit": {"preinstalled": True}}, id="on the nodes already"
    ),
    pytest.param({"exporter": {"enabled": False}, "validator": {"enabled": False}}, id="less"),
    pytest.param(
        {
            "driver": {"repository": "mirror.example/nvidia", "image": "drv", "version": "580.95.05"},
            "toolkit": {"version": DIGEST},
            "agent": {"repository": "other.example", "version": "2"},
        },
        id="of other places",
    ),
    pytest.param({"driver": {"manager": {"repository": "localhost:5000", "version": "v1"}}}, id="a manager"),
]


def started(values: Values, spec: GPUPolicySpec) -> set[str]:
    """By the parts, by Helm when it leaves, and by a policy on nodes of these systems."""
    objects = (*rendering.objects(values, Offers("")), *hook.objects(values))
    templates = [one["spec"]["template"] for one in objects if "template" in one.get("spec", {})]
    policy = GPUPolicy(metadata=ObjectMeta(name="all"), spec=spec)
    plan = read(policy, 0.0, shipped(parse_image(values.image)))
    templates += [
        one["spec"]["template"] for one in manifests(plan, "aliquot-system", [Pool(one) for one in SYSTEMS])
    ]
    return set(_images(template["spec"] for template in templates))


def _images(pods: Iterable[Json]) -> Iterable[str]:
    for pod in pods:
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            yield container["image"]


def listed(values: Values, spec: GPUPolicySpec) -> list[str]:
    return [one.image for one in images(values, rendering.objects(values, Offers("")), spec, SYSTEMS)]


@pytest.mark.parametrize("given", SPECS)
def test_what_is_listed_is_what_is_started(given: Json) -> None:
    values = merged({"policy": {"create": True, "spec": given}})
    found = listed(values, values.policy.spec)
    assert len(found) == len(set(found))
    assert set(found) == started(values, values.policy.spec)


@pytest.mark.parametrize("given", SPECS)
def test_from_another_registry_nothing_comes_from_anywhere_else(given: Json) -> None:
    values = merged({"policy": {"create": True, "spec": given}})
    there, spec = moved(values, values.policy.spec, REGISTRY)
    found = listed(there, spec)
    assert set(found) == started(there, spec)
    assert all(image.startswith(f"{REGISTRY}/") for image in found)
    # Line by line: what is to be copied, and whereto.
    for image, copy in zip(listed(values, values.policy.spec), found, strict=True):
        assert copy == str(moved_image(parse_image(image), REGISTRY))


@pytest.mark.parametrize(
    ("image", "there"),
    [
        ("aliquot:1", "r.example:5000/aliquot:1"),
        ("team/aliquot:1", "r.example:5000/team/aliquot:1"),
        ("nvcr.io/nvidia/driver:1", "r.example:5000/nvidia/driver:1"),
        ("localhost/driver:1", "r.example:5000/driver:1"),
        (f"host:443/a/b/c@{DIGEST}", f"r.example:5000/a/b/c@{DIGEST}"),
    ],
)
def test_the_path_stays_and_the_host_goes(image: str, there: str) -> None:
    assert str(moved_image(parse_image(image), "r.example:5000/")) == there


def test_of_a_precompiled_driver_the_kernel_is_the_nodes() -> None:
    spec = msgspec.convert({"driver": {"usePrecompiled": True, "version": "595"}}, GPUPolicySpec)
    assert "nvcr.io/nvidia/driver:595-KERNEL-ubuntu24.04" in listed(Values(), spec)
