"""Whole upgrades, from plan to end, with deaths at every await, lost answers, refusals and failures; some are turned round.

`python -m tests.eks.upgrade.whole_lives --count 1000`
"""

import argparse
import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from msgspec.structs import replace

from aliquot.clock import VirtualTimeLoop
from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.karpenter import NODECLASSES, NODEPOOLS
from aliquot.eks.estate.reading import from_aws, with_objects
from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.plan import plan as plans
from aliquot.eks.plan import planning, targets, turning, undoing
from aliquot.eks.plan.plan import CannotPlan, Options, Plan
from aliquot.eks.upgrade.acts import control_plane
from aliquot.eks.upgrade.acts.approval import APPROVE
from aliquot.eks.upgrade.acts.smoke_job import LABEL
from aliquot.eks.upgrade.approving import gates_left
from aliquot.eks.upgrade.doing import Decision, Doors
from aliquot.eks.upgrade.frozen import MARK
from aliquot.eks.upgrade.journal import Held, Journal, Phase
from aliquot.eks.upgrade.runner import LEASE_S, Runner
from aliquot.eks.upgrade.states import Abort, State
from aliquot.eks.upgrade.verdicts import Hold
from aliquot.eks.versions import removals
from aliquot.eks.versions.minor import Minor
from aliquot.kube.resources import JOBS, NODES, PODS
from tests.eks.upgrade import besides
from tests.eks.upgrade.acts.worlds import MemoryVault
from tests.eks.upgrade.karpenter_model import Karpenter
from tests.eks.upgrade.whole import JOB, Chance, Killed, Whole, whole

TO = Minor(1, 33)
OPTIONS = Options(soak_s=3600.0, allow_unchecked=True)
"""Beside the smoke jobs of some."""
_DEATH = 0.004
_FAILURES = {
    "UpdateClusterVersion": ("IpNotAvailable", "Unknown"),
    "UpdateAddon": ("ConfigurationConflict", "InsufficientNumberOfReplicas"),
    "UpdateNodegroupVersion": ("PodEvictionFailure", "NodeCreationFailure"),
    "UpdateNodegroupConfig": ("Unknown",),
    "CreateNodegroup": ("AsgInstanceLaunchFailures", "NodeCreationFailure"),
    "DeleteNodegroup": ("NodeTerminationFailure",),
}
_LOOKS = (
    "DescribeCluster",
    "DescribeAddon",
    "DescribeNodegroup",
    "DescribeUpdate",
    "ListUpdates",
    "ListInsights",
)


@dataclass
class Life:
    deaths: int = 0
    holds: int = 0
    turned: str = ""
    """What became of it: nothing, `aborted` or `rolled back`."""
    updates: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    states: set[State] = field(default_factory=set)
    """Of the plan."""


def live(seed: int, *, pools: bool = False) -> Life:
    """`pools`: with nodes of Karpenter. Raises AssertionError where it is not as it has to be."""
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(_live(seed, pools))
    finally:
        loop.close()


async def _live(seed: int, pools: bool) -> Life:
    rng = random.Random(seed)
    has = besides.NOTHING if pools else besides.of_seed(seed)
    options = replace(OPTIONS, smokes=besides.smokes(has))
    async with whole(seed, cpus=rng.randrange(1, 4), pools=pools, has=has) as world:
        journal, vault, life = Journal("sqlite://"), MemoryVault(), Life()
        plan = await _planned(world, options)
        life.states = {step.state for step in plan.steps}
        configs = _configs(world)
        journal.begin(
            plan.id,
            "prod",
            plans.encode(plan),
            [step.id for step in plan.steps],
            world.clock.now(),
            arn=plan.arn,
        )
        world.account.world.faults.waiting = faults(rng)
        run, turn_after = plan.id, rng.randrange(1, 9) if rng.random() < 0.4 else 1000
        for turn in range(400):
            owner = f"runner-{turn}"
            api, kube = world.door(Chance(rng, _DEATH))
            doors = Doors(api=api, clock=world.clock, client=kube, vault=vault)
            runner = Runner(doors, journal, run, plan.steps, owner=owner, ends=journal.ends(run))
            try:
                held = await runner.go()
            except (Killed, BaseExceptionGroup) as error:
                only_killed(error)
                life.deaths += 1
                await asyncio.sleep(rng.random() * 2 * LEASE_S)
                held = None
                if life.deaths + life.holds < turn_after or life.turned:
                    continue
            except Held:
                await asyncio.sleep(LEASE_S / 4)
                continue
            if journal.over(run):
                break
            if held is not None and _opened(world, journal, plan, run):
                continue
            if held is not None:
                life.holds += 1
                await _classes_changed(world, held, plan)
            late = life.turned == "rolled back" and held is not None and rng.random() < 0.5
            if (life.deaths + life.holds >= turn_after and not life.turned) or late:
                plan = await turned(world, journal, plan, run, owner, life) or plan
            if held is not None:
                await _mended(world, journal, run, life)
        else:
            raise AssertionError(f"seed {seed}: it comes to no end: {journal.standing(run)}")
        await _judge(seed, life, world, journal, run, plan, configs)
        return life


