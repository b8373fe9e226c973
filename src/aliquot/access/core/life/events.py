"""What can happen to a request. People are named by issuer and subject alone; what their issuers say of them now is in the
surroundings. Each may come twice, late or in another order."""

from typing import TypeAlias

from msgspec import Struct

from aliquot.access.core.life.life import Outcome
from aliquot.access.core.life.stages import EndReason
from aliquot.access.core.people import Person
from aliquot.access.core.templates.template import StepUpLevel


class _Event(Struct, frozen=True, rename="camel", tag_field="kind", forbid_unknown_fields=True):
    @property
    def name(self) -> str:
        """As the log has it."""
        return type(self).__name__.lower()


class Look(_Event, frozen=True, kw_only=True):
    """Time may have passed, or something around it may have changed."""


class Approve(_Event, frozen=True, kw_only=True):
    by: Person
    digest: str
    """Of the request that they have seen."""
    step_up: StepUpLevel = StepUpLevel.NONE
    """A fresh proof of who they are, for this digest, that has been checked."""


class Deny(_Event, frozen=True, kw_only=True):
    by: Person
    digest: str
    why: str


class Withdraw(_Event, frozen=True, kw_only=True):
    by: Person


class Activate(_Event, frozen=True, kw_only=True):
    by: Person


class Return(_Event, frozen=True, kw_only=True):
    by: Person


class Revoke(_Event, frozen=True, kw_only=True):
    by: Person
    why: str


class EndedInOutage(_Event, frozen=True, kw_only=True):
    """While the database was gone somebody ended it who might then. It has been taken away, so it is not asked again who may."""

    by: Person
    reason: EndReason
    """Revoked or returned."""
    why: str


class Judge(_Event, frozen=True, kw_only=True):
    """A reviewer's finding about a grant that is over."""

    by: Person
    digest: str
    outcome: Outcome
    note: str
    ticket: str = ""
    """Where the request had none and should have."""


class Made(_Event, frozen=True, kw_only=True):
    """The cluster has what was asked for with this fence."""

    fence: int


class MakeFailed(_Event, frozen=True, kw_only=True):
    fence: int
    why: str


class Removed(_Event, frozen=True, kw_only=True):
    """After it was asked for with this fence nothing of the grant was left, and what is asked for with a lower one comes to nothing."""

    fence: int


class RemoveFailed(_Event, frozen=True, kw_only=True):
    fence: int
    why: str


Event: TypeAlias = (
    Look
    | Approve
    | Deny
    | Withdraw
    | Activate
    | Return
    | Revoke
    | EndedInOutage
    | Judge
    | Made
    | MakeFailed
    | Removed
    | RemoveFailed
)
