"""What comes of deliveries, in both databases."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from aliquot.access.audit import use
from aliquot.access.audit.events import Event
from aliquot.access.audit.findings import Finding
from aliquot.access.audit.intake import Intake, Taken
from aliquot.access.audit.use import GrantUse, summary
from aliquot.access.broker.waking import Waking
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import Stage
from aliquot.access.log.entries import parse
from aliquot.access.store import audited
from aliquot.access.store.database import Database
from aliquot.access.store.reading import Given, Reading
from aliquot.access.store.store import Store
from aliquot.access.store.tables import audit_counted, audit_deliveries, audit_findings, audit_uses
from aliquot.access.store.transaction import Transaction
from aliquot.sql.failures import Unreachable
from tests.access.audit.samples import ACCOUNT, CREDENTIAL, GRANT, START_S, event, user
from tests.access.audit.test_checks import ANN, ROOT, life


class Clock:
    now_s = START_S

    def now(self) -> float:
        return self.now_s


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.prepare()
    yield database
    database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(database: Database, clock: Clock) -> Any:
    store = Store(database, clock=clock)

    await store.write(_begin)
    yield store
    store.close()


def _begin(tx: Transaction) -> None:
    tx.add(life())
    tx.give(Given(CREDENTIAL, GRANT, START_S, START_S + 600))


@pytest.fixture
def intake(store: Store) -> Intake:
    return Intake(store, Waking())


async def used(store: Store, grant: str = GRANT) -> GrantUse:
    def read(tx: Reading) -> GrantUse:
        found = tx.life(grant)
        assert found is not None
        return summary(grant, found.request.rules, tx.audited.uses(grant))

    return await store.read(read)


async def told(store: Store) -> tuple[Finding, ...]:
    return await store.read(lambda tx: tx.audited.findings(most=1000))


async def logged(store: Store) -> list[Any]:
    return await store.read(
        lambda tx: [
            (parse(one.body), {each.name: each.value for each in one.openings})
            for one in tx.log.entries(0, tx.log.head().tree.size)
        ]
    )


async def notices(store: Store) -> list[Any]:
    queued = await store.read(lambda tx: tx.queued(["TellNotice"], most=1000))
    return [json.loads(one.body)["notice"] for one in queued]


def every(*more: Event) -> list[Event]:
    return [
        event("get", "pods", number=1),
        event("get", "pods/exec", code=101, number=2, stage="ResponseStarted"),
        event("get", "pods/exec", code=101, number=2, done_s=START_S + 60),
        event("list", "secrets", "", code=403, number=3),
        event("get", "nodes", "n1", namespace="", by=ROOT, number=4),
        event("get", "pods", by=ANN, number=5),
        *more,
    ]


async def test_of_all_that_comes_what_is_of_grants_and_what_should_not_be_is_kept(
    store: Store, intake: Intake, database: Database
) -> None:
    assert await intake.take("one", every()) == Taken(events=6, uses=3, findings=1)
    found = await used(store)
    assert found.count == 3
    assert (found.first_s, found.last_s) == (START_S, START_S + 60)
    assert [one.resource for one in found.shells] == ["pods/exec"]
    assert [one.resource for one in found.denied] == ["secrets"]
    (one,) = await told(store)
    assert (one.rule, one.who) == ("system_masters", "kubernetes-admin")
    with database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(audit_counted)) == 3


async def test_a_finding_is_in_the_log_and_security_is_told_once(
    store: Store, intake: Intake, clock: Clock
) -> None:
    for second in range(3):
        await intake.take("one", [event("get", "nodes", "n1", by=ROOT, at_s=START_S + second)])
    ((entry, words),) = await logged(store)
    (finding,) = await told(store)
    assert entry.action == "finding.seen"
    assert entry.details == {
        "source": "audit",
        "sort": "system masters",
        "cluster": "one",
        "about": "kubernetes-admin on 2027-01-15",
    }
    assert words == {"why": finding.text}
    (notice,) = await notices(store)
    assert notice["why"] == finding.text
    assert finding.last_s == START_S + 2
    # Long after, when what is seen again counts as new.
    clock.now_s += 2 * 86_400
    await intake.take("one", [event("get", "nodes", "n1", by=ROOT)])
    assert [one["sort"] for one in await notices(store)] == ["system masters", "silence"]


async def test_what_comes_again_counts_once(store: Store, intake: Intake) -> None:
    await intake.take("one", every())
    once = await used(store), await told(store), len(await logged(store)), await notices(store)
    assert await intake.take("one", every()) == Taken(events=6)
    assert await intake.take("one", [*reversed(every())]) == Taken(events=6)
    assert once == (await used(store), await told(store), len(await logged(store)), await notices(store))


async def test_an_open_shell_is_seen_at_once_and_counts_once(store: Store, intake: Intake) -> None:
    await intake.take("one", [event("get", "pods/exec", code=101, stage="ResponseStarted")])
    assert [(one.count, one.last_s) for one in (await used(store)).shells] == [(1, START_S + 0.004)]
    await intake.take("one", [event("get", "pods/exec", code=101, done_s=START_S + 60)])
    assert [(one.count, one.last_s) for one in (await used(store)).shells] == [(1, START_S + 60)]


async def test_a_cluster_cannot_speak_for_another(store: Store, intake: Intake) -> None:
    assert await intake.take("two", [event()]) == Taken(events=1, findings=1)
    assert (await used(store)).count == 0
    assert [one.rule for one in await told(store)] == ["other_cluster"]
    # Nor keep from it what it is still to say.
    assert (await intake.take("one", [event()])).uses == 1


async def test_a_finding_of_no_grant_is_kept(store: Store, intake: Intake) -> None:
    by = user("system:serviceaccount:aliquot-break-glass:aliquot-bg-r01m8k6brv680ym5merp5and70y")
    await intake.take("one", [event(by=by)])
    assert {one.rule for one in await told(store)} == {"unknown_credential", "unknown_grant"}


async def test_use_of_two_grants_is_told_apart(store: Store, intake: Intake) -> None:
    other: Life = life("r01m8k6brv680ym5merp5and70y")

    def write(tx: Transaction) -> None:
        tx.add(other)
        tx.give(Given("JTI=2", other.id, START_S, START_S + 600))

    await store.write(write)
    theirs = user(ACCOUNT.replace(GRANT, other.id), credential="JTI=2")
    await intake.take("one", [event(number=1), event("list", "pods", "", by=theirs, number=2)])
    assert [(one.verb, one.count) for one in (await used(store)).read] == [("get", 1)]
    assert [(one.verb, one.count) for one in (await used(store, other.id)).read] == [("list", 1)]
    assert await told(store) == ()


async def test_what_is_kept_is_bounded_and_what_was_done_is_still_told(
    store: Store, intake: Intake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (use, audited):
        monkeypatch.setattr(module, "MOST_KINDS", 5)
        monkeypatch.setattr(module, "MOST_COUNTED", 20)
    monkeypatch.setattr(audited, "MOST_A_DAY", 3)
    flood = [event("get", "pods", f"p{number}", number=number) for number in range(60)]
    await intake.take("one", flood)
    await intake.take("one", [event("delete", "secrets", "db", number=100, at_s=START_S + 9)])
    found = await used(store)
    assert found.is_folded
    assert found.is_cut
    assert found.count == 20
    assert len(found.read) == 6
    assert ("*", START_S) in {(one.name, one.first_s) for one in found.read}
    # More is not counted; that it was done is told.
    assert [(one.verb, one.name, one.count) for one in found.secrets] == [("delete", "db", 0)]
    masters = [event("get", "nodes", "n", by=user(f"u{one}", "system:masters")) for one in range(30)]
    await intake.take("one", masters)
    findings = await told(store)
    assert len(findings) == 4
    assert any("than is told one by one" in one.text for one in findings)
    assert await intake.take("one", masters) == Taken(events=30)
    with database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(audit_counted)) == 20
        assert connection.scalar(select(func.count()).select_from(audit_findings)) == 4


async def test_what_is_old_is_forgotten_and_not_taken_again(
    store: Store, database: Database, clock: Clock
) -> None:
    intake = Intake(store, Waking(), kept_s=3600)
    await intake.take("one", every())
    clock.now_s += 1000
    assert await intake.forget() == 0
    assert (await intake.take("one", [event(number=9, at_s=START_S - 3000)])).uses == 0
    clock.now_s += 4000
    while await intake.forget():
        pass
    with database.reading() as connection:
        for table in (audit_uses, audit_counted, audit_findings):
            assert connection.scalar(select(func.count()).select_from(table)) == 0
    await intake.take("one", every())
    assert (await used(store)).count == 0


async def test_what_is_yet_to_come_is_left_out(store: Store, intake: Intake) -> None:
    events = [event(number=1, at_s=START_S + 3000), event(number=2, at_s=START_S + 4000)]
    masters = [event("get", "nodes", "n", by=ROOT, at_s=START_S + days * 86_400.0) for days in range(1, 300)]
    assert await intake.take("one", [*events, *masters]) == Taken(events=301, uses=1, findings=1)
    assert [one.rule for one in await told(store)] == ["used_after_end"]


async def test_silence_is_told_once_while_grants_are_active(
    store: Store, intake: Intake, clock: Clock
) -> None:
    await intake.take("one", [])
    await intake.look_for_silence(["one", "two"])
    assert await told(store) == ()
    for _ in range(3):
        clock.now_s += 301
        await intake.look_for_silence(["one", "two"])
    (found,) = await told(store)
    assert (found.rule, found.cluster, found.first_s) == ("silence", "one", START_S)
    assert len(await notices(store)) == 1
    assert [entry.action for entry, _ in await logged(store)] == ["finding.seen"]
    # It has begun to speak again, and falls silent a second time.
    await intake.take("one", [])
    await intake.look_for_silence(["one"])
    assert len(await told(store)) == 1
    clock.now_s += 400
    await intake.look_for_silence(["one"])
    assert len(await told(store)) == 2


async def test_a_hole_that_nobody_was_there_to_see_is_told_by_what_comes_after_it(
    store: Store, intake: Intake, clock: Clock
) -> None:
    await intake.take("one", [])
    clock.now_s += 4000
    assert (await intake.take("one", [])).findings == 1


async def test_a_cluster_where_nobody_is_let_in_may_be_silent(
    store: Store, intake: Intake, clock: Clock
) -> None:
    def end(tx: Transaction) -> None:
        ending = _moved(life(), Stage.ENDING, over_at_s=START_S + 10)
        tx.replace(life(), ending)
        tx.replace(ending, _moved(ending, Stage.ENDED, gone_at_s=START_S + 11))

    await intake.take("one", [])
    await store.write(end)
    clock.now_s += 4000
    await intake.look_for_silence(["one"])
    assert await told(store) == ()


def _moved(before: Life, stage: Stage, **changed: Any) -> Life:
    return replace(before, stage=stage, version=before.version + 1, **changed)


async def test_a_long_delivery_is_taken_in_parts(store: Store, intake: Intake) -> None:
    many = [event("get", "pods", number=number) for number in range(1201)]
    assert await intake.take("one", many) == Taken(events=1201, uses=1201)
    assert (await used(store)).count == 1201


async def test_without_a_database_nothing_is_taken(
    store: Store, intake: Intake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> Any:
        raise OperationalError("select", {}, Exception("it has gone"))

    monkeypatch.setattr(audited.Audited, "deliver", gone)
    with pytest.raises(Unreachable):
        await intake.take("one", every())
    monkeypatch.undo()
    assert (await used(store)).count == 0
    assert (await intake.take("one", every())).uses == 3


async def test_when_something_last_came_is_known(store: Store, intake: Intake, database: Database) -> None:
    await intake.take("one", [])
    with database.reading() as connection:
        rows: Sequence[Any] = connection.execute(select(audit_deliveries)).all()
    assert [(row.cluster, row.last_s) for row in rows] == [("one", START_S)]


@settings(max_examples=25)
@given(data=st.data())
def test_whatever_comes_twice_and_in_whatever_order_the_database_says_the_same(data: st.DataObject) -> None:
    def kept(batches: Sequence[Sequence[Event]]) -> Any:
        async def deliver() -> Any:
            database = Database("sqlite://")
            database.prepare()
            store = Store(database, clock=Clock(), threads=False)
            try:
                await store.write(_begin)
                for batch in batches:
                    await Intake(store, Waking()).take("one", batch)
                found = await told(store)
                return await used(store), sorted(one.key for one in found), len(await logged(store))
            finally:
                store.close()

        return asyncio.run(deliver())

    more = data.draw(st.lists(st.sampled_from(_MANY), max_size=8))
    sent = [*_MANY, *more]
    shuffled = data.draw(st.permutations(sent))
    cut = data.draw(st.integers(0, len(shuffled)))
    assert kept([shuffled[:cut], shuffled[cut:]]) == kept([_MANY])


_MANY = every(
    event("get", "secrets", "db", number=6, at_s=START_S + 3),
    event("get", "secrets", "db", number=7, at_s=START_S + 1),
    event("watch", "pods", "", number=8, stage="ResponseStarted"),
    event("watch", "pods", "", number=8, done_s=START_S + 300),
    event("get", "pods", by=user("ops", "system:masters"), number=9, at_s=START_S + 2),
    event("get", "pods", by=user("ops", "system:masters"), number=10, at_s=START_S + 1),
    event("get", "pods", "gone", code=404, number=11),
)
