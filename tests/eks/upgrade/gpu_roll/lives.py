"""A roll of GPU nodes by runners that die, at an API server that drops answers, while people suspend jobs of their own: from a seed, on virtual time.

`python -m tests.eks.upgrade.gpu_roll.lives --count 1000`
"""

import argparse
import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aliquot.clock import VirtualTimeLoop
from aliquot.eks.estate.job_kinds import WORKLOADS
from aliquot.eks.estate.places import GROUP_LABEL
from aliquot.eks.fake.direct import Direct
from aliquot.eks.upgrade.acts.approval import APPROVE, Approval
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.gpu_restore import STARTUP_TAINT, RestoreGpus, SaveGpus
from aliquot.eks.upgrade.acts.table import Act
from aliquot.eks.upgrade.doing import Decision, Doors
from aliquot.eks.upgrade.gpu_roll.layouts import CONFIG
from aliquot.eks.upgrade.gpu_roll.marks import CORDONED_BY, SUSPENDED_BY
from aliquot.eks.upgrade.journal import Held, Phase
from aliquot.eks.upgrade.runner import LEASE_S, Runner
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.versions.minor import Minor
from aliquot.kube.api.agent_labels import MIG_STATE
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.errors import Conflict
from aliquot.kube.resources import NODES, Resource
from aliquot.kube.transport import Request, Response, Transport, TransportError
from tests.eks.upgrade.acts.worlds import World, world
from tests.eks.upgrade.gpu_roll.training import JOBSETS, TORCH, Job, Recording, Training
from tests.eks.upgrade.lives import Dying, DyingJournal, Killed

RUN = "run-1"
M132 = Minor(1, 32)
ZONE = "topology.kubernetes.io/zone"
TIED = {"aliquot.dev/pod-group": "tied"}


@dataclass
class Broken:
    """A way to the API server on which a runner may die, and answers get lost; most of all where something is written, late at times."""

    inner: Transport
    rng: random.Random
    chance: float

    async def send(self, request: Request) -> Response:
        deadly = self.chance * (3 if request.method == "PATCH" else 0.5)
        if request.method == "PATCH" and self.rng.random() < 0.3:
            await asyncio.sleep(self.rng.random() * 20)
        self._die(deadly)
        if self.rng.random() < self.chance:
            raise TransportError("cut off", delivered=False)
        response = await self.inner.send(request)
        self._die(deadly)
        if self.rng.random() < self.chance:
            await response.close()
            raise TransportError("cut off")
        return response

    def _die(self, chance: float) -> None:
        if self.rng.random() < chance:
            raise Killed

    async def close(self) -> None:
        await self.inner.close()


class KeepingJournal(DyingJournal):
    def keep(self, *args: Any) -> None:
        self._around(super().keep, *args)


@dataclass
class Life:
    deaths: int = 0
    holds: int = 0
    theirs: set[str] = field(default_factory=set)
    """Jobs that a person has suspended."""
    suspended: int = 0
    teams: int = 0
    """Nodes that somebody gave a label of their own."""


ACTS: tuple[Act, ...] = (
    SaveGpus(cluster="prod", groups=("gpu",)),
    SuspendGangs(cluster="prod", places=("gpu",), deadline_s=120.0, leave_s=120.0),
    Approval("roll"),
    RestoreGpus(groups=("gpu",), minor=M132),
    ResumeGangs(places=("gpu",)),
)
STEPS = [
    Step(id=f"1.32/{number}", state=State.NODES, hop=M132, what="", act=act, expected_s=0)
    for number, act in enumerate(ACTS)
]
_ROLL = STEPS[2].id


def live(seed: int) -> Life:
    """One roll, from its seed. Raises AssertionError where it is not as it has to be."""
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(_live(seed))
    finally:
        loop.close()


