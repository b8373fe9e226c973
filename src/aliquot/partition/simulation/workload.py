"""What is asked of the fleet: mixes of profiles, loads, and the requests that a seed draws from them.

Load is offered work by capacity, in memory slots, of which placements are made: arrivals per time x mean slots of a
request x mean duration, by GPUs x slots of a GPU. At load 1.0 a fleet without any waste would be exactly full.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from math import exp, log
from random import Random

from aliquot.partition.board_states import BoardStates


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of the profiles, smallest profile first; they sum to 1."""

    name: str
    shares: tuple[float, ...]


MIXES = {
    mix.name: mix
    for mix in (
        Mix("uniform", (1 / 6,) * 6),
        Mix("skew-small", (0.40, 0.15, 0.25, 0.10, 0.05, 0.05)),
        Mix("skew-big", (0.05, 0.05, 0.10, 0.25, 0.25, 0.30)),
        Mix("bimodal", (0.40, 0.05, 0.05, 0.05, 0.05, 0.40)),
    )
}
"""Over the six ordinary profiles of an A100 or H100: 1g, 1g of double memory, 2g, 3g, 4g, 7g."""


class Durations(StrEnum):
    """How long requests stay; the mean is 1 of each."""

    EXPONENTIAL = "exponential"
    CONSTANT = "constant"
    HEAVY_TAILED = "heavy-tailed"
    """Lognormal, as spread as the pods of Alibaba's 2023 trace: its 90th percentile is 11 times its median."""


_HEAVY_SIGMA = log(11) / 1.2816  # 1.2816: the normal distribution's 90th percentile


@dataclass(frozen=True, slots=True)
class Drift:
    """From `at` on, requests come from another mix, at the same load."""

    to: Mix
    at: float


@dataclass(frozen=True, slots=True)
class Workload:
    mix: Mix
    load: float
    gpus: int
    horizon: float = 60.0
    """Requests arrive until then."""
    warm_up: float = 10.0
    """Requests before that are served and not counted."""
    durations: Durations = Durations.EXPONENTIAL
    drift: Drift | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests in the order in which they arrive: number n has profile `profiles[n]` (as `BoardStates` counts them)."""

    times: Sequence[float]
    profiles: Sequence[int]
    durations: Sequence[float]
    warm_up: float
    horizon: float

    def __len__(self) -> int:
        return len(self.times)


class UnfitMix(ValueError):
    """A mix that is not of this board's profiles."""


def arrival_rate(board: BoardStates, mix: Mix, load: float, gpus: int) -> float:
    """Requests per mean duration that offer `load`."""
    if len(mix.shares) != len(board.profiles):
        raise UnfitMix(
            f"mix {mix.name} is of {len(mix.shares)} profiles, the board has {len(board.profiles)}"
        )
    mean = sum(
        share * profile.memory_slots for share, profile in zip(mix.shares, board.profiles, strict=True)
    )
    return load * gpus * board.memory_slots / mean


def draw(board: BoardStates, workload: Workload, random: Random) -> Trace:
    """The requests of one run: Poisson arrivals, independent profiles and durations.

    Three streams are split off `random`, so that a change of load or mix leaves the other draws as they were.
    """
    gaps, choices, lengths = (Random(random.getrandbits(64)) for _ in range(3))
    times = array("d")
    profiles = bytearray()
    for mix, start, end in _stretches(workload):
        rate = arrival_rate(board, mix, workload.load, workload.gpus)
        first = len(times)
        now = start
        while (now := now + gaps.expovariate(rate)) < end:
            times.append(now)
        profiles.extend(
            choices.choices(
                range(len(mix.shares)), cum_weights=list(accumulate(mix.shares)), k=len(times) - first
            )
        )
    durations = array("d", (_duration(workload.durations, lengths) for _ in times))
    return Trace(times, bytes(profiles), durations, workload.warm_up, workload.horizon)


def _stretches(workload: Workload) -> Iterator[tuple[Mix, float, float]]:
    drift = workload.drift
    if drift is None:
        yield workload.mix, 0.0, workload.horizon
        return
    yield workload.mix, 0.0, drift.at
    yield drift.to, drift.at, workload.horizon


def _duration(kind: Durations, random: Random) -> float:
    match kind:
        case Durations.EXPONENTIAL:
            return random.expovariate(1.0)
        case Durations.CONSTANT:
            return 1.0
        case Durations.HEAVY_TAILED:
            return exp(random.gauss(-(_HEAVY_SIGMA**2) / 2, _HEAVY_SIGMA))


# --- what breaks ---


@dataclass(frozen=True, slots=True)
class Outages:
    """Nodes that fail and come back. What ran on one is lost."""

    gpus_per_node: int = 8
    mean_time_between: float = 200.0
    """Of one node, in mean durations of a request."""
    time_to_repair: float = 2.0


@dataclass(frozen=True, slots=True)
class Outage:
    """A node's GPUs are out of service from `start` to `end`."""

    start: float
    end: float
    gpus: range


def draw_outages(outages: Outages, workload: Workload, random: Random) -> tuple[Outage, ...]:
    """In order of time. A node does not fail while it is out."""
    found = []
    for first in range(0, workload.gpus, outages.gpus_per_node):
        gpus = range(first, min(first + outages.gpus_per_node, workload.gpus))
        now = 0.0
        while (now := now + random.expovariate(1 / outages.mean_time_between)) < workload.horizon:
            found.append(Outage(now, now + outages.time_to_repair, gpus))
            now += outages.time_to_repair
    return tuple(sorted(found, key=lambda outage: (outage.start, outage.gpus.start)))
