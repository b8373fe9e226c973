"""The line of those who wait."""

from dataclasses import replace

from aliquot.scheduler.core.pending import Alike, Pending
from aliquot.scheduler.core.policies import by_priority_then_age
from aliquot.scheduler.testing import pod

FIRST, SECOND = pod("first", gpu=1, created_s=1), pod("second", gpu=1, created_s=2)


def alike(pending: Pending) -> Alike:
    (found,) = pending.lines
    return found


def line(pending: Pending) -> list[str]:
    return [rank[-1] for rank in pending.lines[alike(pending)]]


def test_a_pod_that_changes_changes_its_place() -> None:
    pending = Pending(by_priority_then_age)
    assert pending.put(FIRST)
    assert pending.put(SECOND)
    assert line(pending) == ["default/first", "default/second"]
    assert pending.put(replace(SECOND, priority=1))
    assert line(pending) == ["default/second", "default/first"]


def test_what_is_there_already_is_no_news() -> None:
    pending = Pending(by_priority_then_age)
    pending.put(FIRST)
    pending.newcomers(alike(pending))
    assert not pending.put(replace(FIRST))
    assert pending.newcomers(alike(pending)) == []


def test_newcomers_are_named_once_and_only_while_they_wait() -> None:
    pending = Pending(by_priority_then_age)
    pending.put(FIRST)
    pending.put(SECOND)
    pending.discard("default/first")
    assert pending.newcomers(alike(pending)) == ["default/second"]
    assert pending.newcomers(alike(pending)) == []


def test_whoever_leaves_is_gone_from_line_and_count() -> None:
    pending = Pending(by_priority_then_age)
    pending.put(FIRST)
    pending.discard("default/first")
    pending.discard("default/never-was-there")
    assert len(pending) == 0
    assert dict(pending.lines) == {}