async def _live(seed: int) -> Life:
    rng = random.Random(seed)
    async with world() as there, _training(there, rng) as training:
        jobs = await _begun(there, training, rng)
        labels = [one["metadata"]["labels"] for one in (await there.kube.list(NODES)).items]
        life = Life(
            teams=sum(1 for one in labels if "team" in one),
            theirs={job.name for job in jobs if job.name.startswith("theirs")},
        )
        recording = Recording(AsgiTransport(there.server.app, "upgrader", ["system:masters"]))
        kube = Client(Broken(recording, rng, 0.01), clock=there.clock, rng=rng)
        assert isinstance(there.doors.api, Direct)
        api = Dying(there.doors.api, rng, chance=0.02)
        doors = Doors(api=api, clock=there.clock, client=kube, vault=there.vault)
        journal = KeepingJournal("sqlite://")
        journal.rng, journal.chance = rng, 0.01
        journal.begin(RUN, "prod", b"plan", [step.id for step in STEPS], there.clock.now())
        people = [asyncio.create_task(_person(there, job, life, rng)) for job in jobs]
        rolled = False
        for turn in range(300):
            try:
                held = await Runner(doors, journal, RUN, STEPS, owner=f"runner-{turn}").go()
            except Killed:
                life.deaths += 1
                await asyncio.sleep(rng.random() * LEASE_S)
                continue
            except Held:
                await asyncio.sleep(LEASE_S / 4)
                continue
            if held is None:
                break
            life.holds += 1
            at_hand = next(one for one in journal.standing(RUN) if one.phase is Phase.HELD)
            if at_hand.step == _ROLL and not rolled:
                for person in people:
                    person.cancel()
                await asyncio.gather(*people, return_exceptions=True)
                await _stopped(there, training, jobs, life, recording)
                await _rolled(there, rng)
                rolled = True
                said = Decision(
                    kind=APPROVE, step="", by="ada", at_s=there.clock.now(), body={"hash": "roll"}
                )
                journal.decide(RUN, said)
            journal.retry(RUN, there.clock.now())
        else:
            raise AssertionError(f"seed {seed}: it comes to no end: {journal.standing(RUN)}")
        await asyncio.sleep(30)
        await _gone_on(there, training, jobs, life, recording)
        return life


@asynccontextmanager
async def _training(there: World, rng: random.Random) -> AsyncIterator[Training]:
    training = Training(there.kube, there.clock, random.Random(rng.random()))
    cutting = asyncio.create_task(_cut(there))
    try:
        yield training
    finally:
        cutting.cancel()
        await asyncio.gather(cutting, return_exceptions=True)
        await training.stop()


async def _begun(there: World, training: Training, rng: random.Random) -> list[Job]:
    await training.serve(JOBSETS, TORCH, WORKLOADS)
    there.account.nodegroup("gpu", 4)
    for number in range(rng.randrange(4, 7)):
        labels = {
            ZONE: rng.choice("ab"),
            CONFIG: "whole",
            **({"team": "vision"} if rng.random() < 0.5 else {}),
        }
        await training.node(f"old-{number}", "gpu", labels=labels)
    for number in range(3):
        await training.node(f"other-{number}", "other")
    jobs = []
    for number in range(rng.randrange(1, 5)):
        theirs = rng.random() < 0.2
        jobs.append(
            Job(
                rng.choice((JOBSETS, TORCH)),
                f"{'theirs' if theirs else 'job'}-{number}",
                rng.randrange(1, 3),
                saves=rng.random() < 0.5,
                save_s=rng.choice((20.0, 60.0, 1e9)),
                queue=not theirs and rng.random() < 0.3,
                labels=TIED if not theirs and rng.random() < 0.4 else {},
            )
        )
        await training.submit(jobs[-1], suspended=theirs)
    training.every_s = 5.0
    training.leave_s = rng.choice((2.0, 30.0))
    training.start()
    await asyncio.sleep(20)
    return jobs


async def _cut(there: World) -> None:
    """A MIG manager: says of new nodes, a while later, that they are as their label wants."""
    while True:
        for node in (await there.kube.list(NODES)).items:
            labels = node["metadata"]["labels"]
            if CONFIG in labels and MIG_STATE not in labels:
                body = {"metadata": {"labels": {MIG_STATE: "success"}}}
                await there.kube.patch(NODES, node["metadata"]["name"], body)
        await asyncio.sleep(7)


def _written(job: Job) -> tuple[Resource, str]:
    return (WORKLOADS, f"kueue-{job.name}") if job.queue else (job.resource, job.name)


