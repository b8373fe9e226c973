"""Reports for auditors over a hundred thousand requests and their entries: how long each takes, and the most memory that it held,
beside reading and decoding the same and drawing nothing.

Each is a process of its own; CPU time and memory are the kernel's figures.
"""

import asyncio
import random
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from aliquot.access.core.life.life import Approval, Life
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.core.people import Person, group
from aliquot.access.core.requests import Request, digest, new_id
from aliquot.access.core.rules import Rule
from aliquot.access.core.spelling import spell
from aliquot.access.core.templates.template import StepUpLevel
from aliquot.access.log.entries import Actor, Draft
from aliquot.access.log.notes import new_key
from aliquot.access.log.verify import ED25519
from aliquot.access.reports.catalogue import REPORTS
from aliquot.access.reports.document import as_json, draw
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import Material
from aliquot.access.reports.sources.stored import material
from aliquot.access.store.database import Database
from aliquot.access.store.reading import Reading
from aliquot.access.store.store import Store
from aliquot.access.store.transaction import Transaction
from aliquot.clock import SystemClock
from benchmarks.clusters import machine
from benchmarks.measured import run

LIVES = 100_000
ENTRIES_EACH = 8
_START_S = 1_767_225_600.0
_EVERY_S = 300.0
_AT_ONCE = 500
_ISSUER = "https://login.example.com"
_ACTIONS = (
    "request.approved",
    "request.agreed",
    "grant.began",
    "intends.makeGrant",
    "grant.active",
    "credential.given",
    "grant.ended",
)
_KEY = new_key("aliquot.example.com/access", ED25519, b"k" * 32)


def main(short: bool = False) -> None:
    count = LIVES // 20 if short else LIVES
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/access.db"
        fill(url, count)
        size_mib = (Path(directory) / "access.db").stat().st_size / 2**20
        ran = {
            name: run([sys.executable, "-m", "benchmarks.access_reports", url, name])
            for name in ("nothing", *REPORTS)
        }
    base = ran["nothing"]
    print(f"{count} requests, {count * ENTRIES_EACH} entries, {size_mib:.0f} MiB of SQLite ({machine()})")
    print(f"  {'':<16}{'wall s':>8}{'cpu s':>8}{'MiB':>6}{'x reading':>11}")
    for name, one in ran.items():
        named = "reading alone" if name == "nothing" else name
        print(
            f"  {named:<16}{one.wall_s:>8.1f}{one.cpu_s:>8.1f}{one.most_mib:>6.0f}{one.cpu_s / base.cpu_s:>11.1f}"
        )


def fill(url: str, count: int) -> None:
    asyncio.run(_fill(url, count))


async def _fill(url: str, count: int) -> None:
    rng = random.Random(1)
    database = Database(url)
    database.prepare()
    store = Store(database, clock=SystemClock(), salt=rng.randbytes, threads=False)
    lives = (life(number, rng) for number in range(count))
    while some := list(islice(lives, _AT_ONCE)):
        await store.write(lambda tx, some=some: write(tx, some))  # type: ignore[misc]
    store.close()


def write(tx: Transaction, some: list[Life]) -> None:
    for one in some:
        tx.add(one)
    tx.append([draft for one in some for draft in drafts(one)])


def life(number: int, rng: random.Random) -> Life:
    asked_s = _START_S + number * _EVERY_S
    template = f"template-{number % 12}"
    request = Request(
        id=new_id(asked_s, rng.randbytes(10)),
        template=template,
        template_digest="sha256:" + "1" * 64,
        requester=Person(_ISSUER, f"u{number % 499}"),
        cluster=f"production-{number % 3}",
        namespace="payments",
        rules=(Rule(("",), ("pods", "pods/log"), ("get", "list")),),
        duration_s=1800,
        justification="payments are late",
        asked_at_s=asked_s,
    )
    approvals = tuple(
        Approval(
            person=Person(_ISSUER, f"a{rng.randrange(60)}"),
            digest=digest(request),
            at_s=asked_s + 60 * (index + 1),
            step_up=StepUpLevel.TOTP,
            groups=(group(f"{_ISSUER}#{of}"),),
        )
        for index, of in enumerate(("leads", "security"))
    )
    over_s = asked_s + 300 + rng.randrange(1800)
    return Life(
        request=request,
        digest=digest(request),
        stage=Stage.ENDED,
        version=8,
        seen_s=over_s + 1,
        lapses_s=asked_s + 3600,
        approvals=approvals,
        approved_at_s=asked_s + 120,
        began_at_s=asked_s + 180,
        end_s=asked_s + 1980,
        max_end_s=asked_s + 7200,
        fence=7,
        made=5,
        over_at_s=over_s,
        gone_at_s=over_s + rng.random() * 3,
        end_reason=EndReason.RETURNED,
    )


def drafts(one: Life) -> Iterator[Draft]:
    changed = spell(one)
    changed["request"].pop("justification")
    changed.pop("why")
    for action in ("request.asked", *_ACTIONS):
        yield Draft(
            time_s=one.request.asked_at_s,
            actor=Actor(_ISSUER, one.holder.subject, "oidc", "session-1"),
            action=action,
            grant=one.id,
            request_digest=one.digest,
            policy_digest="sha256:" + "2" * 64,
            after="pending",
            details={"changed": changed} if action == "request.asked" else {"changed": {"version": 2}},
            personal={"request.justification": "payments are late"} if action == "request.asked" else {},
        )


async def drawing(url: str, name: str) -> None:
    period = Period(_START_S, _START_S + LIVES * _EVERY_S + 1)
    store = Store(Database(url), clock=SystemClock(), threads=False)

    def work(tx: Reading) -> None:
        found = material(tx, period, origin=_KEY.name, keys=[_KEY.public], policy=None)
        if name == "nothing":
            nothing(found)
            return
        with draw(REPORTS[name], found, period) as drawn:
            for _ in as_json(drawn.lines()):
                pass

    await store.read(work)
    store.close()


def nothing(found: Material) -> None:
    for _ in found.records():
        pass


if __name__ == "__main__":
    asyncio.run(drawing(*sys.argv[1:]))