async def _classes_changed(world: Whole, held: Hold, plan: Plan) -> None:
    """As a person does, who is asked for it on the way back."""
    if world.cluster.karpenter is not None and "alias follows the control plane" in held.todo:
        # The one that nodes of before have.
        world.cluster.karpenter.images["default"] = f"ami-{plan.to}"
        term = {"spec": {"amiSelectorTerms": [{"id": "ami-of-before"}]}}
        await world.cluster.admin.patch(NODECLASSES, "default", term)


def _opened(world: Whole, journal: Journal, plan: Plan, run: str) -> bool:
    """Whether it waited at a gate, which is open now: this one, and none of a later hop."""
    standing = journal.standing(run)
    held = [one.step for one in standing if one.phase is Phase.HELD]
    gate = gates_left(plan.steps, standing)[:1]
    if not held or tuple(held) != gate:
        return False
    journal.decide(run, Decision(kind=APPROVE, step=held[0], by="ada", at_s=0.0, body={"hash": plan.id}))
    journal.retry(run, world.clock.now())
    return True


async def _mended(world: Whole, journal: Journal, run: str, life: Life) -> None:
    """A person takes out of the way what nobody else can, and says to go on."""
    if life.turned == "rolled back" and world.cluster.fargate is not None:
        await world.cluster.fargate.scale(0)
    if any(one.phase is Phase.HELD for one in journal.standing(run)):
        journal.retry(run, world.clock.now())


def only_killed(error: BaseException) -> None:
    """Several may have been under way at once when the process died."""
    if isinstance(error, BaseExceptionGroup):
        _, other = error.split(Killed)
        if other is not None:
            raise other


async def read(world: Whole) -> Estate:
    _, kube = world.door(Chance(world.rng))
    estate = await from_aws(world.api, "prod", clock=world.clock)
    return await with_objects(estate, kube, removals.shipped(), helm=False)


async def _planned(world: Whole, options: Options) -> Plan:
    estate = await read(world)
    lead = await targets.read(world.api, estate, TO, options, region="eu-west-1")
    plan = planning.plan(estate, TO, lead, options)
    return plans.decode(plans.encode(plan))


async def turned(world: Whole, journal: Journal, plan: Plan, run: str, owner: str, life: Life) -> Plan | None:
    """As `abort` and `rollback` do it. None: it cannot be turned now."""
    world.account.world.faults.waiting = []
    standing = journal.standing(run)
    act = undoing.on_its_way(plan.steps, standing)
    try:
        doors = Doors(api=world.api, clock=world.clock)
        seen = None if act is None else await control_plane.look(act, doors)
        rollback = turning.stops(plan, standing, seen) is Abort.ROLLBACK
        if rollback:
            estate = await read(world)
            now = estate.cluster.minor
            options = turning.options(plan, now)
            lead = await targets.read(world.api, estate, now.previous, options, region="eu-west-1")
            back = turning.back(estate, lead, options, plan, standing)
        else:
            back = turning.stopped(plan, standing)
    except (CannotPlan, turning.CannotTurn):
        return None
    now_s = world.clock.now()
    try:
        journal.lease(run, owner, now_s, LEASE_S)
    except Held:
        return None
    life.turned = "rolled back" if rollback else "aborted"
    steps = [step.id for step in back.steps]
    journal.turn(run, owner, plans.encode(back), steps, ends=life.turned, by="ada", now_s=now_s)
    return back


def faults(rng: random.Random) -> list[Fault]:
    found = []
    for _ in range(rng.randrange(5)):
        operation = rng.choice(list(_FAILURES))
        kind = rng.choice(list(Kind))
        code = {
            Kind.REFUSE: rng.choice(["ThrottlingException", "ServerException", "ResourceInUseException"]),
            Kind.LOSE: "",
            Kind.FAIL: rng.choice(_FAILURES[operation]),
        }[kind]
        found.append(Fault(kind=kind, operation=operation, code=code, after=rng.randrange(4), times=1))
    found += [
        Fault(
            kind=Kind.REFUSE,
            operation=rng.choice(_LOOKS),
            code="ThrottlingException",
            after=rng.randrange(100),
            times=3,
        )
        for _ in range(rng.randrange(4))
    ]
    return found


def _configs(world: Whole) -> dict[str, object]:
    groups = world.account.world.clusters["prod"].nodegroups
    return {name: group.told.get("updateConfig") for name, group in groups.items()}