async def _person(there: World, job: Job, life: Life, rng: random.Random) -> None:
    """Suspends it, if nobody has."""
    if job.queue or job.labels or rng.random() < 0.5:
        return
    await asyncio.sleep(rng.random() * 150)
    told = await there.kube.get(job.resource, job.name, "default")
    meta = told["metadata"]
    if SUSPENDED_BY in meta.get("annotations", {}):
        return
    spec: dict[str, Any] = {"suspend": True} if job.resource == JOBSETS else {"runPolicy": {"suspend": True}}
    body = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "spec": spec}
    try:
        await there.kube.patch(job.resource, job.name, body, "default")
    except Conflict:
        return
    life.theirs.add(job.name)


async def _stopped(
    there: World, training: Training, jobs: list[Job], life: Life, recording: Recording
) -> None:
    """The moment at which nodes go."""
    nodes = {
        one["metadata"]["name"]: one["metadata"]["labels"][GROUP_LABEL]
        for one in (await there.kube.list(NODES)).items
    }
    on_gpu = [
        pod["metadata"]["name"]
        for pod in await training.pods()
        if nodes.get(pod["spec"].get("nodeName", "")) == "gpu"
    ]
    assert not on_gpu, on_gpu
    tied = [job for job in jobs if job.labels and job.name not in life.theirs]
    wants = {job.name: await training.wants(job) for job in tied}
    assert len({wanted > 0 for wanted in wants.values()}) < 2, f"a gang is half suspended: {wants}"
    life.suspended = sum(recording.suspended.values())
    assert not recording.resumed


async def _rolled(there: World, rng: random.Random) -> None:
    olds = [
        one for one in (await there.kube.list(NODES)).items if one["metadata"]["labels"][GROUP_LABEL] == "gpu"
    ]
    for number, old in enumerate(olds):
        await there.kube.delete(NODES, old["metadata"]["name"])
        labels = {GROUP_LABEL: "gpu", ZONE: rng.choice("ab")}
        name = f"new-{number}"
        spec = {"taints": [{"key": STARTUP_TAINT, "effect": "NoSchedule"}]}
        await there.kube.create(NODES, {"metadata": {"name": name, "labels": labels}, "spec": spec})
        status = {
            **old["status"],
            "nodeInfo": {**old["status"].get("nodeInfo", {}), "kubeletVersion": "v1.32.1"},
        }
        await there.kube.patch(NODES, name, {"status": status}, subresource="status")


async def _gone_on(
    there: World, training: Training, jobs: list[Job], life: Life, recording: Recording
) -> None:
    for job in jobs:
        resource, name = _written(job)
        told = await there.kube.get(resource, name, "default")
        marks = told["metadata"].get("annotations", {})
        assert SUSPENDED_BY not in marks, name
        wanted = await training.wants(job)
        if job.name in life.theirs:
            assert wanted == 0, f"{name} was a person's"
            assert name not in recording.suspended
            assert name not in recording.resumed
        else:
            assert wanted == job.pods, f"{name} still stands"
    assert all(times == 1 for times in recording.suspended.values()), recording.suspended
    assert recording.resumed == recording.suspended
    nodes = (await there.kube.list(NODES)).items
    teams = [one["metadata"]["labels"].get("team") for one in nodes if "team" in one["metadata"]["labels"]]
    assert len(teams) == life.teams
    for node in nodes:
        if node["metadata"]["labels"][GROUP_LABEL] == "gpu":
            assert node["metadata"]["labels"][CONFIG] == "whole"
            assert STARTUP_TAINT not in [one["key"] for one in node["spec"].get("taints", ())]
        assert not node["spec"].get("unschedulable")
        assert CORDONED_BY not in node["metadata"].get("annotations", {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    deaths = suspended = theirs = 0
    for seed in range(options.first, options.first + options.count):
        life = live(seed)
        deaths, suspended, theirs = (
            deaths + life.deaths,
            suspended + life.suspended,
            theirs + len(life.theirs),
        )
    print(
        f"{options.count} rolls held; {deaths} deaths of a runner, {suspended} jobs suspended and resumed once, {theirs} of people left alone"
    )


if __name__ == "__main__":
    main()
