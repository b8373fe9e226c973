"""How long jobs run, from what others of their template did."""

import pytest

from aliquot.scheduler.core.backfill.runtimes import RuntimeHistory, template_of
from aliquot.scheduler.core.backfill.words import duration
from aliquot.scheduler.core.jobs import JobSpec


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("ml/job.batch:train-28941700", "ml/job.batch:train-28941760", True),
        ("ml/job.batch:train-7b-20261128-3", "ml/job.batch:train-7b-20261127-1", True),
        ("ml/job.batch:train-llm", "ml/job.batch:train-cnn", False),
        ("ml/job.batch:train-1", "dev/job.batch:train-1", False),
        ("ml/job.batch:train-1", "ml/rayjob.ray.io:train-1", False),
        ("ml/p1", "ml/p2", False),
    ],
)
def test_what_counts_as_another_run_of_the_same(one: str, other: str, alike: bool) -> None:
    assert (template_of(JobSpec(one)) == template_of(JobSpec(other))) is alike


def test_queues_have_histories_of_their_own() -> None:
    assert template_of(JobSpec("ml/train-1", queue="a")) != template_of(JobSpec("ml/train-1", queue="b"))


def ran(*runtimes_s: float, quantile: float = 0.5, most: int = 5) -> RuntimeHistory:
    history = RuntimeHistory(quantile=quantile, most=most)
    for number, runtime_s in enumerate(runtimes_s):
        history.ended(JobSpec(f"ml/train-{number}"), runtime_s)
    return history


@pytest.mark.parametrize(
    ("runtimes_s", "quantile", "estimate_s"),
    [
        ((), 0.5, None),
        ((1, 2), 0.5, None),
        ((3, 1, 2), 0.5, 2),
        ((3, 1, 2), 0.95, 3),
        ((9, 9, 1, 2, 3, 4, 5), 1.0, 5),
        ((1, 1, 1, 1, 9), 0.8, 1),
        ((1, 1, 1, 9, 9), 0.8, 9),
    ],
)
def test_the_quantile_of_the_latest(
    runtimes_s: tuple[float, ...], quantile: float, estimate_s: float | None
) -> None:
    assert ran(*runtimes_s, quantile=quantile).estimate(JobSpec("ml/train-99")) == estimate_s


def test_what_a_job_states_goes_before_what_others_did() -> None:
    assert ran(1, 2, 3).estimate(JobSpec("ml/train-99", max_runtime_s=60)) == 60


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-5, "0s"),
        (0.2, "1s"),
        (119, "119s"),
        (120, "2m"),
        (121, "3m"),
        (3541, "1h"),
        (3601, "1h1m"),
        (86400, "1d"),
        (86401, "1d1h"),
        (23 * 3600 + 3599, "1d"),
        (187200, "2d4h"),
    ],
)
def test_time_spans_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
