from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Refused
from aliquot.access.core.templates.template import StepUpLevel
from aliquot.access.identity.challenges import Purpose
from aliquot.access.identity.local import accounts
from aliquot.access.identity.local.codes import FREE_FAILURES, LONGEST_WAIT_S, NOT_ACCEPTED, STEP_S
from aliquot.access.identity.records import Account
from aliquot.access.identity.step_up import ByCode, step_up
from tests.access.identity.laptop import ANN, KEY, ORIGIN, PARTY, Laptop


async def test_a_code_counts_once_and_so_does_the_one_it_was_registered_with(laptop: Laptop) -> None:
    app = await laptop.with_codes()
    now = int(laptop.clock.now_s)
    assert await laptop.code(app.at(now)) is NOT_ACCEPTED
    laptop.clock.now_s += STEP_S
    code = app.at(now + STEP_S)
    purpose = Purpose(ANN, "approve", "sha256:aa")
    found = [
        await laptop.store.write(lambda tx: step_up(tx, KEY, PARTY, purpose, ByCode(code))) for _ in range(2)
    ]
    assert found == [StepUpLevel.TOTP, NOT_ACCEPTED]


async def test_a_clock_may_be_one_step_off_and_no_more(laptop: Laptop) -> None:
    app = await laptop.with_codes()
    laptop.clock.now_s += 10 * STEP_S
    now = int(laptop.clock.now_s)
    assert [
        isinstance(await laptop.code(app.at(now + off * STEP_S)), Account) for off in (-2, 2, -1, 0, 1)
    ] == [False, False, True, True, True]


async def test_an_earlier_code_counts_no_more_once_a_later_one_was_used(laptop: Laptop) -> None:
    app = await laptop.with_codes()
    laptop.clock.now_s += 10 * STEP_S
    now = int(laptop.clock.now_s)
    assert isinstance(await laptop.code(app.at(now)), Account)
    assert await laptop.code(app.at(now - STEP_S)) is NOT_ACCEPTED


async def test_a_clock_that_is_set_back_brings_no_used_code_back(laptop: Laptop) -> None:
    app = await laptop.with_codes()
    laptop.clock.now_s += 10 * STEP_S
    code = app.at(int(laptop.clock.now_s))
    assert isinstance(await laptop.code(code), Account)
    laptop.clock.now_s += 3600
    await laptop.code("000000")
    laptop.clock.now_s -= 3600
    assert await laptop.code(code) is NOT_ACCEPTED


async def test_who_guesses_waits_twice_as_long_each_time_and_an_hour_at_most(laptop: Laptop) -> None:
    app = await laptop.with_codes()
    laptop.clock.now_s += 10 * STEP_S
    for _ in range(FREE_FAILURES - 1):
        await laptop.code("000000")
    assert (await laptop.account()).codes.closed_until_s == 0.0  # type: ignore[union-attr]
    waits = []
    for _ in range(12):
        await laptop.code("000000")
        codes = (await laptop.account()).codes
        assert codes is not None
        waits.append(codes.closed_until_s - laptop.clock.now_s)
        assert await laptop.code(app.at(int(laptop.clock.now_s))) is NOT_ACCEPTED
        assert (await laptop.account()).codes == codes
        laptop.clock.now_s = codes.closed_until_s
    assert waits[:4] == [30.0, 60.0, 120.0, 240.0]
    assert waits[-1] == LONGEST_WAIT_S
    found = await laptop.code(app.at(int(laptop.clock.now_s)))
    assert isinstance(found, Account) and found.codes is not None and found.codes.failures == 0


async def test_nobodys_wrong_and_odd_codes_are_all_refused_in_the_same_words(laptop: Laptop) -> None:
    app = await laptop.with_codes()
    laptop.clock.now_s += 10 * STEP_S
    right = app.at(int(laptop.clock.now_s))
    for code in ("", "0", right + "0", " " + right, "\uff11\uff12\uff13\uff14\uff15\uff16", "a" * 1000):
        assert await laptop.code(code) is NOT_ACCEPTED
    assert await laptop.code(right, Person(ORIGIN, "nobody")) is NOT_ACCEPTED


async def test_who_is_switched_off_has_no_codes(laptop: Laptop) -> None:
    app = await laptop.with_codes()
    laptop.clock.now_s += 10 * STEP_S
    await laptop.store.write(lambda tx: accounts.switch(tx, ANN, is_off=True))
    assert await laptop.code(app.at(int(laptop.clock.now_s))) is NOT_ACCEPTED


async def test_the_database_has_no_secret_in_the_clear(laptop: Laptop) -> None:
    app = await laptop.with_codes()
    bodies = await laptop.store.read(lambda tx: tx.users())
    assert bodies and all(app.secret.encode() not in body for body in bodies)


async def test_names_and_groups_are_checked_before_anything_is_written(laptop: Laptop) -> None:
    async def add(person: Person, *groups: str) -> str | Refused:
        return await laptop.store.write(
            lambda tx: accounts.add(tx, person, local_issuer=ORIGIN, groups=groups)
        )

    for name in ("", "Ann", "a#b", "a b", "-a", "a\n", "x" * 64):
        assert isinstance(await add(Person(ORIGIN, name)), Refused)
    assert isinstance(await add(ANN, "a#b"), Refused)
    assert isinstance(await add(Person("https://login.example.com", "zoe"), "leads"), Refused)
    assert await laptop.store.read(lambda tx: tx.users()) == ()
    assert isinstance(await add(ANN), str)
    assert isinstance(await add(ANN), Refused)
