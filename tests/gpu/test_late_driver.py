import pytest

from aliquot.gpu.driver import Driver, DriverError, ReturnCode
from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.late_driver import late
from aliquot.gpu.simulated import SimulatedDriver


def test_a_driver_that_comes_late_is_opened_once() -> None:
    opened: list[Driver] = []
    missing = True

    def open_driver() -> Driver:
        if missing:
            raise DriverError(ReturnCode.UNKNOWN, "NVML Shared Library Not Found")
        opened.append(SimulatedDriver(parse_gpus("l4:2"), node="n"))
        return opened[-1]

    driver = late(open_driver)
    for _ in range(2):
        with pytest.raises(DriverError, match="Library Not Found") as refused:
            driver.gpus()
        assert refused.value.code is ReturnCode.UNINITIALIZED
    missing = False
    assert len(driver.gpus()) == 2
    assert driver.processes(driver.gpus()[0].uuid) == ()
    assert len(opened) == 1
