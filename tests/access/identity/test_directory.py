from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aliquot.access.broker.around import People
from aliquot.access.core.people import Group, Identity, Person
from aliquot.access.identity import records
from aliquot.access.identity.bearers import Bearers
from aliquot.access.identity.book import Book
from aliquot.access.identity.configuration import IdentitySection
from aliquot.access.identity.directory import Directory
from aliquot.access.identity.groups_file import OwnGroups, parse_groups
from aliquot.access.identity.local import accounts
from aliquot.access.identity.oidc.tokens import OidcTokens
from aliquot.access.identity.proof import NotProven, Proof
from aliquot.access.store.database import Database
from aliquot.access.store.store import Store
from aliquot.document import DocumentError
from aliquot.sql.failures import Unreachable
from tests.access.identity.laptop import ANN, KEY, ORIGIN, PARTY, Laptop
from tests.access.identity.provider import START_S, Clock, Provider

ISSUER = "https://login.example.com"
ZOE = Person(ISSUER, "ann")
KNOWN_FOR_S = 8000


@pytest.fixture
def stored(database_url: str, clock: Clock) -> Iterator[Store]:
    database = Database(database_url)
    database.prepare()
    store = Store(database, clock=clock, threads=False)
    yield store
    store.close()


def section(provider: Provider) -> IdentitySection:
    return IdentitySection(
        key_file="/k", known_for_seconds=KNOWN_FOR_S, oidc=(provider.configured,), local=PARTY
    )


def directory(book: Book, own: OwnGroups = OwnGroups()) -> Directory:  # noqa: B008 - frozen
    return Directory(book, section(Provider(Clock())), own)


def said(at_s: float, *groups: str) -> Proof:
    identity = Identity(person=ZOE, groups=frozenset(Group(f"{ISSUER}#{one}") for one in groups))
    return Proof(identity=identity, auth="oidc", credential="x", said_s=at_s, until_s=at_s + 3600)


async def test_what_an_issuer_said_is_known_over_a_restart_and_no_longer_than_it_counts(
    stored: Store, clock: Clock
) -> None:
    await directory(stored).heard(said(START_S, "sre"))
    people: People = directory(stored)
    assert (await people.known([ZOE, ANN]))[ZOE].groups == {f"{ISSUER}#sre"}
    clock.now_s += KNOWN_FOR_S - 1
    assert ZOE in await people.known([ZOE])
    clock.now_s += 1
    assert await people.known([ZOE]) == {}


async def test_an_older_token_brings_back_no_group(store: Store) -> None:
    people = directory(store)
    await people.heard(said(START_S, "sre", "leads"))
    await people.heard(said(START_S + 60, "sre"))
    again = await people.heard(said(START_S, "sre", "leads"))
    assert again.groups == (await people.known([ZOE]))[ZOE].groups == {f"{ISSUER}#sre"}


async def test_a_token_is_written_down_once_however_often_it_is_shown(store: Store, clock: Clock) -> None:
    people = directory(store)

    async def version() -> int:
        found = await store.read(lambda tx: tx.user(f"seen:{ZOE}"))
        assert found is not None
        return found[0]

    for second in range(100):
        clock.now_s = START_S + second
        await people.heard(said(START_S, "sre"))
    assert await version() == 1
    await people.heard(said(START_S + 1, "sre"))
    assert await version() == 2


async def test_nobody_of_an_issuer_that_is_not_configured_any_more_is_known(store: Store) -> None:
    await directory(store).heard(said(START_S, "sre"))
    without = IdentitySection(key_file="/k", local=PARTY)
    assert await Directory(store, without, OwnGroups()).known([ZOE]) == {}


async def test_who_is_switched_off_is_not_known_whoever_their_issuer_is(laptop: Laptop) -> None:
    people = directory(laptop.store)
    for person in (ANN, ZOE):
        await laptop.add(person)
    await people.heard(said(START_S, "sre"))
    assert set(await people.known([ANN, ZOE])) == {ANN, ZOE}
    for person in (ANN, ZOE):
        await laptop.store.write(partial(accounts.switch, person=person, is_off=True))
    assert await people.known([ANN, ZOE]) == {}
    with pytest.raises(NotProven, match="switched off"):
        await people.heard(said(START_S, "sre"))


async def test_a_local_user_cannot_be_made_by_what_another_issuer_says(laptop: Laptop) -> None:
    await laptop.add()
    people = directory(laptop.store)
    await people.heard(
        replace(said(START_S), identity=Identity(person=Person(ISSUER, str(ANN)), groups=frozenset()))
    )
    assert (await people.known([ANN]))[ANN].groups == {f"{ORIGIN}#leads"}
    assert [one.person for one in await laptop.store.read(records.accounts)] == [ANN]


