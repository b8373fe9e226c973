"""What is free of a node: each row is a node, the pods on it, and what a worth sees of it."""

from collections.abc import Sequence

import pytest

from aliquot.scheduler.core.facts import MODEL_LABEL, NodeFacts
from aliquot.scheduler.core.free_gpus import Free, Layout
from aliquot.scheduler.core.pod import DeviceChoice, PodRequest
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.testing import GPU, gpu_uuid, mig, node, placed, pod

SEVEN = " ".join(f"1g.10gb@{start}" for start in range(7))
HALVES = "4g.40gb@0 3g.40gb@4"


def one(profile: str, name: str = "r") -> PodRequest:
    return pod(name, wants={mig(profile): 1})


def free(facts: NodeFacts, running: Sequence[tuple[PodRequest, str]]) -> Free:
    snapshot = Snapshot()
    snapshot.set_facts(facts)
    for request, where in running:
        snapshot.set_pod(placed(request, where))
    state = snapshot.nodes[facts.name]
    return Layout(state.facts).free(state)


@pytest.mark.parametrize(
    ("facts", "running", "whole", "parts"),
    [
        (node("a"), [], 0, ()),
        (node("a", "whole", "whole"), [(pod("r", gpu=1), "a gpu0")], 1, ()),
        (node("a", "whole", "whole!unhealthy"), [], 1, ()),
        # Which one it will get is not known yet: it is none the less taken.
        (node("a", "whole", "whole"), [(pod("r", gpu=1), "a")], 1, ()),
        (node("a", gpus=8), [(pod("r", gpu=3), "a")], 5, ()),
        # Of slices and shares that are only counted it is not known of which GPUs they are.
        (node("a", offers={mig("1g.10gb"): 7}), [], 0, ()),
        # Shares.
        (node("a", "whole*4", "whole*4"), [(pod("r", wants={GPU: 1}), "a gpu0*1")], 1, (750,)),
        (node("a", "whole*3"), [(pod("r", wants={GPU: 1}), "a gpu0*1")], 0, (667,)),
        # Slices that stay as they are: both halves make a GPU, seven small ones leave a slot over that nobody can have.
        (node("a", HALVES), [], 1, ()),
        (node("a", HALVES), [(one("3g.40gb"), "a gpu0@4")], 0, (500,)),
        (node("a", SEVEN, cut="h100-80gb", static=True), [], 0, (875,)),
        (node("a", SEVEN, cut="h100-80gb", static=True), [(one("1g.10gb"), "a gpu0@0")], 0, (750,)),
        # Slices that are cut anew when nobody has them.
        (node("a", SEVEN, cut="h100-80gb"), [], 1, ()),
        (node("a", SEVEN, "whole", cut="h100-80gb"), [(one("1g.10gb"), "a gpu0@0")], 1, (875,)),
        (node("a", "1g.10gb@0 1g.10gb@1!unhealthy", cut="h100-80gb"), [], 0, (875,)),
        # Nothing is cut yet.
        (node("a", "", cut="h100-80gb"), [], 1, ()),
    ],
)
def test_free_gpus(
    facts: NodeFacts, running: Sequence[tuple[PodRequest, str]], whole: int, parts: tuple[int, ...]
) -> None:
    found = free(facts, running)
    assert (found.whole, found.parts) == (whole, parts)


def test_what_else_is_free() -> None:
    facts = node("a", gpus=1, cpu=8, memory_gib=4, labels={MODEL_LABEL: "L4"})
    found = free(facts, [(pod("r", cpu=3, memory_gib=1), "a")])
    assert found == Free(5000, 3 * 1024, 1, (), "L4", idle=True)


@pytest.mark.parametrize(
    ("facts", "running", "idle"),
    [
        (node("a", "whole", "whole!unhealthy"), [], True),
        (node("a", "whole", "whole"), [(pod("r", gpu=1), "a gpu0")], False),
        (node("a", gpus=8), [(pod("r", cpu=1), "a")], True),
        (node("a", gpus=8), [(pod("r", gpu=1), "a")], False),
        (node("a", SEVEN, "whole"), [], True),
        (node("a", SEVEN, "whole"), [(one("1g.10gb"), "a gpu0@0")], False),
        (node("a", SEVEN, "whole"), [(pod("r", gpu=1), "a gpu1")], False),
    ],
)
def test_a_node_is_idle_while_nobody_has_a_gpu_there(
    facts: NodeFacts, running: Sequence[tuple[PodRequest, str]], idle: bool
) -> None:
    assert free(facts, running).idle is idle


def test_what_is_free_once_a_pod_has_its_devices() -> None:
    facts = node("a", "whole*4", HALVES, cpu=8, memory_gib=4)
    snapshot = Snapshot()
    snapshot.set_facts(facts)
    state = snapshot.nodes["a"]
    choices = [
        DeviceChoice("main", GPU, gpu_uuid("a", 0), shares=3),
        DeviceChoice("main", mig("4g.40gb"), gpu_uuid("a", 1), "4g.40gb", 0),
    ]
    asked = {"cpu": 1000, "memory": 1 << 30, GPU: 3, mig("4g.40gb"): 1}
    assert Layout(facts).free_after(state, asked, choices) == Free(7000, 3 * 1024, 0, (250, 500), "")
