"""Who may go in front of a job that is blocked: each row is what runs, who waits in order of age, and what becomes of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.backfill.stage import Style
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.reasons import Kind
from aliquot.scheduler.testing import node
from tests.scheduler.backfill.worlds import World

EASY, CONSERVATIVE, STRICT = Style.EASY, Style.CONSERVATIVE, Style.STRICT


def started(outcome: cycle.Outcome) -> str:
    return " ".join(decision.job.key.removeprefix("default/") for decision in outcome.decisions)


def promised(outcome: cycle.Outcome) -> dict[str, float]:
    return {promise.job.key.removeprefix("default/"): promise.start_s for promise in outcome.promises}


@dataclass(frozen=True)
class Case:
    rule: str
    nodes: Sequence[int]
    runs: Sequence[str]
    waits: Sequence[str]
    starts: str
    promises: dict[str, float]
    style: Style | None = EASY


CASES = [
    Case(
        "without backfill whoever fits goes",
        [4],
        ["3@a until 10"],
        ["big: 1x4 for 5", "s: 1x1 for 99"],
        "s",
        {},
        None,
    ),
    Case(
        "one that ends before goes in front",
        [4],
        ["3@a until 10"],
        ["big: 1x4 for 5", "s: 1x1 for 10"],
        "s",
        {"big": 10},
    ),
    Case(
        "one that ends later does not",
        [4],
        ["3@a until 10"],
        ["big: 1x4 for 5", "s: 1x1 for 11"],
        "",
        {"big": 10},
    ),
    Case(
        "nor does one that says nothing", [4], ["3@a until 10"], ["big: 1x4 for 5", "s: 1x1"], "", {"big": 10}
    ),
    Case(
        "it does where nothing is promised",
        [4, 1],
        ["3@a until 10"],
        ["big: 1x4 for 5", "s: 1x1 for 99"],
        "s",
        {"big": 10},
    ),
    Case(
        "it does beside the promise, with what that leaves",
        [4],
        ["3@a until 10"],
        ["big: 1x3 for 5", "s: 1x1 for 99"],
        "s",
        {"big": 10},
    ),
    Case(
        "once: what is left is used up then",
        [5],
        ["3@a until 10"],
        ["big: 1x4 for 5", "s: 1x1 for 99", "t: 1x1 for 99"],
        "s",
        {"big": 10},
    ),
    Case(
        "the shorter of those that are alike goes in front of the longer",
        [4],
        ["3@a until 10"],
        ["big: 1x4 for 5", "long: 1x1 for 99", "short: 1x1 for 9"],
        "short",
        {"big": 10},
    ),
    Case(
        "of what runs the first to end counts",
        [4],
        ["2@a until 20", "2@a until 10"],
        ["big: 1x2 for 5"],
        "",
        {"big": 10},
    ),
    Case(
        "what runs for ever makes no room", [4], ["3@a until ?"], ["big: 1x4 for 5", "s: 1x1 for 99"], "s", {}
    ),
    Case(
        "a gang over two nodes waits for the later one",
        [2, 2],
        ["1@a until 10", "1@b until 20"],
        ["big: 2x2 for 5", "s: 1x1 for 15"],
        "s",
        {"big": 20},
    ),
    Case(
        "of a gang's nodes each is kept for itself",
        [2, 2, 2],
        ["2@a until 10", "1@b until 10", "1@c until 30"],
        ["big: 2x2 for 5", "s: 1x1 for 15"],
        "s",
        {"big": 10},
    ),
    Case(
        "only the first that is blocked is promised a start",
        [4],
        ["4@a until 10"],
        ["big: 1x4 for 5", "next: 1x3 for 5"],
        "",
        {"big": 10},
    ),
    Case(
        "conservative: so are those behind it, alike or not",
        [4],
        ["4@a until 10"],
        ["big: 1x4 for 5", "next: 1x3 for 5", "last: 1x4 for 5", "beside: 1x1 for 3"],
        "",
        {"big": 10, "next": 15, "last": 20, "beside": 15},
        CONSERVATIVE,
    ),
    Case(
        "conservative: in front of the first is not in front of the second",
        [4],
        ["2@a until 10", "1@a until 30"],
        ["big: 1x2 for 5", "next: 1x4 for 5", "s: 1x1 for 30", "t: 1x1 for 31"],
        "s",
        {"big": 10, "next": 30, "t": 35},
        CONSERVATIVE,
    ),
    Case(
        "strict: nobody goes in front",
        [4],
        ["3@a until 10"],
        ["big: 1x4 for 5", "s: 1x1 for 1"],
        "",
        {},
        STRICT,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_who_goes_in_front(case: Case) -> None:
    outcome = World(case.nodes, case.runs, case.waits, case.style).run()
    assert (started(outcome), promised(outcome)) == (case.starts, case.promises)


def test_who_has_to_wait_for_a_promise_is_told_so() -> None:
    world = World([4], ["3@a until 600"], ["big: 1x4 for 5", "s: 1x1 for 7200", "t: 1x1"], EASY)
    outcome = world.run()
    told = {
        one.job.key: cycle.why(world.snapshot, world.pending, one, world.rankings) for one in outcome.blocked
    }
    assert told["default/s"].kind is Kind.RESERVED
    assert told["default/s"].message == (
        "the room that is left is kept for default/big, which is to start in 10m; only what says with maxRuntime that it ends "
        "before goes in front"
    )
    assert told["default/big"].kind is Kind.FULL


def test_a_strict_line_says_who_is_first() -> None:
    world = World([4], ["3@a until 600"], ["big: 1x4 for 5", "s: 1x1 for 1"], STRICT)
    told = {
        one.job.key: cycle.why(world.snapshot, world.pending, one, world.rankings).message
        for one in world.run().blocked
    }
    assert told["default/s"] == "default/big is before it in the line, and waits for room"


def test_a_promise_holds_against_whoever_comes_later_even_with_a_higher_priority() -> None:
    world = World([4], ["3@a until 10"], ["big: 1x4 for 5"], EASY)
    world.run()
    world.submit("vip", 1, 1, 99, age=1, priority=9)
    outcome = world.run(1.0)
    assert (started(outcome), promised(outcome)) == ("", {"big": 10})
    world.end("run-0", 10.0)
    assert started(world.run(10.0)) == "big"


def test_a_promise_is_kept_though_one_that_is_alike_is_first_in_the_line_by_then() -> None:
    world = World([4], ["3@a until 10"], ["big: 1x4 for 5"], EASY)
    world.run()
    world.submit("vip", 1, 4, 5, age=1, priority=9)
    assert promised(world.run(1.0)) == {"big": 10}
    world.end("run-0", 10.0)
    outcome = world.run(10.0)
    assert (started(outcome), promised(outcome)) == ("big", {"vip": 15})


def test_a_promise_gets_earlier_when_somebody_ends_early() -> None:
    world = World([4], ["2@a until 50", "2@a until 90"], ["big: 1x4 for 5"], EASY)
    assert promised(world.run()) == {"big": 90}
    world.end("run-1", 20.0)
    assert promised(world.run(20.0)) == {"big": 50}
    world.end("run-0", 30.0)
    assert started(world.run(30.0)) == "big"


def test_who_starts_early_leaves_what_it_was_promised_to_others() -> None:
    world = World(
        [4], ["4@a until 10"], ["big: 1x4 for 5", "next: 1x2 for 50", "last: 1x4 for 5"], CONSERVATIVE
    )
    assert promised(world.run()) == {"big": 10, "next": 15, "last": 65}
    world.snapshot.set_facts(node("b", gpus=2, cpu=1000, pods=100))
    outcome = world.run(1.0)
    assert (started(outcome), promised(outcome)) == ("next", {"big": 10, "last": 65})
    assert promised(world.run(2.0)) == {"big": 10, "last": 15}


def test_promises_are_looked_at_again_a_few_in_each_pass() -> None:
    waits = [f"j{number}: 1x4 for 10" for number in range(12)]
    world = World([4], ["4@a until 100"], waits, CONSERVATIVE)
    assert promised(world.run()) == {f"j{number}": 100 + 10 * number for number in range(12)}
    world.end("run-0", 20.0)
    outcome = world.run(20.0)
    assert started(outcome) == "j0"
    passes = 0
    while promised(outcome)["j11"] > 130:
        outcome = world.run(20.0)
        passes += 1
    assert 1 < passes < 12
    assert promised(outcome) == {f"j{number}": 20 + 10 * number for number in range(1, 12)}


def test_a_promise_that_cannot_be_kept_is_made_anew() -> None:
    world = World([4], ["4@a until 100"], ["big: 1x4 for 5"], EASY)
    assert promised(world.run()) == {"big": 100}
    # It runs on: as long again as it is late, and a minute at least.
    assert promised(world.run(100.0)) == {"big": 160}
    assert promised(world.run(250.0)) == {"big": 400}
    world.end("run-0", 260.0)
    assert started(world.run(260.0)) == "big"


def test_who_is_late_keeps_its_place_before_those_behind_it() -> None:
    world = World(
        [4], ["4@a until 100"], ["big: 1x4 for 5", "next: 1x4 for 500", "last: 1x1 for 5"], CONSERVATIVE
    )
    assert promised(world.run()) == {"big": 100, "next": 105, "last": 605}
    assert promised(world.run(100.0)) == {"big": 160, "next": 165, "last": 665}


def test_a_promise_moves_when_its_node_goes() -> None:
    world = World([4, 4], ["4@a until 10", "4@b until 20"], ["big: 1x4 for 5"], EASY)
    assert promised(world.run()) == {"big": 10}
    world.snapshot.remove_facts("a")
    assert promised(world.run(1.0)) == {"big": 20}


def test_a_promise_goes_with_its_job() -> None:
    world = World([4], ["3@a until 10"], ["big: 1x4 for 5", "s: 1x1 for 99"], EASY)
    assert started(world.run()) == ""
    world.pending.discard("default/big")
    outcome = world.run(1.0)
    assert (started(outcome), promised(outcome)) == ("s", {})


def test_what_a_failed_pass_promised_and_started_is_forgotten() -> None:
    world = World([5], ["3@a until 10"], ["big: 1x5 for 5", "s: 1x1 for 9", "t: 1x1 for 1"], EASY)
    assert world.backfill is not None

    def estimate(spec: JobSpec) -> float | None:
        if spec.key == "default/t":
            raise RuntimeError("broken")
        return spec.max_runtime_s

    world.backfill.estimate = estimate
    with pytest.raises(RuntimeError, match="broken"):
        world.run()
    assert world.backfill.promises == {}
    assert [key for _, key in world.backfill.timetable.ends] == ["default/run-0"]
    assert sorted(world.pending.pods) == ["default/big", "default/s", "default/t"]
