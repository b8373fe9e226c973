"""Keeps the CDI files of this node as they should be. Blocks.

A file is exchanged as a whole, so that a runtime reads the old one or the new one. It is written before kubelet hears of
a device: a device that no file describes would fail the container that gets it.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from aliquot.node.cdi.spec import GPU, VENDOR, Spec, file_name

DIRECTORY = Path("/var/run/cdi")


class CdiError(Exception):
    """One line: which file could not be written, and why."""


class CdiFiles:
    def __init__(self, directory: Path = DIRECTORY) -> None:
        self.directory = directory

    def exist(self) -> bool:
        """Also where CDI is not used any more: a container that was told of a device by it may start again."""
        return (self.directory / file_name(GPU)).exists()

    def keep(self, specs: Mapping[str, Spec]) -> None:
        """Write what is not so yet, and remove files of kinds that are there no more. Raises CdiError."""
        wanted = {file_name(kind): _encoded(spec) for kind, spec in specs.items()}
        path = self.directory
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            for name, content in wanted.items():
                path = self.directory / name
                if _read(path) != content:
                    _replace(path, content)
            for path in sorted(self.directory.glob(f"{VENDOR}-*.json")):
                if path.name not in wanted:
                    path.unlink()
        except OSError as error:
            raise CdiError(f"{path}: {error.strerror or error}") from error


def _encoded(spec: Spec) -> bytes:
    return msgspec.json.format(msgspec.json.encode(spec), indent=2) + b"\n"


def _read(path: Path) -> bytes | None:
    """Looked at each time: somebody else may have written or removed it."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _replace(path: Path, content: bytes) -> None:
    # Runtimes read `*.json` alone, so a file left half-written is never seen.
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