async def test_own_groups_and_delegates_are_of_those_who_are_known(store: Store) -> None:
    text = f"""\
groups: {{reviewers: [{{issuer: "{ISSUER}", subject: ann}}, {{issuer: "{ISSUER}", subject: ben}}]}}
delegates: [{{person: {{issuer: "{ISSUER}", subject: ann}}, actsFor: [{{issuer: "{ISSUER}", subject: chief}}]}}]
"""
    people = directory(store, parse_groups(text, "groups.yaml", ORIGIN))
    mine = await people.heard(said(START_S, "sre"))
    assert mine.groups == {f"{ISSUER}#sre", f"{ORIGIN}#reviewers"}
    assert mine.acts_for == {Person(ISSUER, "chief")}
    assert await people.known([ZOE, Person(ISSUER, "ben")]) == {ZOE: mine}
    # Taken out of the file, they are out: it is not written down with what the issuer said.
    assert (await directory(store).known([ZOE]))[ZOE].groups == {f"{ISSUER}#sre"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("groups:\n  'https://login.example.com#sre': []\n", 2),
        ("groups:\n  a: [ann]\n", 2),
        (
            "delegates:\n- {person: {issuer: a, subject: b}, actsFor: []}\n- {person: {issuer: a, subject: b}, actsFor: []}\n",
            3,
        ),
        ("delegates:\n- {person: {issuer: a, subject: b}, actsFor: [{issuer: a, subject: b}]}\n", 2),
        ("grups: {}\n", 1),
    ],
)
def test_a_groups_file_that_is_wrong_is_refused(text: str, line: int) -> None:
    with pytest.raises(DocumentError, match=rf"^g\.yaml:{line}: "):
        parse_groups(text, "g.yaml", ORIGIN)


def test_a_server_without_a_name_has_no_groups_of_its_own() -> None:
    with pytest.raises(DocumentError, match="need its name"):
        parse_groups("groups: {a: []}", "g.yaml", "")


class Sheet:
    """A Book in memory."""

    def __init__(self) -> None:
        self.now_s = START_S
        self.rows: dict[str, tuple[int, bytes]] = {}

    def user(self, subject: str) -> tuple[int, bytes] | None:
        return self.rows.get(subject)

    def users(self) -> tuple[bytes, ...]:
        return tuple(body for _, body in self.rows.values())

    def put_user(self, subject: str, body: bytes, *, version: int) -> None:
        assert self.rows.get(subject, (0,))[0] == version
        self.rows[subject] = (version + 1, body)

    def use_up(self, what: str, nonce: str, *, until_s: float) -> bool:
        raise AssertionError

    async def read(self, work: Any) -> Any:
        return work(self)

    async def write(self, work: Any) -> Any:
        return work(self)


@given(st.lists(st.tuples(st.integers(0, 5), st.sets(st.sampled_from("abc"))), min_size=1))
async def test_in_whatever_order_tokens_come_the_last_that_was_issued_is_what_is_known(
    came: list[tuple[int, set[str]]],
) -> None:
    people = directory(Sheet())
    for after_s, groups in came:
        identity = await people.heard(said(START_S + after_s, *groups))
        assert (await people.known([ZOE]))[ZOE] == identity
    latest = max(after_s for after_s, _ in came)
    # Of those that were issued at once, the one that came last.
    groups = [groups for after_s, groups in came if after_s == latest][-1]
    assert identity.groups == {f"{ISSUER}#{one}" for one in groups}


async def test_each_token_goes_to_its_own_issuer(laptop: Laptop, clock: Clock) -> None:
    provider = Provider(clock)
    people = Directory(laptop.store, section(provider), OwnGroups())
    bearers = Bearers(
        laptop.store,
        people,
        KEY,
        local=PARTY,
        oidc=[OidcTokens(provider.configured, provider, clock=clock)],
        clusters={},
    )
    session = await laptop.log_in(await laptop.with_passkey())
    assert isinstance(session, str)
    assert (await bearers.prove(session)).person == ANN
    assert (await bearers.prove(provider.token())).person == ZOE
    assert set(await people.known([ANN, ZOE])) == {ANN, ZOE}
    for token, cluster in (
        (provider.token(iss="https://other"), ""),
        (provider.token(iss=None), ""),
        (provider.token(iss=["x"]), ""),
        (provider.token(iss=ORIGIN), ""),
        (provider.token(), "prod"),
        ("", ""),
    ):
        with pytest.raises(NotProven):
            await bearers.prove(token, cluster=cluster)


class Gone:
    """A book that does not answer."""

    async def read(self, work: Any) -> Any:
        raise Unreachable("gone")

    async def write(self, work: Any) -> Any:
        raise Unreachable("gone")


async def test_without_the_book_somebody_is_who_their_issuer_says(store: Store) -> None:
    own = parse_groups(
        f"groups: {{reviewers: [{{issuer: '{ISSUER}', subject: ann}}]}}", "groups.yaml", ORIGIN
    )
    alone = await directory(Gone(), own).heard_alone(said(START_S, "sre"))
    assert alone.groups == {f"{ISSUER}#sre", f"{ORIGIN}#reviewers"}
    # Nothing is written of it where there is one.
    await directory(store).heard_alone(said(START_S, "sre"))
    assert await store.read(lambda tx: tx.user(f"seen:{ZOE}")) is None


async def test_who_is_switched_off_ends_nothing_as_far_as_that_can_be_told(store: Store) -> None:
    account = records.Account(person=ZOE, is_off=True)
    await store.write(lambda tx: records.put(tx, account))
    with pytest.raises(NotProven, match="switched off"):
        await directory(store).heard_alone(said(START_S, "sre"))
