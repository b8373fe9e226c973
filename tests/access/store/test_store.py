import asyncio
import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, inspect, select, update

from aliquot.access.core.life.effects import Audience, News, Notify
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import LEGAL, Stage
from aliquot.access.core.people import Person
from aliquot.access.core.requests import Request, digest, new_id
from aliquot.access.core.rules import Rule
from aliquot.access.log.entries import Actor, Draft
from aliquot.access.store.database import Database
from aliquot.access.store.reading import Answer, Reading, Wanted
from aliquot.access.store.store import Store
from aliquot.access.store.tables import SCHEMA_VERSION, lives, log_entries, log_nodes, metadata, state
from aliquot.access.store.transaction import Raced, Transaction
from aliquot.sql.failures import Unusable

ANN, BEN = Person("https://login", "ann"), Person("https://login", "ben")


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def now(self) -> float:
        return self.now_s


_numbers = itertools.count()


def life(
    holder: Person = ANN,
    stage: Stage = Stage.PENDING,
    *,
    template: str = "pod-logs",
    extends: str = "",
    **more: Any,
) -> Life:
    request = Request(
        id=new_id(1_000_000.0, next(_numbers).to_bytes(10)),
        template=template,
        template_digest="sha256:00",
        requester=holder,
        cluster="one",
        namespace="shop",
        rules=(Rule(("",), ("pods/log",), ("get",)),),
        duration_s=3600,
        justification="checkout is down",
        extends=extends,
        asked_at_s=1_000_000.0,
    )
    return Life(
        request=request, digest=digest(request), stage=stage, seen_s=1_000_000.0, lapses_s=1_003_600.0, **more
    )


def moved(before: Life, stage: Stage, **more: Any) -> Life:
    return replace(before, stage=stage, version=before.version + 1, **more)


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
def store(database: Database, clock: Clock) -> Iterator[Store]:
    store = Store(database, clock=clock)
    yield store
    store.close()


def draft(action: str = "request.asked", grant: str = "") -> Draft:
    return Draft(
        time_s=1_000_000.0,
        actor=Actor("https://login", "ann"),
        action=action,
        grant=grant,
        personal={"justification": "checkout is down"},
    )


async def test_what_is_written_is_read(store: Store) -> None:
    asked = life()

    def write(tx: Transaction) -> None:
        tx.add(asked)
        tx.append([draft(grant=asked.id)])
        tx.queue(asked.id, [Notify(news=News.ASKED, id=asked.id, to=(Audience.APPROVERS,))])

    await store.write(write)

    def read(tx: Reading) -> None:
        assert tx.life(asked.id) == asked
        assert tx.life("r" + "0" * 26) is None
        (queued,) = tx.queued(["Notify"], most=10)
        assert (queued.life, queued.attempts) == (asked.id, 0)
        (entry,) = tx.log.of_grant(asked.id)
        assert [one.value for one in entry.openings] == ["checkout is down"]
        assert tx.log.head().tree.size == 1

    await store.read(read)


async def test_work_that_fails_leaves_nothing_behind_of_itself_alone(store: Store) -> None:
    one, two, three = life(), life(), life()

    async def work(added: Life, *, fails: bool = False) -> None:
        def run(tx: Transaction) -> None:
            tx.add(added)
            tx.append([draft(grant=added.id)])
            if fails:
                raise ValueError("no")

        await store.write(run)

    done = await asyncio.gather(work(one), work(two, fails=True), work(three), return_exceptions=True)
    assert [type(each).__name__ for each in done] == ["NoneType", "ValueError", "NoneType"]
    found = await store.read(lambda tx: tx.lives(Wanted(), most=10))
    assert {each.id for each in found} == {one.id, three.id}
    assert await store.read(lambda tx: tx.log.head().tree.size) == 2
    assert await store.read(lambda tx: [one.seq for one in tx.log.entries(0, 2)]) == [0, 1]


async def test_a_question_that_fails_fails_alone(store: Store) -> None:
    asked = life()
    await store.write(lambda tx: tx.add(asked))

    def broken(tx: Reading) -> None:
        tx._connection.exec_driver_sql("SELECT nothing FROM nowhere")

    def wrong(tx: Reading) -> None:
        raise ValueError("no")

    def right(tx: Reading) -> Life | None:
        return tx.life(asked.id)

    # More than there are threads for, so that some are read together.
    questions = [right, broken, wrong, right] * 16
    came = await asyncio.gather(*(store.read(one) for one in questions), return_exceptions=True)
    for question, found in zip(questions, came, strict=True):
        if question is right:
            assert found == asked
        elif question is wrong:
            assert isinstance(found, ValueError)
        else:
            assert isinstance(found, Exception)
    assert await store.read_long(right) == asked