async def _judge(
    seed: int, life: Life, world: Whole, journal: Journal, run: str, plan: Plan, configs: dict[str, object]
) -> None:
    cluster = world.account.world.clusters["prod"]
    named = f"seed {seed}, {life.turned or 'done'}"
    assert journal.over(run) == (life.turned or "done"), named
    phases = {one.phase for one in journal.standing(run)}
    assert phases <= {Phase.DONE, Phase.LEFT}, named
    if not life.turned:
        assert cluster.minor == str(TO), named
        assert {group.told["version"] for group in cluster.nodegroups.values()} == {str(TO)}, named
        assert Phase.LEFT not in phases, named
        jobs_run = world.cluster.smokes.ended if world.cluster.smokes else None
        assert jobs_run != 0, f"{named}: no smoke job has run"
        machines = world.account.fleet.machines.values()
        assert {one.minor for one in machines} == {str(TO)}, named
        fits = world.account.world.known.build
        for addon, there in cluster.addons.items():
            build = fits(addon, there.told["addonVersion"])
            assert build is not None, named
            assert str(TO) in build.minors, (named, addon, build)
    if life.turned == "rolled back":
        assert cluster.minor == str(plan.to), named
    # No step is done twice, whoever died between asking and hearing.
    for update in cluster.updates.values():
        wanted = next((p["value"] for p in update.params if p["type"] in ("Version", "AddonVersion")), "")
        if update.status == "Successful" and wanted:
            life.updates[update.of, update.type, wanted] += 1
    most = 2 if life.turned else 1
    assert all(times <= most for times in life.updates.values()), (named, life.updates)
    # What was changed for the time of the upgrade is as it was, turned or not: no canary is left.
    assert _configs(world) == configs, named
    nodes = (await world.cluster.admin.list(NODES)).items
    assert not [one for one in nodes if MARK in one["metadata"].get("annotations", {})], named
    assert not [one for one in nodes if one["spec"].get("unschedulable")], named
    job = await world.cluster.admin.get(JOBS, JOB, "default")
    assert not job["spec"].get("suspend"), named
    jobs = (await world.cluster.admin.list(JOBS, label_selector=LABEL)).items
    assert not jobs, f"{named}: smoke jobs are left"
    await world.cluster.settle()
    assert world.cluster.workers, f"{named}: the job does not run"
    assert not world.cluster.cut, f"{named}: {world.cluster.cut} were cut"
    if world.cluster.karpenter is not None:
        await _judge_pools(world, world.cluster.karpenter, life, plan, named)
    # An intent is written down before anything is asked for.
    entries = journal.entries(run)
    assert [entry.number for entry in entries] == list(range(len(entries))), named
    for number, entry in enumerate(entries):
        if entry.kind in ("answered", "refused"):
            before = entries[:number]
            assert any(one.kind == "intended" and one.step == entry.step for one in before), named


async def _judge_pools(world: Whole, karpenter: Karpenter, life: Life, plan: Plan, named: str) -> None:
    for _ in range(20):
        # Whoever goes on has nodes again.
        await asyncio.sleep(30)
        await world.cluster.settle()
    minors = {minor for of_pool in (await karpenter.minors()).values() for minor in of_pool}
    if life.turned == "rolled back":
        assert all(Minor.parse(minor) <= plan.to for minor in minors), (named, minors)
    elif not life.turned:
        assert minors == {str(TO)}, (named, minors)
    assert karpenter.drifted == 0, f"{named}: Karpenter replaced nodes by itself"
    assert not karpenter.cut, f"{named}: {karpenter.cut} were cut"
    assert not (await world.cluster.admin.get(JOBS, "sweep", "default"))["spec"].get("suspend"), named
    there = [
        one for one in (await world.cluster.admin.list(PODS, "default")).items if one["spec"].get("nodeName")
    ]
    running = Counter(one["metadata"]["labels"].get("app", "") for one in there)
    assert (running["web"], running["sweep"]) == (4, 2), (named, running)
    for one in (await world.cluster.admin.list(NODEPOOLS)).items:
        assert MARK not in one["metadata"].get("annotations", {}), named
        assert one["spec"]["disruption"]["budgets"] != [{"nodes": "0"}], named


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--pools", action="store_true", help="with nodes of Karpenter")
    options = parser.parse_args()
    deaths = holds = 0
    turned: Counter[str] = Counter()
    for seed in range(options.first, options.first + options.count):
        life = live(seed, pools=options.pools)
        deaths, holds = deaths + life.deaths, holds + life.holds
        turned[life.turned or "done"] += 1
    told = ", ".join(f"{count} {how}" for how, count in sorted(turned.items()))
    print(f"{options.count} upgrades held ({told}); {deaths} deaths of a runner, {holds} holds")


if __name__ == "__main__":
    main()
