"""Aliquot's scheduler as a process of its own, counting what it asks of the API server.

    python -m benchmarks.binding_scheduler KUBECONFIG NAME each|summed

places the pods whose spec.schedulerName is NAME, and at SIGTERM prints {"VERB RESOURCE": calls}.
"""

import asyncio
import json
import random
import signal
import sys
from collections import Counter

import uvloop

from aliquot.cli import logs
from aliquot.clock import SystemClock
from aliquot.kube import kubeconfig
from aliquot.kube.client import Client
from aliquot.kube.transport import Request, Response, Transport
from aliquot.scheduler.announcing import Events
from aliquot.scheduler.controller import Scheduler
from aliquot.scheduler.settings import Settings


class CountingTransport:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.calls: Counter[str] = Counter()

    async def send(self, request: Request) -> Response:
        self.calls[f"{request.method} {resource(request.path)}"] += 1
        return await self._transport.send(request)

    async def close(self) -> None:
        await self._transport.close()


def resource(path: str) -> str:
    """`pods/binding` of `/api/v1/namespaces/default/pods/a/binding`."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[0] == "namespaces" and len(parts) > 2:
        parts = parts[2:]
    return "/".join(parts[::2])


async def main(config: str, name: str, events: str) -> None:
    rng = random.Random(1)
    transport = CountingTransport(kubeconfig.load(config, None).transport())
    client = Client(transport, clock=SystemClock(), rng=rng)
    scheduler = Scheduler(
        client, clock=SystemClock(), rng=rng, names=(name,), settings=Settings(events=Events(events))
    )
    running = asyncio.create_task(scheduler.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    await asyncio.wait([running])
    await transport.close()
    print(json.dumps(transport.calls))


if __name__ == "__main__":
    logs.configure()
    uvloop.run(main(*sys.argv[1:]))
