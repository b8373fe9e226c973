"""A watch's bytes, made into events. Pure: no network, no time.

The stream is JSON objects, one a line, cut into chunks anywhere. An ERROR event inside a 200 becomes the exception
it stands for. A line cut off by the end of the stream is no event: whoever resumes will be sent it again.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from aliquot.kube import errors
from aliquot.kube.decoding import Unreadable, identify, unreadable

T = TypeVar("T")

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


class WatchEvent(Struct, Generic[T], frozen=True):
    """An object as it is now, or (DELETED) as it last was. Decoded from the stream as it stands, in one pass."""

    type: EventType
    object: T

    @property
    def resource_version(self) -> str:
        return version_of(self.object)


class Bookmark(Struct, frozen=True, gc=False):
    """Everything up to `resource_version` has been sent; a watch may be resumed from there."""

    resource_version: str
    initial_events_end: bool = False
    type: EventType = EventType.BOOKMARK


class _Line(Struct, gc=False):
    type: str
    object: msgspec.Raw


def _new_decoder(into: Any) -> msgspec.json.Decoder[Any]:
    event: Any = WatchEvent
    return msgspec.json.Decoder(event[into])


_event_decoder: Callable[[Any], msgspec.json.Decoder[Any]] = lru_cache(maxsize=256)(_new_decoder)
_line_decoder = msgspec.json.Decoder(_Line)
_status_decoder = msgspec.json.Decoder(errors.Status)


class LineSplitter:
    """Whole lines out of chunks. What follows the last newline waits for the next chunk, however many it takes."""

    def __init__(self) -> None:
        self._partial: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if not lines:
            self._partial.append(rest)
            return lines
        if self._partial:
            lines[0] = b"".join([*self._partial, lines[0]])
        self._partial = [rest] if rest else []
        return lines


def events(lines: list[bytes], into: type[T]) -> Iterator[WatchEvent[T] | Bookmark | Unreadable]:
    """Raises the ApiError of an ERROR event (Gone when it is a 410), Unavailable for a line that is no event."""
    decode: Callable[[bytes], WatchEvent[T]] = _event_decoder(into).decode
    for line in lines:
        try:
            event = decode(line)
        except msgspec.DecodeError:
            if line and not line.isspace():
                yield _no_change(line, into)
            continue
        yield event if event.type is not EventType.BOOKMARK else _no_change(line, into)


def _no_change(text: bytes, into: type[T]) -> Bookmark | Unreadable:
    """What a line means that is not a readable object and its change."""
    try:
        line = _line_decoder.decode(text)
        match line.type:
            case "BOOKMARK":
                metadata = identify(line.object)
                ended = (metadata.annotations or {}).get(INITIAL_EVENTS_END) == "true"
                return Bookmark(metadata.resource_version, ended)
            case "ERROR":
                error = errors.from_status(_status_decoder.decode(line.object))
            case "ADDED" | "MODIFIED" | "DELETED":
                return unreadable(line.object, into)
            case _:
                error = errors.Unavailable(f"watch sent an event of unknown type {line.type!r}", code=0)
    except msgspec.DecodeError as failure:
        raise errors.Unavailable(f"watch sent what is no event: {failure}", code=0) from failure
    raise error


def version_of(obj: Any) -> str:
    """metadata.resourceVersion of a dict or a Struct; empty when absent."""
    if isinstance(obj, dict):
        version: str = obj["metadata"].get("resourceVersion", "")
        return version
    return str(obj.metadata.resource_version)
