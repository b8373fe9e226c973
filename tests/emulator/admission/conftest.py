"""An API whose webhooks are called over a network without sockets."""

from collections.abc import AsyncIterator

import pytest

from tests.emulator.admission.hooks import Wire
from tests.emulator.api import Api, FixedClock, new_api


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def api(wire: Wire) -> AsyncIterator[Api]:
    made = await new_api(FixedClock(), network=wire)
    yield made
    made.server.stop()
    await made.close()
