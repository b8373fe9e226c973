"""A cluster that is upgraded by runners that die, at an AWS that throttles, forgets to answer and fails: from a seed, on virtual time.

`python -m tests.eks.upgrade.lives --count 1000`
"""

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aliquot.clock import VirtualClock, VirtualTimeLoop
from aliquot.eks.aws.api import Failure
from aliquot.eks.fake.direct import Direct
from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.upgrade.acts.addon import AddonBuild
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.acts.table import Act
from aliquot.eks.upgrade.doing import Doors
from aliquot.eks.upgrade.journal import Held, Journal, Phase
from aliquot.eks.upgrade.runner import LEASE_S, Runner
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.upgrade.verdicts import Hold
from aliquot.eks.versions import addons
from aliquot.eks.versions.minor import Minor
from tests.eks.fake.worlds import START_S, Account

RUN = "run-1"
_HOUR_S = 3600.0


class Killed(BaseException):
    """The process is gone, here."""


@dataclass
class Dying:
    """A door through which a runner may die: before a call, or after it, with the answer in its hands."""

    api: Direct
    rng: random.Random
    chance: float

    def _die(self) -> None:
        if self.rng.random() < self.chance:
            raise Killed

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self._die()
        answer = await self.api.call(service, operation, **parameters)
        self._die()
        return answer

    async def pages(
        self, service: str, operation: str, result: str, **parameters: Any
    ) -> AsyncIterator[dict[str, Any] | str]:
        async for item in self.api.pages(service, operation, result, **parameters):
            yield item


class DyingJournal(Journal):
    """One in which a runner may die before it writes, or just after."""

    rng: random.Random
    chance: float = 0.0

    def start(self, *args: Any) -> None:
        self._around(super().start, *args)

    def move(self, *args: Any) -> None:
        self._around(super().move, *args)

    def note(self, *args: Any) -> None:
        self._around(super().note, *args)

    def _around(self, write: Any, *args: Any) -> None:
        if self.rng.random() < self.chance:
            raise Killed
        write(*args)
        if self.rng.random() < self.chance:
            raise Killed


