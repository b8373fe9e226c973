"""The line of those who wait."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec import structs

from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.jobs import Group, JobSpec
from aliquot.scheduler.core.pending import Alike, Pending
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.queues.line import Line, Rank
from aliquot.scheduler.testing import pod

FIRST, SECOND = pod("first", gpu=1, created_s=1), pod("second", gpu=1, created_s=2)


def alike(pending: Pending) -> Alike:
    (found,) = pending.lines
    return found


def line(pending: Pending) -> list[str]:
    return [rank[-1] for rank in pending.lines[alike(pending)]]


def test_a_pod_that_changes_changes_its_place() -> None:
    pending = Pending(Line())
    assert pending.put(FIRST)
    assert pending.put(SECOND)
    assert line(pending) == ["default/first", "default/second"]
    assert pending.put(replace(SECOND, priority=1))
    assert line(pending) == ["default/second", "default/first"]


def test_what_is_there_already_is_no_news() -> None:
    pending = Pending(Line())
    pending.put(FIRST)
    pending.newcomers(alike(pending))
    assert not pending.put(replace(FIRST))
    assert pending.newcomers(alike(pending)) == []


def test_newcomers_are_named_once_and_only_while_they_wait() -> None:
    pending = Pending(Line())
    pending.put(FIRST)
    pending.put(SECOND)
    pending.discard("default/first")
    assert pending.newcomers(alike(pending)) == ["default/second"]
    assert pending.newcomers(alike(pending)) == []


def test_whoever_leaves_is_gone_from_line_and_count() -> None:
    pending = Pending(Line())
    pending.put(FIRST)
    pending.discard("default/first")
    pending.discard("default/never-was-there")
    assert len(pending) == 0
    assert dict(pending.lines) == {}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("between_looks", [1, 40, 400])
def test_lines_are_in_order_however_many_come_and_go_at_once(between_looks: int, seed: int) -> None:
    rng = random.Random(seed)
    pending = Pending(Line())
    waiting: dict[str, PodRequest] = {}
    for step in range(1200):
        which = rng.randrange(200)
        one = pod(f"p{which}", gpu=1 + which % 2, priority=rng.randrange(3), created_s=rng.randrange(7))
        if rng.random() < 0.6:
            waiting[one.key] = one
            pending.put(one)
        else:
            waiting.pop(one.key, None)
            pending.discard(one.key)
        if step % between_looks == 0:
            len(pending.lines)
    expected: dict[str, list[Rank]] = {}
    for one in waiting.values():
        expected.setdefault(one.shape.signature, []).append(Line().rank(one))
    lines = {alike[-1]: line for alike, line in pending.lines.items()}
    assert lines == {signature: sorted(ranks) for signature, ranks in expected.items()}


def test_the_first_of_a_gang_are_those_whose_names_sort_first_whenever_they_came() -> None:
    pending = Pending(Line())
    spec = JobSpec("default/gang", Group(minimum=2))
    for name in ("c", "a", "d", "b"):
        pending.put(pod(name), spec)
    job = pending.jobs[spec.key]
    assert [one.key for one in job.first("", 3)] == ["default/a", "default/b", "default/c"]
    pending.hold(pod("a"), spec)
    pending.put(pod("aa"), spec)
    assert [one.key for one in job.first("", 9)] == ["default/aa", "default/b", "default/c", "default/d"]
    assert (job.here, dict(job.there)) == ({"": 4}, {"": 1})
    pending.hold(pod("b"), spec)
    pending.discard("default/a")
    assert (job.here, dict(job.there)) == ({"": 3}, {"": 1})


GANG = JobSpec("default/gang", Group("", 2))


def test_who_ended_well_counts_until_it_is_gone_and_holds_nothing() -> None:
    accounts = Accounts((), lambda shape: {"gpu": 1000 * shape.request["nvidia.com/gpu"]})
    pending = Pending(Line(), accounts)
    pending.hold(FIRST, GANG)
    pending.succeed(FIRST.key, GANG, "")
    assert (accounts.entry(FIRST.key), pending.jobs[GANG.key].there) == (None, {"": 1})
    pending.put(SECOND, GANG)
    assert pending.jobs[GANG.key].lacks() == {"": 1}
    assert list(pending.begun) == [(GANG.key,)]
    pending.discard(FIRST.key)
    assert pending.jobs[GANG.key].lacks() is None
    pending.discard(SECOND.key)
    assert dict(pending.jobs) == {}


def test_who_ended_well_and_comes_again_under_its_name_waits() -> None:
    pending = Pending(Line())
    pending.succeed(FIRST.key, GANG, "")
    pending.put(FIRST, GANG)
    assert (pending.jobs[GANG.key].here, pending.jobs[GANG.key].succeeded) == ({"": 1}, {})
    pending.hold(FIRST, GANG)
    assert pending.jobs[GANG.key].there == {"": 1}


def test_of_a_pod_alone_that_ended_well_nothing_is_left() -> None:
    pending = Pending(Line())
    pending.hold(FIRST)
    pending.succeed(FIRST.key, JobSpec(FIRST.key), "")
    assert dict(pending.jobs) == {}


def gang_of(*names: str) -> tuple[Accounts, Pending]:
    accounts = Accounts((), lambda shape: {"gpu": 1000 * shape.request["nvidia.com/gpu"]})
    pending = Pending(Line(), accounts)
    for name in names:
        pending.hold(pod(name, gpu=1), GANG)
    return accounts, pending


def test_one_that_is_being_deleted_holds_its_room_and_is_not_there() -> None:
    accounts, pending = gang_of("a", "b")
    pending.put(pod("c", gpu=1), GANG)
    job = pending.jobs[GANG.key]
    assert (job.lacks(), list(pending.below)) == ({}, [])
    pending.hold(pod("a", gpu=1), GANG, leaves_by_s=9.0)
    assert (job.lacks(), list(pending.below)) == ({"": 1}, [GANG.key])
    assert accounts.entry("default/a") is not None
    pending.discard("default/a")
    assert (job.lacks(), dict(job.there)) == ({"": 1}, {"": 1})
    pending.hold(pod("c", gpu=1), GANG)
    assert (job.lacks(), list(pending.below)) == ({}, [])


def test_a_gang_all_of_which_is_evicted_waits_as_a_whole_again() -> None:
    accounts, pending = gang_of("a", "b")
    pending.put(pod("c", gpu=1), GANG)
    pending.put(pod("d", gpu=1), GANG)
    assert list(pending.begun) == [(GANG.key,)]
    for key in ("default/a", "default/b"):
        accounts.forget(key)
        pending.evict(key)
    assert (list(pending.begun), line(pending), pending.jobs[GANG.key].lacks()) == ([], [GANG.key], {"": 2})
    pending.discard("default/a")
    # The other one stays after all, and holds what it held.
    pending.hold(pod("b", gpu=1), GANG)
    assert accounts.entry("default/b") is not None
    assert (list(pending.begun), pending.jobs[GANG.key].lacks()) == ([(GANG.key,)], {"": 1})


@pytest.mark.parametrize(
    ("what", "happens", "fell"),
    [
        ("one of it is gone", lambda pending: pending.discard("default/a"), True),
        ("one of it has ended well", lambda pending: pending.succeed("default/a", GANG, ""), None),
        (
            "one that ended well is tidied up",
            lambda pending: (pending.succeed("default/a", GANG, ""), pending.discard("default/a")),
            False,
        ),
        (
            "it is to have more pods than before",
            lambda pending: pending.hold(pod("a", gpu=1), structs.replace(GANG, root=Group("", 3))),
            False,
        ),
    ],
)
def test_whether_a_gang_fell_below_its_minimum_or_has_yet_to_reach_it(
    what: str, happens: Callable[[Pending], object], fell: bool | None
) -> None:
    """None: it is not below."""
    _, pending = gang_of("a", "b")
    happens(pending)
    found = [pending.jobs[key].was_whole for key in pending.below]
    assert found == ([] if fell is None else [fell]), what


def test_a_gang_that_has_never_been_whole_did_not_fall() -> None:
    _, pending = gang_of("a")
    assert (list(pending.below), pending.jobs[GANG.key].was_whole) == ([GANG.key], False)
