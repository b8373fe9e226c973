"""Kubelet may swap equal devices, and the list that says so comes pod by pod."""

from aliquot.scheduler.core.node import Devices, DeviceState, NodeFacts, derive
from aliquot.scheduler.core.pod import DeviceChoice, PlacedPod

GPU = "nvidia.com/gpu"


def placed(name: str, gpu: str, *, admitted: bool) -> PlacedPod:
    return PlacedPod(f"d/{name}", name, "n", {GPU: 1}, (DeviceChoice("c", GPU, gpu),), admitted=admitted)


def test_a_half_listed_swap_frees_nothing() -> None:
    """a runs on the device assigned to c; b's is not listed yet: three pods on three GPUs, none to spare."""
    devices = Devices(
        [DeviceState(GPU, "G0"), DeviceState(GPU, "G1"), DeviceState(GPU, "G2", holders=("d/a",))], {}
    )
    pods = [
        placed("a", "G0", admitted=True),
        placed("b", "G1", admitted=True),
        placed("c", "G2", admitted=False),
    ]
    assert derive(NodeFacts("n", devices=devices), pods).available(GPU) == 0
