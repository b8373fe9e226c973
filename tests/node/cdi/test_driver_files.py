from pathlib import Path

from aliquot.node.cdi.driver_files import find
from aliquot.node.cdi.spec import DriverFiles


def laid_out(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_what_the_driver_has_is_found_and_nothing_else(tmp_path: Path) -> None:
    root = laid_out(
        tmp_path,
        "usr/lib/x86_64-linux-gnu/libcuda.so.580.1",
        "usr/lib/x86_64-linux-gnu/libcuda.so.550.9",
        "usr/lib/x86_64-linux-gnu/libc.so.6",
        "usr/lib/x86_64-linux-gnu/vdpau/libvdpau_nvidia.so.580.1",
        "lib/x86_64-linux-gnu/libcuda.so.580.1",
        "usr/bin/nvidia-smi",
        "usr/bin/bash",
        "lib/firmware/nvidia/580.1/gsp_tu10x.bin",
        "run/nvidia-persistenced/socket",
        "dev/nvidiactl",
        "dev/nvidia-uvm",
    )
    assert find("580.1", root, root) == DriverFiles(
        version="580.1",
        libraries=(
            "/usr/lib/x86_64-linux-gnu/libcuda.so.580.1",
            "/usr/lib/x86_64-linux-gnu/vdpau/libvdpau_nvidia.so.580.1",
        ),
        binaries=("/usr/bin/nvidia-smi",),
        firmware=("/lib/firmware/nvidia/580.1/gsp_tu10x.bin",),
        sockets=("/run/nvidia-persistenced/socket",),
        control_nodes=("/dev/nvidiactl", "/dev/nvidia-uvm"),
    )


def test_without_a_version_no_library_is_taken_for_the_driver_s(tmp_path: Path) -> None:
    laid_out(tmp_path, "usr/lib64/libcuda.so.580.1")
    assert find("", tmp_path, tmp_path) == DriverFiles()
