"""Finds what of the driver a container needs. Blocks; names only what exists."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from aliquot.node.cdi.spec import DriverFiles

_LIBRARY_DIRECTORIES = (
    "usr/lib64",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib",
    "lib64",
    "lib/x86_64-linux-gnu",
    "lib/aarch64-linux-gnu",
)
_LIBRARY_FOLDERS = ("", "vdpau", "nvidia/current")
_BINARY_DIRECTORIES = ("usr/bin", "usr/sbin", "bin", "sbin")
_BINARIES = (
    "nvidia-smi",
    "nvidia-debugdump",
    "nvidia-persistenced",
    "nvidia-cuda-mps-control",
    "nvidia-cuda-mps-server",
)
_SOCKETS = ("run/nvidia-persistenced/socket", "run/nvidia-fabricmanager/socket")
_CONTROL = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")


def find(version: str, root: Path = Path("/"), dev_root: Path = Path("/")) -> DriverFiles:
    """`version`: the driver's, which its libraries bear in their names (`580.82.07`). Roots as this process sees them."""
    return DriverFiles(
        version=version,
        libraries=tuple(_libraries(version, root)) if version else (),
        binaries=tuple(_first_of(_BINARIES, _BINARY_DIRECTORIES, root)),
        firmware=tuple(
            _names(sorted((root / "lib/firmware/nvidia" / version).glob("gsp*.bin")), root) if version else ()
        ),
        sockets=tuple(f"/{name}" for name in _SOCKETS if (root / name).exists()),
        control_nodes=tuple(f"/dev/{name}" for name in _CONTROL if (dev_root / "dev" / name).exists()),
    )


def _libraries(version: str, root: Path) -> Iterator[str]:
    """Each once by name: one directory may be a link to another."""
    seen: set[str] = set()
    for directory in _LIBRARY_DIRECTORIES:
        for folder in _LIBRARY_FOLDERS:
            for path in sorted((root / directory / folder).glob(f"lib*.so.{version}")):
                if path.name not in seen:
                    seen.add(path.name)
                    yield from _names([path], root)


def _first_of(names: Iterable[str], directories: Iterable[str], root: Path) -> Iterator[str]:
    directories = tuple(directories)
    for name in names:
        found = next((root / d / name for d in directories if (root / d / name).exists()), None)
        if found is not None:
            yield from _names([found], root)


def _names(paths: Iterable[Path], root: Path) -> Iterator[str]:
    for path in paths:
        yield f"/{path.relative_to(root)}"
