"""How much else is given, of all lives that there are: what a store counts in SQL."""

from collections.abc import Iterable

from aliquot.access.core.life.life import Life, review_is_open
from aliquot.access.core.life.stages import FINAL, IN_CLUSTER
from aliquot.access.core.limits import Usage
from aliquot.access.core.people import Person


def usage_of(lives: Iterable[Life], *, but: str, template: str, person: Person, extends: str = "") -> Usage:
    """`but`: the request that it is counted for."""
    others = [life for life in lives if life.id != but]
    alike = [life for life in others if life.request.template == template and not life.request.extends]
    is_open = [life for life in alike if life.stage not in FINAL]
    granted = [life for life in alike if life.stage in IN_CLUSTER]
    theirs = [life for life in others if life.holder == person]
    ends = [
        life.over_at_s
        for life in alike
        if life.holder == person and life.began_at_s is not None and life.over_at_s is not None
    ]
    due = [life.review.due_s for life in theirs if life.review is not None and review_is_open(life)]
    return Usage(
        open_of_person=sum(life.holder == person for life in is_open),
        open_of_all=len(is_open),
        granted_of_person=sum(life.holder == person for life in granted),
        granted_of_all=len(granted),
        last_end_s=max(ends, default=None),
        review_due_s=min(due, default=None),
        extending=bool(extends)
        and any(life.request.extends == extends and life.stage not in FINAL for life in others),
    )
