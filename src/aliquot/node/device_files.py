"""The device nodes that a container needs for a device. Names only files that exist."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from aliquot.node.advertise import Device

_CONTROL = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
_MIG_MINOR = re.compile(r"gpu(\d+)/gi(\d+)(?:/ci(\d+))?/access (\d+)")


class DeviceFiles:
    """Looks under `root` (the host's `/`, as this process sees it), and asks the kernel in `proc`. Blocks, briefly."""

    def __init__(self, root: Path = Path("/"), proc: Path = Path("/proc")) -> None:
        self._dev = root / "dev"
        self._mig_minors = proc / "driver/nvidia-caps/mig-minors"

    def of(self, devices: Sequence[Device]) -> Mapping[str, tuple[str, ...]]:
        """Device id -> paths as the host and the container name them, e.g. `/dev/nvidia0`."""
        minors = self._capability_minors()
        return {device.id: self._existing(device, minors) for device in devices}

    def _existing(self, device: Device, minors: Mapping[tuple[int, int, int | None], int]) -> tuple[str, ...]:
        wanted = [*_CONTROL, f"nvidia{device.gpu_minor}"]
        if device.slice is not None:
            gi, ci = device.slice.gi_id, device.slice.ci_id
            found = (minors.get((device.gpu_minor, gi, part)) for part in (None, ci))
            wanted += [f"nvidia-caps/nvidia-cap{minor}" for minor in found if minor is not None]
        return tuple(f"/dev/{name}" for name in wanted if (self._dev / name).exists())

    def _capability_minors(self) -> Mapping[tuple[int, int, int | None], int]:
        """(GPU minor, GI id, CI id or None) -> minor of the capability device."""
        try:
            table = self._mig_minors.read_text()
        except OSError:
            return {}
        return {
            (int(gpu), int(gi), None if ci is None else int(ci)): int(minor)
            for gpu, gi, ci, minor in (match.groups() for match in _MIG_MINOR.finditer(table))
        }
