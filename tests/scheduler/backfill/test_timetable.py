"""When what runs is expected to end."""

from math import inf

from aliquot.scheduler.core.backfill.timetable import Timetable
from aliquot.scheduler.core.jobs import JobSpec

JOB = JobSpec("ml/a", max_runtime_s=100)


def test_all_pods_of_a_job_end_with_its_first() -> None:
    table = Timetable()
    table.started(JOB, ["a/0", "a/1"], 10, 100)
    table.started(JOB, ["a/2"], 60, 100)
    assert list(table.ends) == [(110, "a/0"), (110, "a/1"), (110, "a/2")]
    assert table.job_end_s("ml/a") == 110


def test_one_that_is_told_of_twice_started_the_first_time() -> None:
    table = Timetable()
    table.started(JOB, ["a/0"], 10, 100)
    table.started(JOB, ["a/0"], 50, 100)
    assert list(table.ends) == [(110, "a/0")]


def test_pods_of_which_nothing_is_known_run_for_ever() -> None:
    table = Timetable()
    table.started(JobSpec("ml/b"), ["b"], 0, None)
    assert (table.end_s("b"), table.end_s("stranger"), list(table.ends)) == (inf, inf, [])


def test_a_job_is_forgotten_with_its_last_pod() -> None:
    table = Timetable()
    table.started(JOB, ["a/0", "a/1"], 0, 100)
    assert table.ended("a/0") == 100
    assert table.job_end_s("ml/a") == 100
    assert table.ended("a/1") == 100
    assert (table.job_end_s("ml/a"), list(table.ends), table.ended("a/1")) == (None, [], inf)


def test_late_ones_are_given_as_long_again_as_they_are_late() -> None:
    table = Timetable()
    table.started(JOB, ["a/0", "a/1"], 0, 100)
    table.started(JobSpec("ml/b"), ["b"], 0, 500)
    assert not table.advance(99)
    assert table.advance(100)
    assert table.end_s("a/0") == table.end_s("a/1") == 160
    assert table.advance(400)
    assert table.end_s("a/0") == 700
    assert table.end_s("b") == 500


def test_who_is_to_be_stopped() -> None:
    table = Timetable()
    table.started(JOB, ["a/0"], 10, 100)
    table.started(JobSpec("ml/b"), ["b"], 0, 5)
    assert table.overdue(109) == []
    table.advance(109)
    assert table.overdue(110) == [JOB]
    table.advance(110)
    assert table.overdue(111) == [JOB]
