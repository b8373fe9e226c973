"""A watch's bytes, made into events. Pure: no network, no time.

The stream is JSON objects, one a line, cut into chunks anywhere. An ERROR event inside a 200 becomes the exception
it stands for. A line cut off by the end of the stream is no event: whoever resumes will be sent it again.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from aliquot.kube import errors
from aliquot.kube.decoding import Unreadable, decode_or_name, identify

T = TypeVar("T")

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


class WatchEvent(Struct, Generic[T], frozen=True):
    type: EventType
    object: T
    resource_version: str


class Bookmark(Struct, frozen=True, gc=False):
    """Everything up to `resource_version` has been sent; a watch may be resumed from there."""

    resource_version: str
    initial_events_end: bool = False
    type: EventType = EventType.BOOKMARK


class _Line(Struct, gc=False):
    type: str
    object: msgspec.Raw


_line_decoder = msgspec.json.Decoder(_Line)
_status_decoder = msgspec.json.Decoder(errors.Status)
_CHANGES = {"ADDED": EventType.ADDED, "MODIFIED": EventType.MODIFIED, "DELETED": EventType.DELETED}


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
    for text in lines:
        if not text or text.isspace():
            continue
        try:
            line = _line_decoder.decode(text)
            change = _CHANGES.get(line.type)
            if change is not None:
                item = decode_or_name(line.object, into)
                if isinstance(item, Unreadable):
                    yield item
                else:
                    yield WatchEvent(change, item, version_of(item))
                continue
            if line.type == "BOOKMARK":
                metadata = identify(line.object)
                ended = (metadata.annotations or {}).get(INITIAL_EVENTS_END) == "true"
                yield Bookmark(metadata.resource_version, ended)
                continue
            status = _status_decoder.decode(line.object) if line.type == "ERROR" else None
        except msgspec.DecodeError as error:
            raise errors.Unavailable(f"watch sent what is no event: {error}", code=0) from error
        if status is None:
            raise errors.Unavailable(f"watch sent an event of unknown type {line.type!r}", code=0)
        raise errors.from_status(status)


def version_of(obj: Any) -> str:
    """metadata.resourceVersion of a dict or a Struct; empty when absent."""
    if isinstance(obj, dict):
        version: str = obj["metadata"].get("resourceVersion", "")
        return version
    return str(obj.metadata.resource_version)
