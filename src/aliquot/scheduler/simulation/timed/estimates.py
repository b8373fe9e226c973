"""What owners say of how long their jobs run, for traces that do not tell."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from random import Random

from aliquot.scheduler.simulation.timed.workload import TracedJob

_HOUR_S = 3600.0
ROUND_S = tuple(hours * _HOUR_S for hours in (0.25, 1, 4, 12, 24, 48, 96, 168, 336, 720))
"""Limits that people type."""
_LOWEST, _HIGHEST = 0.5, 10.0


class Estimates(StrEnum):
    TRACE = "trace"
    """As the trace has them, or none."""
    EXACT = "exact"
    POOR = "poor"
    """The run time times a factor from 0.5 to 10, any order of magnitude as likely as any other: about one in four is too short,
    and the job runs on."""
    ROUND = "round"
    """The round limit above it, or one of the two after that: never too short, and few different ones (Tsafrir et al., 2005)."""
    NONE = "none"


def estimated(jobs: Sequence[TracedJob], estimates: Estimates, random: Random) -> list[TracedJob]:
    match estimates:
        case Estimates.TRACE:
            return list(jobs)
        case Estimates.EXACT:
            return [replace(job, estimate_s=job.runtime_s) for job in jobs]
        case Estimates.NONE:
            return [replace(job, estimate_s=None) for job in jobs]
        case Estimates.POOR:
            return [
                replace(job, estimate_s=job.runtime_s * _LOWEST * (_HIGHEST / _LOWEST) ** random.random())
                for job in jobs
            ]
        case Estimates.ROUND:
            return [replace(job, estimate_s=_rounded(job.runtime_s, random)) for job in jobs]


def _rounded(runtime_s: float, random: Random) -> float:
    above = [limit for limit in ROUND_S if limit >= runtime_s]
    return random.choice(above[:3]) if above else runtime_s
