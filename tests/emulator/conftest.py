from collections.abc import AsyncIterator

import pytest

from tests.emulator.api import Api, FixedClock, new_api


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
async def api(clock: FixedClock) -> AsyncIterator[Api]:
    made = await new_api(clock)
    yield made
    made.server.stop()
    await made.close()
    made.server.store.close()
