"""Asks the GPUs what they measure: at a scrape, all at once, and for no longer than a scrape can wait."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from aliquot.gpu.driver import Driver, DriverError, Telemetry
from aliquot.node.driver_access import DriverAccess

_log = structlog.get_logger()

AT_MOST_EVERY_S = 1.0
"""Whoever asks sooner gets the figures of before."""
LIMIT_S = 2.0
"""Under Prometheus' own limit of 10 s, by a good deal: what the other GPUs told must still arrive."""


class TelemetryReader:
    """A GPU that does not answer is waited for once; until it answers it has no figures, and nobody waits."""

    def __init__(self, driver: Driver, access: DriverAccess) -> None:
        self._driver = driver
        self._access = access
        self._began = 0.0
        self._reading: asyncio.Task[Mapping[str, Telemetry]] | None = None
        self._asking: dict[str, asyncio.Task[Telemetry | None]] = {}
        """By GPU, questions without an answer yet."""

    async def read(self, gpu_uuids: Sequence[str]) -> Mapping[str, Telemetry]:
        """By UUID, of the GPUs that answered."""
        now = asyncio.get_running_loop().time()
        if self._reading is None or (self._reading.done() and now - self._began >= AT_MOST_EVERY_S):
            self._began = now
            self._reading = asyncio.create_task(self._read(gpu_uuids))
        # A scrape that is broken off must not take the others' answer with it.
        return await asyncio.shield(self._reading)

    async def _read(self, gpu_uuids: Sequence[str]) -> Mapping[str, Telemetry]:
        # What came too late is thrown away: it says what was.
        self._asking = {uuid: task for uuid, task in self._asking.items() if not task.done()}
        asked = {uuid: asyncio.create_task(self._ask(uuid)) for uuid in gpu_uuids if uuid not in self._asking}
        if not asked:
            return {}
        await asyncio.wait(asked.values(), timeout=LIMIT_S)
        self._asking |= {uuid: task for uuid, task in asked.items() if not task.done()}
        answers = {uuid: task.result() for uuid, task in asked.items() if task.done()}
        return {uuid: answer for uuid, answer in answers.items() if answer is not None}

    async def _ask(self, gpu_uuid: str) -> Telemetry | None:
        try:
            return await self._access.call_beside(gpu_uuid, self._driver.telemetry, gpu_uuid)
        except DriverError as error:
            _log.debug("no telemetry", gpu=gpu_uuid, error=str(error))
            return None
