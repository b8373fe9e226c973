"""When to look at a life again, and who has to be known for it: what a store selects by, and a broker finds out first."""

from aliquot.access.core.life.life import Life, review_is_open
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.people import Person
from aliquot.access.core.times import MARGIN_S, TOKEN_FLOOR_S


def due_s(life: Life) -> float | None:
    """From when on time alone may make another of it: whoever looks at all that is due misses nothing, however late. None: never. What
    changes around it may do so at any time; to an extension that is also its grant's end."""
    match life.stage:
        case Stage.PENDING:
            return life.request.asked_at_s if life.request.emergency else life.lapses_s
        case Stage.APPROVED:
            return life.window_end_s
        case Stage.SCHEDULED:
            return _first(life.request.start_s, life.window_end_s, _last_credential_s(life))
        case Stage.ACTIVATING | Stage.ACTIVE:
            return life.seen_s if life.end_s is None else life.end_s
        case _ if life.review is not None and review_is_open(life) and not life.review.is_overdue:
            return life.review.due_s
        case _:
            return None


def people(life: Life, by: Person | None = None) -> frozenset[Person]:
    """Whose identities a step needs: as their issuers know them now. `by`: who acts."""
    found = {life.holder, *(one.person for one in life.approvals)}
    if life.review is not None:
        found.update(one.person for one in life.review.findings)
    return frozenset(found if by is None else found | {by})


def _last_credential_s(life: Life) -> float | None:
    return None if life.end_s is None else life.end_s - MARGIN_S - TOKEN_FLOOR_S


def _first(*moments_s: float | None) -> float | None:
    return min((one for one in moments_s if one is not None), default=None)
