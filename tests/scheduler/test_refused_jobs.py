"""A job that is refused, or comes after others, is in nobody's way: not in turns, figures, promises or predictions."""

import dataclasses

import pytest
from msgspec.structs import replace

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.backfill.prediction import predicted
from aliquot.scheduler.core.backfill.stage import Backfill, Style
from aliquot.scheduler.core.jobs import Group, JobSpec
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.reasons import Explanation, Kind, Reason
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.testing import node, placed, pod
from tests.scheduler.worlds import Cluster, counted, queue

AFTER = Reason(Kind.DEPENDENCY, "waits for a to succeed")
REFUSED = Reason(Kind.POD_GROUP, "it contradicts itself")


def test_a_start_that_was_promised_is_not_kept_for_one_that_may_not_begin_by_then() -> None:
    policies = Policies()
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    snapshot.set_facts(node("n", gpus=4))
    runs, request = JobSpec("default/r", max_runtime_s=100.0), pod("r", gpu=4)
    snapshot.set_pod(placed(request, "n"))
    pending.hold(request, runs)
    backfill = Backfill()
    backfill.started(runs, [request.key], 0.0)
    waits = JobSpec("default/w", priority=9)
    pending.put(pod("w", gpu=4, priority=9), waits)
    outcome = cycle.run(snapshot, pending, rankings, backfill=backfill, now_s=0.0)
    assert [one.job.key for one in outcome.promises] == ["default/w"]
    for spec in (replace(waits, waits=AFTER), replace(waits, refusal=REFUSED)):
        pending.put(pod("w", gpu=4, priority=9), spec)
        outcome = cycle.run(snapshot, pending, rankings, backfill=backfill, now_s=50.0)
        assert (outcome.promises, outcome.decisions) == ((), ())
        assert predicted(snapshot, pending, backfill, 50.0) == {}
    snapshot.remove_pod(request.key)
    pending.discard(request.key)
    backfill.ended(request.key, 60.0)
    pending.put(pod("next", gpu=4))
    outcome = cycle.run(snapshot, pending, rankings, backfill=backfill, now_s=200.0)
    assert [bind.pod.key for bind in outcome.binds] == ["default/next"]


def test_it_asks_for_nothing_until_it_has_begun() -> None:
    pending = Pending(Policies().order, Accounts([queue("q")], counted))
    spec = JobSpec("default/g", Group("", 1), "q", waits=AFTER)
    pending.put(pod("g-0", gpu=2), spec)
    assert pending.accounts.wanted == {}
    pending.put(pod("g-0", gpu=2), replace(spec, waits=None))
    assert pending.accounts.wanted == {"q": {"gpu": 2000}}
    pending.put(pod("g-0", gpu=2), spec)
    assert pending.accounts.wanted == {}
    pending.put(pod("g-1", gpu=2), spec)
    pending.hold(pod("g-0", gpu=2), spec)
    assert pending.accounts.wanted == {"q": {"gpu": 2000}}, "it has begun"
    pending.put(pod("g-2", gpu=2), spec)
    assert pending.accounts.wanted == {"q": {"gpu": 4000}}
    pending.put(pod("g-2", gpu=2), replace(spec, refusal=REFUSED))
    assert pending.accounts.wanted == {"q": {"gpu": 2000}}


def test_its_queues_turn_goes_by_the_next_of_its_line() -> None:
    """What is asked says whose turn it is: a queue within its quota comes before one that would be above it."""
    cluster = Cluster({"n": 2}, [queue("a", 2), queue("b", 1)])
    pending = cluster.pending
    pending.put(
        pod("a-large", gpu=8, priority=9), JobSpec("default/a-large", None, "a", priority=9, waits=AFTER)
    )
    pending.put(pod("a-small", gpu=2), JobSpec("default/a-small", None, "a"))
    pending.put(pod("b-two", gpu=2), JobSpec("default/b-two", None, "b"))
    outcome = cycle.run(cluster.snapshot, pending, cluster.rankings)
    assert [bind.pod.key for bind in outcome.binds] == ["default/a-small"]
    told = {one.job.key: one.shortfall.reason for one in outcome.blocked}
    assert told["default/a-large"] == AFTER


CLAIMS = Reason(Kind.RESOURCE_CLAIMS, "resource claims are not allocated here")


def refused(name: str, *, priority: int = 0, number: int = 0) -> PodRequest:
    """A pod that no node could ever have; those of one number are alike."""
    request = pod(name, gpu=1, priority=priority)
    signature = f"{request.shape.signature}!{number}"
    return dataclasses.replace(
        request, shape=dataclasses.replace(request.shape, signature=signature, refusal=CLAIMS)
    )


@pytest.mark.parametrize("gang", [False, True])
def test_one_that_no_room_would_help_is_in_nobodys_way(gang: bool) -> None:
    policies = Policies()
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    snapshot.set_facts(node("n", gpus=4))
    if gang:
        spec = JobSpec("default/g", Group("", 2), priority=9)
        for request in (pod("g-0", gpu=8, priority=9), refused("g-1", priority=9)):
            pending.put(request, spec)
    else:
        pending.put(refused("g", priority=9))
    pending.put(pod("next", gpu=1))
    outcome = cycle.run(snapshot, pending, rankings, backfill=Backfill(Style.STRICT), now_s=0.0)
    assert [bind.pod.key for bind in outcome.binds] == ["default/next"]
    (blocked,) = outcome.blocked
    assert blocked.shortfall.reason == CLAIMS
    assert cycle.why(snapshot, pending, blocked, rankings) == Explanation(CLAIMS.kind, CLAIMS.detail)


def test_room_is_made_for_those_behind_any_number_of_such() -> None:
    cluster = Cluster({"n": 1})
    cluster.run("low on n")
    for number in range(20):
        cluster.pending.put(refused(f"r{number}", priority=9, number=number))
    cluster.wait("high at 5")
    outcome = cluster.decide(Guards(), 100.0)
    assert [decision.job.key for decision in outcome.decisions] == ["default/high"]
