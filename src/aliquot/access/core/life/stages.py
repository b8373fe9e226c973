"""Where a request can be, and the only ways on from there. The store holds the same rows in a trigger."""

from enum import StrEnum

from msgspec import Struct


class Stage(StrEnum):
    PENDING = "pending"
    """Others have still to agree."""
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    """Nobody agreed in time."""
    APPROVED = "approved"
    """Its holder may activate it."""
    SCHEDULED = "scheduled"
    """It begins by itself at its start."""
    ACTIVATING = "activating"
    """It is being made in the cluster; the time runs."""
    ACTIVE = "active"
    ENDING = "ending"
    """Over, and not yet known to be gone from the cluster."""
    ENDED = "ended"


class EndReason(StrEnum):
    EXPIRED = "expired"
    RETURNED = "returned"
    REVOKED = "revoked"
    KILLED = "killed"
    POLICY_CHANGED = "policy_changed"
    """The template or the policy does not give any more what was asked for."""
    ACTIVATION_FAILED = "activation_failed"
    NOT_ELIGIBLE = "not_eligible"
    """Its holder may not have it any more."""
    WINDOW_PASSED = "window_passed"
    """It was not begun, or not agreed to, in time."""
    EXTENDED = "extended"
    """Of an extension: it has made the other grant longer."""


class Way(Struct, frozen=True):
    before: Stage
    after: Stage
    when: str


S = Stage
WAYS = (
    Way(S.PENDING, S.APPROVED, "every slot is filled, and it names no start"),
    Way(S.PENDING, S.SCHEDULED, "every slot is filled, and it names a start"),
    Way(S.PENDING, S.ACTIVATING, "it is an emergency"),
    Way(S.PENDING, S.ENDED, "every slot is filled, and it made another grant longer"),
    Way(S.PENDING, S.DENIED, "somebody who could have agreed says no"),
    Way(S.PENDING, S.WITHDRAWN, "whoever asked takes it back"),
    Way(S.PENDING, S.LAPSED, "nobody agreed in time, or the kill switch is pulled"),
    Way(S.APPROVED, S.ACTIVATING, "its holder activates it within the window, and all still holds"),
    Way(S.APPROVED, S.WITHDRAWN, "whoever asked takes it back"),
    Way(S.APPROVED, S.ENDED, "it is revoked, killed, not given any more, or its window passed"),
    Way(S.SCHEDULED, S.ACTIVATING, "its start has come, and all still holds"),
    Way(S.SCHEDULED, S.WITHDRAWN, "whoever asked takes it back"),
    Way(S.SCHEDULED, S.ENDED, "it is revoked, killed, not given any more, or its window passed"),
    Way(S.ACTIVATING, S.ACTIVE, "the cluster has it"),
    Way(S.ACTIVATING, S.ENDING, "it failed, or is over before it was there"),
    Way(S.ACTIVE, S.ENDING, "it is over, for whatever reason"),
    Way(S.ENDING, S.ENDED, "the cluster has nothing of it any more"),
)
"""All of them."""

LEGAL: frozenset[tuple[Stage, Stage]] = frozenset((way.before, way.after) for way in WAYS)

INITIAL = Stage.PENDING
FINAL = frozenset({S.DENIED, S.WITHDRAWN, S.LAPSED, S.ENDED})
IN_CLUSTER = frozenset({S.ACTIVATING, S.ACTIVE, S.ENDING})
"""There may be something of it in the cluster."""
RUNNING = frozenset({S.ACTIVATING, S.ACTIVE})
