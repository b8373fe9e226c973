"""A driver that comes and goes over GPUs that stay."""

from collections.abc import Callable
from typing import Any

import pytest

from aliquot.gpu.driver import Driver, DriverError, MigState, ReturnCode
from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.loadable_driver import LoadableDriver, cuda_of
from aliquot.gpu.simulated import SimulatedDriver


def of(gpus: str) -> LoadableDriver:
    return LoadableDriver(SimulatedDriver(parse_gpus(gpus), node="node-0"))


@pytest.mark.parametrize(
    "call",
    [
        lambda driver: driver.version(),
        lambda driver: driver.gpus(),
        lambda driver: driver.lost_gpus(),
        lambda driver: driver.instances("GPU-x"),
        lambda driver: driver.wait_event(0),
    ],
)
def test_without_a_driver_nothing_answers(call: Callable[[Driver], Any]) -> None:
    node = of("h100-80gb:2")
    with pytest.raises(DriverError, match="Driver Not Loaded") as refused:
        call(node.driver)
    assert refused.value.code is ReturnCode.UNINITIALIZED
    assert len(node.hardware.gpus()) == 2


def test_it_has_the_version_that_was_loaded() -> None:
    node = of("h100-80gb:1")
    node.load("570.86.15")
    assert (node.driver.version().driver, node.driver.version().cuda) == ("570.86.15", "12.8")
    node.unload()
    node.load("595.91.07")
    assert node.driver.version().driver == "595.91.07"


@pytest.mark.parametrize(
    ("gpus", "mode_after"),
    [
        pytest.param("a100-40gb:1", MigState.ENABLED, id="Ampere keeps its mode"),
        pytest.param("h100-80gb:1", MigState.DISABLED, id="Hopper does not"),
    ],
)
def test_what_is_left_of_mig_when_the_driver_is_exchanged(gpus: str, mode_after: MigState) -> None:
    node = of(gpus)
    node.load("570.86.15")
    driver = node.driver
    (gpu,) = driver.gpus()
    driver.set_mig_mode(gpu.uuid, True)
    if driver.gpus()[0].mig is MigState.PENDING_ENABLE:
        driver.reset_gpu(gpu.uuid)
    profile = driver.instance_profiles(gpu.uuid)[0]
    driver.create_gpu_instance(gpu.uuid, profile.profile_id, None)
    node.unload()
    node.load("595.91.07")
    assert driver.gpus()[0].mig is mode_after
    assert list(driver.instances(gpu.uuid)) == []
    assert driver.gpus()[0].uuid == gpu.uuid


def test_nothing_is_lost_where_nothing_was_loaded() -> None:
    """A process that has just begun finds what the last one left."""
    node = of("h100-80gb:1")
    (gpu,) = node.hardware.gpus()
    node.hardware.set_mig_mode(gpu.uuid, True)
    node.unload()
    assert node.hardware.gpus()[0].mig is MigState.ENABLED


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [("580.82.07", "13.0"), ("585.10", "13.0"), ("700.1.2", "13.2"), ("470.1", "12.2"), ("none", "12.2")],
)
def test_cuda_goes_with_the_branch(driver: str, cuda: str) -> None:
    assert cuda_of(driver) == cuda
