import json
from pathlib import Path

import pytest
from joserfc import jws

from aliquot.access.core.refusals import Refused
from aliquot.access.identity import server_key
from aliquot.access.identity.local import accounts, sessions
from aliquot.access.identity.local.codes import STEP_S
from aliquot.access.identity.proof import NotProven, Proof
from aliquot.access.identity.server_key import ServerKey
from tests.access.identity.laptop import ANN, KEY, ORIGIN, PARTY, Laptop


async def prove(laptop: Laptop, token: str, key: ServerKey = KEY) -> Proof:
    return await laptop.store.read(lambda tx: sessions.prove(tx, key, PARTY, token))


async def test_from_a_passkey_to_a_session_and_out_again(laptop: Laptop) -> None:
    authenticator = await laptop.with_passkey()
    token, other = await laptop.log_in(authenticator), await laptop.log_in(authenticator)
    assert isinstance(token, str) and isinstance(other, str)
    proof = await prove(laptop, token)
    assert (proof.person, proof.auth) == (ANN, "passkey")
    assert proof.identity.groups == {f"{ORIGIN}#leads"}
    await laptop.store.write(lambda tx: sessions.close(tx, KEY, PARTY, token))
    with pytest.raises(NotProven, match="over"):
        await prove(laptop, token)
    assert await prove(laptop, other)


async def test_a_session_is_over_after_an_hour_and_a_clock_set_back_does_not_bring_it_back(
    laptop: Laptop,
) -> None:
    token = await laptop.log_in(await laptop.with_passkey())
    assert isinstance(token, str)
    laptop.clock.now_s += sessions.SESSION_S
    await laptop.store.write(lambda tx: None)
    laptop.clock.now_s -= 10
    with pytest.raises(NotProven, match="over"):
        await prove(laptop, token)


async def test_codes_open_sessions_too_and_say_so(laptop: Laptop) -> None:
    app = await laptop.with_codes()
    laptop.clock.now_s += STEP_S
    code = app.at(int(laptop.clock.now_s))
    opened = await laptop.store.write(lambda tx: sessions.by_code(tx, KEY, PARTY, "ann", code))
    assert isinstance(opened, sessions.Opened)
    proof = await prove(laptop, opened.token)
    assert (proof.auth, proof.credential, proof.until_s) == ("totp", opened.credential, opened.until_s)
    again = await laptop.store.write(lambda tx: sessions.by_code(tx, KEY, PARTY, "ann", code))
    assert isinstance(again, Refused)


async def test_who_is_switched_off_is_out_at_once_and_stays_out_when_switched_on(laptop: Laptop) -> None:
    authenticator = await laptop.with_passkey()
    token = await laptop.log_in(authenticator)
    assert isinstance(token, str)
    await laptop.store.write(lambda tx: accounts.switch(tx, ANN, is_off=True))
    assert isinstance(await laptop.log_in(authenticator), Refused)
    await laptop.store.write(lambda tx: accounts.switch(tx, ANN, is_off=False))
    with pytest.raises(NotProven, match="over"):
        await prove(laptop, token)
    assert isinstance(await laptop.log_in(authenticator), str)


async def test_the_eleventh_session_ends_the_first(laptop: Laptop) -> None:
    authenticator = await laptop.with_passkey()
    tokens = [await laptop.log_in(authenticator) for _ in range(sessions.MOST + 1)]
    with pytest.raises(NotProven):
        await prove(laptop, str(tokens[0]))
    for token in tokens[1:]:
        assert await prove(laptop, str(token))


async def test_a_token_of_another_server_kind_or_issuer_is_none(laptop: Laptop) -> None:
    token = await laptop.log_in(await laptop.with_passkey())
    assert isinstance(token, str)
    with pytest.raises(NotProven, match="none of this server"):
        await prove(laptop, token, ServerKey(bytes(32)))
    claims = json.loads(jws.extract_compact(token.encode()).payload)
    for header, changed in (
        ({"alg": "Ed25519", "typ": "JWT"}, claims),
        ({"alg": "Ed25519", "typ": "aliquot-session+jwt"}, {**claims, "iss": "https://other"}),
        ({"alg": "Ed25519", "typ": "aliquot-session+jwt"}, {**claims, "aud": "https://other"}),
    ):
        forged = jws.serialize_compact(
            header, json.dumps(changed).encode(), KEY.signing, algorithms=["Ed25519"]
        )
        with pytest.raises(NotProven, match="none of this server"):
            await prove(laptop, forged)


def test_a_key_file_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"
    one = server_key.load(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["identity.key"]
    assert server_key.load(path).mac(b"x") == one.mac(b"x")
    path.chmod(0o640)
    with pytest.raises(server_key.Unusable, match="chmod 600"):
        server_key.load(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(server_key.Unusable, match="no key"):
        server_key.load(path)
    with pytest.raises(server_key.Unusable, match="cannot be read"):
        server_key.load(tmp_path / "nowhere" / "identity.key")


def test_what_is_sealed_about_one_is_not_opened_about_another() -> None:
    sealed = KEY.seal(b"secret", "ann", bytes)
    assert KEY.unseal(sealed, "ann") == b"secret"
    assert KEY.unseal(sealed, "ben") is None
    assert ServerKey(bytes(32)).unseal(sealed, "ann") is None
    assert KEY.unseal("é", "ann") is KEY.unseal("", "ann") is None
