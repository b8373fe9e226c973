"""The search, and what it is judged by, on fleets small enough to see through."""

from itertools import islice, pairwise
from random import Random

import pytest

from aliquot.partition.divisions import divisions_of
from aliquot.partition.policies.capability import MOST_SLOT_CAPABILITY
from aliquot.partition.policies.fit import FIRST_FIT, WORST_FIT
from aliquot.partition.policies.learned import features, learned, slot_capability_weights
from aliquot.partition.policies.policy import rank
from aliquot.partition.training import (
    Demand,
    Request,
    Stay,
    acceptance,
    demand_of,
    draw,
    draw_runs,
    evolve,
    train,
)
from tests.partition.boards import profile, states

UNIFORM = Demand((1 / 6,) * 6)


def test_requests_offer_the_load() -> None:
    tables = states()
    requests = draw(tables, UNIFORM, 200, 0.8, Random(1))
    slots = [one.memory_slots for one in tables.profiles]
    work = sum(slots[one.profile] * one.stays for one in requests)
    offered = work / (requests[-1].arrives * 200 * tables.memory_slots)
    assert offered == pytest.approx(0.8, rel=0.05)


def test_a_history_is_drawn_from_as_it_was() -> None:
    tables = states()
    demand = demand_of(tables, [Stay(0, 10.0), Stay(0, 30.0), Stay(5, 400.0), Stay(2, 50.0)])
    assert demand.shares == (0.5, 0, 0.25, 0, 0, 0.25)
    seen = {(one.profile, one.stays) for one in draw(tables, demand, 50, 1.0, Random(1))}
    assert seen == {(0, 10.0), (0, 30.0), (5, 400.0), (2, 50.0)}


@pytest.mark.parametrize(
    ("rule", "history", "stays"),
    [
        (
            "who goes on lasts as those that lasted longer",
            [Stay(0, 10.0), Stay(0, 30.0), Stay(0, 50.0), Stay(0, 20.0, ended=False)],
            (10.0, 30.0, 50.0, 40.0),
        ),
        ("or as long as it has", [Stay(0, 10.0), Stay(0, 20.0, ended=False)], (10.0, 20.0)),
        (
            "who waits lasts as any",
            [Stay(0, 10.0), Stay(0, 30.0), Stay(0, 0.0, ended=False)],
            (10.0, 30.0, 20.0),
        ),
        ("or as those of other profiles", [Stay(0, 0.0, ended=False), Stay(1, 7.0)], (7.0,)),
        ("where nothing is known, as a rule", [Stay(0, 0.0, ended=False)], ()),
    ],
)
def test_who_has_not_ended_counts_too(rule: str, history: list[Stay], stays: tuple[float, ...]) -> None:
    demand = demand_of(states(), history)
    assert demand.stays[0] == stays, rule
    assert demand.shares[0] == sum(1 for stay in history if stay.profile == 0) / len(history)
    assert draw(states(), demand, 3, 1.0, Random(1))


def test_who_finds_no_room_is_turned_away_and_weighs_its_slots() -> None:
    tables = states()
    small, whole = profile(tables, "1g.10gb"), profile(tables, "7g.80gb")
    requests = [
        Request(small, 0.0, 10.0),
        Request(whole, 10.0, 5.0),
        Request(small, 12.0, 1.0),
        Request(whole, 15.0, 1.0),
    ]
    # The first is warm-up. It leaves just when the whole GPU is asked for; then one of 1 + 8 + 8 slots finds no room.
    assert acceptance(tables, FIRST_FIT, 1, requests) == pytest.approx(16 / 17)


def test_the_search_climbs_and_does_so_again() -> None:
    def judge(weights: dict[str, float] | object) -> float:
        assert isinstance(weights, dict)
        return -sum((weights[name] - goal) ** 2 for name, goal in (("a", 3.0), ("b", -1.0)))

    steps = list(islice(evolve({"a": 0.0, "b": 0.0}, judge, Random(1)), 300))
    assert steps[0].began_at == -10.0 and steps[-1].acceptance > -0.01
    assert all(a.acceptance <= b.acceptance for a, b in pairwise(steps))
    assert steps == list(islice(evolve({"a": 0.0, "b": 0.0}, judge, Random(1)), 300))


def test_training_begins_at_the_rule_and_never_falls_below_it() -> None:
    tables = states()
    runs = draw_runs(tables, UNIFORM, 5, (1.0,), Random(3))
    first, *_, last = islice(train(tables, runs, 5, Random(4)), 6)
    rule = sum(acceptance(tables, MOST_SLOT_CAPABILITY, 5, run) for run in runs) / len(runs)
    assert first.began_at == pytest.approx(rule)
    assert last.acceptance >= rule > sum(acceptance(tables, WORST_FIT, 5, run) for run in runs) / len(runs)


@pytest.mark.parametrize("board", ["h100-80gb", "a30-24gb"])
def test_the_weights_of_the_rule_rank_as_it_does(board: str) -> None:
    tables = states(board)
    weights = slot_capability_weights(tables)
    assert weights.keys() < features(tables).keys()
    divisions = divisions_of(tables)
    assert rank(learned("it", weights), divisions) == rank(MOST_SLOT_CAPABILITY, divisions)
