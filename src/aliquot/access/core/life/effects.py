"""What a step has done outside the store, as data. Whoever does them may do them twice, and those of one grant in any order: the
higher fence wins, and nothing is made after a removal with a higher one."""

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from aliquot.access.core.life.grant import GrantSpec
from aliquot.access.core.notices import Notice


class _Effect(Struct, frozen=True, rename="camel", tag_field="kind", forbid_unknown_fields=True):
    pass


class MakeGrant(_Effect, frozen=True, kw_only=True):
    """Make it, or move its end. To be answered with Made or MakeFailed."""

    spec: GrantSpec
    fence: int


class RemoveGrant(_Effect, frozen=True, kw_only=True):
    """To be answered with Removed once nothing of it is left, or with RemoveFailed; tried for as long as that takes."""

    id: str
    cluster: str
    namespace: str
    fence: int
    failures: int = 0
    """Before this one: how long to wait goes by it."""


class News(StrEnum):
    """What people are told."""

    ASKED = "asked"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    BEGUN = "begun"
    ACTIVE = "active"
    EXTENDED = "extended"
    ENDING = "ending"
    ENDED = "ended"
    EMERGENCY = "emergency"
    NOT_MADE = "not_made"
    """The cluster could not make it."""
    NOT_REMOVED = "not_removed"
    """The cluster could not remove it: an alarm."""
    REVIEW_OVERDUE = "review_overdue"
    REVIEWED = "reviewed"
    CHECKPOINT = "checkpoint"
    """Of no request: the log's head, signed, to be kept elsewhere."""
    FINDING = "finding"
    """Of no request: a Notice."""


class Audience(StrEnum):
    HOLDER = "holder"
    APPROVERS = "approvers"
    REVIEWERS = "reviewers"
    SECURITY = "security"


class Notify(_Effect, frozen=True, kw_only=True):
    news: News
    id: str
    to: tuple[Audience, ...]


class CommentTicket(_Effect, frozen=True, kw_only=True):
    ticket: str
    text: str


class OpenReview(_Effect, frozen=True, kw_only=True):
    id: str
    due_s: float


class TellNotice(_Effect, frozen=True, kw_only=True):
    """To security."""

    notice: Notice
    at_s: float
    """When it became news: the same notice may later be news again."""


class TellCheckpoint(_Effect, frozen=True, kw_only=True):
    """To security, so that there is one that whoever runs the server cannot change."""

    log: str
    size: int
    note: str
    at_s: float


Effect: TypeAlias = (
    MakeGrant | RemoveGrant | Notify | CommentTicket | OpenReview | TellNotice | TellCheckpoint
)


class Undelivered(Exception):
    """One line: whom a telling or a comment did not reach, and why. It is tried again."""
