"""What an outcome comes to: acceptance, waits, use, waste, churn; and differences with their confidence."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, fsum, isnan, pi, sqrt, tan
from statistics import NormalDist, fmean, stdev

from aliquot.partition.board_states import BoardStates
from aliquot.partition.simulation.engine import Outcome


@dataclass(frozen=True, slots=True)
class Metrics:
    """Of the requests that arrived between the end of the warm-up and the horizon, and of the fleet in that time."""

    requests: int
    request_acceptance: float
    """Requests that were placed by the horizon, by requests."""
    slice_acceptance: float
    """The same, each weighted with its memory slots."""
    utilisation: float
    """Memory slots in use, by those of the fleet, over time."""
    wait_p50: float
    wait_p95: float
    wait_p99: float
    """In mean durations. Who still waits at the horizon has waited until then; who was turned away does not count."""
    gpus_in_use: float
    wasted_compute_slices: float
    wasted_memory_slots: float
    """Means over time."""
    creates: int
    destroys: int
    moves: int
    evictions: int
    """Requests that ran when their node failed."""
    decision_p50_us: float
    decision_p99_us: float
    """Zero when decisions were not timed."""


def measure(board: BoardStates, gpus: int, outcome: Outcome, *, queueing: bool = False) -> Metrics:
    trace = outcome.trace
    slots = [profile.memory_slots for profile in board.profiles]
    window = trace.horizon - trace.warm_up
    placed = offered_slots = placed_slots = 0
    busy = 0.0
    waits = array("d")
    first = next((n for n, time in enumerate(trace.times) if time >= trace.warm_up), len(trace))
    for number, started in enumerate(outcome.started):
        weight = slots[trace.profiles[number]]
        if not isnan(started):
            until = min(outcome.ended[number], trace.horizon)
            busy += weight * max(0.0, until - max(started, trace.warm_up))
        if number < first:
            continue
        offered_slots += weight
        if not isnan(started):
            placed += 1
            placed_slots += weight
            waits.append(started - trace.times[number])
        elif queueing:
            waits.append(trace.horizon - trace.times[number])
    requests = len(trace) - first
    sorted_waits = sorted(waits)
    before, after = outcome.samples[0].churn, outcome.samples[-1].churn
    usages = [sample.usage for sample in outcome.samples]
    decisions = sorted(outcome.decisions)
    return Metrics(
        requests=requests,
        request_acceptance=placed / requests if requests else 1.0,
        slice_acceptance=placed_slots / offered_slots if offered_slots else 1.0,
        utilisation=busy / (window * gpus * board.memory_slots),
        wait_p50=percentile(sorted_waits, 50),
        wait_p95=percentile(sorted_waits, 95),
        wait_p99=percentile(sorted_waits, 99),
        gpus_in_use=fmean(usage.gpus_in_use for usage in usages),
        wasted_compute_slices=fmean(usage.wasted_compute_slices for usage in usages),
        wasted_memory_slots=fmean(usage.wasted_memory_slots for usage in usages),
        creates=after.creates - before.creates,
        destroys=after.destroys - before.destroys,
        moves=after.moves - before.moves,
        evictions=sum(1 for number in outcome.lost if outcome.ended[number] >= trace.warm_up),
        decision_p50_us=percentile(decisions, 50) * 1e6,
        decision_p99_us=percentile(decisions, 99) * 1e6,
    )


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The least value that `percent` of all do not exceed; 0 of nothing."""
    if not ascending:
        return 0.0
    return ascending[max(0, ceil(len(ascending) * percent / 100) - 1)]


# --- over seeds ---


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds, and the half width of its 95 % confidence interval."""

    mean: float
    half_width: float


def estimate(values: Sequence[float]) -> Estimate:
    """By Student's distribution. One value says nothing about its spread: the width is infinite."""
    if len(values) < 2:
        return Estimate(fmean(values), float("inf"))
    half = student_quantile(len(values) - 1) * stdev(values) / sqrt(len(values))
    return Estimate(fmean(values), half)


def paired(values: Sequence[float], baseline: Sequence[float]) -> Estimate:
    """Of the differences, seed by seed: what the seeds have in common falls out."""
    return estimate([value - base for value, base in zip(values, baseline, strict=True)])


def student_quantile(freedom: int, confidence: float = 0.95) -> float:
    """Two-sided, by Cornish and Fisher's expansion about the normal one (Abramowitz & Stegun 26.7.5).

    Right to two digits from 3 degrees of freedom on; the first two, where it fails, are exact.
    """
    tail = (1 + confidence) / 2
    if freedom == 1:
        return tan(pi * (tail - 0.5))
    if freedom == 2:
        return (2 * tail - 1) * sqrt(2 / (1 - (2 * tail - 1) ** 2))
    z = NormalDist().inv_cdf(tail)
    terms: tuple[float, ...] = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return fsum(term / freedom**power for power, term in enumerate(terms))
