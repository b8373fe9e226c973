"""Where a terminal keeps what it was given: files for their owner alone, replaced as a whole."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from aliquot.access.identity.login.answers import SignedIn


class Unsafe(Exception):
    """One line: the file, and what to do."""


def read(path: Path) -> dict[str, SignedIn]:
    """By issuer. Raises Unsafe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unsafe(f"{path} cannot be read: {error.strerror or error}") from None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        if about.st_uid != os.getuid() or about.st_mode & 0o077:
            raise Unsafe(f"{path} is not yours alone: remove it, and sign in again")
        try:
            return msgspec.json.decode(file.read(), type=dict[str, SignedIn])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unsafe(f"{path} is not what was written there: remove it, and sign in again") from None


def write(path: Path, kept: Mapping[str, SignedIn]) -> None:
    """Raises Unsafe."""
    put(path, msgspec.json.encode(kept))


def put(path: Path, content: bytes) -> None:
    """Raises Unsafe."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            new.replace(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Unsafe(f"{path} cannot be written: {error.strerror or error}") from None
