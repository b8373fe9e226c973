"""When the scheduler looks again by itself."""

from dataclasses import dataclass
from math import inf

import pytest

from aliquot.scheduler.core.attempts import Shortfall
from aliquot.scheduler.core.backfill.promises import Promise
from aliquot.scheduler.core.cycle import Blocked, Outcome
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.pace import LEAST_WAIT_S, LOOK_FOR_ROOM_S, MAKE_ROOM_S, Pace
from aliquot.scheduler.testing import pod

NOW = 1000.0
CLOCK = 5_000_000.0
"""What a wall clock shows meanwhile."""
BLOCKED = Blocked(JobSpec("job"), ("job",), Shortfall(pod("p").shape))


def outcome(*, blocked: bool = False, starts_in_s: float | None = None, looked: bool = False) -> Outcome:
    promises = () if starts_in_s is None else (Promise(JobSpec("job"), CLOCK + starts_in_s, inf, ()),)
    return Outcome(
        (), (BLOCKED,) if blocked else (), more=False, promises=promises, fallen=() if looked else None
    )


@pytest.mark.parametrize(
    ("took_s", "rests_s"),
    [(0.001, MAKE_ROOM_S), (2.0, 40.0)],
    ids=["no more often", "rarer if it takes long"],
)
def test_whom_to_evict_is_looked_for_only_after_a_rest(took_s: float, rests_s: float) -> None:
    pace = Pace(NOW)
    assert pace.makes_room(NOW)
    ended = NOW + took_s
    pace.passed(outcome(blocked=True), made_room=True, began=NOW, ended=ended)
    assert not pace.makes_room(ended + rests_s - 0.1)
    assert pace.makes_room(ended + rests_s)


def test_without_anybody_to_make_room_for_there_is_no_rest() -> None:
    pace = Pace(NOW)
    pace.passed(outcome(), made_room=True, began=NOW, ended=NOW + 1)
    assert pace.makes_room(NOW + 1)


@dataclass(frozen=True)
class Case:
    name: str
    outcome: Outcome
    again_in_s: float
    made_room: bool = True
    has_fallen: bool = False


CASES = [
    Case("nothing waits", outcome(), inf),
    Case("somebody waits, and whom to evict was looked for", outcome(blocked=True), LOOK_FOR_ROOM_S),
    Case("somebody waits, and it was not", outcome(blocked=True), MAKE_ROOM_S, made_room=False),
    Case("a promise falls due", outcome(starts_in_s=5), 5),
    Case("a promise is overdue", outcome(starts_in_s=-5), LEAST_WAIT_S),
    Case(
        "a promise is later than the next look for room",
        outcome(blocked=True, starts_in_s=60),
        LOOK_FOR_ROOM_S,
    ),
    Case("a gang below its minimum was not looked at", outcome(), MAKE_ROOM_S, has_fallen=True),
    Case("it was, and says itself when it is due", outcome(looked=True), inf, has_fallen=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_looks_again(case: Case) -> None:
    pace = Pace(NOW)
    pace.passed(outcome(blocked=True), made_room=True, began=NOW, ended=NOW)
    again_at = pace.look_again_at(
        case.outcome, made_room=case.made_room, has_fallen=case.has_fallen, clock_s=CLOCK, now=NOW
    )
    assert again_at == NOW + case.again_in_s
