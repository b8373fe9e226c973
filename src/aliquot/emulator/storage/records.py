"""What a store holds and tells: an object at a revision, and one change."""

from enum import Enum
from typing import Any

import msgspec

Json = dict[str, Any]


class Record(msgspec.Struct, frozen=True, gc=False, eq=False):
    """One object at one revision. `body` is its JSON, resourceVersion included."""

    resource: str
    namespace: str
    name: str
    id: int
    """The revision that created the object: the same for all of its life, never reused."""
    revision: int
    body: bytes

    def decode(self) -> Json:
        """A new dict, the caller's to change."""
        decoded: Json = msgspec.json.decode(self.body)
        return decoded


class EventType(Enum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


class Event(msgspec.Struct, frozen=True, gc=False, eq=False):
    """One change. `previous` is what was there before; a deletion's `record` is the last state at a revision of
    its own."""

    type: EventType
    record: Record
    previous: Record | None

    @property
    def revision(self) -> int:
        return self.record.revision

    @property
    def cost(self) -> int:
        """Bytes that are kept for this event alone."""
        superseded = len(self.previous.body) if self.previous is not None else 0
        return superseded + (len(self.record.body) if self.type is EventType.DELETED else 0)
