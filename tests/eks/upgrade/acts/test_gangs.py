"""Gangs are suspended whole and resumed once, on an emulated cluster with controllers of other projects' kinds."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.clock import parse_rfc3339
from aliquot.eks.estate.job_kinds import JOB_KINDS, WORKLOADS
from aliquot.eks.estate.places import POOL_LABEL, pool
from aliquot.eks.upgrade.acts.approval import Approval
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import EVICT, SCALE, SuspendGangs
from aliquot.eks.upgrade.doing import Decision, Doors
from aliquot.eks.upgrade.gpu_roll.marks import CHECKPOINT_URL, CORDONED_BY, SUSPENDED_BY, Hook, hook
from aliquot.eks.upgrade.verdicts import Hold
from aliquot.kube.api.checkpoint import REQUESTED
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.resources import NODES
from tests.eks.upgrade.acts.worlds import World, on_virtual_time
from tests.eks.upgrade.gpu_roll.training import JOBSETS, LWS, SILENT, TORCH, VOLCANO, Job, Recording, Training
from tests.eks.upgrade.lives import Killed

SUSPEND = SuspendGangs(cluster="prod", places=("gpu",), deadline_s=120.0, leave_s=60.0)
RESUME = ResumeGangs(places=("gpu",), limit_s=60.0)
WAIT = Approval("h")
"""A step that holds: what stands between."""


class Trained:
    def __init__(self, world: World) -> None:
        self.world = world
        self.training = Training(world.kube, world.clock, random.Random(3))
        transport = AsgiTransport(world.server.app, "upgrader", ["system:masters"])
        self.written = Recording(transport)
        kube = Client(self.written, clock=world.clock, rng=random.Random(4))
        world.doors = Doors(api=world.doors.api, clock=world.clock, client=kube, vault=world.vault)

    async def begin(self, *jobs: Job, nodes: int = 4) -> None:
        await self.training.serve(JOBSETS, TORCH, LWS, VOLCANO, WORKLOADS)
        for number in range(nodes):
            await self.training.node(f"gpu-{number}", "gpu")
        for job in jobs:
            await self.training.submit(job)
        for _ in range(2):
            await self.training.step()
        self.training.start()

    async def body(self, job: Job) -> dict[str, Any]:
        return await self.world.kube.get(job.resource, job.name, "default")

    async def suspended(self) -> None:
        held = await self.world.go(SUSPEND, WAIT, RESUME)
        assert held is not None
        assert "approve" in held.todo or "approv" in held.why, held

    async def resumed(self) -> None:
        assert await self.world.approved("h") is None

    async def decided(self, kind: str) -> Hold | None:
        self.world.journal.decide(
            self.world.run, Decision(kind=kind, step="", by="ada", at_s=self.world.clock.now())
        )
        return await self.world.again()


def trained(test: Callable[[Trained], Awaitable[None]]) -> Callable[[], None]:
    async def within(world: World) -> None:
        there = Trained(world)
        try:
            await test(there)
        finally:
            await there.training.stop()

    within.__name__, within.__doc__ = test.__name__, test.__doc__
    return on_virtual_time(within)


@trained
async def test_whole_gangs_stop_and_go_on(there: Trained) -> None:
    jobs = [Job(JOBSETS, "set", 2, saves=True), Job(TORCH, "torch", 1), Job(TORCH, "other", 1)]
    await there.begin(*jobs)
    before_s = there.world.clock.now()
    await there.suspended()
    assert await there.training.pods() == []
    assert 40 <= there.world.clock.now() - before_s < 120, "it waits for the checkpoint, and no longer"
    for job in jobs:
        assert (await there.body(job))["metadata"]["annotations"][SUSPENDED_BY] == there.world.run
    await there.resumed()
    assert len(await there.training.pods()) == 4
    for job in jobs:
        assert SUSPENDED_BY not in (await there.body(job))["metadata"].get("annotations", {})
    assert set(there.written.suspended.values()) == set(there.written.resumed.values()) == {1}
    assert len(there.written.suspended) == 3
    for node in (await there.world.kube.list(NODES)).items:
        assert not node["spec"].get("unschedulable")
        assert CORDONED_BY not in node["metadata"].get("annotations", {})


@trained
async def test_who_saves_too_late_is_suspended_without(there: Trained) -> None:
    await there.begin(Job(JOBSETS, "set", 2, saves=True, save_s=1e9))
    before_s = there.world.clock.now()
    await there.suspended()
    assert there.world.clock.now() - before_s >= SUSPEND.deadline_s
    assert any("without a checkpoint" in line for line in there.world.told)


@trained
async def test_who_cannot_save_is_not_waited_for(there: Trained) -> None:
    job = Job(JOBSETS, "set", 2)
    await there.begin(job)
    before_s = there.world.clock.now()
    await there.suspended()
    assert there.world.clock.now() - before_s < 60
    assert REQUESTED not in (await there.body(job))["metadata"]["annotations"]


@trained
async def test_what_a_person_suspended_stays_so(there: Trained) -> None:
    theirs = Job(JOBSETS, "theirs", 2)
    await there.begin(Job(TORCH, "ours", 1))
    await there.training.submit(theirs, suspended=True)
    await there.suspended()
    await there.resumed()
    assert (await there.body(theirs))["spec"]["suspend"] is True
    assert there.written.suspended == there.written.resumed == {"ours": 1}


@trained
async def test_kueue_is_told_and_not_the_job(there: Trained) -> None:
    job = Job(TORCH, "torch", 2, queue=True)
    await there.begin(job)
    await there.suspended()
    workload = await there.world.kube.get(WORKLOADS, "kueue-torch", "default")
    assert workload["spec"]["active"] is False
    assert workload["metadata"]["annotations"][SUSPENDED_BY] == there.world.run
    assert (await there.body(job))["spec"]["runPolicy"]["suspend"] is False
    await there.resumed()
    assert (await there.world.kube.get(WORKLOADS, "kueue-torch", "default"))["spec"]["active"] is True
    assert len(await there.training.pods("torch")) == 2


@trained
async def test_what_can_only_be_scaled_is_asked_of_a_person_before_anybody_stops(there: Trained) -> None:
    job = Job(LWS, "serve", 2)
    await there.begin(job, Job(JOBSETS, "set", 2))
    held = await there.world.go(SUSPEND, RESUME)
    assert held is not None
    assert "LeaderWorkerSet default/serve cannot be suspended" in held.why
    assert len(await there.training.pods()) == 4
    assert await there.decided(SCALE) is None
    assert there.written.suspended == there.written.resumed == {"serve": 1, "set": 1}
    assert (await there.body(job))["spec"]["replicas"] == 2
    assert len(await there.training.pods()) == 4


@trained
async def test_what_has_no_way_is_left_to_be_evicted_if_a_person_says_so(there: Trained) -> None:
    await there.begin(Job(VOLCANO, "vj", 1), Job(JOBSETS, "set", 2))
    held = await there.world.go(SUSPEND)
    assert held is not None
    assert "vcctl" in held.why
    assert await there.decided(EVICT) is None
    assert [one["metadata"]["labels"]["job"] for one in await there.training.pods()] == ["vj"]
    assert "left to be evicted: Job default/vj" in there.world.told[-1]


@trained
async def test_what_has_no_way_may_stay_and_others_go_on_elsewhere(there: Trained) -> None:
    await there.begin(Job(VOLCANO, "vj", 1), Job(JOBSETS, "set", 2), nodes=3)
    for number in range(2):
        await there.training.node(f"green-{number}", "green")
    resume = replace(RESUME, uncordons=False)
    assert await there.world.go(replace(SUSPEND, may_stay=True), resume) is None
    assert any("left to end by themselves: Job default/vj" in line for line in there.world.told)
    pods = {one["metadata"]["labels"]["job"]: one["spec"]["nodeName"] for one in await there.training.pods()}
    assert pods["vj"].startswith("gpu-")
    assert pods["set"].startswith("green-")
    cordoned = {
        one["metadata"]["name"]
        for one in (await there.world.kube.list(NODES)).items
        if one["spec"].get("unschedulable")
    }
    assert cordoned == {"gpu-0", "gpu-1", "gpu-2"}


@trained
async def test_pods_that_do_not_go_are_named(there: Trained) -> None:
    await there.begin(Job(JOBSETS, "set", 2))
    there.training.never_leaves.add("set")
    held = await there.world.go(SUSPEND)
    assert held is not None
    assert "default/set-1 on gpu-" in held.why
    there.training.never_leaves.clear()
    assert await there.world.again() is None


@trained
async def test_whoever_comes_meanwhile_is_taken_too(there: Trained) -> None:
    """By a scheduler that had not heard of the cordon."""
    await there.begin(Job(JOBSETS, "set", 2, saves=True))

    async def come_late() -> None:
        await asyncio.sleep(20)
        await there.training.submit(Job(TORCH, "late", 1))
        await asyncio.sleep(3)
        pods = await there.training.pods("late")
        await there.world.kube.bind("default", pods[0]["metadata"]["name"], "gpu-3")

    coming = asyncio.create_task(come_late())
    await there.suspended()
    await coming
    assert there.written.suspended == {"set": 1, "late": 1}


@trained
async def test_a_group_of_pods_stops_whole_wherever_it_is(there: Trained) -> None:
    named = {"aliquot.dev/pod-group": "g"}
    await there.training.serve(JOBSETS, TORCH, LWS, VOLCANO, WORKLOADS)
    await there.training.node("gpu-0", "gpu")
    await there.training.submit(Job(JOBSETS, "one", 1, labels=named))
    await there.training.step()
    await there.training.step()
    await there.training.node("other-0", "other")
    await there.training.submit(Job(TORCH, "two", 1, labels=named))
    await there.training.step()
    await there.training.step()
    there.training.start()
    await there.suspended()
    assert there.written.suspended == {"one": 1, "two": 1}
    assert not (await there.world.kube.get(NODES, "other-0"))["spec"].get("unschedulable")
    await there.resumed()
    assert there.written.resumed == {"one": 1, "two": 1}


@trained
async def test_a_group_is_not_left_half_suspended_by_a_death(there: Trained) -> None:
    """What is left of it has no pods on the nodes that go: only what was kept knows of it."""
    named = {"aliquot.dev/pod-group": "g"}
    await there.training.serve(JOBSETS, TORCH, LWS, VOLCANO, WORKLOADS)
    for name, group, job in (
        ("gpu-0", "gpu", Job(JOBSETS, "one", 1, labels=named)),
        ("other-0", "other", Job(TORCH, "two", 1, labels=named)),
    ):
        await there.training.node(name, group)
        await there.training.submit(job)
        await there.training.step()
        await there.training.step()
    there.training.start()
    there.written.dies_after_suspension = True
    with pytest.raises(Killed):
        await there.world.go(SUSPEND)
    assert there.written.suspended == {"one": 1}
    await asyncio.sleep(60)
    assert await there.training.pods("one") == []
    assert await there.world.on() is None
    assert there.written.suspended == {"one": 1, "two": 1}


@trained
async def test_what_a_person_suspended_a_moment_ago_is_waited_for_and_not_taken(there: Trained) -> None:
    await there.begin(Job(JOBSETS, "theirs", 2))
    there.training.leave_s = 40.0
    await there.world.kube.patch(JOBSETS, "theirs", {"spec": {"suspend": True}}, "default")
    await asyncio.sleep(5)
    assert len(await there.training.pods()) == 2
    await there.suspended()
    assert await there.training.pods() == []
    await there.resumed()
    assert there.written.suspended == there.written.resumed == {}


@trained
async def test_a_person_who_resumes_is_heard(there: Trained) -> None:
    job = Job(JOBSETS, "set", 1)
    await there.begin(job)
    there.training.leave_s = 30.0
    held = await there.world.go(SUSPEND, WAIT)
    await there.world.kube.patch(JOBSETS, "set", {"spec": {"suspend": False}}, "default")
    await there.world.kube.patch(NODES, "gpu-0", {"spec": {"unschedulable": False}})
    await asyncio.sleep(5)
    assert held is not None
    held = await there.world.go(ResumeGangs(run="run-1"))
    assert held is None
    assert there.written.resumed == {"set": 1}
    assert SUSPENDED_BY not in (await there.body(job))["metadata"].get("annotations", {})


@trained
async def test_what_people_do_with_gangs_meanwhile_is_told(there: Trained) -> None:
    world = there.world
    await there.begin(*(Job(JOBSETS, name, 1) for name in ("early", "gone", "theirs", "set")))
    await there.suspended()
    await world.kube.patch(JOBSETS, "early", {"spec": {"suspend": False}}, "default")
    await world.kube.delete(JOBSETS, "gone", "default")
    await world.kube.patch(JOBSETS, "theirs", {"metadata": {"annotations": {SUSPENDED_BY: None}}}, "default")
    await there.resumed()
    kind = "JobSet.jobset.x-k8s.io/default"
    assert world.told[-1] == (
        f"{kind}/set: resumed; {kind}/early: resumed by somebody while this run had it suspended; "
        f"{kind}/gone, {kind}/theirs: suspended by this run, and now gone or somebody else's"
    )
    assert SUSPENDED_BY not in (await there.body(Job(JOBSETS, "early", 1)))["metadata"]["annotations"]


@trained
async def test_a_gang_that_somebody_resumes_while_its_nodes_are_to_go_is_asked_about(there: Trained) -> None:
    await there.begin(Job(JOBSETS, "set", 1))
    there.training.never_leaves.add("set")

    async def resume() -> None:
        await asyncio.sleep(20)
        await there.world.kube.patch(JOBSETS, "set", {"spec": {"suspend": False}}, "default")

    coming = asyncio.create_task(resume())
    held = await there.world.go(SUSPEND)
    await coming
    assert held is not None
    assert "JobSet default/set was suspended by this run, and somebody has resumed it" in held.why
    await there.world.kube.patch(JOBSETS, "set", {"spec": {"suspend": True}}, "default")
    there.training.never_leaves.clear()
    assert await there.world.again() is None
    assert there.written.suspended == {"set": 1}


@trained
async def test_a_hook_is_asked_until_it_has_saved(there: Trained) -> None:
    await there.begin(Job(JOBSETS, "set", 1, annotations={CHECKPOINT_URL: ":8080/save"}))
    there.written.hooks = [503, 404, 200]
    before_s = there.world.clock.now()
    await there.suspended()
    assert [path for path, _ in there.written.hooked] == [
        "/api/v1/namespaces/default/pods/set-1%3A8080/proxy/save"
    ] * 3
    asked = there.written.hooked[0][1]["requested"]
    assert before_s <= parse_rfc3339(asked) <= there.world.clock.now()
    assert not any("without a checkpoint" in line for line in there.world.told)
    assert 20 <= there.world.clock.now() - before_s < SUSPEND.deadline_s


@pytest.mark.parametrize("status", [404, SILENT])
def test_a_hook_that_has_nothing_to_say_is_not_waited_for_for_ever(status: int) -> None:
    @trained
    async def whole(there: Trained) -> None:
        await there.begin(Job(JOBSETS, "set", 2, annotations={CHECKPOINT_URL: ":8080/save"}))
        there.written.hooks = [status]
        before_s = there.world.clock.now()
        await there.suspended()
        assert any("set (without a checkpoint)" in line for line in there.world.told)
        assert there.world.clock.now() - before_s < SUSPEND.deadline_s + 120

    whole()


@trained
async def test_a_run_resumes_its_own_and_for_its_groups_alone(there: Trained) -> None:
    await there.begin(Job(JOBSETS, "set", 1))
    await there.suspended()
    assert await there.world.go(ResumeGangs()) is None
    assert await there.world.go(ResumeGangs(run="run-1", places=("other",))) is None
    assert there.written.resumed == {}
    assert await there.world.go(ResumeGangs(run="run-1", places=("gpu", "x"))) is None
    assert there.written.resumed == {"set": 1}


@trained
async def test_who_does_not_run_again_is_told_and_gone_on_from(there: Trained) -> None:
    await there.begin(Job(JOBSETS, "set", 2))
    await there.suspended()
    for number in range(3):
        await there.world.kube.delete(NODES, f"gpu-{number}")
    await there.resumed()
    assert any("JobSet.jobset.x-k8s.io/default/set: 1 of 2 pods run" in line for line in there.world.told)


@trained
async def test_gangs_of_a_pool_are_those_of_its_nodes_alone(there: Trained) -> None:
    await there.training.serve(JOBSETS, TORCH, LWS, VOLCANO, WORKLOADS)
    await there.training.node("pool-0", "", labels={POOL_LABEL: "gpu"})
    await there.training.submit(Job(JOBSETS, "pooled", 1))
    for _ in range(2):
        await there.training.step()
    await there.training.node("group-0", "gpu")
    await there.training.submit(Job(JOBSETS, "grouped", 1))
    for _ in range(2):
        await there.training.step()
    there.training.start()
    places = (pool("gpu"),)
    suspend = SuspendGangs(cluster="prod", places=places, deadline_s=120.0, leave_s=60.0)
    held = await there.world.go(suspend, WAIT, ResumeGangs(places=places, limit_s=60.0))
    assert held is not None
    assert there.written.suspended == {"pooled": 1}
    assert (await there.world.kube.get(NODES, "pool-0"))["spec"]["unschedulable"]
    await there.resumed()
    assert there.written.resumed == {"pooled": 1}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (":8080/save", Hook(8080, "save")),
        ("http://localhost:8080/a/b", Hook(8080, "a/b")),
        (":8080", Hook(8080, "")),
        ("8080", None),
        (":0/x", None),
        (":70000/x", None),
        ("http://host/save", None),
    ],
)
def test_where_a_hook_is(text: str, found: Hook | None) -> None:
    assert hook(text) == found


def test_all_kinds_that_are_tested_are_kinds() -> None:
    assert {JOBSETS, TORCH, LWS, VOLCANO} <= {one.resource for one in JOB_KINDS.values()}
