"""Trees as the kernel makes them below /sys, one folder for each device."""

from pathlib import Path

H100 = ("0x10de", "0x2330", "0x030200")
L4_WITH_A_MONITOR = ("0x10de", "0x27b8", "0x030000")
NV_SWITCH = ("0x10de", "0x22a3", "0x068000")
NV_AUDIO = ("0x10de", "0x228b", "0x040300")
AMD_GPU = ("0x1002", "0x740f", "0x030200")


def bus(root: Path, *devices: tuple[str, str, str]) -> Path:
    """`root` as /sys, with (vendor, device, class) at each address from 01 on."""
    folder = root / "bus/pci/devices"
    folder.mkdir(parents=True, exist_ok=True)
    for number, values in enumerate(devices, 1):
        one = folder / f"0000:{number:02x}:00.0"
        one.mkdir()
        for name, value in zip(("vendor", "device", "class"), values, strict=True):
            (one / name).write_text(f"{value}\n")
    return root
