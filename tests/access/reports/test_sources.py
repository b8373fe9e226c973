"""What reports are drawn from, on both databases: all of it, in order, however much is read at once."""

import pytest

from aliquot.access.log.entries import Actor, Draft, parse
from aliquot.access.reports.period import Period
from aliquot.access.reports.sources.stored import material
from aliquot.access.store import log, reading
from aliquot.access.store.database import Database
from aliquot.access.store.reading import Reading
from aliquot.access.store.store import Store
from aliquot.access.store.transaction import Transaction
from tests.access.store.test_store import Clock, life

NOW_S = 1_000_000.0


def entry(action: str, grant: str = "") -> Draft:
    return Draft(time_s=NOW_S, actor=Actor("https://login", "ann"), action=action, grant=grant)


@pytest.mark.parametrize("at_once", [1, 2, 500])
async def test_all_is_there_and_in_order(
    database_url: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_SOME", at_once)
    monkeypatch.setattr(log, "_AT_ONCE", at_once)
    database = Database(database_url)
    database.prepare()
    store = Store(database, clock=Clock())
    lives = [life() for _ in range(5)]
    drafts = [
        entry("killswitch.pulled"),
        *(entry("request.asked", one.id) for one in lives),
        entry("refused.ask"),
        *(entry("request.agreed", one.id) for one in reversed(lives)),
        entry("report.drawn"),
    ]

    def write(tx: Transaction) -> None:
        for one in reversed(lives):
            tx.add(one)
        tx.append(drafts)

    def read(tx: Reading, to_s: float) -> tuple[list[tuple[str, list[str]]], list[str]]:
        found = material(tx, Period(0.0, to_s), origin="log", keys=[], policy=None)
        records = [(one.life.id, [entry.action for entry in one.entries]) for one in found.records()]
        assert records == [(one.life.id, [entry.action for entry in one.entries]) for one in found.records()]
        return records, [entry.action for entry in found.loose()]

    await store.write(write)
    records, loose = await store.read(lambda tx: read(tx, NOW_S + 1))
    assert records == [(one.id, ["request.asked", "request.agreed"]) for one in lives]
    assert loose == ["killswitch.pulled", "refused.ask", "report.drawn"]
    assert (await store.read(lambda tx: read(tx, NOW_S)))[0] == [], (
        "asked for at that moment is not before it"
    )
    sealed = await store.read(lambda tx: [parse(one.body).seq for one in tx.log.entries(0, len(drafts))])
    assert sealed == list(range(len(drafts)))
    store.close()
