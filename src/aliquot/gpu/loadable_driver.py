"""A simulated driver that is loaded and unloaded, as a kernel module is; the GPUs are on the bus either way."""

import re
from collections.abc import Callable
from typing import Any, cast

from aliquot.gpu.driver import Driver, DriverError, DriverVersion, ReturnCode
from aliquot.gpu.simulated import SimulatedDriver

_CUDA = {
    535: "12.2",
    545: "12.3",
    550: "12.4",
    555: "12.5",
    560: "12.6",
    565: "12.7",
    570: "12.8",
    575: "12.9",
    580: "13.0",
    590: "13.1",
    595: "13.2",
}
"""By the branch of the driver, the newest that it can run."""


def cuda_of(driver_version: str) -> str:
    """Of a branch that is not known, that of the one before it."""
    found = re.match(r"\d+", driver_version)
    branch = int(found.group()) if found else 0
    return _CUDA[max((known for known in _CUDA if known <= branch), default=min(_CUDA))]


class LoadableDriver:
    """`driver` is what NVML is to programs on the node: every call of it raises UNINITIALIZED while nothing is loaded."""

    def __init__(self, hardware: SimulatedDriver) -> None:
        self.hardware = hardware
        self.version: str = ""
        """Of what is loaded; empty: nothing."""
        self.driver = cast(Driver, _Facade(self))

    def load(self, version: str) -> None:
        self.version = version

    def unload(self) -> None:
        """Instances are gone with it, and where the board does not keep it, MIG mode."""
        if self.version:
            self.version = ""
            self.hardware.unload()


class _Facade:
    def __init__(self, loadable: LoadableDriver) -> None:
        self._loadable = loadable

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._loadable.hardware, name)

        def call(*arguments: Any) -> Any:
            self._check()
            return function(*arguments)

        # How long a call takes is known by its name.
        call.__name__ = name
        return call

    def version(self) -> DriverVersion:
        self._check()
        version = self._loadable.version
        return DriverVersion(driver=version, cuda=cuda_of(version))

    def _check(self) -> None:
        if not self._loadable.version:
            raise DriverError(ReturnCode.UNINITIALIZED, "Driver Not Loaded")
