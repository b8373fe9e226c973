"""The event loop on traces of a few requests, and its measures computed by hand."""

from itertools import count
from math import isnan

import pytest

from aliquot.partition.simulation.engine import Churn, Outcome, Usage, run, run_with_outages
from aliquot.partition.simulation.metrics import measure
from aliquot.partition.simulation.workload import Outage, Trace
from tests.partition.simulation.boards import states

A30 = states("a30-24gb")  # 1g, 2g, 4g of four slots


class OneRow:
    """A fleet of slots without places: whatever fits by sum fits. An instance is [profile, GPU]."""

    def __init__(self, slots: int) -> None:
        self.free = slots
        self.running: list[list[int]] = []
        self.placed = 0

    def observe(self, profile: int) -> None:
        pass

    def place(self, profile: int) -> list[int] | None:
        if self.free < (1, 2, 4)[profile]:
            return None
        self.free -= (1, 2, 4)[profile]
        self.running.append([profile])
        self.placed += 1
        return self.running[-1]

    def release(self, instance: list[int]) -> None:
        self.running = [one for one in self.running if one is not instance]
        self.free += (1, 2, 4)[instance[0]]

    def gpu_of(self, instance: list[int]) -> int:
        return 0

    def withdraw(self, gpus: range) -> None:
        assert not self.running
        self.kept_out, self.free = self.free, 0

    def restore(self, gpus: range) -> None:
        self.free = self.kept_out

    def usage(self) -> Usage:
        return Usage(int(bool(self.running)), 0, 0)

    def churn(self) -> Churn:
        return Churn(self.placed, self.placed - len(self.running), 0)


def trace(*requests: tuple[float, int, float], warm_up: float = 0.0, horizon: float = 10.0) -> Trace:
    times, profiles, durations = zip(*requests, strict=True)
    return Trace(times, profiles, durations, warm_up, horizon)


def starts(outcome: Outcome) -> list[float | None]:
    return [None if isnan(time) else time for time in outcome.started]


SMALL, HALF, WHOLE = 0, 1, 2


def test_who_finds_no_room_is_turned_away() -> None:
    outcome = run(trace((0, WHOLE, 2), (1, SMALL, 1), (2, SMALL, 1), (2.5, HALF, 9)), OneRow(4))
    # What ends when the next arrives has left before.
    assert starts(outcome) == [0, None, 2, 2.5]
    assert list(outcome.ended)[2:] == [3, 11.5]


def test_measures_by_hand() -> None:
    played = trace(
        (0, HALF, 4), (1, HALF, 1), (2, WHOLE, 1), (3, SMALL, 2), (4, WHOLE, 9), warm_up=1, horizon=6
    )
    metrics = measure(A30, 1, run(played, OneRow(4)))
    assert metrics.requests == 4  # the first came in the warm-up
    assert metrics.request_acceptance == 2 / 4
    assert metrics.slice_acceptance == (2 + 1) / (2 + 4 + 1 + 4)
    # Half from 1 to 4, half from 1 to 2, one slot from 3 to 5; of four slots from 1 to 6.
    assert metrics.utilisation == (2 * 3 + 2 * 1 + 1 * 2) / (4 * 5)
    # 100 intervals of 0.05: in use at each of the samples up to time 5, where what ends has not yet left.
    assert metrics.gpus_in_use == pytest.approx(5 / 6, abs=0.05)
    assert (metrics.creates, metrics.destroys, metrics.evictions) == (2, 3, 0)


def test_queueing_lets_the_oldest_of_each_profile_in_as_soon_as_it_fits() -> None:
    played = trace((0, HALF, 4), (0, HALF, 2), (1, WHOLE, 1), (1.5, HALF, 1), (1.6, HALF, 1), (1.7, SMALL, 1))
    outcome = run(played, OneRow(4), queueing=True)
    # At 2 two slots are free: the whole does not fit, the next half passes it. The last half follows it at 3,
    # the small one at 4; the whole has its room at 5.
    assert starts(outcome) == [0, 0, 5, 2, 3, 4]
    metrics = measure(A30, 1, outcome, queueing=True)
    assert metrics.request_acceptance == 1
    assert (metrics.wait_p50, metrics.wait_p95) == (0.5, 4)


def test_who_still_waits_at_the_horizon_has_waited_until_then() -> None:
    outcome = run(trace((0, WHOLE, 20), (2, SMALL, 1)), OneRow(4), queueing=True)
    metrics = measure(A30, 1, outcome, queueing=True)
    assert (metrics.request_acceptance, metrics.wait_p99) == (0.5, 8)


def test_what_runs_on_a_node_that_fails_is_lost_and_counted() -> None:
    played = trace((0, HALF, 8), (1, SMALL, 1), (4, HALF, 1), (6, HALF, 2))
    outcome = run_with_outages(played, OneRow(4), [Outage(3, 5, range(1))])
    assert outcome.lost == [0]
    assert outcome.ended[0] == 3
    assert starts(outcome) == [0, 1, None, 6]
    metrics = measure(A30, 1, outcome)
    assert metrics.evictions == 1
    assert metrics.utilisation == (2 * 3 + 1 + 2 * 2) / (4 * 10)


def test_who_waits_gets_in_when_the_node_is_back() -> None:
    played = trace((0, HALF, 8), (4, HALF, 1))
    outcome = run_with_outages(played, OneRow(4), [Outage(3, 5, range(1))], queueing=True)
    assert starts(outcome) == [0, 5]


def test_decisions_are_timed_by_the_timer_given() -> None:
    ticks = count(0.0)
    outcome = run(trace((0, WHOLE, 2), (1, SMALL, 1)), OneRow(4), timer=lambda: next(ticks))
    assert list(outcome.decisions) == [1, 1]
    assert measure(A30, 1, outcome).decision_p99_us == 1e6
