"""Gives the GPUs that are shared in time the length of slice that the configuration names."""

from collections.abc import Collection, Iterable

import structlog

from aliquot.gpu.driver import Driver, DriverError, TimeSlice
from aliquot.kube.api.gpunode import Sharing
from aliquot.node.advertise import Device
from aliquot.node.driver_access import DriverAccess
from aliquot.node.plugin_config.settings import Settings

_log = structlog.get_logger()


class TimeSlices:
    """Touches no GPU before a length is asked for; where it no longer is, the driver's own is set again."""

    def __init__(self, driver: Driver, access: DriverAccess) -> None:
        self._driver = driver
        self._access = access
        self._set: dict[str, TimeSlice] = {}
        self._refused: dict[str, tuple[TimeSlice, str]] = {}

    async def look(
        self, devices: Iterable[Device], settings: Settings, left_alone: Collection[str] = ()
    ) -> str:
        """Why some GPU has not the length it should have; empty when all have it. What was refused is not asked again.

        `left_alone`: UUIDs of GPUs that are somebody else's; what they have is not set back either.
        """
        length = settings.time_slicing.interval if settings.time_slicing is not None else None
        wanted = {
            device.gpu_uuid: length
            for device in devices
            if length is not None
            and device.slice is None
            and _is_sliced(device)
            and device.gpu_uuid not in left_alone
        }
        for gpu_uuid in self._set.keys() - wanted.keys():
            if gpu_uuid not in left_alone:
                await self._apply(gpu_uuid, TimeSlice.DEFAULT)
            self._set.pop(gpu_uuid, None)
        faults = []
        for gpu_uuid, one in wanted.items():
            if self._set.get(gpu_uuid) is not one and self._refused.get(gpu_uuid, (None,))[0] is not one:
                await self._apply(gpu_uuid, one)
            if gpu_uuid in self._refused:
                faults.append(self._refused[gpu_uuid][1])
        return "; ".join(faults)

    async def _apply(self, gpu_uuid: str, length: TimeSlice) -> None:
        try:
            await self._access.call_on(gpu_uuid, self._driver.set_time_slice, gpu_uuid, length)
        except DriverError as error:
            self._refused[gpu_uuid] = length, f"time slice {length}: {error}"
            _log.warning("time slice not set", gpu=gpu_uuid, length=length, error=str(error))
        else:
            self._refused.pop(gpu_uuid, None)
            self._set[gpu_uuid] = length
            _log.info("time slice", gpu=gpu_uuid, length=length)


def _is_sliced(device: Device) -> bool:
    return device.shares is not None and device.shares.strategy is Sharing.TIME_SLICING
