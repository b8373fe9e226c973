"""One step of a life: who may, whether that has happened already, what time has done meanwhile, and then the stage's own function."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from msgspec.structs import replace

from aliquot.access.core.life import before, during
from aliquot.access.core.life.events import (
    Activate,
    Approve,
    Deny,
    EndedInOutage,
    Event,
    Judge,
    Look,
    Return,
    Revoke,
    Withdraw,
)
from aliquot.access.core.life.here import Here, Step
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.rights import may
from aliquot.access.core.life.stages import FINAL, Stage
from aliquot.access.core.life.surroundings import Surroundings
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.spelling import to_ms
from aliquot.access.core.terms import bad_text

StageStep: TypeAlias = Callable[[Here, Event], Step | Refused]

STAGES: Mapping[Stage, StageStep] = {
    Stage.PENDING: before.pending,
    Stage.APPROVED: before.approved,
    Stage.SCHEDULED: before.scheduled,
    Stage.ACTIVATING: during.activating,
    Stage.ACTIVE: during.active,
    Stage.ENDING: during.ending,
    Stage.ENDED: during.ended,
    Stage.DENIED: during.never_was,
    Stage.WITHDRAWN: during.never_was,
    Stage.LAPSED: during.never_was,
}


def step(life: Life, event: Event, now_s: float, around: Surroundings) -> Step | Refused:
    """The same life, without facts, where the event changes nothing: it has happened already, or is out of date."""
    here = Here(life, to_ms(max(now_s, life.seen_s)), around)
    if no := may(here, event) or _wrong(here, event):
        return no
    if _has_happened(here, event):
        return here.same()
    moved = _look(here)
    if isinstance(event, Look):
        return moved
    if moved.facts:
        return replace(moved, again=True)
    return STAGES[life.stage](here, event)


def _look(here: Here) -> Step:
    moved = STAGES[here.life.stage](here, Look())
    return here.same() if isinstance(moved, Refused) else moved


def _wrong(here: Here, event: Event) -> Refused | None:
    """With what it says, whatever the stage."""
    match event:
        case Approve() | Deny() | Judge() if event.digest != here.life.digest:
            return Refused(
                f"it names another request than this one, which is {here.life.digest}: look at it again",
                Ground.CONFLICT,
            )
        case Deny() | Revoke() if why := bad_text("the reason", event.why):
            return Refused(why, Ground.INVALID)
        case Judge() if why := bad_text("the note", event.note):
            return Refused(why, Ground.INVALID)
        case _:
            return None


def _has_happened(here: Here, event: Event) -> bool:
    life = here.life
    match event:
        case Approve():
            return any(one.person == event.by for one in life.approvals)
        case Deny():
            return life.stage is Stage.DENIED
        case Withdraw():
            return life.stage is Stage.WITHDRAWN
        case Activate():
            return life.began_at_s is not None
        case Return():
            return life.began_at_s is not None and life.stage in (Stage.ENDING, Stage.ENDED)
        case Revoke() | EndedInOutage():
            return life.stage in FINAL or life.stage is Stage.ENDING
        case Judge():
            return life.review is not None and any(
                one.person == event.by and one.outcome is event.outcome for one in life.review.findings
            )
        case _:
            return False
