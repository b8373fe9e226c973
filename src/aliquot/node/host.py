"""The files of this machine that go with its devices: device nodes for containers, CDI specs for the runtime. Blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aliquot.node.advertise import Device
from aliquot.node.cdi import driver_files
from aliquot.node.cdi.spec import DriverFiles, Roots, specs
from aliquot.node.cdi.writer import CdiError, CdiFiles
from aliquot.node.companions import CompanionFiles, find, fit
from aliquot.node.device_files import DeviceFiles
from aliquot.node.plugin_config.settings import Companion, Settings
from aliquot.node.status import Note


@dataclass(frozen=True, slots=True)
class Prepared:
    settings: Settings
    """As far as this machine can follow them: what containers are told goes by these."""
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Device id -> the device nodes that come with it, as the container names them."""
    faults: tuple[Note, ...] = ()
    """Why containers would not find what they need; none when they would."""
    notes: tuple[str, ...] = ()
    """What was asked for and is not here."""


class Host:
    """`driver_here` False: the driver is simulated. There is nothing of it on this machine, and nothing is missing.

    `disabled_hooks`: those that CDI specs leave out; `all` of them.
    """

    def __init__(
        self,
        cdi: CdiFiles | None = None,
        *,
        driver_here: bool = True,
        disabled_hooks: frozenset[str] = frozenset(),
        root: Path = Path("/"),
    ) -> None:
        self._cdi = cdi or CdiFiles()
        self._driver_here = driver_here
        self._disabled_hooks = disabled_hooks
        self._root = root

    def companions(self, settings: Settings) -> Mapping[Companion, CompanionFiles] | None:
        """Those that are here; None: whatever is asked for."""
        if not self._driver_here:
            return None
        seen = self._as_seen(settings)
        return find(seen, self._dev_as_seen(seen))

    def prepare(self, devices: Sequence[Device], driver_version: str, settings: Settings) -> Prepared:
        """Before kubelet hears of the devices."""
        fitted = fit(settings, self.companions(settings))
        faults = [Note("NoIMEXChannel", fitted.fault)] if fitted.fault else []
        seen = self._as_seen(settings)
        dev_seen = self._dev_as_seen(seen)
        files = DeviceFiles(dev_seen).of(devices) if self._driver_here else {}
        if settings.uses_cdi or self._cdi.exist():
            roots = Roots(
                settings.driver_root, settings.dev_root, settings.nvidia_ctk_path, self._disabled_hooks
            )
            found = driver_files.find(driver_version, seen, dev_seen) if self._driver_here else DriverFiles()
            try:
                self._cdi.keep(specs(devices, files, found, roots, fitted.companions))
            except CdiError as error:
                if settings.uses_cdi:
                    faults.append(Note("CDINotWritten", str(error)))
        if channel := fitted.companions.get(Companion.IMEX_CHANNEL):
            files = {device_id: (*nodes, *channel.nodes) for device_id, nodes in files.items()}
        return Prepared(fitted.settings, files, tuple(faults), fitted.notes)

    def _as_seen(self, settings: Settings) -> Path:
        """The driver's root as this process sees it: in a container it is mounted."""
        mounted = self._below(settings.container_driver_root)
        return mounted if mounted.is_dir() else self._below(settings.driver_root)

    def _dev_as_seen(self, seen: Path) -> Path:
        """A driver's root without device nodes of its own has them where everybody has them."""
        return seen if (seen / "dev").is_dir() else self._root

    def _below(self, path: str) -> Path:
        return self._root / path.lstrip("/")
