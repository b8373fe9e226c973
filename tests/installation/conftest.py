"""Clusters in memory, as their administrators see them."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from aliquot.emulator.versions import Surface
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from tests.emulator.api import Api, FixedClock, new_api

Start = Callable[[Surface], Awaitable[tuple[Api, Client]]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    made: list[Api] = []

    async def begin(surface: Surface = Surface()) -> tuple[Api, Client]:  # noqa: B008 - frozen
        api = await new_api(FixedClock(), surface=surface)
        made.append(api)
        return api, client_of(api, "admin", "system:masters")

    yield begin
    for api in made:
        api.server.stop()
        await api.close()


def client_of(api: Api, user: str, *groups: str) -> Client:
    return Client(AsgiTransport(api.server.app, user, groups), clock=FixedClock(), rng=random.Random(1))
