"""The log as lines of JSON, for whoever checks it (`verify` says what they are), and read again to be exported."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from aliquot import canonical_json
from aliquot.access.log.entries import Entry, Sealed, parse
from aliquot.access.log.storage import LogStore
from aliquot.access.log.verify import FORMAT


def dump(store: LogStore, origin: str, size: int, *, with_personal: bool) -> Iterator[bytes]:
    """The first `size` entries, in lines that are made as they are taken. Without its personal texts it proves just as much."""
    yield _line({"format": FORMAT, "origin": origin})
    checkpoints = store.checkpoints(0, size)
    checkpoint = next(checkpoints, None)
    while checkpoint is not None and checkpoint.size == 0:
        yield _line({"checkpoint": checkpoint.note})
        checkpoint = next(checkpoints, None)
    for entry in store.entries(0, size):
        yield from _lines_of(entry, with_personal)
        if checkpoint is not None and checkpoint.size == entry.seq + 1:
            yield _line({"checkpoint": checkpoint.note})
            checkpoint = next(checkpoints, None)
    yield _line({"end": {"entries": size}})


def _lines_of(entry: Sealed, with_personal: bool) -> Iterator[bytes]:
    yield entry.body + b"\n"
    if with_personal:
        for one in entry.openings:
            opening = {"name": one.name, "salt": one.salt.hex(), "seq": one.seq, "value": one.value}
            yield _line({"opening": opening})


def _line(document: dict[str, object]) -> bytes:
    return canonical_json.dumps(document) + b"\n"


class Recorded(Struct, frozen=True):
    """An entry of a dump, with the personal texts that the dump shows of it."""

    origin: str
    entry: Entry
    personal: dict[str, str]


def shown(entry: Sealed, origin: str, *, with_personal: bool) -> Recorded:
    """As a dump would have it."""
    personal = {one.name: one.value for one in entry.openings} if with_personal else {}
    return Recorded(origin, parse(entry.body), personal)


class NoDump(ValueError):
    """Its text is for people, and names the line."""


class _Header(Struct, frozen=True):
    format: str
    origin: str


class _Opening(Struct, frozen=True):
    name: str
    value: str


class _Other(Struct, frozen=True):
    opening: _Opening | None = None


def recorded(lines: Iterable[bytes]) -> Iterator[Recorded]:
    """What a dump says, unchecked. Raises NoDump."""
    origin, waiting = "", None
    for number, line in enumerate(lines, 1):
        try:
            if number == 1:
                header = msgspec.json.decode(line, type=_Header)
                if header.format != FORMAT:
                    raise ValueError(f"the format is {header.format!r}, {FORMAT} is known")
                origin = header.origin
            elif line.startswith(b'{"action":'):
                if waiting is not None:
                    yield waiting
                waiting = Recorded(origin, parse(line), {})
            else:
                other = msgspec.json.decode(line, type=_Other)
                if other.opening is not None and waiting is not None:
                    waiting.personal[other.opening.name] = other.opening.value
        except ValueError as error:
            raise NoDump(f"line {number}: {error}; 'aliquot access log verify' says more") from error
    if waiting is not None:
        yield waiting
