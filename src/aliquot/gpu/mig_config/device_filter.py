"""Device filters: which boards an entry is for, by the PCI ids that they report.

`0xDDDDVVVV` is a chip and its vendor; `0xDDDDVVVV:0xSSSSVVVV` is only the board with that subsystem, where several are
built around the chip.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aliquot.gpu.driver import Gpu

_NUMBER = re.compile(r"[0-9][0-9A-Za-z_]*", re.ASCII)
_MAX_ID = 0xFFFFFFFF


class BadDeviceFilter(ValueError):
    """The text is no device filter."""


@dataclass(frozen=True, slots=True)
class DeviceFilter:
    device_id: int | None
    subsystem_id: int | None = None
    """None: any."""
    word: str = ""
    """What is no number. mig-parted takes it, and it matches nothing."""

    @classmethod
    def parse(cls, text: str) -> "DeviceFilter":
        """Raises BadDeviceFilter for what was meant as an id and is none."""
        if text and not text.strip()[:1].isdigit():
            return cls(None, word=text)
        device_id, *more = [_id(text, part) for part in text.split(":")]
        if len(more) > 1:
            raise BadDeviceFilter(f"'{text}' has {len(more) + 1} ids: a device and a subsystem can be given")
        return cls(device_id, more[0] if more else None)

    def matches(self, gpu: Gpu) -> bool:
        """A GPU whose subsystem is unknown is matched by no filter that asks for one."""
        if self.device_id is None or self.device_id != gpu.pci_device_id:
            return False
        return self.subsystem_id is None or self.subsystem_id == gpu.pci_subsystem_id

    def __str__(self) -> str:
        if self.device_id is None:
            return self.word
        subsystem = "" if self.subsystem_id is None else f":0x{self.subsystem_id:08X}"
        return f"0x{self.device_id:08X}{subsystem}"


def any_matches(filters: Sequence[DeviceFilter], gpu: Gpu) -> bool:
    """No filter at all matches every GPU."""
    return not filters or any(one.matches(gpu) for one in filters)


def _id(text: str, part: str) -> int:
    try:
        # Any base that Go reads, which is what Python reads.
        number = int(part, 0) if _NUMBER.fullmatch(part) else -1
    except ValueError:
        number = -1
    if not 0 <= number <= _MAX_ID:
        raise BadDeviceFilter(
            f"'{text}' is no device filter: give device and vendor as NVML reports them, like 0x233010DE, and a "
            "subsystem like 0x233010DE:0x16C110DE"
        )
    if number <= 0xFFFF:
        raise BadDeviceFilter(f"'{part}' names no vendor: NVIDIA's is 10DE, so 0x{number:04X}10DE")
    return number
