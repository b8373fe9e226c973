"""What is written on PodGroups, against an API in memory, on virtual time; and the pure parts of it by tables."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

import pytest
from msgspec import structs

from aliquot.kube.api.core import Pod, PodStatus
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.api.podgroup import PodGroup, PodGroupPhase, PodGroupSpec, SubGroup
from aliquot.scheduler.core.backfill.promises import Promise
from aliquot.scheduler.core.cycle import Outcome
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pending import Job
from aliquot.scheduler.group_status import phase_of
from aliquot.scheduler.grouping.doors import own
from aliquot.scheduler.members import gathered
from tests.scheduler.fake_api import KINDS, FakeApi, Json, Refused, World, simulate
from tests.scheduler.running import node, pod, running, scheduler, until
from tests.scheduler.test_queue_status import queue

GROUPS = (*KINDS, "queues", "podgroups")


def group(name: str, minimum: int, **spec: Any) -> Json:
    return {
        "metadata": {"name": name, "namespace": "default", "generation": 1},
        "spec": {"minMember": minimum, **spec},
    }


def member(name: str, of: str, *, gpus: int = 1, **spec: Any) -> Json:
    made = pod(name, gpus=gpus, **spec)
    made["metadata"]["labels"] = {"aliquot.dev/pod-group": of}
    return made


def shown(api: FakeApi, name: str) -> Json:
    found: Json = api.objects["podgroups"][f"default/{name}"].get("status", {})
    return found


def phase(api: FakeApi, name: str) -> str:
    found: str = shown(api, name).get("phase", "")
    return found


def reason(api: FakeApi, name: str) -> str:
    found: str = shown(api, name).get("waiting", {}).get("reason", "")
    return found


def condition(api: FakeApi, name: str, of: str = "Scheduled") -> tuple[str, str]:
    """Status and reason; empty where there is none."""
    for found in shown(api, name).get("conditions", ()):
        if found["type"] == of:
            return found["status"], found["reason"]
    return "", ""


def about(api: FakeApi, name: str) -> list[tuple[str, str]]:
    """Events on the PodGroup."""
    return [
        (event["reason"], event["message"])
        for event in api.objects["events"].values()
        if (event["involvedObject"]["kind"], event["involvedObject"]["name"]) == ("PodGroup", name)
    ]


def test_a_gang_of_which_a_bind_is_refused_says_so_for_as_long_as_it_is() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        refusing = True

        def refuse(key: str) -> None:
            if refusing and key == "default/p1":
                raise Refused(403, "Forbidden", "not today")

        api.before_bind = refuse
        api.put("nodes", node("a", gpus=2))
        api.put("podgroups", group("train", 2, stalenessGracePeriod="1h"))
        for name in ("p0", "p1"):
            api.put("pods", member(name, "train"))
        async with running(scheduler(world)):
            await until(lambda: reason(api, "train") == "SchedulerError")
            await asyncio.sleep(300)
            assert condition(api, "train") == ("False", "SchedulerError")
            assert shown(api, "train")["waiting"]["message"].endswith("was refused: not today")
            refusing = False
            await until(lambda: phase(api, "train") == "Running")

    simulate(scenario, kinds=GROUPS)


def test_a_gang_of_which_a_bind_fails_says_so() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        fails = True
        api.fault = lambda method, path: "before" if fails and path.endswith("/p1/binding") else ""
        api.put("nodes", node("a", gpus=2))
        api.put("podgroups", group("train", 2, stalenessGracePeriod="1h"))
        for name in ("p0", "p1"):
            api.put("pods", member(name, "train"))
        async with running(scheduler(world)):
            await until(lambda: reason(api, "train") == "BindFailed")
            assert condition(api, "train") == ("False", "BindFailed")
            fails = False
            await until(lambda: phase(api, "train") == "Running")

    simulate(scenario, kinds=GROUPS)


def test_a_gang_that_waits_for_its_queue_and_then_runs() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=8))
        api.put("queues", queue("vision", limit=3))
        api.put("podgroups", group("train", 4, queue="vision"))
        for number in range(4):
            api.put("pods", member(f"p{number}", "train"))
        async with running(scheduler(world)):
            await until(lambda: reason(api, "train") == "LargerThanLimit")
            why = (
                "4 GPUs are asked for, and queue vision may have 3 at most: ask for less, or raise its limit"
            )
            assert shown(api, "train")["waiting"]["message"] == why
            assert shown(api, "train")["waiting"]["queueDetails"] == {
                "queue": "vision",
                "resources": [
                    {
                        "resource": "gpu",
                        "requested": "4",
                        "allocated": "0",
                        "fairShare": "3",
                        "limit": "3",
                    }
                ],
            }
            assert (phase(api, "train"), condition(api, "train")) == ("Pending", ("False", "LargerThanLimit"))
            assert shown(api, "train")["pods"] == {"pending": 4}
            await until(lambda: about(api, "train") == [("FailedScheduling", why)])

            def raised(obj: Json) -> None:
                obj["spec"]["resources"]["gpu"]["limit"] = 4

            api.update("queues", "vision", raised)
            await until(lambda: phase(api, "train") == "Running")
            assert (reason(api, "train"), condition(api, "train")) == ("", ("True", "Scheduled"))
            await until(
                lambda: ("Scheduled", "4 pods have a node, and no more are needed") in about(api, "train")
            )

    simulate(scenario, kinds=GROUPS)


def test_the_reason_follows_when_another_one_holds_it_back() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        api.put("queues", queue("vision", limit=3))
        api.put("podgroups", group("train", 4, queue="vision"))
        for number in range(4):
            api.put("pods", member(f"p{number}", "train"))
        async with running(scheduler(world)):
            await until(lambda: reason(api, "train") == "LargerThanLimit")
            api.update("queues", "vision", lambda obj: obj["spec"]["resources"]["gpu"].update(limit=8))
            await until(lambda: reason(api, "train") == "Full", within_s=10)
            assert api.condition("p0")[2].startswith("2 of 4 pods find a node")
            await until(lambda: len(about(api, "train")) == 2)

    simulate(scenario, kinds=GROUPS)


def test_pods_that_are_not_there_yet() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=8))
        api.put("podgroups", group("train", 2))
        async with running(scheduler(world)):
            await until(lambda: reason(api, "train") == "MembersMissing")
            assert shown(api, "train")["waiting"]["message"].startswith("0 of the 2 pods that it takes exist")
            api.put("pods", member("p0", "train"))
            await until(lambda: "1 of the 2" in shown(api, "train")["waiting"]["message"])
            api.put("pods", member("p1", "train"))
            await until(lambda: phase(api, "train") == "Running")
            assert shown(api, "train")["pods"] == {"scheduled": 2}
            for name in ("p0", "p1"):
                api.update("pods", f"default/{name}", lambda obj: obj["status"].update(phase="Succeeded"))
            await until(lambda: phase(api, "train") == "Succeeded")
            assert condition(api, "train") == ("True", "Scheduled")

    simulate(scenario, kinds=GROUPS)


def test_pods_that_wait_for_their_gates() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=8))
        api.put("podgroups", group("train", 1))
        api.put("pods", member("p0", "train", schedulingGates=[{"name": "later"}]))
        async with running(scheduler(world)):
            await until(lambda: reason(api, "train") == "SchedulingGated")

    simulate(scenario, kinds=GROUPS)


def test_many_pods_are_one_write() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=8))
        api.put("podgroups", group("train", 16))
        path = "/apis/aliquot.dev/v1alpha1/namespaces/default/podgroups/train/status"
        async with running(scheduler(world)):
            await until(lambda: reason(api, "train") == "MembersMissing")
            before = api.writes.count(("PATCH", path))
            for number in range(16):
                api.put("pods", member(f"p{number:02}", "train"))
                await asyncio.sleep(0.01)
            await until(lambda: reason(api, "train") == "Full")
            await asyncio.sleep(100)
            assert api.writes.count(("PATCH", path)) - before <= 2

    simulate(scenario, kinds=GROUPS)


def test_when_it_starts_at_the_latest() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("podgroups", group("train", 2))
        for number in range(2):
            api.put("pods", member(f"p{number}", "train"))
        one = scheduler(world)
        decide, starts = one.decide, [1_767_232_800.0]

        def promising(limit: int | None = None, **more: Any) -> Outcome:
            outcome = decide(limit, **more)
            jobs = {blocked.job.key: blocked.job for blocked in outcome.blocked}
            promises = tuple(Promise(job, starts[0], inf, ()) for job in jobs.values())
            return structs.replace(outcome, promises=promises)

        one.decide = promising  # type: ignore[method-assign]
        async with running(one):
            await until(lambda: shown(api, "train").get("predictedStart") == "2026-01-01T02:00:00Z")
            starts[0] -= 3600
            await until(lambda: shown(api, "train")["predictedStart"] == "2026-01-01T01:00:00Z")
            api.put("nodes", node("b", gpus=1))
            await until(lambda: phase(api, "train") == "Running")
            assert "predictedStart" not in shown(api, "train")

    simulate(scenario, kinds=GROUPS)


def test_groups_of_other_projects_are_left_alone() -> None:
    others = ("scheduling.x-k8s.io", "scheduling.run.ai", "scheduling.volcano.sh")

    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        for name in others:
            api.put(f"podgroups.{name}", group("theirs", 2))
        made = pod("p", gpus=1)
        made["metadata"]["labels"] = {"scheduling.x-k8s.io/pod-group": "theirs"}
        api.put("pods", made)
        async with running(scheduler(world)):
            await until(lambda: api.condition("p")[2].startswith("1 of the 2 pods"))
            await asyncio.sleep(60)
        assert not any("podgroups" in path for _, path in api.writes)

    simulate(scenario, kinds=(*GROUPS, *(f"podgroups.{name}" for name in others)))


@dataclass(frozen=True)
class Case:
    rule: str
    pods: str
    """`LEAF:STATE*N`: waits, bound, runs, done or failed."""
    phase: PodGroupPhase
    spec: PodGroupSpec = field(default_factory=lambda: PodGroupSpec(min_member=2))
    before: PodGroupPhase | None = None


ROLES = PodGroupSpec(sub_groups=[SubGroup(name="head", min_member=1), SubGroup(name="work", min_member=2)])
EXTRAS = PodGroupSpec(sub_groups=[SubGroup(name="work", min_member=0)])
_PHASES: Mapping[str, str] = {"runs": "Running", "done": "Succeeded", "failed": "Failed"}


@pytest.mark.parametrize(
    "case",
    [
        Case("nothing there", "", PodGroupPhase.PENDING),
        Case("all wait", ":waits*2", PodGroupPhase.PENDING),
        Case("too few", ":bound*1 :waits*1", PodGroupPhase.PENDING),
        Case("enough", ":bound*1 :runs*1 :waits*3", PodGroupPhase.RUNNING),
        Case("enough, with those that are through", ":runs*1 :done*1", PodGroupPhase.RUNNING),
        Case("one lost, which is made anew", ":runs*1 :failed*1 :waits*1", PodGroupPhase.PENDING),
        Case("all through", ":done*2", PodGroupPhase.SUCCEEDED),
        Case("as many as it takes are through", ":done*2 :failed*1", PodGroupPhase.SUCCEEDED),
        Case("too few came through", ":done*1 :failed*1", PodGroupPhase.FAILED),
        Case("each role enough", "head:runs*1 work:runs*2", PodGroupPhase.RUNNING, ROLES),
        Case("as many, but not of each role", "work:runs*3", PodGroupPhase.PENDING, ROLES),
        Case("each role, one of them through", "head:done*1 work:runs*2", PodGroupPhase.RUNNING, ROLES),
        Case("as many, some through", "work:runs*2 work:done*1 head:waits*1", PodGroupPhase.PENDING, ROLES),
        Case("contradicts itself", "", PodGroupPhase.PENDING, PodGroupSpec()),
        Case("nothing there, and nothing is needed", "", PodGroupPhase.PENDING, EXTRAS),
        Case("through, and one deleted", ":done*1", PodGroupPhase.SUCCEEDED, before=PodGroupPhase.SUCCEEDED),
        Case("through, and all deleted", "", PodGroupPhase.SUCCEEDED, before=PodGroupPhase.SUCCEEDED),
        Case("failed, and all deleted", "", PodGroupPhase.FAILED, before=PodGroupPhase.FAILED),
        Case(
            "failed, and came through later", ":done*2", PodGroupPhase.SUCCEEDED, before=PodGroupPhase.FAILED
        ),
        Case(
            "failed, and made anew", ":failed*1 :waits*2", PodGroupPhase.PENDING, before=PodGroupPhase.FAILED
        ),
        Case(
            "through, and used again",
            ":done*2 :waits*1",
            PodGroupPhase.PENDING,
            before=PodGroupPhase.SUCCEEDED,
        ),
    ],
    ids=lambda case: case.rule,
)
def test_phases(case: Case) -> None:
    made = PodGroup(metadata=ObjectMeta(name="g", namespace="default"), spec=case.spec)
    pods: list[Pod] = []
    placed: dict[str, str] = {}
    succeeded: dict[str, str] = {}
    waits = 0
    for text in case.pods.split():
        leaf, _, rest = text.partition(":")
        state, _, count = rest.partition("*")
        for _ in range(int(count)):
            name = f"p{len(pods)}"
            bare = Pod(metadata=ObjectMeta(name=name, namespace="default"))
            spec = bare.spec if state == "waits" else type(bare.spec)(node_name="a")
            pods.append(
                Pod(metadata=bare.metadata, spec=spec, status=PodStatus(phase=_PHASES.get(state, "")))
            )
            if state in ("bound", "runs"):
                placed[f"default/{name}"] = leaf
            if state == "done":
                succeeded[f"default/{name}"] = leaf
            waits += state == "waits"
    job = None
    if placed or waits or succeeded:
        job_spec = JobSpec(own.key_of("default", "g"), own.root_of(made))
        job = Job(job_spec, placed=placed, succeeded=succeeded)
    assert phase_of(made, job, gathered(pods), case.before) is case.phase
