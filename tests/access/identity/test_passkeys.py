from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Refused
from aliquot.access.core.templates.template import StepUpLevel
from aliquot.access.identity import challenges
from aliquot.access.identity.challenges import FRESH_S, REGISTER, Purpose
from aliquot.access.identity.local import accounts
from aliquot.access.identity.records import Account
from aliquot.access.identity.step_up import ByPasskey, step_up
from tests.access.identity.authenticator import Authenticator
from tests.access.identity.laptop import ANN, BEN, KEY, ORIGIN, PARTY, Laptop

APPROVE = Purpose(ANN, "approve", "sha256:aa")


async def test_a_passkey_that_agrees_to_a_request_is_a_step_up_for_it_once(laptop: Laptop) -> None:
    authenticator = await laptop.with_passkey()
    options = await laptop.options(APPROVE)
    given = ByPasskey(options.nonce, authenticator.get(options.public_key))
    first = await laptop.store.write(lambda tx: step_up(tx, KEY, PARTY, APPROVE, given))
    again = await laptop.store.write(lambda tx: step_up(tx, KEY, PARTY, APPROVE, given))
    assert first is StepUpLevel.WEBAUTHN
    assert isinstance(again, Refused)


async def test_a_key_without_a_counter_is_held_to_once_all_the_same(laptop: Laptop) -> None:
    """As synchronised passkeys are: their counter stays at nought."""
    authenticator = await laptop.with_passkey()
    authenticator.counter = -1
    options = await laptop.options(APPROVE)
    credential = authenticator.get(options.public_key)
    assert isinstance(await laptop.assert_(APPROVE, options.nonce, credential), Account)
    assert isinstance(again := await laptop.assert_(APPROVE, options.nonce, credential), Refused)
    assert "used already" in again.reason


@pytest.mark.parametrize(
    "other",
    [
        Purpose(ANN, "approve", "sha256:bb"),
        Purpose(ANN, "deny", "sha256:aa"),
        Purpose(BEN, "approve", "sha256:aa"),
        Purpose(ANN, "login"),
    ],
)
async def test_what_was_agreed_to_is_no_proof_for_anything_else(laptop: Laptop, other: Purpose) -> None:
    authenticator = await laptop.with_passkey()
    await laptop.with_passkey(BEN)
    options = await laptop.options(APPROVE)
    theirs = await laptop.options(other)
    credential = authenticator.get(options.public_key)
    assert isinstance(await laptop.assert_(other, options.nonce, credential), Refused)
    assert isinstance(await laptop.assert_(other, theirs.nonce, credential), Refused)
    assert isinstance(await laptop.assert_(APPROVE, options.nonce, credential), Account)


async def test_five_minutes_are_enough_to_find_ones_key_and_more_are_not(laptop: Laptop) -> None:
    authenticator = await laptop.with_passkey()
    options = await laptop.options(APPROVE)
    laptop.clock.now_s += FRESH_S
    assert isinstance(
        await laptop.assert_(APPROVE, options.nonce, authenticator.get(options.public_key)), Account
    )
    options = await laptop.options(APPROVE)
    laptop.clock.now_s += FRESH_S + 1
    late = await laptop.assert_(APPROVE, options.nonce, authenticator.get(options.public_key))
    assert isinstance(late, Refused)
    laptop.clock.now_s -= FRESH_S
    assert isinstance(
        await laptop.assert_(APPROVE, options.nonce, authenticator.get(options.public_key)), Refused
    )


def _moved(name: str, value: Any) -> Callable[[Authenticator], None]:
    return lambda authenticator: setattr(authenticator, name, value)


@pytest.mark.parametrize(
    "change",
    [
        _moved("origin", "https://access.example.com.evil.net"),
        _moved("origin", "http://access.example.com"),
        _moved("verifies", False),
        _moved("framed", True),
        _moved("counter", 5),
        _moved("id", bytes(16)),
        _moved("key", Authenticator(ORIGIN).key),
    ],
    ids=["another origin", "no TLS", "nobody verified", "in a frame", "cloned", "another id", "another key"],
)
async def test_what_a_passkey_of_theirs_would_not_say_is_refused(
    laptop: Laptop, change: Callable[[Authenticator], None]
) -> None:
    authenticator = await laptop.with_passkey()
    authenticator.counter = 5
    options = await laptop.options(APPROVE)
    before = await laptop.assert_(APPROVE, options.nonce, authenticator.get(options.public_key))
    assert isinstance(before, Account) and before.passkeys[0].sign_count == 6
    change(authenticator)
    options = await laptop.options(APPROVE)
    refused = await laptop.assert_(APPROVE, options.nonce, authenticator.get(options.public_key))
    assert isinstance(refused, Refused)
    assert await laptop.account() == before


async def test_a_passkey_is_another_persons_no_proof(laptop: Laptop) -> None:
    authenticator = await laptop.with_passkey()
    await laptop.with_passkey(BEN)
    purpose = Purpose(BEN, "approve", "sha256:aa")
    options = await laptop.options(purpose)
    assert isinstance(
        await laptop.assert_(purpose, options.nonce, authenticator.get(options.public_key)), Refused
    )


