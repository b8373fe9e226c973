"""How records lie in the file, and what can be read back after a power cut, or after somebody's edit. Pure.

A head of 32 bytes, then frames: length, checksum, link, payload. A frame's link is a MAC over the link before it and its payload, so
one that was altered, moved, left out or put in is seen by whoever has the key. That the last ones were cut off is not: it looks as if
they had never been written. What was being written when the machine stopped has never been acted on; it is cut off. Behind the last
frame there are zeros: room that is there before it is needed.
"""

import hashlib
import hmac
import struct
import zlib
from collections.abc import Iterator

from msgspec import Struct

MAGIC = b"aliquot journal\x01"
SALT_BYTES = 16
HEAD_BYTES = len(MAGIC) + SALT_BYTES
MOST_PAYLOAD_BYTES = (1 << 16) - 1

_FRAME = struct.Struct(">II32s")
_ZERO = b"\0"


class Read(Struct, frozen=True, kw_only=True):
    payloads: tuple[bytes, ...]
    end: int
    """Where the next frame goes. 0: there is not even a head."""
    link: bytes
    """Of the last frame, or of the head."""
    damage: str = ""
    """One line: why what comes behind the payloads cannot be taken for what was written. Empty: all of it was read."""


def head(salt: bytes) -> bytes:
    """`salt` is another one for each file: no frame of one is a frame of another."""
    return MAGIC + salt


def first_link(key: bytes, head: bytes) -> bytes:
    return hmac.digest(key, head, hashlib.sha256)


def next_link(key: bytes, link: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, link + payload, hashlib.sha256)


def frame(link: bytes, payload: bytes) -> bytes:
    """`link`: its own. Raises ValueError."""
    if not 0 < len(payload) <= MOST_PAYLOAD_BYTES:
        raise ValueError(f"a record of {len(payload)} bytes: there are 1 to {MOST_PAYLOAD_BYTES}")
    return _FRAME.pack(len(payload), zlib.crc32(link + payload), link) + payload


def read(data: bytes, key: bytes) -> Read:
    begun = data[:HEAD_BYTES]
    if len(begun) < HEAD_BYTES or not begun.startswith(MAGIC):
        is_part = MAGIC.startswith(begun.rstrip(_ZERO)) or begun.startswith(MAGIC)
        if is_part and not data[HEAD_BYTES:].strip(_ZERO):
            # It was being made.
            return Read(payloads=(), end=0, link=b"")
        return Read(payloads=(), end=0, link=b"", damage="it does not begin as a journal does")
    link, at = first_link(key, begun), HEAD_BYTES
    found: list[bytes] = []
    while (one := _whole(data, at)) is not None:
        written, payload = one
        expected = next_link(key, link, payload)
        if not hmac.compare_digest(written, expected):
            why = f"record {len(found) + 1} does not follow from the one before it: somebody altered it, or the log's key is another"
            return Read(payloads=tuple(found), end=at, link=link, damage=why)
        found.append(payload)
        link, at = expected, at + _FRAME.size + len(payload)
    damage = ""
    if any(_whole(data, later) is not None for later in _possible(data, at + 1)):
        damage = f"record {len(found) + 1} cannot be read, and there are others behind it"
    return Read(payloads=tuple(found), end=at, link=link, damage=damage)


def _whole(data: bytes, at: int) -> tuple[bytes, bytes] | None:
    """(link, payload) of the frame there; None: there is none that was written to its end."""
    if at + _FRAME.size > len(data):
        return None
    length, checksum, link = _FRAME.unpack_from(data, at)
    payload = data[at + _FRAME.size : at + _FRAME.size + length]
    if not 0 < length <= MOST_PAYLOAD_BYTES or len(payload) < length:
        return None
    return (link, payload) if zlib.crc32(link + payload) == checksum else None


def _possible(data: bytes, start: int) -> Iterator[int]:
    """Where a frame may begin: a length has two zeros in front."""
    end = len(data.rstrip(_ZERO))
    while (start := data.find(b"\0\0", start, end)) > -1:
        yield start
        start += 1
