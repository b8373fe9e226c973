"""What is known of one request: a row of the store. `step` alone makes another of it."""

from enum import StrEnum

from msgspec import Struct

from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.core.people import Group, Person
from aliquot.access.core.requests import Request
from aliquot.access.core.templates.template import StepUpLevel


class _Part(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    pass


class Approval(_Part, frozen=True, kw_only=True):
    """A record of its own, for one digest: nothing that a requester may write becomes one."""

    person: Person
    digest: str
    at_s: float
    step_up: StepUpLevel = StepUpLevel.NONE
    groups: tuple[Group, ...] = ()
    """Of those that were asked, in which they were then."""


class Outcome(StrEnum):
    JUSTIFIED = "justified"
    UNJUSTIFIED = "unjustified"
    INCONCLUSIVE = "inconclusive"
    """Reviewers differ, or cannot tell."""


class Finding(_Part, frozen=True, kw_only=True):
    """What one reviewer says, once."""

    person: Person
    outcome: Outcome
    note: str
    at_s: float


class Review(_Part, frozen=True, kw_only=True):
    within_s: int
    """Of the grant's end."""
    due_s: float
    is_overdue: bool = False
    findings: tuple[Finding, ...] = ()
    outcome: Outcome | None = None
    """None: it is still due. One that is there never changes."""
    needs_ticket: bool = False
    """There was none that stood when there should have been."""
    ticket: str = ""
    """The one that there is now."""

    @property
    def state(self) -> str:
        if self.outcome is not None:
            return self.outcome.value
        return "overdue" if self.is_overdue else "due"


class Life(_Part, frozen=True, kw_only=True):
    request: Request
    digest: str
    stage: Stage
    version: int = 1
    """One more with each change: who writes names the one that they have read."""
    seen_s: float
    """The latest moment that a change of it was made at. To it no time is earlier any more."""
    lapses_s: float
    """Not agreed to until then, it lapses."""
    approvals: tuple[Approval, ...] = ()
    approved_at_s: float | None = None
    window_end_s: float | None = None
    """Not begun until then, it ends."""
    began_at_s: float | None = None
    """When making it was begun."""
    end_s: float | None = None
    """None: it is over, or has not begun. Nobody is let in by it from then on, whatever its stage."""
    max_end_s: float | None = None
    """No extension goes beyond."""
    fence: int = 0
    """The version at which the cluster's part was last asked for. What is told of an earlier one is out of date."""
    made: int = 0
    """The latest fence that the cluster is known to have made."""
    failures: int = 0
    """Of making or removing, one after the other."""
    extensions: tuple[str, ...] = ()
    """Requests that have made it longer."""
    over_at_s: float | None = None
    """When it was denied, withdrawn, lapsed or began to end."""
    gone_at_s: float | None = None
    """When nothing of it was left in the cluster."""
    end_reason: EndReason | None = None
    ended_by: Person | None = None
    """None: nobody, it is time or a rule."""
    why: str = ""
    """As whoever ended it put it."""
    review: Review | None = None

    @property
    def id(self) -> str:
        return self.request.id

    @property
    def holder(self) -> Person:
        return self.request.requester


def entitled(life: Life, now_s: float) -> bool:
    """Whether its holder may be let in by it. An end that is not known has passed."""
    return life.stage is Stage.ACTIVE and life.end_s is not None and max(now_s, life.seen_s) < life.end_s


def review_is_open(life: Life) -> bool:
    return life.review is not None and life.review.outcome is None