async def test_what_is_read_is_never_older_than_what_was_answered(store: Store) -> None:
    async def one() -> None:
        asked = life()
        await store.write(lambda tx: tx.add(asked))
        assert await store.read(lambda tx: tx.life(asked.id)) == asked

    await asyncio.gather(*(one() for _ in range(40)))


async def test_whoever_read_an_older_version_writes_nothing(store: Store) -> None:
    asked = life()
    await store.write(lambda tx: tx.add(asked))
    approved = moved(asked, Stage.APPROVED)
    await store.write(lambda tx: tx.replace(asked, approved))
    with pytest.raises(Raced):
        await store.write(lambda tx: tx.replace(asked, moved(asked, Stage.DENIED)))
    assert await store.read(lambda tx: tx.life(asked.id)) == approved
    with pytest.raises(Raced):
        await store.write(lambda tx: tx.add(asked))


@pytest.mark.parametrize("before", Stage)
async def test_the_database_itself_knows_which_stages_follow(store: Store, before: Stage) -> None:
    for after in Stage:
        start = life(stage=before)
        await store.write(partial(Transaction.add, life=start))
        change = store.write(partial(Transaction.replace, before=start, after=moved(start, after)))
        if before is after or (before, after) in LEGAL:
            await change
        else:
            with pytest.raises(Exception, match="no such step of a request"):
                await change


async def test_the_database_itself_keeps_open_requests_and_the_log(store: Store, database: Database) -> None:
    asked = life()

    def write(tx: Transaction) -> None:
        tx.add(asked)
        tx.append([draft(grant=asked.id)])

    await store.write(write)
    store.close()
    for statement, said in (
        (delete(lives), "a request that is open is not deleted"),
        (update(lives).values(version=1), "no such step"),
        (delete(log_entries), "the log of access is only added to"),
        (update(log_entries).values(body=b"other"), "the log of access is only added to"),
        (update(log_nodes).values(hash=b"other"), "the log of access is only added to"),
    ):
        with pytest.raises(Exception, match=said), database.writing() as connection:
            connection.execute(statement)


async def test_a_clock_that_is_set_back_is_not_followed(store: Store, clock: Clock) -> None:
    seen = [await store.write(lambda tx: tx.now_s)]
    for change_s in (+10, -3600, +20):
        clock.now_s += change_s
        seen.append(await store.write(lambda tx: tx.now_s))
    assert seen == [1_000_000.0, 1_000_010.0, 1_000_010.0, 1_000_010.0]
    assert await store.read(lambda tx: tx.now_s) == 1_000_010.0


async def test_what_somebody_has_is_counted(store: Store) -> None:
    held = [
        life(stage=Stage.PENDING),
        life(stage=Stage.ACTIVE, began_at_s=1.0),
        life(BEN, stage=Stage.ACTIVE, began_at_s=1.0),
        life(stage=Stage.ENDED, began_at_s=1.0, over_at_s=5.0),
        life(stage=Stage.ENDED, over_at_s=9.0),
        life(template="pod-exec", stage=Stage.ACTIVE),
    ]
    extension = life(extends=held[1].id)

    def write(tx: Transaction) -> None:
        for one in (*held, extension):
            tx.add(one)

    await store.write(write)
    usage = await store.read(lambda tx: tx.usage(held[0].request))
    assert (usage.open_of_person, usage.open_of_all) == (1, 2)
    assert (usage.granted_of_person, usage.granted_of_all) == (1, 2)
    assert usage.last_end_s == 5.0
    assert not usage.extending
    other = life(extends=held[1].id)
    assert (await store.read(lambda tx: tx.usage(other.request))).extending
    assert not (await store.read(lambda tx: tx.usage(extension.request))).extending


async def test_time_finds_what_it_has_changed(store: Store, clock: Clock) -> None:
    one, two = life(), life(stage=Stage.ACTIVE, end_s=1_000_500.0)

    def write(tx: Transaction) -> None:
        tx.add(one)
        tx.add(two)

    await store.write(write)
    assert await store.read(lambda tx: tx.due(most=10)) == ()
    clock.now_s = 1_000_500.0
    assert await store.read(lambda tx: tx.due(most=10)) == (two.id,)


async def test_effects_of_one_grant_are_carried_out_one_after_the_other(store: Store, clock: Clock) -> None:
    def write(tx: Transaction) -> None:
        for grant in ("one", "two"):
            tx.queue(
                grant, [Notify(news=News.ASKED, id=grant, to=()), Notify(news=News.ENDED, id=grant, to=())]
            )

    await store.write(write)
    due = await store.read(lambda tx: tx.queued(["Notify"], most=10))
    assert [one.life for one in due] == ["one", "two"]
    assert await store.read(lambda tx: tx.queued(["MakeGrant"], most=10)) == ()
    assert [
        one.life for one in await store.read(lambda tx: tx.queued(["Notify"], most=10, busy=["one"]))
    ] == ["two"]
    await store.write(lambda tx: tx.again(due[0], due_s=1_000_060.0, problem="no answer", owner=""))
    await store.write(lambda tx: tx.done(due[1]))
    left = await store.read(lambda tx: tx.queued(["Notify"], most=10))
    assert [(one.life, b"ended" in one.body) for one in left] == [("two", True)]
    clock.now_s = 1_000_060.0
    again = (await store.read(lambda tx: tx.queued(["Notify"], most=10)))[-1]
    assert (again.life, again.attempts, again.problem) == ("one", 1, "no answer")