@dataclass
class Life:
    deaths: int = 0
    holds: int = 0
    updates: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Successful ones, by whose they are, type and what for."""
    begun: int = 0
    """Updates of any end."""
    attempts: int = 0


def plan(account: Account) -> list[Step]:
    """Two hops with two add-ons and two node groups."""
    steps: list[Step] = []
    for now, to in ((Minor(1, 31), Minor(1, 32)), (Minor(1, 32), Minor(1, 33))):
        acts: list[tuple[State, str, Act]] = [(State.CONTROL_PLANE, "", ControlPlane("prod", now, to))]
        coredns, proxy = addons.build("coredns", to), addons.build("kube-proxy", to)
        assert coredns is not None
        assert proxy is not None
        acts.append((State.CORE_ADDONS, "/coredns", AddonBuild("prod", "coredns", coredns)))
        for group in ("cpu", "gpu"):
            release = account.world.known.release("AL2023_x86_64_STANDARD", str(to))
            acts.append((State.NODES, f"/{group}", GroupRoll("prod", group, to, release)))
        acts.append((State.KUBE_PROXY, "", AddonBuild("prod", "kube-proxy", proxy)))
        steps += [
            Step(id=f"{to}/{state}{more}", state=state, hop=to, what=str(state), act=act, expected_s=600)
            for state, more, act in acts
        ]
    return steps


_FAILURES = {
    "UpdateClusterVersion": ["IpNotAvailable", "Unknown"],
    "UpdateAddon": ["ConfigurationConflict", "InsufficientNumberOfReplicas"],
    "UpdateNodegroupVersion": ["PodEvictionFailure", "NodeCreationFailure"],
}


def faults(rng: random.Random) -> list[Fault]:
    operations = list(_FAILURES)
    looks = ["DescribeCluster", "DescribeAddon", "DescribeNodegroup", "DescribeUpdate", "ListUpdates"]
    found = []
    for _ in range(rng.randrange(6)):
        operation = rng.choice(operations)
        kind = rng.choice(list(Kind))
        code = {
            Kind.REFUSE: rng.choice(["ThrottlingException", "ServerException", "ResourceInUseException"]),
            Kind.LOSE: "",
            Kind.FAIL: rng.choice(_FAILURES[operation]),
        }[kind]
        found.append(
            Fault(
                kind=kind, operation=operation, code=code, after=rng.randrange(4), times=rng.randrange(1, 3)
            )
        )
    found += [
        Fault(
            kind=Kind.REFUSE,
            operation=rng.choice(looks),
            code="ThrottlingException",
            after=rng.randrange(60),
            times=3,
        )
        for _ in range(rng.randrange(4))
    ]
    return found


def live(seed: int) -> Life:
    """One upgrade, from its seed. Raises AssertionError where it is not as it has to be."""
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(_live(seed))
    finally:
        loop.close()


async def _live(seed: int) -> Life:
    rng = random.Random(seed)
    account, clock = Account(), VirtualClock(START_S)
    account.cluster("1.31")
    for group in ("cpu", "gpu"):
        account.nodegroup(group, rng.randrange(1, 4))
    for addon in ("coredns", "kube-proxy"):
        account.call("CreateAddon", clusterName="prod", addonName=addon)
    account.pass_(120)
    ahead_s = account.now_s - START_S

    def now() -> float:
        return clock.now() + ahead_s

    account.world.faults.waiting = faults(rng)
    direct = Direct(account.service, now=now, failed=Failure, subnets=account.subnets)
    api = Dying(direct, rng, chance=0.02)
    journal = DyingJournal("sqlite://")
    journal.rng, journal.chance = rng, 0.01
    steps = plan(account)
    journal.begin(RUN, "prod", b"plan", [step.id for step in steps], clock.now())
    life = Life()
    for turn in range(400):
        runner = Runner(Doors(api=api, clock=clock), journal, RUN, steps, owner=f"runner-{turn}")
        try:
            held = await runner.go()
        except Killed:
            life.deaths += 1
            await asyncio.sleep(rng.random() * 2 * LEASE_S)
            continue
        except Held:
            # The dead one's lease is not over yet.
            await asyncio.sleep(LEASE_S / 4)
            continue
        if held is None:
            break
        assert isinstance(held, Hold)
        life.holds += 1
        journal.retry(RUN, clock.now())
    else:
        raise AssertionError(f"seed {seed}: it comes to no end: {journal.standing(RUN)}")
    _judge(life, account, journal, steps, now())
    return life


def _judge(life: Life, account: Account, journal: Journal, steps: list[Step], now_s: float) -> None:
    cluster = account.world.clusters["prod"]
    assert cluster.minor == "1.33"
    assert {group.told["version"] for group in cluster.nodegroups.values()} == {"1.33"}
    assert cluster.addons["kube-proxy"].told["addonVersion"].startswith("v1.33")
    standing = journal.standing(RUN)
    assert [step.phase for step in standing] == [Phase.DONE] * len(steps)
    assert journal.over(RUN) == "done"
    for update in cluster.updates.values():
        life.begun += 1
        wanted = next((p["value"] for p in update.params if p["type"] in ("Version", "AddonVersion")), "")
        if update.status == "Successful":
            life.updates[update.of, update.type, wanted] += 1
    # No step is done twice, whoever died between asking and hearing.
    assert all(times == 1 for times in life.updates.values()), life.updates
    needed = {
        step.id
        for step in steps
        if not (
            isinstance(step.act, AddonBuild) and step.act.build == addons.build(step.act.name, Minor(1, 31))
        )
    }
    assert sum(life.updates.values()) == len(needed)
    # Nothing is asked for that was not written down before, and each attempt asks for one update at most.
    entries = journal.entries(RUN)
    assert [entry.number for entry in entries] == list(range(len(entries)))
    intended = {
        (entry.step, entry.body["parameters"]["clientRequestToken"])
        for entry in entries
        if entry.kind == "intended"
    }
    life.attempts = sum(step.attempt + 1 for step in standing if step.step in needed)
    assert life.begun <= len(intended) <= life.attempts
    for number, entry in enumerate(entries):
        if entry.kind in ("answered", "refused"):
            before = entries[:number]
            assert any(one.kind == "intended" and one.step == entry.step for one in before)
    # The order of the plan is the order of what became done.
    done = [entry.step for entry in entries if entry.kind == Phase.DONE]
    assert done == [step.id for step in steps]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    deaths = holds = 0
    for seed in range(options.first, options.first + options.count):
        life = live(seed)
        deaths, holds = deaths + life.deaths, holds + life.holds
    print(f"{options.count} upgrades held; {deaths} deaths of a runner, {holds} holds")


if __name__ == "__main__":
    main()
