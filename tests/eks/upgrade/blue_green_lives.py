"""Whole upgrades in which a GPU group is replaced by another one, while a pod runs there for hours that nobody can suspend; runners die,
answers get lost, and some are turned round.

`python -m tests.eks.upgrade.blue_green_lives --count 100`
"""

import argparse
import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from aliquot.clock import VirtualTimeLoop
from aliquot.eks.plan import plan as plans
from aliquot.eks.plan import planning, targets
from aliquot.eks.plan.plan import Options, Plan
from aliquot.eks.upgrade.acts.approval import APPROVE
from aliquot.eks.upgrade.doing import Decision, Doors
from aliquot.eks.upgrade.frozen import MARK
from aliquot.eks.upgrade.gpu_roll.marks import CORDONED_BY
from aliquot.eks.upgrade.journal import Held, Journal, Phase
from aliquot.eks.upgrade.runner import LEASE_S, Runner
from aliquot.eks.versions.minor import Minor
from aliquot.kube.resources import JOBS, NODES, PODS
from tests.eks.upgrade.acts.worlds import MemoryVault
from tests.eks.upgrade.whole import GPUS, JOB, WORKERS, Chance, Cluster, Killed, Whole, whole
from tests.eks.upgrade.whole_lives import Life, faults, only_killed, read, turned

TO = Minor(1, 32)
OPTIONS = Options(allow_unchecked=True, blue_green=("gpu",))
HOUR_S = 3600.0
NOTEBOOK, WEB = "notebook", "web"
_DEATH = 0.004


@dataclass
class LongCluster(Cluster):
    """With a GPU pod that nobody made and that ends by itself, and one that serves and goes when it is told to."""

    ends_s: float = 0.0

    async def begin(self, hours: float) -> None:
        self.ends_s = self.clock.now() + hours * HOUR_S
        taken = set(self.workers.values())
        node = next(name for name in sorted(self.nodes) if name.startswith("gpu") and name not in taken)
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": WEB, "uid": "u", "controller": True}
        limits = {"limits": {"nvidia.com/gpu": str(GPUS)}}
        await self._pod(NOTEBOOK, node, resources=limits)
        await self._pod(WEB, node, owner)

    async def _pod(self, name: str, node: str, *owners: dict[str, Any], **container: Any) -> None:
        env = [{"name": "CUDA_VERSION", "value": "12.4.1"}]
        spec = {"nodeName": node, "containers": [{"name": "c", "image": "i", "env": env, **container}]}
        meta = {"name": name, "namespace": "default", "labels": {"app": name}, "ownerReferences": owners}
        await self.admin.create(PODS, {"metadata": meta, "spec": spec})
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await self.admin.patch(PODS, name, {"status": status}, "default", subresource="status")

    async def settle(self) -> None:
        if self.clock.now() >= self.ends_s > 0:
            self.ends_s = 0.0
            over = {"status": {"phase": "Succeeded"}}
            await self.admin.patch(PODS, NOTEBOOK, over, "default", subresource="status")
        for one in (await self.admin.list(PODS, "default")).items:
            if "deletionTimestamp" in one["metadata"]:
                await self.admin.delete(PODS, one["metadata"]["name"], "default", grace_period_s=0)
        await super().settle()

    async def _gone(self, name: str) -> None:
        for one in (await self.admin.list(PODS, "default")).items:
            running = one["status"].get("phase") == "Running"
            if one["spec"].get("nodeName") == name and running and one["metadata"]["name"] in (NOTEBOOK, WEB):
                self.cut.append(one["metadata"]["name"])
        await super()._gone(name)


def live(seed: int) -> Life:
    """Raises AssertionError where it is not as it has to be."""
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(_live(seed))
    finally:
        loop.close()


