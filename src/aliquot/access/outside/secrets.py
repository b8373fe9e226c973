"""Secrets lie in files, as Kubernetes mounts them, and are read each time: one that is exchanged holds from then on."""

from pathlib import Path

from aliquot.access.core.standard_webhooks import key_of

_MOST_BYTES = 1 << 16
_LEAST_BYTES = 16


class NoSecret(Exception):
    """One line: which file, and what is wrong with it. Never what is in it."""


def read_secret(path: str) -> str:
    """Its one line. Raises NoSecret."""
    lines = read_secrets(path)
    if len(lines) > 1:
        raise NoSecret(f"{path}: one line is expected, not {len(lines)}")
    return lines[0]


def read_secrets(path: str) -> list[str]:
    """One on each line: while one takes the place of another there are two. Raises NoSecret."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        raise NoSecret(f"{path}: cannot be read: {error.strerror or type(error).__name__}") from None
    except ValueError:
        raise NoSecret(f"{path}: not UTF-8 text") from None
    if len(raw) > _MOST_BYTES:
        raise NoSecret(f"{path}: too long for a secret")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise NoSecret(f"{path}: empty")
    if not all(line.isprintable() for line in lines):
        raise NoSecret(f"{path}: has control characters")
    return lines


def read_signing_keys(path: str) -> list[bytes]:
    """`whsec_` and base64, one on each line. Raises NoSecret."""
    keys = []
    for number, line in enumerate(read_secrets(path), 1):
        try:
            keys.append(key_of(line))
        except ValueError as error:
            raise NoSecret(f"{path}: secret {number}: {error}") from None
    return keys


def read_plain_keys(path: str) -> list[bytes]:
    """As they stand, one on each line. Raises NoSecret."""
    keys = [line.encode() for line in read_secrets(path)]
    if any(len(key) < _LEAST_BYTES for key in keys):
        raise NoSecret(f"{path}: a secret that short can be guessed: {_LEAST_BYTES} characters at least")
    return keys
