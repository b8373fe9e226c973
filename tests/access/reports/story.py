"""What happened in one place in a day, in a world of its own, and the reports of it: from the database and from a dump."""

import asyncio
from dataclasses import dataclass
from functools import cache

from msgspec.structs import replace

from aliquot.access.audit.findings import Finding
from aliquot.access.audit.use import Count, Sort, What
from aliquot.access.broker.broker import No
from aliquot.access.broker.policy_noting import PolicyNoting
from aliquot.access.core.life.events import Activate, Approve, Judge, Revoke
from aliquot.access.core.life.life import Life, Outcome
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.templates.template import Emergency, Review
from aliquot.access.log.checkpoints import sign_head
from aliquot.access.log.dump import dump
from aliquot.access.log.notes import new_key
from aliquot.access.log.verify import ED25519
from aliquot.access.reports.catalogue import REPORTS
from aliquot.access.reports.document import Head, draw, read
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import Cell
from aliquot.access.reports.sources.stored import material
from aliquot.access.store.reading import Reading
from aliquot.access.store.transaction import Transaction
from tests.access.broker.world import ASK, CLUSTER, PEEK, World, caller, in_a_world
from tests.access.life.scenery import FIX, circle, person, policy_of, slots
from tests.access.life.scenery import PEEK as PEEK_TEMPLATE

FAST = policy_of(
    (
        replace(
            FIX,
            emergency=Emergency(who=circle("on-call"), duration_s=720),
            review=Review(within_s=120, reviewers=slots("audit")),
        ),
        PEEK_TEMPLATE,
    )
)
"""Everything is over soon: each second of the story is looked at."""
KEY = new_key("log.example.com/access", ED25519, b"k" * 32)


@dataclass(frozen=True)
class Table:
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def of(self, column: str) -> list[Cell]:
        return [row[self.columns.index(column)] for row in self.rows]

    def row(self, first: str) -> dict[str, Cell]:
        """The one that begins with this."""
        (found,) = (row for row in self.rows if row[0] == first)
        return dict(zip(self.columns, found, strict=True))


@dataclass(frozen=True)
class Drawn:
    head: Head
    lines: tuple[bytes, ...]

    def __getitem__(self, section: str) -> Table:
        _, sections = read(iter(self.lines))
        for head, rows in sections:
            if head.name == section:
                return Table(head.columns, tuple(rows))
        raise KeyError(section)

    @property
    def figures(self) -> dict[Cell, Cell]:
        return {row[0]: row[1] for row in self["figures"].rows}


@dataclass(frozen=True)
class Story:
    period: Period
    ids: dict[str, str]
    reports: dict[str, Drawn]
    dump: tuple[bytes, ...]
    now_s: float


async def happen(world: World) -> dict[str, str]:
    """What is told of afterwards, by its name."""

    async def approve(life: Life, name: str) -> None:
        await world.broker.put(life.id, Approve(by=person(name), digest=life.digest), caller(name))

    async def refused(doing: object) -> None:
        try:
            await doing  # type: ignore[misc]
        except No:
            return
        raise AssertionError("it was not refused")

    world.others.policy = FAST
    await PolicyNoting(world.store, world.others).note()
    agreed = await world.broker.ask(ASK, caller("dev"))
    await refused(approve(agreed, "dev"))
    await asyncio.sleep(20)
    await approve(agreed, "sara")
    await asyncio.sleep(10)
    await approve(agreed, "cleo")
    await world.broker.put(agreed.id, Activate(by=person("dev")), caller("dev"))
    await world.until(agreed.id, Stage.ACTIVE)
    await world.broker.credential(agreed.id, caller("dev"))
    world.clusters.delay_s = 20.0
    await world.broker.put(agreed.id, Revoke(by=person("sara"), why="quite enough"), caller("sara"))
    await world.until(agreed.id, Stage.ENDED)
    world.clusters.delay_s = 0.0
    await refused(world.broker.ask(ASK, caller("stranger")))

    judged = await world.broker.ask(replace(ASK, emergency=True), caller("dave"))
    await world.until(judged.id, Stage.ENDED, most_s=800)
    verdict = Judge(by=person("rita"), digest=judged.digest, outcome=Outcome.JUSTIFIED, note="it burned")
    await world.broker.put(judged.id, verdict, caller("rita"))
    unjudged = await world.broker.ask(replace(ASK, emergency=True), caller("dev"))
    await world.until(unjudged.id, Stage.ACTIVE)
    # Kept: what was revoked was gone 20 s later, and what the switch ends at once.
    await world.broker.pull(caller("max"), "everybody out", pull_id="1")
    await world.until(unjudged.id, Stage.ENDED)
    await asyncio.sleep(60)
    await world.broker.clear(caller("max"), pull=1)
    await world.broker.clear(caller("mia"), pull=1)
    running = await world.broker.ask(PEEK, caller("dave"))
    await world.broker.put(running.id, Activate(by=person("dave")), caller("dave"))
    await world.until(running.id, Stage.ACTIVE)
    waiting = await world.broker.ask(ASK, caller("dev"))
    await asyncio.sleep(120)
    return {
        "agreed": agreed.id,
        "judged": judged.id,
        "unjudged": unjudged.id,
        "running": running.id,
        "waiting": waiting.id,
    }


def seen_in_cluster(tx: Transaction, grant: str) -> None:
    """What its audit log tells of one grant."""
    once = Count(1, tx.now_s, tx.now_s)
    done = {
        (Sort.ALL, What()): replace(once, count=3),
        (Sort.READ, What("get", "", "pods", "team-a", "web-1")): once,
        (Sort.EXEC, What("create", "", "pods/exec", "team-a", "web-1", "app")): once,
        (Sort.DENIED, What("delete", "", "pods", "team-a", "web-1", by="rights")): once,
        (Sort.ADDRESS, What(name="10.0.0.7")): once,
    }
    tx.audited.add(CLUSTER, grant, done, [(str(number), tx.now_s) for number in range(3)])
    late = Finding(
        rule="use_after_end",
        cluster=CLUSTER,
        grant=grant,
        who="dev",
        text="it was used after its end",
        first_s=tx.now_s,
        last_s=tx.now_s,
    )
    tx.audited.find([late])


def drawn(world: World, name: str, period: Period, tx: Reading) -> Drawn:
    found = material(tx, period, origin=KEY.name, keys=[KEY.public], policy=world.others.policy)
    with draw(REPORTS[name], found, period) as made:
        return Drawn(made.head, tuple(made.lines()))


async def told(world: World, ids: dict[str, str], begun_s: float) -> Story:
    await world.store.write(lambda tx: seen_in_cluster(tx, ids["agreed"]))
    await world.store.write(lambda tx: sign_head(tx.log, KEY, tx.now_s))

    def work(tx: Reading) -> Story:
        period = Period(begun_s, tx.now_s + 1)
        return Story(
            period,
            ids,
            {name: drawn(world, name, period, tx) for name in REPORTS},
            tuple(dump(tx.log, KEY.name, tx.log.head().tree.size, with_personal=False)),
            tx.now_s,
        )

    return await world.store.read(work)


@cache
def story() -> Story:
    async def body(world: World) -> Story:
        begun_s = await world.store.read(lambda tx: tx.now_s)
        return await told(world, await happen(world), begun_s)

    return in_a_world(body)