async def _live(seed: int) -> Life:
    rng = random.Random(seed)
    async with whole(seed, gpus=WORKERS + 1, kind=LongCluster) as world:
        journal, vault, life = Journal("sqlite://"), MemoryVault(), Life()
        assert isinstance(world.cluster, LongCluster)
        await world.cluster.begin(hours=rng.choice((0.1, 3.0, 9.0)))
        plan = await _planned(world)
        journal.begin(
            plan.id, "prod", plans.encode(plan), [step.id for step in plan.steps], world.clock.now()
        )
        said = Decision(kind=APPROVE, step="", by="ada", at_s=0.0, body={"hash": plan.id})
        journal.decide(plan.id, said)
        world.account.world.faults.waiting = faults(rng)
        run, turn_at = plan.id, rng.choice(_TURNS)
        for number in range(400):
            owner = f"runner-{number}"
            api, kube = world.door(Chance(rng, _DEATH))
            doors = Doors(api=api, clock=world.clock, client=kube, vault=vault)
            runner = Runner(doors, journal, run, plan.steps, owner=owner, ends=journal.ends(run))
            try:
                # A person comes by now and then.
                held = await asyncio.wait_for(runner.go(), HOUR_S)
            except (Killed, BaseExceptionGroup) as error:
                only_killed(error)
                life.deaths += 1
                await asyncio.sleep(rng.random() * 2 * LEASE_S)
                held = None
            except TimeoutError:
                journal.release(run, owner)
                held = None
            except Held:
                await asyncio.sleep(LEASE_S / 4)
                continue
            if journal.over(run):
                break
            life.holds += held is not None
            if turn_at and not life.turned and _is_at(journal, run, turn_at):
                plan = await turned(world, journal, plan, run, owner, life) or plan
            if held is not None and any(one.phase is Phase.HELD for one in journal.standing(run)):
                journal.retry(run, world.clock.now())
        else:
            raise AssertionError(f"seed {seed}: it comes to no end: {journal.standing(run)}")
        await _judge(f"seed {seed}, {life.turned or 'done'}", life, world, journal, run)
        return life


_TURNS = ("", "", "/copy/", "/drain/", "/remove/", "/platform")
"""Once it is there or beyond."""


def _is_at(journal: Journal, run: str, part: str) -> bool:
    standing = journal.standing(run)
    return any(part in one.step and one.phase not in (Phase.TO_DO, Phase.LEFT) for one in standing)


async def _planned(world: Whole) -> Plan:
    estate = await read(world)
    lead = await targets.read(world.api, estate, TO, OPTIONS, region="eu-west-1")
    return plans.decode(plans.encode(planning.plan(estate, TO, lead, OPTIONS)))


async def _judge(named: str, life: Life, world: Whole, journal: Journal, run: str) -> None:
    cluster = world.account.world.clusters["prod"]
    assert journal.over(run) == (life.turned or "done"), named
    assert {one.phase for one in journal.standing(run)} <= {Phase.DONE, Phase.LEFT}, named
    await world.cluster.settle()
    assert not world.cluster.cut, f"{named}: {world.cluster.cut} were cut"
    gone = any("remove/gpu" in one.step and one.phase is Phase.DONE for one in journal.standing(run))
    assert set(cluster.nodegroups) == {"cpu", "gpu-1-32" if gone else "gpu"}, named
    minor = "1.31" if life.turned == "rolled back" else str(TO)
    assert cluster.minor == minor, named
    assert {group.told["version"] for group in cluster.nodegroups.values()} == {minor}, named
    nodes = (await world.cluster.admin.list(NODES)).items
    marks = [set(one["metadata"].get("annotations", {})) for one in nodes]
    assert not [one for one in marks if one & {MARK, CORDONED_BY}], named
    assert not [one for one in nodes if one["spec"].get("unschedulable")], named
    sizes = Counter(one["metadata"]["labels"]["eks.amazonaws.com/nodegroup"] for one in nodes)
    assert sizes["gpu-1-32" if gone else "gpu"] == WORKERS + 1, named
    job = await world.cluster.admin.get(JOBS, JOB, "default")
    assert not job["spec"].get("suspend"), named
    assert world.cluster.workers, f"{named}: the job does not run"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    deaths = holds = 0
    ends: Counter[str] = Counter()
    for seed in range(options.first, options.first + options.count):
        life = live(seed)
        deaths, holds = deaths + life.deaths, holds + life.holds
        ends[life.turned or "done"] += 1
    told = ", ".join(f"{count} {how}" for how, count in sorted(ends.items()))
    print(f"{options.count} upgrades held ({told}); {deaths} deaths of a runner, {holds} holds")


if __name__ == "__main__":
    main()