async def test_what_is_used_up_is_taken_once(store: Store, clock: Clock) -> None:
    def use(tx: Transaction) -> bool:
        return tx.use_up("jira", "delivery-1", until_s=1_000_600.0)

    assert [await store.write(use), await store.write(use)] == [True, False]
    clock.now_s = 1_000_600.0
    assert await store.write(use)


async def test_an_answer_is_given_again(store: Store, clock: Clock) -> None:
    answer = Answer("sha256:1", 201, b"{}")
    await store.write(lambda tx: tx.remember("ann", "key", answer, until_s=1_000_600.0))
    assert await store.read(lambda tx: tx.answer("ann", "key")) == answer
    assert await store.read(lambda tx: tx.answer("ben", "key")) is None
    clock.now_s = 1_000_600.0
    await store.write(lambda tx: None)
    assert await store.read(lambda tx: tx.answer("ann", "key")) is None


async def test_a_user_is_changed_by_whoever_read_the_last_version(store: Store) -> None:
    await store.write(lambda tx: tx.put_user("ann", b"1", version=0))
    with pytest.raises(Raced):
        await store.write(lambda tx: tx.put_user("ann", b"2", version=0))
    await store.write(lambda tx: tx.put_user("ann", b"2", version=1))
    with pytest.raises(Raced):
        await store.write(lambda tx: tx.put_user("ann", b"3", version=1))
    assert await store.read(lambda tx: tx.user("ann")) == (2, b"2")


async def test_many_at_once_are_all_written(store: Store) -> None:
    asked = [life() for _ in range(200)]

    async def ask(one: Life) -> None:
        def write(tx: Transaction) -> None:
            tx.add(one)
            tx.append([draft(grant=one.id)])

        await store.write(write)

    await asyncio.gather(*map(ask, asked))
    found = await store.read(lambda tx: tx.lives(Wanted(), most=1000))
    assert {one.id for one in found} == {one.id for one in asked}
    assert await store.read(lambda tx: len(list(tx.log.entries(0, 1000)))) == 200


def test_two_servers_write_one_log(database_url: str) -> None:
    servers = [Database(database_url) for _ in range(2)]
    servers[0].prepare()
    servers[1].prepare()

    async def run() -> int:
        stores = [Store(database, clock=Clock()) for database in servers]
        await asyncio.gather(
            *(stores[number % 2].write(lambda tx: tx.append([draft()])) for number in range(40))
        )
        seqs = await stores[0].read(lambda tx: [one.seq for one in tx.log.entries(0, 100)])
        assert seqs == list(range(40))
        for store in stores:
            store.close()
        return len(seqs)

    assert asyncio.run(run()) == 40


def test_a_database_of_another_version_is_left_alone(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(update(state).where(state.c.name == "schema").values(value="99"))
    with pytest.raises(
        Unusable,
        match=rf"is of schema 99, and this version of Aliquot writes {SCHEMA_VERSION}: use the version",
    ):
        database.prepare()


def test_a_database_of_an_earlier_version_is_brought_up_to_this_one(database: Database, clock: Clock) -> None:
    with database.writing() as connection:
        for statement in (
            "ALTER TABLE outbox DROP COLUMN owner",
            "ALTER TABLE outbox DROP COLUMN until_s",
            "ALTER TABLE outbox DROP COLUMN queued_s",
            "DROP TABLE leases",
            "DROP TABLE notices",
            "UPDATE state SET value = '1' WHERE name = 'schema'",
        ):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(
            "INSERT INTO outbox (life, kind, body, due_s, attempts, problem) VALUES ('r1', 'Notify', '{}', 0, 0, '')"
        )
    database.prepare()
    store = Store(database, clock=clock)
    queued = asyncio.run(store.read(lambda tx: tx.queued(["Notify"], most=1)))
    assert [one.life for one in queued] == ["r1"]
    database.prepare()
    store.close()


def test_a_database_of_the_schema_before_gets_the_tables_that_are_new(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(update(state).where(state.c.name == "schema").values(value="2"))
        connection.exec_driver_sql("ALTER TABLE outbox DROP COLUMN queued_s")
        for table in reversed(metadata.sorted_tables):
            if table.name.startswith("audit_"):
                table.drop(connection)
    database.prepare()
    with database.writing() as connection:
        assert connection.scalar(select(state.c.value).where(state.c.name == "schema")) == str(SCHEMA_VERSION)
        assert inspect(connection).has_table("audit_uses")
