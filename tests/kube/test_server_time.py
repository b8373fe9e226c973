"""What time it is for a server, by what its answers say."""

import random

import pytest

from aliquot.clock import SystemClock
from aliquot.kube.client import Client
from aliquot.kube.errors import Unavailable
from aliquot.kube.transport import TransportError


class Answer:
    status = 200

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers

    async def close(self) -> None:
        pass


class Server:
    def __init__(self, headers: dict[str, str] | None) -> None:
        self._headers = headers

    async def send(self, request: object) -> Answer:
        if self._headers is None:
            raise TransportError("refused")
        return Answer(self._headers)

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("headers", "told_s"),
    [
        ({"date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 1_767_225_600.0),
        ({}, None),
        ({"date": ""}, None),
        ({"date": "soon"}, None),
        # Of no zone: it would be taken for the time of wherever this runs.
        ({"date": "Thu, 01 Jan 2026 00:00:00 -0000"}, None),
    ],
)
async def test_server_time(headers: dict[str, str], told_s: float | None) -> None:
    client = Client(Server(headers), clock=SystemClock(), rng=random.Random(1))  # type: ignore[arg-type]
    assert await client.server_time_s() == told_s


async def test_without_an_answer_there_is_no_time() -> None:
    client = Client(Server(None), clock=SystemClock(), rng=random.Random(1))  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        await client.server_time_s()
