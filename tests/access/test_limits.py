"""How much at once and how soon again, a row for each."""

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from aliquot.access.core.limits import Usage, over_limits, too_many_begun
from aliquot.access.core.refusals import Ground
from tests.access.life.scenery import FIX

TEMPLATE = replace(FIX, most_per_person=2, most_at_once=3, cool_down_s=600)
NOW_S = 10_000.0


@dataclass(frozen=True)
class Case:
    rule: str
    usage: Usage | None
    asking: Ground | None
    beginning: Ground | None
    emergency: bool = False


LIMITED, UNKNOWN = Ground.LIMITED, Ground.UNKNOWN
CASES = [
    Case("nothing is given", Usage(), None, None),
    Case("it is not known what is given", None, UNKNOWN, UNKNOWN),
    Case("one less than a person may have", Usage(open_of_person=1, open_of_all=1, granted_of_person=1), None, None),
    Case("as many as a person may have", Usage(open_of_person=2, open_of_all=2, granted_of_person=2), LIMITED, LIMITED),
    Case("they wait, and so do not hold each other up", Usage(open_of_person=2, open_of_all=2), LIMITED, None),
    Case("as many as all may have", Usage(open_of_all=3, granted_of_all=3), LIMITED, LIMITED),
    Case("the last one ended just now", Usage(last_end_s=NOW_S - 599), LIMITED, None),
    Case("the last one ended a while ago", Usage(last_end_s=NOW_S - 600), None, None),
    Case("a review is due", Usage(review_due_s=NOW_S + 1), None, None, emergency=True),
    Case("a review is overdue", Usage(review_due_s=NOW_S), LIMITED, LIMITED, emergency=True),
    Case("a review is overdue, and others agree", Usage(review_due_s=NOW_S), None, None),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_limits(case: Case) -> None:
    asking = over_limits(TEMPLATE, case.usage, emergency=case.emergency, now_s=NOW_S)
    beginning = too_many_begun(TEMPLATE, case.usage, emergency=case.emergency, now_s=NOW_S)
    assert (asking and asking.ground) == case.asking
    assert (beginning and beginning.ground) == case.beginning


def test_without_a_cool_down_a_clock_that_goes_back_holds_nobody_up() -> None:
    template = replace(TEMPLATE, cool_down_s=0)
    usage = Usage(last_end_s=NOW_S + 500)
    assert over_limits(template, usage, emergency=False, now_s=NOW_S) is None