async def test_an_invitation_is_good_for_one_passkey_of_one_person_and_a_day(laptop: Laptop) -> None:
    secret = await laptop.add()
    await laptop.add(BEN)
    assert isinstance(await laptop.register(secret, Authenticator(ORIGIN), BEN), Refused)
    assert isinstance(await laptop.register(secret + "x", Authenticator(ORIGIN)), Refused)
    assert isinstance(await laptop.register(secret, Authenticator(ORIGIN)), Account)
    assert isinstance(await laptop.register(secret, Authenticator(ORIGIN)), Refused)
    again = await laptop.store.write(lambda tx: accounts.invite(tx, ANN))
    assert isinstance(again, str)
    laptop.clock.now_s += accounts.INVITED_FOR_S
    assert isinstance(await laptop.register(again, Authenticator(ORIGIN)), Refused)
    assert len((await laptop.account()).passkeys) == 1


@pytest.mark.parametrize(
    "authenticator", [Authenticator("https://evil.net"), Authenticator(ORIGIN, verifies=False)]
)
async def test_a_passkey_of_another_site_or_of_nobody_verified_is_not_registered(
    laptop: Laptop, authenticator: Authenticator
) -> None:
    secret = await laptop.add()
    assert isinstance(await laptop.register(secret, authenticator), Refused)
    assert isinstance(await laptop.register(secret, Authenticator(ORIGIN)), Account)


async def test_a_registered_passkey_is_nobody_elses_too(laptop: Laptop) -> None:
    authenticator = await laptop.with_passkey()
    assert isinstance(await laptop.register(await laptop.add(BEN), authenticator, BEN), Refused)


async def test_who_asks_does_not_learn_who_has_a_passkey(laptop: Laptop) -> None:
    await laptop.with_passkey()
    there, away = [await laptop.options(Purpose(one, "login")) for one in (ANN, Person(ORIGIN, "nobody"))]
    again = await laptop.options(Purpose(Person(ORIGIN, "nobody"), "login"))
    assert there.public_key.keys() == away.public_key.keys()
    assert len(there.public_key["allowCredentials"]) == len(away.public_key["allowCredentials"])
    assert away.public_key["allowCredentials"] == again.public_key["allowCredentials"]


async def test_somebody_of_another_issuer_can_have_a_passkey_here_for_step_up(laptop: Laptop) -> None:
    zoe = Person("https://login.example.com", "zoe")
    authenticator = await laptop.with_passkey(zoe)
    purpose = Purpose(zoe, "approve", "sha256:aa")
    options = await laptop.options(purpose)
    assert isinstance(
        await laptop.assert_(purpose, options.nonce, authenticator.get(options.public_key)), Account
    )


async def test_broken_pieces_are_refused_and_nothing_is_raised(laptop: Laptop) -> None:
    authenticator = await laptop.with_passkey()
    options = await laptop.options(APPROVE)
    good = authenticator.get(options.public_key)
    for name in ("clientDataJSON", "authenticatorData", "signature"):
        for value in ("", "AAAA", "{}", "é", None, 5, good["response"]["signature"] * 3):
            bad = deepcopy(good)
            bad["response"][name] = value
            assert isinstance(await laptop.assert_(APPROVE, options.nonce, bad), Refused), (name, value)
    for bad in ({}, {"id": good["id"]}, {**good, "response": []}, {**good, "rawId": "AAAA"}):
        assert isinstance(await laptop.assert_(APPROVE, options.nonce, bad), Refused)
    for nonce in ("", "x", "é", options.nonce[:-4], options.nonce[:-4] + "AAAA", "=" * 5):
        assert isinstance(await laptop.assert_(APPROVE, nonce, good), Refused)
    assert isinstance(await laptop.assert_(APPROVE, options.nonce, good), Account)


_TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
_PURPOSES = st.builds(Purpose, st.builds(Person, _TEXT, _TEXT), _TEXT, _TEXT)


@given(_PURPOSES, _PURPOSES)
def test_no_two_purposes_share_a_challenge_or_a_nonce(one: Purpose, other: Purpose) -> None:
    nonce = challenges.new_nonce(KEY, one, 5.0, bytes)
    assert challenges.given_s(KEY, one, nonce) == 5.0
    is_same = one == other
    assert (challenges.given_s(KEY, other, nonce) == 5.0) is is_same
    assert (challenges.challenge(one, nonce) == challenges.challenge(other, nonce)) is is_same


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_nonce_that_is_changed_anywhere_is_none(at: int, by: int) -> None:
    from tests.access.identity.authenticator import b64, unb64

    purpose = Purpose(ANN, REGISTER)
    data = bytearray(unb64(challenges.new_nonce(KEY, purpose, 5.0, bytes)))
    data[at % len(data)] ^= by
    assert challenges.given_s(KEY, purpose, b64(bytes(data))) is None
