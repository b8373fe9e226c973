"""The files of this machine that go with its devices: device nodes for containers, CDI specs for the runtime. Blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from aliquot.node.advertise import Device
from aliquot.node.cdi import driver_files
from aliquot.node.cdi.spec import DriverFiles, Roots, specs
from aliquot.node.cdi.writer import CdiError, CdiFiles
from aliquot.node.device_files import DeviceFiles
from aliquot.node.plugin_config.settings import Settings


@dataclass(frozen=True, slots=True)
class Prepared:
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Device id -> its device nodes, as the container names them."""
    fault: str = ""
    """Why containers would not find their devices; empty when they would."""


class Host:
    """`driver_here` False: the driver is simulated, and there is nothing of it on this machine.

    `disabled_hooks`: those that CDI specs leave out; `all` of them.
    """

    def __init__(
        self,
        cdi: CdiFiles | None = None,
        *,
        driver_here: bool = True,
        disabled_hooks: frozenset[str] = frozenset(),
    ) -> None:
        self._cdi = cdi or CdiFiles()
        self._driver_here = driver_here
        self._disabled_hooks = disabled_hooks

    def prepare(self, devices: Sequence[Device], driver_version: str, settings: Settings) -> Prepared:
        """Before kubelet hears of the devices."""
        seen = _as_seen(settings)
        files = DeviceFiles(seen).of(devices) if self._driver_here else {}
        if not settings.uses_cdi and not self._cdi.exist():
            return Prepared(files)
        roots = Roots(settings.driver_root, settings.dev_root, settings.nvidia_ctk_path, self._disabled_hooks)
        found = _asked(driver_files.find(driver_version, seen, seen), settings)
        try:
            self._cdi.keep(specs(devices, files, found if self._driver_here else DriverFiles(), roots))
        except CdiError as error:
            return Prepared(files, str(error) if settings.uses_cdi else "")
        return Prepared(files)


def _as_seen(settings: Settings) -> Path:
    """The driver's root as this process sees it: in a container it is mounted."""
    mounted = Path(settings.container_driver_root)
    return mounted if mounted.is_dir() else Path(settings.driver_root)


def _asked(found: DriverFiles, settings: Settings) -> DriverFiles:
    return replace(
        found,
        imex_channel=found.imex_channel if settings.imex_channel else (),
        gdrcopy=found.gdrcopy if settings.gdrcopy else (),
        gds=found.gds if settings.gds else (),
        mofed=found.mofed if settings.mofed else (),
    )
