"""What time it is for the server, in every answer."""

from email.utils import parsedate_to_datetime

import pytest

from tests.emulator.api import FixedClock, new_api


@pytest.mark.parametrize(
    "path", ["/version", "/api/v1/namespaces", "/api/v1/namespaces/none", "/no/such/path"]
)
async def test_every_answer_tells_the_time_by_the_servers_clock(path: str) -> None:
    clock = FixedClock()
    api = await new_api(clock=clock)
    try:
        for later_s in (0.0, 0.9, 86_400.5):
            clock.time += later_s
            await api.get(path)
            assert parsedate_to_datetime(api.headers["date"]).timestamp() == int(clock.time)
    finally:
        await api.close()


async def test_a_watch_tells_the_time_too() -> None:
    clock = FixedClock()
    api = await new_api(clock=clock)
    watch = await api.watch("/api/v1/namespaces")
    assert parsedate_to_datetime(watch.headers["date"]).timestamp() == clock.time
    await watch.close()
    await api.close()
