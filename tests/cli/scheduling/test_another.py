"""A scheduler beside that of `aliquot up`: whoever starts it is told where both would place the same pods."""

import asyncio
import random
from typing import Any

import pytest

from aliquot.cli.scheduler import told_of_another
from aliquot.clock import VirtualClock, VirtualTimeLoop
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client

EMULATED, REAL, SILENT = "v1.36.0+aliquot", "v1.36.0", ""


@pytest.mark.parametrize(
    ("version", "names", "named"),
    [
        (EMULATED, ("aliquot",), "schedulerName aliquot too"),
        (
            EMULATED,
            ("mine", "default-scheduler", "aliquot"),
            "schedulerName default-scheduler and aliquot too",
        ),
        (EMULATED, ("mine",), ""),
        (REAL, ("aliquot",), ""),
        (SILENT, ("aliquot",), ""),
    ],
)
def test_who_races_with_the_scheduler_of_an_emulated_cluster_is_told(
    version: str, names: tuple[str, ...], named: str
) -> None:
    async def api(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200 if version else 503, "headers": []})
        await send({"type": "http.response.body", "body": b'{"gitVersion": "%s"}' % version.encode()})

    async def told() -> str:
        client = Client(AsgiTransport(api, "user"), clock=VirtualClock(), rng=random.Random(0))
        return await told_of_another(client, names)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        found = runner.run(told())
    assert (named in found) if named else not found
