"""What kubelet's lists say of another device plugin on the node, and of our own past."""

from collections.abc import Mapping, Sequence

import pytest

from aliquot.node.advertise import Device
from aliquot.node.company.other_plugins import (
    PATIENCE_S,
    OtherPlugins,
    held_otherwise,
    listed_for_others,
)
from aliquot.node.pod_resources import Allocations, Holding

GPU, SHARED, SLICE = "nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.10gb"
GPU_OF = {"GPU-a": "GPU-a", "GPU-b": "GPU-b", "MIG-b1": "GPU-b"}
DEVICES = (
    Device("GPU-a", GPU, "GPU-a", 0, 0),
    Device("MIG-b1", SLICE, "GPU-b", 1, 1),
)
ALL = (GPU, SLICE)


@pytest.mark.parametrize(
    ("listed", "watched", "expected"),
    [
        pytest.param({}, ALL, {}, id="nothing"),
        pytest.param({GPU: ["GPU-a"], SLICE: ["MIG-b1"]}, ALL, {}, id="ours"),
        pytest.param({GPU: ["GPU-a::0", "GPU-a::7"]}, ALL, {}, id="more shares than we offer now"),
        pytest.param({GPU: ["GPU-a"], SHARED: ["GPU-a::0"]}, ALL, {"GPU-a": SHARED}, id="shares elsewhere"),
        pytest.param({GPU: ["GPU-b"]}, ALL, {"GPU-b": GPU}, id="a GPU that we offer in slices"),
        pytest.param({"nvidia.com/gpu.b": ["MIG-b1"]}, ALL, {"GPU-b": "nvidia.com/gpu.b"}, id="a slice"),
        pytest.param({GPU: ["GPU-a"]}, (SLICE,), {"GPU-a": GPU}, id="our name in other hands"),
        pytest.param({SHARED: ["GPU-z", "0000:17:00.0"]}, ALL, {}, id="no GPU of this node"),
    ],
)
def test_listed_for_others(
    listed: Mapping[str, Sequence[str]], watched: Sequence[str], expected: Mapping[str, str]
) -> None:
    found = listed_for_others(listed, DEVICES, watched, GPU_OF)
    assert {uuid: note.message for uuid, note in found.items()} == {
        uuid: f"kubelet lists it as {resource} for another device plugin: remove that plugin from this node"
        for uuid, resource in expected.items()
    }
    assert {note.reason for note in found.values()} <= {"OtherDevicePlugin"}


@pytest.mark.parametrize(
    ("resource", "ids", "expected"),
    [
        pytest.param(GPU, ("GPU-a",), set(), id="ours"),
        pytest.param(SLICE, ("MIG-b1",), set(), id="our slice"),
        pytest.param(SHARED, ("GPU-a::0",), {"GPU-a"}, id="a share"),
        pytest.param(GPU, ("MIG-b1",), {"GPU-b"}, id="a slice under another name"),
        pytest.param(GPU, ("GPU-b",), {"GPU-b"}, id="a GPU that we offer in slices"),
        pytest.param(GPU, ("GPU-z",), set(), id="no GPU of this node"),
    ],
)
def test_held_otherwise(resource: str, ids: tuple[str, ...], expected: set[str]) -> None:
    found = held_otherwise([Holding("ml/train", "main", resource, ids)], DEVICES, GPU_OF)
    assert found.keys() == expected
    for note in found.values():
        assert note.reason == "HeldOtherwise"
        assert note.message.startswith(f"ml/train holds it as {resource}, ")


def listing(*ids: str, failure: str = "") -> Allocations:
    return Allocations(listed={SHARED: frozenset(ids)}, failure=failure)


def looks(*steps: tuple[float, Allocations]) -> list[set[str]]:
    plugins = OtherPlugins()
    return [set(plugins.look(seen, DEVICES, ALL, GPU_OF, at)) for at, seen in steps]


def test_what_kubelet_still_lists_of_the_past_is_given_time_to_go() -> None:
    stale = listing("GPU-a::0")
    assert looks((0, stale), (PATIENCE_S - 1, stale), (PATIENCE_S, listing()))[-1] == set()
    assert looks((0, stale), (5, listing()), (6, stale), (PATIENCE_S + 5, stale))[-1] == set()


def test_what_stays_listed_is_another_plugin_s_until_it_is_gone() -> None:
    there, gone = listing("GPU-a::0"), listing()
    assert looks((0, there), (PATIENCE_S, there), (PATIENCE_S + 1, gone)) == [set(), {"GPU-a"}, set()]


def test_while_kubelet_does_not_answer_it_stays_as_it_was() -> None:
    there, silent = listing("GPU-a::0"), listing(failure="no answer")
    assert looks((0, there), (PATIENCE_S, there), (PATIENCE_S + 1, silent))[-1] == {"GPU-a"}


def test_it_says_while_it_is_not_sure() -> None:
    plugins = OtherPlugins()
    plugins.look(listing("GPU-a::0"), DEVICES, ALL, GPU_OF, 0)
    assert plugins.is_waiting
    plugins.look(listing("GPU-a::0"), DEVICES, ALL, GPU_OF, PATIENCE_S)
    assert not plugins.is_waiting
