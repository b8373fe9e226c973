from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from yarl import URL

from aliquot.access.outside.calling import (
    MOST_ANSWER_BYTES,
    Answer,
    Unreached,
    call,
    new_session,
    url_trouble,
)
from tests.access.tickets.fakes import serving


@asynccontextmanager
async def answering(*answers: web.Response) -> AsyncIterator[tuple[URL, list[web.Request]]]:
    left, asked = list(answers), []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return left.pop(0)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with serving(application) as url:
        yield URL(url) / "secret-path", asked


async def get(url: URL, *, timeout_s: float = 5.0) -> Answer:
    async with new_session() as session:
        return await call(session, "GET", url, headers={}, timeout_s=timeout_s)


async def test_nobody_is_followed_elsewhere() -> None:
    moved = web.Response(status=302, headers={"Location": "/elsewhere"})
    async with answering(moved, web.Response(text="elsewhere")) as (url, asked):
        assert (await get(url)).status == 302
    assert len(asked) == 1


async def test_an_answer_ends() -> None:
    async with answering(
        web.Response(body=b"x" * MOST_ANSWER_BYTES), web.Response(body=b"x" * (MOST_ANSWER_BYTES + 1))
    ) as (url, _):
        assert len((await get(url)).body) == MOST_ANSWER_BYTES
        with pytest.raises(Unreached, match=r"^127\.0\.0\.1: "):
            await get(url)


@pytest.mark.parametrize(
    ("after", "asked_again"),
    [
        ("0", True),
        ("60", False),
        ("", False),
        ("-1", False),
        ("1e9", False),
        ("Fri, 31 Dec 1999 23:59:59 GMT", False),
    ],
)
async def test_whoever_wants_to_be_asked_later(after: str, asked_again: bool) -> None:
    later = web.Response(status=429, headers={"Retry-After": after})
    async with answering(later, web.Response(text="now")) as (url, asked):
        if asked_again:
            assert (await get(url)).body == b"now"
        else:
            with pytest.raises(Unreached, match="too many calls"):
                await get(url)
    assert len(asked) == 1 + asked_again


async def test_once_more_is_enough() -> None:
    later = [web.Response(status=429, headers={"Retry-After": "0"}) for _ in range(3)]
    async with answering(*later) as (url, asked):
        with pytest.raises(Unreached, match="too many calls, for 0 s"):
            await get(url)
    assert len(asked) == 2


async def test_no_cookie_stands_for_a_secret() -> None:
    known = web.Response()
    known.set_cookie("session", "of-somebody")
    async with answering(known, web.Response()) as (url, asked), new_session() as session:
        for _ in range(2):
            await call(session, "GET", url, headers={}, timeout_s=5)
    assert asked[1].cookies == {}


async def test_who_is_not_there_is_named_without_the_path() -> None:
    with pytest.raises(Unreached) as refused:
        await get(URL("http://127.0.0.1:9/secret-path"))
    assert str(refused.value).startswith("127.0.0.1: ")
    assert "secret-path" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://acme.example.com", ""),
        ("https://acme.example.com:8443/base", ""),
        ("http://localhost:8080", ""),
        ("http://[::1]:8080", ""),
        ("http://acme.example.com", "in the clear"),
        ("http://localhost.example.com", "in the clear"),
        ("https://", "is no URL"),
        ("file:///etc/passwd", "is no URL"),
        ("https://ä.example.com", "is no URL"),
        ("https://a.example.com/\n", "is no URL"),
        ("https://user@a.example.com", "a password in it"),
        ("https://a.example.com/#x", "what follows '#'"),
    ],
)
def test_addresses(url: str, said: str) -> None:
    trouble = url_trouble(url)
    assert (said in trouble) is True
    assert bool(said) is bool(trouble)


@pytest.mark.parametrize(
    ("status", "after", "again_s"),
    [
        (503, "120", 120.0),
        (429, "Sun, 06 Nov 1994 08:51:37 GMT", 120.0),
        (503, "Sun, 06 Nov 2044 08:51:37 GMT", 3600.0),
        (500, "120", None),
    ],
)
async def test_how_long_somebody_wants_to_be_left_alone(
    status: int, after: str, again_s: float | None
) -> None:
    headers = {"Retry-After": after, "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}
    async with answering(web.Response(status=status, headers=headers)) as (url, _):
        if again_s is None:
            assert (await get(url)).status == status
            return
        with pytest.raises(Unreached) as told:
            await get(url)
        assert told.value.again_s == again_s
