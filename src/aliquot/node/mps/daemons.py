"""Keeps a daemon for each device that is shared through MPS: started before the device is offered, asked while it runs,
started again with growing pauses when it is gone, and ended when nobody is to come any more.

Nothing is remembered that could not be found again: a restarted agent sees the directories, asks who answers, and goes
on from there. A GPU's compute mode is marked on disk before it is changed, and restored by whoever finds the mark.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog

from aliquot.gpu.driver import Driver, DriverError
from aliquot.kube.api.gpunode import Sharing
from aliquot.kube.retry import Backoff
from aliquot.node.advertise import Device
from aliquot.node.driver_access import DriverAccess, RunBlocking
from aliquot.node.mps.control import QUIT, SERVERS, Control, ControlError, environment
from aliquot.node.mps.directories import Directories, DirectoryError, mount_shm
from aliquot.node.plugin_config.settings import Settings

_LOOK_S = 2.0
"""Between two questions to a daemon that answers."""
_LAST_SEEN_S = 10.0
"""After its end a server is certainly in no list of processes any more."""
_NOT_STARTED = "its MPS daemon has not started yet"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wanted:
    device: Device
    exclusive: bool
    """Whether the GPU is to be closed to whoever does not come through the daemon."""


class Daemons:
    """`changed` is called when a device became ready, or is no more."""

    def __init__(
        self,
        driver: Driver,
        access: DriverAccess,
        control: Control,
        *,
        run_blocking: RunBlocking,
        rng: random.Random,
        changed: Callable[[], None],
    ) -> None:
        self._driver = driver
        self._access = access
        self._control = control
        self._run_blocking = run_blocking
        self._rng = rng
        self._changed = changed
        self._root = ""
        self._earlier_roots: set[str] = set()
        self._wanted: dict[str, Wanted] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._faults: dict[str, str] = {}
        """Device -> why its clients would not find a daemon; those that are ready have none."""
        self._servers: dict[str, frozenset[int]] = {}
        self._attention = asyncio.Event()

    def want(self, devices: Iterable[Device], settings: Settings) -> None:
        """Of `devices` those that are shared through MPS. To be told of every look."""
        exclusive = settings.mps is not None and settings.mps.exclusive_process
        wanted = {
            device.id: Wanted(device, exclusive and device.slice is None)
            for device in devices
            if device.shares is not None and device.shares.strategy is Sharing.MPS
        }
        if (wanted, settings.mps_root) != (self._wanted, self._root):
            if self._root != settings.mps_root:
                self._earlier_roots.add(self._root)
            self._wanted, self._root = wanted, settings.mps_root
            for device_id in wanted:
                self._faults.setdefault(device_id, _NOT_STARTED)
            self._attention.set()

    def fault(self, device_id: str) -> str:
        """Why the device must not be handed out; empty when its daemon answers, or when it needs none."""
        return self._faults.get(device_id, "") if device_id in self._wanted else ""

    def servers(self) -> frozenset[int]:
        """Process ids of MPS itself: they use a GPU for their clients, and go when the daemon is ended."""
        return frozenset().union(*self._servers.values())

    async def run(self) -> None:
        """Until cancelled. Daemons go on: their clients may."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._attention.clear()
                for device_id in self._wanted.keys() - self._tasks.keys():
                    self._tasks[device_id] = tasks.create_task(self._keep(device_id))
                for device_id in self._tasks.keys() - self._wanted.keys():
                    task = self._tasks.pop(device_id)
                    task.cancel()
                    await asyncio.wait((task,))
                await self._end_strangers()
                await self._attention.wait()

    async def _keep(self, device_id: str) -> None:
        """One daemon, until cancelled."""
        backoff = Backoff(self._rng)
        while True:
            try:
                await self._mend(device_id)
            except (ControlError, DirectoryError, DriverError) as error:
                self._say(device_id, f"MPS: {error}")
                await asyncio.sleep(backoff.delay_s())
                continue
            self._say(device_id, "")
            backoff.reset()
            await asyncio.sleep(_LOOK_S)

    async def _mend(self, device_id: str) -> None:
        """Ask, and where nobody answers start. Raises ControlError, DirectoryError or DriverError."""
        places = Directories(Path(self._root))
        about = environment(device_id, places.pipe(device_id), places.log(device_id))
        try:
            answer = await self._control.ask(about, SERVERS)
        except ControlError:
            self._say(device_id, self._faults.get(device_id) or "MPS: its daemon is gone")
            await self._run_blocking(places.make, device_id)
            await self._run_blocking(mount_shm, places.shm)
            await self._set_mode(places, device_id)
            await self._control.start(about)
            answer = await self._control.ask(about, SERVERS)
            _log.info("MPS daemon", device=device_id)
        self._servers[device_id] = frozenset(int(line) for line in answer.split() if line.isdecimal())

    async def _set_mode(self, places: Directories, device_id: str) -> None:
        wanted = self._wanted.get(device_id)
        if wanted is not None and wanted.exclusive:
            places.exclusive_mark(device_id).touch()
            await self._access.call_on(device_id, self._driver.set_exclusive, device_id, True)
        else:
            await self._restore_mode(places, device_id)

    async def _restore_mode(self, places: Directories, device_id: str) -> None:
        mark = places.exclusive_mark(device_id)
        if mark.exists():
            await self._access.call_on(device_id, self._driver.set_exclusive, device_id, False)
            mark.unlink(missing_ok=True)

    async def _end_strangers(self) -> None:
        """Daemons of devices that are shared no more; those of an earlier agent as well."""
        for root in {*self._earlier_roots, self._root} - {""}:
            places = Directories(Path(root))
            for device_id in places.known():
                if root != self._root or device_id not in self._wanted:
                    await self._end(places, device_id)
        self._earlier_roots.clear()

    async def _end(self, places: Directories, device_id: str) -> None:
        about = environment(device_id, places.pipe(device_id), places.log(device_id))
        try:
            await self._control.ask(about, QUIT)
            _log.info("MPS daemon ended", device=device_id)
        except ControlError as error:
            _log.debug("no MPS daemon to end", device=device_id, error=str(error))
        try:
            await self._restore_mode(places, device_id)
        except DriverError as error:
            # The mark stays, and the next look tries again.
            _log.warning("compute mode not restored", device=device_id, error=str(error))
            return
        await self._run_blocking(places.remove, device_id)
        # Whoever looked at the GPU a moment ago still saw them.
        asyncio.get_running_loop().call_later(_LAST_SEEN_S, self._servers.pop, device_id, None)
        if device_id not in self._wanted:
            self._faults.pop(device_id, None)

    def _say(self, device_id: str, fault: str) -> None:
        if self._faults.get(device_id) != fault:
            self._faults[device_id] = fault
            if fault:
                _log.warning("MPS daemon not ready", device=device_id, reason=fault)
            self._changed()
