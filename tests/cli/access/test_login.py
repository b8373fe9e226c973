import asyncio
import base64
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aliquot.cli.access.group import access
from tests.access.identity.provider import Clock, Provider, served
from tests.cli.access.test_calling import LIFE, server

__all__ = ["server"]


@pytest.fixture
def provider() -> Iterator[Provider]:
    ready, done = threading.Event(), threading.Event()
    found: list[Provider] = []

    async def main() -> None:
        clock = Clock()
        # The command tells time by the machine's.
        clock.now = time.time  # type: ignore[method-assign]
        async with served(clock) as one:
            found.append(one)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    ready.wait()
    yield found[0]
    done.set()
    thread.join()


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Goes where it is sent, as Ann."""
    visited: list[str] = []

    def visit(url: str) -> None:
        with urllib.request.urlopen(url) as answer:
            answer.read()

    def open_(url: str) -> bool:
        visited.append(url)
        threading.Thread(target=visit, args=(url,)).start()
        return True

    monkeypatch.setattr("webbrowser.open", open_)
    return visited


@pytest.fixture
def sign_in(tmp_path: Path) -> Callable[..., Result]:
    def run(*said: str, url: str = "http://127.0.0.1:1", stdin: str = "") -> Result:
        where = ("--server", url, "--token-file", str(tmp_path / "token"))
        return CliRunner().invoke(access, ["login", *said, *where], input=stdin)

    return run


def test_a_browser_once_and_then_what_the_provider_gave_to_go_on_with(
    provider: Provider, browser: list[str], sign_in: Callable[..., Result], tmp_path: Path
) -> None:
    for _ in range(2):
        came = sign_in("--issuer", provider.issuer)
        assert came.exit_code == 0, came.output
    assert len(browser) == 1
    token, beside = tmp_path / "token", tmp_path / "token.kept"
    assert {one.stat().st_mode & 0o777 for one in (token, beside)} == {0o600}
    payload = token.read_text().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert (claims["sub"], claims["aud"]) == ("ann", "aliquot-cli")
    beside.write_text(beside.read_text().replace('"r1"', '"r0"'))
    assert sign_in("--issuer", provider.issuer).exit_code == 0
    assert len(browser) == 2


def test_a_provider_that_is_not_there_is_one_line(sign_in: Callable[..., Result], tmp_path: Path) -> None:
    came = sign_in("--issuer", "http://127.0.0.1:1")
    assert came.exit_code == 1 and came.output.count("\n") == 1
    assert not (tmp_path / "token").exists()


def test_a_user_of_the_servers_own(server: Any, sign_in: Callable[..., Result], tmp_path: Path) -> None:
    server.answers["/v1/session:byCode"] = (201, {"token": "t1", "expires": "x"})
    assert sign_in("--user", "ann", url=server.url, stdin="123456\n").exit_code == 0
    _, _, headers, body = server.seen[0]
    assert json.loads(body) == {"subject": "ann", "code": "123456"} and "authorization" not in headers
    assert (tmp_path / "token").read_text() == "t1"
    server.answers["/v1/session:byCode"] = (403, {"detail": "the code is not accepted"})
    refused = sign_in("--user", "ann", url=server.url, stdin="123456\n")
    assert refused.exit_code == 1 and "the code is not accepted" in refused.output
    assert (tmp_path / "token").read_text() == "t1"


def test_one_of_two_ways(sign_in: Callable[..., Result]) -> None:
    assert sign_in().exit_code == sign_in("--user", "a", "--issuer", "https://b").exit_code == 2


def test_a_code_goes_along_with_what_it_is_for(server: Any, tmp_path: Path) -> None:
    server.answers |= {
        "/v1/requests/r1": (200, LIFE),
        "/v1/requests/r1:approve": (200, {**LIFE, "stage": "approved"}),
        "/v1/requests": (201, LIFE),
    }
    (tmp_path / "token").write_text("t")
    where = ("--server", server.url, "--token-file", str(tmp_path / "token"), "--code", "123456")
    for said in (("approve", "r1", "--digest", "d"), ("request", "fix", "--cluster", "c", "-m", "down")):
        came = CliRunner().invoke(access, [*said, *where])
        assert came.exit_code == 0, came.output
        given = server.seen[-1][2]["aliquot-proof"]
        read = json.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
        assert read == {"type": "totp", "code": "123456"}
        assert "aliquot-proof" not in server.seen[0][2]
