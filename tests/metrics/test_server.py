"""Scrapes over real HTTP, of a whole agent."""

import asyncio
import errno
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aliquot.metrics.server import serving
from tests.node.site import Site


async def get(port: int, path: str) -> tuple[int, str, str]:
    """Status, content type, body."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, answer.headers["Content-Type"], await answer.text()


def saying(text: str) -> Callable[[], Awaitable[str]]:
    async def say() -> str:
        return text

    return say


async def test_a_scrape_of_a_running_agent() -> None:
    site = await Site("h100-80gb:1:mig,l4:1").start()
    try:
        async with serving(site.metrics.text, "127.0.0.1", 0) as port:
            status, content_type, body = await get(port, "/metrics")
    finally:
        await site.stop()
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = {family.name: family for family in text_string_to_metric_families(body)}
    assert {sample.labels["gpu"] for sample in families["aliquot_gpu_up"].samples} == {"0", "1"}
    assert {sample.labels["hostname"] for sample in families["DCGM_FI_DEV_GPU_TEMP"].samples} == {"gpu-0"}


async def test_what_else_can_be_asked_for() -> None:
    async with serving(saying("m 1\n"), "127.0.0.1", 0) as port:
        assert (await get(port, "/healthz"))[::2] == (200, "ok")
        assert (await get(port, "/readyz"))[::2] == (200, "ok")
        assert (await get(port, "/"))[0] == 404


async def test_a_scrape_that_fails_does_not_end_the_serving(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> str:
        raise ValueError("no text")

    async with serving(fail, "127.0.0.1", 0) as port:
        assert (await get(port, "/metrics"))[0] == 500
        assert (await get(port, "/healthz"))[0] == 200
    assert "no text" in caplog.text


async def test_a_port_that_is_taken_is_said_and_nothing_is_left_open() -> None:
    async with serving(saying(""), "127.0.0.1", 0) as port:
        with pytest.raises(OSError) as caught:
            async with serving(saying(""), "127.0.0.1", port):
                pass
        assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(port, "/healthz")


async def test_a_scrape_under_way_is_answered_before_the_end() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slowly() -> str:
        asked.set()
        await answer.wait()
        return "m 1\n"

    async with serving(slowly, "127.0.0.1", 0) as port:
        scrape = asyncio.create_task(get(port, "/metrics"))
        await asked.wait()
        answer.set()
    assert (await scrape)[2] == "m 1\n"


async def test_who_is_not_ready_says_what_it_waits_for() -> None:
    missing = ["nodes"]
    async with serving(saying(""), "127.0.0.1", 0, waits_for=lambda: ", ".join(missing)) as port:
        assert (await get(port, "/readyz"))[::2] == (503, "not ready: nodes")
        assert (await get(port, "/healthz"))[0] == 200
        missing.clear()
        assert (await get(port, "/readyz"))[::2] == (200, "ok")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 503),
        ("?exclude=database", 503),
        ("?exclude=database&exclude=cluster", 200),
        ("?exclude=policy", 503),
    ],
)
async def test_conditions_are_named_and_may_be_excluded(query: str, status: int) -> None:
    reasons = {"database": "gone", "cluster one": "no route", "policy": ""}

    async def text() -> str:
        return ""

    async with (
        serving(text, "127.0.0.1", 0, waits_for=lambda: reasons) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/readyz{query}") as answer,
    ):
        told = await answer.json()
        assert answer.status == status
        assert told["ready"] is (status == 200)
        assert told["checks"]["cluster one"]["reason"] == "no route"
        assert told["checks"]["policy"] == {"ok": True} | ({"excluded": True} if "policy" in query else {})
