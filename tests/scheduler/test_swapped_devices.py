"""Kubelet may swap equal devices, and the list that says so comes pod by pod."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.scheduler.core.facts import Devices, DeviceState, NodeFacts
from aliquot.scheduler.core.node import NodeState, derive
from aliquot.scheduler.core.pod import DeviceChoice, PlacedPod

GPU = "nvidia.com/gpu"


def placed(name: str, gpu: str, *, admitted: bool) -> PlacedPod:
    return PlacedPod(f"d/{name}", name, "n", {GPU: 1}, (DeviceChoice("c", GPU, gpu),), admitted=admitted)


def state(listed: dict[str, str], *pods: PlacedPod, ended: frozenset[str] = frozenset()) -> NodeState:
    """`listed`: GPU to the pod that the list names, or to nobody."""
    devices = [DeviceState(GPU, gpu, holders=(f"d/{pod}",) if pod else ()) for gpu, pod in listed.items()]
    return derive(NodeFacts("n", devices=Devices(devices)), pods, {f"d/{name}" for name in ended})


@pytest.mark.parametrize("second_admitted", [False, True])
def test_two_swapped_list_half_updated(second_admitted: bool) -> None:
    """a got b's device and is listed on it; b, on a's by now, is not listed yet."""
    now = state(
        {"G0": "", "G1": "a"}, placed("a", "G0", admitted=True), placed("b", "G1", admitted=second_admitted)
    )
    assert now.free[GPU] == 0
    assert now.held == {("G1", -1): ("d/a",)}


def test_a_half_listed_swap_of_three_frees_nothing() -> None:
    """a runs on the device assigned to c; b's is not listed yet: three pods on three GPUs, none to spare."""
    now = state(
        {"G0": "", "G1": "", "G2": "a"},
        placed("a", "G0", admitted=True),
        placed("b", "G1", admitted=True),
        placed("c", "G2", admitted=False),
    )
    assert now.free[GPU] == 0


def test_a_device_still_listed_for_a_pod_that_is_over_is_its_new_pods() -> None:
    now = state({"G0": "old", "G1": ""}, placed("a", "G0", admitted=False), ended=frozenset({"old"}))
    assert now.free[GPU] == 1
    assert now.held == {("G0", -1): ("d/a",)}


@given(st.data())
def test_every_pod_takes_one_device_however_kubelet_swapped_them_and_whoever_is_listed(
    data: st.DataObject,
) -> None:
    gpus = [f"G{index}" for index in range(data.draw(st.integers(1, 6)))]
    assigned = data.draw(st.permutations(gpus))[: data.draw(st.integers(0, len(gpus)))]
    given_to = data.draw(st.permutations(gpus))
    pods, listed = [], dict.fromkeys(gpus, "")
    for index, gpu in enumerate(assigned):
        is_listed = data.draw(st.booleans())
        # One that is not listed may be admitted or not; one that is listed and not admitted counts twice for a while.
        pods.append(placed(f"p{index}", gpu, admitted=is_listed or data.draw(st.booleans())))
        if is_listed:
            listed[given_to[index]] = f"p{index}"
    over = [gpu for gpu, pod in listed.items() if not pod and data.draw(st.booleans())]
    listed |= {gpu: f"old-{gpu}" for gpu in over}
    now = state(listed, *pods, ended=frozenset(listed[gpu] for gpu in over))
    assert now.free[GPU] == len(gpus) - len(pods)
