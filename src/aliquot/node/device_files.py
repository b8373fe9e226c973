"""The device nodes that a container needs for a device. Names only files that exist."""

import re
from pathlib import Path

from aliquot.node.advertise import Device

_CONTROL = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
_MIG_MINOR = re.compile(r"gpu(\d+)/gi(\d+)(?:/ci(\d+))?/access (\d+)")


class DeviceFiles:
    """Looks under `root` (the host's `/`, as this process sees it). Blocks, briefly."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._dev = root / "dev"
        self._mig_minors = root / "proc/driver/nvidia-caps/mig-minors"

    def of(self, device: Device) -> tuple[str, ...]:
        """Paths as the host and the container name them, e.g. `/dev/nvidia0`."""
        wanted = [*_CONTROL, f"nvidia{device.gpu_minor}", *self._capabilities(device)]
        return tuple(f"/dev/{name}" for name in wanted if (self._dev / name).exists())

    def _capabilities(self, device: Device) -> tuple[str, ...]:
        if device.slice is None:
            return ()
        try:
            table = self._mig_minors.read_text()
        except OSError:
            return ()
        gi, ci = device.slice.gi_id, device.slice.ci_id
        wanted = {(device.gpu_minor, gi, None), (device.gpu_minor, gi, ci)}
        found = (
            (int(gpu), int(of_gi), None if of_ci is None else int(of_ci), int(minor))
            for gpu, of_gi, of_ci, minor in (match.groups() for match in _MIG_MINOR.finditer(table))
        )
        return tuple(f"nvidia-caps/nvidia-cap{minor}" for *of, minor in found if tuple(of) in wanted)
