"""What is not done, and why: one line for whoever asked, and what kind of no it is for the API's status and the log."""

from enum import StrEnum

from msgspec import Struct


class Ground(StrEnum):
    INVALID = "invalid"
    """Written so that nobody could be given it."""
    FORBIDDEN = "forbidden"
    """Not for this person."""
    CONFLICT = "conflict"
    """Not as things stand: too late, too early, or about something else than is there."""
    LIMITED = "limited"
    """Too much at once or too soon."""
    STOPPED = "stopped"
    """The kill switch is pulled."""
    UNKNOWN = "unknown"
    """Something that has to be known could not be found out."""


class Refused(Struct, frozen=True):
    reason: str
    ground: Ground
