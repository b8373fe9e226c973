import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest

from aliquot.access.identity.login import browser, device, kept
from aliquot.access.identity.login.answers import NotSignedIn, SignedIn
from aliquot.access.identity.login.client import LoginClient, Ready, ready, refreshed
from aliquot.access.identity.proof import NotProven
from aliquot.access.identity.web import Https
from aliquot.clock import VirtualTimeLoop
from tests.access.identity.provider import START_S, Clock, Provider, served

REDIRECT = "http://127.0.0.1:5000/callback"


async def at(provider: Provider) -> Ready:
    client = LoginClient(issuer=provider.issuer, client_id="aliquot-cli")
    return await ready(client, provider, clock=provider.clock)


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


async def test_a_browser_on_the_same_machine_signs_somebody_in_and_strangers_do_not() -> None:
    clock = Clock()
    async with served(clock) as provider, aiohttp.ClientSession() as session:
        web = Https()
        here = await ready(LoginClient(issuer=provider.issuer, client_id="aliquot-cli"), web, clock=clock)
        statuses: list[int] = []
        tasks: list[asyncio.Task[None]] = []

        async def visit(url: str) -> None:
            redirect = query_of(url)["redirect_uri"]
            for stranger in ("?code=evil&state=guessed", "?code=evil", "/elsewhere"):
                async with session.get(redirect + stranger) as answer:
                    statuses.append(answer.status)
            async with session.get(url) as answer:
                statuses.append(answer.status)
                assert "signed in" in await answer.text()

        signed_in = await browser.sign_in(
            here,
            lambda url: tasks.append(asyncio.create_task(visit(url))),
            random_bytes=secrets.token_bytes,
        )
        await tasks[0]
        assert statuses == [400, 400, 404, 200]
        proof = await here.tokens.prove(signed_in.token)
        assert (proof.person.subject, signed_in.refresh, signed_in.until_s) == ("ann", "r1", START_S + 3600)
        await web.close()


async def test_who_does_not_sign_in_is_not_waited_for_for_ever(clock: Clock) -> None:
    here = await at(Provider(clock))
    with pytest.raises(NotSignedIn, match="nobody signed in"):
        await browser.sign_in(here, lambda url: None, random_bytes=secrets.token_bytes, wait_s=0.01)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"state": "other"}, "another sign-in"),
        ({"state": None}, "another sign-in"),
        ({"code": None}, "no code"),
        ({"code": "guessed"}, "invalid_grant"),
        ({"code": None, "error": "access_denied"}, "access_denied"),
        ({"code": None, "error": "x\n" * 100}, "not understood"),
        ({"iss": "https://evil.example.com"}, "another identity provider"),
    ],
)
async def test_what_comes_back_otherwise_than_it_was_asked_for_is_not_taken(
    clock: Clock, change: dict[str, str | None], said: str
) -> None:
    provider = Provider(clock)
    here = await at(provider)
    begun = browser.begin(here, REDIRECT, secrets.token_bytes)
    query = {"code": provider.sign_in(query_of(begun.url)), "state": begun.state, **change}
    with pytest.raises(NotSignedIn, match=said) as refused:
        await browser.finish(here, begun, {name: one for name, one in query.items() if one is not None})
    assert "\n" not in str(refused.value)


async def test_a_provider_that_says_who_it_is_has_to_say_so_each_time(clock: Clock) -> None:
    provider = Provider(clock)
    provider.discovery = {"authorization_response_iss_parameter_supported": True}
    here = await at(provider)
    begun = browser.begin(here, REDIRECT, secrets.token_bytes)
    query = {"code": provider.sign_in(query_of(begun.url)), "state": begun.state}
    with pytest.raises(NotSignedIn, match="another identity provider"):
        await browser.finish(here, begun, query)
    assert await browser.finish(here, begun, {**query, "iss": provider.issuer})


async def test_a_stolen_code_is_of_no_use_to_whoever_did_not_begin(clock: Clock) -> None:
    provider = Provider(clock)
    here = await at(provider)
    mine = browser.begin(here, REDIRECT, secrets.token_bytes)
    theirs = browser.begin(here, REDIRECT, secrets.token_bytes)
    code = provider.sign_in(query_of(mine.url))
    with pytest.raises(NotSignedIn, match="invalid_grant"):
        await browser.finish(here, theirs, {"code": code, "state": theirs.state})


@pytest.mark.parametrize(
    "claims", [{"nonce": "another"}, {"aud": "another"}, {"iss": "https://evil"}, {"exp": START_S}]
)
async def test_an_id_token_that_is_not_of_this_sign_in_is_not_taken(
    clock: Clock, claims: dict[str, Any]
) -> None:
    provider = Provider(clock)
    provider.claims = claims
    here = await at(provider)
    begun = browser.begin(here, REDIRECT, secrets.token_bytes)
    code = provider.sign_in(query_of(begun.url))
    with pytest.raises(NotProven):
        await browser.finish(here, begun, {"code": code, "state": begun.state})


async def test_a_sign_in_is_refreshed_as_long_as_the_provider_likes(clock: Clock) -> None:
    here = await at(Provider(clock))
    clock.now_s += 7200
    assert (await refreshed(here, "r1")).until_s == START_S + 7200 + 3600
    with pytest.raises(NotSignedIn, match="invalid_grant"):
        await refreshed(here, "r0")
    with pytest.raises(NotSignedIn, match="sign in again"):
        await refreshed(here, "")


def on_virtual_time(main: Callable[[Provider, Ready], Awaitable[None]]) -> None:
    async def within() -> None:
        provider = Provider(Clock())
        await main(provider, await at(provider))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(within())


def test_a_code_is_asked_about_as_seldom_as_the_provider_wants() -> None:
    async def main(provider: Provider, here: Ready) -> None:
        provider.device_answers = ["authorization_pending", "slow_down", ""]
        shown: list[device.Shown] = []
        signed_in = await device.sign_in(here, shown.append)
        assert shown == [device.Shown(f"{provider.issuer}/activate", "WDJB-MJHT")]
        assert (await here.tokens.prove(signed_in.token)).person.subject == "ann"
        assert asyncio.get_running_loop().time() == 5 + 5 + 10

    on_virtual_time(main)


def test_a_code_that_is_refused_or_forgotten_signs_nobody_in() -> None:
    async def main(provider: Provider, here: Ready) -> None:
        provider.device_answers = ["authorization_pending", "access_denied"]
        with pytest.raises(NotSignedIn, match="access_denied"):
            await device.sign_in(here, lambda shown: None)
        provider.device_answers = ["authorization_pending"] * 200
        with pytest.raises(NotSignedIn, match="nobody typed"):
            await device.sign_in(here, lambda shown: None)

    on_virtual_time(main)


def test_what_is_kept_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "aliquot" / "access-tokens.json"
    assert kept.read(path) == {}
    mine = {"https://access.example.com": SignedIn("t", "r", 5.0)}
    kept.write(path, mine)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert kept.read(path) == mine
    path.chmod(0o644)
    with pytest.raises(kept.Unsafe, match="not yours alone"):
        kept.read(path)
    path.chmod(0o600)
    path.write_text("{")
    with pytest.raises(kept.Unsafe, match="not what was written"):
        kept.read(path)
    path.unlink()
    path.symlink_to(tmp_path / "other")
    with pytest.raises(kept.Unsafe, match="cannot be read"):
        kept.read(path)
    with pytest.raises(kept.Unsafe, match="cannot be written"):
        kept.write(Path("/proc/nowhere/tokens"), mine)
