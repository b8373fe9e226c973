"""What a node remembers over a restart of its kubelet or its runtime: small named documents.

Each write replaces the whole document by a rename, so that a crash leaves the old or the new one; a checksum tells
a damaged one from a good one. Must not know what the documents mean.
"""

import zlib
from pathlib import Path
from typing import Any, Protocol

import msgspec
from msgspec import Raw, Struct

DEVICES = "kubelet_internal_checkpoint"
CONTAINERS = "containers"


class CheckpointError(Exception):
    """A document cannot be read or written; the text is one line and names the file."""


class CheckpointStore(Protocol):
    def load(self, name: str) -> dict[str, Any] | None:
        """None when never saved. Raises CheckpointError when damaged or unreadable."""
        ...

    def save(self, name: str, data: dict[str, Any]) -> None:
        """Raises CheckpointError, and then the old document is still there."""
        ...


class _File(Struct):
    checksum: int
    data: Raw


class CheckpointDirectory:
    """Documents as JSON files in `path`, which is made when first needed.

    Survives a kill of the process; not flushed to the disk itself, so a power cut may cost the last writes (and the
    checksum says so).
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, name: str) -> dict[str, Any] | None:
        path = self._path / f"{name}.json"
        try:
            file = msgspec.json.decode(path.read_bytes(), type=_File)
            if zlib.crc32(file.data) != file.checksum:
                raise CheckpointError(f"{path}: checksum does not match, the file is damaged")
            return msgspec.json.decode(file.data, type=dict[str, Any])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointError(f"{path}: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise CheckpointError(f"{path}: not a checkpoint: {error}") from error

    def save(self, name: str, data: dict[str, Any]) -> None:
        encoded = msgspec.json.encode(data)
        path = self._path / f"{name}.json"
        temporary = self._path / f".{name}.tmp"
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(_File(zlib.crc32(encoded), Raw(encoded))))
            temporary.replace(path)
        except OSError as error:
            raise CheckpointError(f"{path}: {error.strerror}") from error


class MemoryCheckpoints:
    """The same in memory, for simulation: outlives the kubelet object that wrote it, not the process."""

    def __init__(self) -> None:
        self._documents: dict[str, bytes] = {}

    def load(self, name: str) -> dict[str, Any] | None:
        encoded = self._documents.get(name)
        return None if encoded is None else msgspec.json.decode(encoded, type=dict[str, Any])

    def save(self, name: str, data: dict[str, Any]) -> None:
        self._documents[name] = msgspec.json.encode(data)
