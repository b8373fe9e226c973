"""The length of time slices follows the configuration."""

from aliquot.gpu.driver import TimeSlice
from aliquot.node.advertise import advertise
from aliquot.node.driver_access import DriverAccess
from aliquot.node.inventory import observe
from aliquot.node.plugin_config.file import Flags, parse
from aliquot.node.plugin_config.settings import Settings, resolve
from aliquot.node.sharing import share
from aliquot.node.time_slices import TimeSlices
from tests.node.machines import directly, machine


def settings(interval: str, devices: str = "[0]") -> Settings:
    text = f"sharing: {{timeSlicing: {{{interval} resources: [{{name: gpu, replicas: 2, devices: {devices}}}]}}}}"
    return resolve(Flags(), parse(text, source="f"))


async def test_the_length_follows_the_configuration() -> None:
    driver = machine("h100-80gb:2")
    first, second = (gpu.uuid for gpu in driver.gpus())
    slices = TimeSlices(driver, DriverAccess(directly))

    async def look(asked: Settings) -> str:
        snapshot = observe(driver)
        whole = advertise(snapshot.gpus, asked.mig_strategy)
        return await slices.look(share(whole, snapshot.gpus, asked).advertisement.devices, asked)

    def lengths() -> tuple[TimeSlice, TimeSlice]:
        return driver.time_slice(first), driver.time_slice(second)

    driver.set_time_slice(second, TimeSlice.LONG)
    assert await look(settings("")) == ""
    assert lengths() == (TimeSlice.DEFAULT, TimeSlice.LONG)
    assert await look(settings("interval: short,")) == ""
    assert lengths() == (TimeSlice.SHORT, TimeSlice.LONG)
    await look(settings("interval: medium,", "all"))
    assert lengths() == (TimeSlice.MEDIUM, TimeSlice.MEDIUM)
    await look(Settings())
    assert lengths() == (TimeSlice.DEFAULT, TimeSlice.DEFAULT)


async def test_what_the_driver_refuses_is_said_and_not_asked_for_again() -> None:
    driver = machine("v100-32gb:1")
    asked: list[str] = []
    refuse = driver.set_time_slice

    def counted(gpu_uuid: str, length: TimeSlice) -> None:
        asked.append(gpu_uuid)
        driver.lose_gpu(gpu_uuid)
        refuse(gpu_uuid, length)

    driver.set_time_slice = counted  # type: ignore[method-assign]
    snapshot = observe(driver)
    wanted = settings("interval: short,")
    devices = share(
        advertise(snapshot.gpus, wanted.mig_strategy), snapshot.gpus, wanted
    ).advertisement.devices
    slices = TimeSlices(driver, DriverAccess(directly))
    first, again = await slices.look(devices, wanted), await slices.look(devices, wanted)
    assert first == again
    assert first.startswith("time slice short: ")
    assert len(asked) == 1
