"""How many more of a class could be had, and how many are held."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from aliquot.kube.api.gpuclass import GPUClassSpec
from aliquot.kube.api.gpunode import GPUNode
from aliquot.partition.controller.claims import Claim
from aliquot.partition.controller.class_status import ClassCount, node_now
from tests.partition.controller.nodes import claim, gpu, gpu_node, instance, sliced

SMALL = {"ways": [{"mig": {"profile": "1g.10gb"}}]}
HALF = {"ways": [{"mig": {"profile": "3g.40gb"}}]}
WHOLE: dict[str, Any] = {"ways": [{"whole": {}}]}
QUARTER = {"ways": [{"timeSlicing": {"replicas": 4}}]}
EITHER = {"ways": [{"mig": {"profile": "3g.40gb"}}, {"timeSlicing": {"replicas": 4}}]}
C = "class.aliquot.dev/c"


def shares(held: dict[str, int], replicas: int = 4, strategy: str = "timeSlicing") -> dict[str, Any]:
    listed = [{"pod": pod, "shares": count} for pod, count in held.items()]
    return {"strategy": strategy, "replicas": replicas, "held": listed}


CASES: list[tuple[str, dict[str, Any], GPUNode, Sequence[Claim], int, int]] = [
    ("cut out of what is free", SMALL, gpu_node(gpu(0), gpu(1)), (), 14, 0),
    ("not where nobody may cut", SMALL, gpu_node(gpu(0), partitioning="static"), (), 0, 0),
    (
        "there names alone change",
        SMALL,
        gpu_node(sliced(0, instance("1g.10gb", 0), instance("1g.10gb", 1, "d/p")), partitioning="static"),
        (),
        1,
        0,
    ),
    ("beside what is held", SMALL, gpu_node(sliced(0, instance("3g.40gb", 0, "d/p"))), (), 3, 0),
    ("parts of a slice stay", SMALL, gpu_node(sliced(0, instance("1c.3g.40gb", 0))), (), 3, 0),
    ("in the place of what is free", HALF, gpu_node(sliced(0, instance("1g.10gb", 0))), (), 2, 0),
    ("of a whole GPU that is held, none", SMALL, gpu_node(gpu(0, pods=["d/p"])), (), 0, 0),
    ("held under the class", SMALL, gpu_node(sliced(0, instance("1g.10gb", 6, "d/p", resource=C))), (), 6, 1),
    ("whole GPUs", WHOLE, gpu_node(gpu(0), gpu(1, pods=["d/p"]), gpu(2)), (), 2, 0),
    (
        "shares of one that has room, and of those that could be shared",
        QUARTER,
        gpu_node(gpu(0, resource=C, shares=shares({"d/p": 1, "d/q": 2}), pods=["d/p", "d/q"]), gpu(1)),
        (),
        5,
        3,
    ),
    (
        "not of one that is shared otherwise, and held",
        QUARTER,
        gpu_node(gpu(0, resource="x", shares=shares({"d/p": 1}, 2), pods=["d/p"])),
        (),
        0,
        0,
    ),
    ("a board that has no MIG", EITHER, gpu_node(gpu(0, board="l4")), (), 4, 0),
    ("the first way counts", EITHER, gpu_node(gpu(0)), (), 2, 0),
    (
        "being made for a pod that waits",
        SMALL,
        gpu_node(gpu(0)),
        [claim("d/p", 0, C, profile="1g.10gb", start=0)],
        6,
        1,
    ),
    (
        "of what a pod is to get one share is listed",
        QUARTER,
        gpu_node(gpu(0, resource=C, shares=shares({"d/p": 1}), pods=["d/p"])),
        [claim("d/p", 0, C, shares=3, replicas=4, sharing="timeSlicing", bound=True)],
        1,
        3,
    ),
    (
        "bound, and listed by now",
        SMALL,
        gpu_node(sliced(0, instance("1g.10gb", 0, "d/p", resource=C))),
        [claim("d/p", 0, C, profile="1g.10gb", start=0, bound=True)],
        6,
        1,
    ),
    (
        "shares of a GPU that is not shared yet",
        QUARTER,
        gpu_node(gpu(0)),
        [claim("d/p", 0, C, shares=2, replicas=4, sharing="timeSlicing")],
        2,
        2,
    ),
    (
        "for somebody else, in the way of what is free",
        SMALL,
        gpu_node(sliced(0, instance("7g.80gb", 0))),
        [claim("d/p", 0, "nvidia.com/mig-3g.40gb", profile="3g.40gb", start=4)],
        4,
        0,
    ),
    (
        "wanted by whoever wrote the spec",
        SMALL,
        gpu_node(
            sliced(0),
            gpus=[{"uuid": "GPU-0", "mig": True, "instances": [{"start": 0, "profile": "3g.40gb"}]}],
        ),
        (),
        3,
        0,
    ),
    (
        "a sick GPU gives nothing, and what is held of it is held",
        SMALL,
        gpu_node(sliced(0, instance("1g.10gb", 0, "d/p", resource=C), health="Unhealthy")),
        (),
        0,
        1,
    ),
]


@pytest.mark.parametrize(
    ("case", "spec", "node", "claims", "available", "in_use"), CASES, ids=[one[0] for one in CASES]
)
def test_available_and_in_use(
    case: str, spec: dict[str, Any], node: GPUNode, claims: Sequence[Claim], available: int, in_use: int
) -> None:
    now = node_now(node, {}, claims, takes_pods=True)
    count = ClassCount("c", msgspec.convert(spec, GPUClassSpec))
    assert (count.on(now), now.held.get(C, 0)) == (available, in_use)
    assert count.on(now) == available, "counted once, and remembered"


def test_a_node_that_takes_no_pods_gives_nothing() -> None:
    node = gpu_node(sliced(0, instance("1g.10gb", 0, "d/p", resource=C)))
    now = node_now(node, {}, (), takes_pods=False)
    assert (now.gpus, now.held) == ((), {C: 1})
