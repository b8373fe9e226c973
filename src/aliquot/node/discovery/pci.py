"""The devices on the PCI bus, as the kernel lists them below /sys; no driver is needed for that."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

NVIDIA = 0x10DE
_GPU_CLASSES = frozenset({0x0300, 0x0302})
"""Of a display: a VGA controller, and a 3D controller, which has no monitor."""


class BusUnreadable(Exception):
    """One line, with the path."""


@dataclass(frozen=True, slots=True)
class PciDevice:
    address: str
    """`0000:17:00.0`"""
    vendor: int
    device: int
    device_class: int
    """Class and subclass: four hex digits, as in `0302`."""


def read_bus(sys_root: Path) -> tuple[PciDevice, ...]:
    """By address. What goes away while it is read is not there. Raises BusUnreadable."""
    folder = sys_root / "bus/pci/devices"
    try:
        addresses = sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:
        if sys_root.is_dir():
            return ()  # a machine without such a bus, as some virtual ones
        raise BusUnreadable(
            f"{sys_root}: there is no such directory; give the host's /sys by --sys-root"
        ) from None
    except OSError as error:
        raise BusUnreadable(f"{folder}: {error.strerror}") from error
    return tuple(found for address in addresses if (found := _device(folder / address)) is not None)


def gpus(devices: Iterable[PciDevice]) -> tuple[PciDevice, ...]:
    """NVIDIA's: not its NVSwitches, audio functions and network cards."""
    return tuple(one for one in devices if one.vendor == NVIDIA and one.device_class in _GPU_CLASSES)


def _device(folder: Path) -> PciDevice | None:
    try:
        vendor, device, whole_class = (
            int((folder / name).read_text(), 16) for name in ("vendor", "device", "class")
        )
    except (OSError, ValueError):
        return None
    return PciDevice(folder.name, vendor, device, whole_class >> 8)
