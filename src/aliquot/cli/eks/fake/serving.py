"""The life of `aliquot eks fake`: moto, the fake in front of it, and its clusters, from their start to their orderly end."""

import asyncio
import contextlib
import random
import secrets
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from aliquot.cli.eks.fake.aws_time import AwsTime, durations
from aliquot.cli.eks.fake.emulated_fleet import EmulatedFleet, Say
from aliquot.clock import Clock
from aliquot.eks.fake.faults import Fault, Faults, Illness
from aliquot.eks.fake.model import Model
from aliquot.eks.fake.moto import Moto
from aliquot.eks.fake.server import FakeEks
from aliquot.eks.fake.service import Service
from aliquot.eks.fake.world import Cluster, World
from aliquot.eks.versions.for_fake import known

_LOOK_S = 0.2
"""Of real time: how often the fake's clusters and node groups go on by themselves."""


class CannotServe(Exception):
    """One line: why there is no fake, and the way out."""


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    service: Service
    aws_time: AwsTime


async def serve_until_stopped(
    *,
    region: str,
    start_s: float | None,
    speed: float,
    port: int,
    directory: Path | None,
    faults: Sequence[Fault | Illness] = (),
    clock: Clock,
    say: Say,
    ready: Callable[[Running], None],
) -> None:
    """Until SIGINT, SIGTERM or SIGHUP. Raises CannotServe, moto.NotStarted, and whatever ends a cluster of its own."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # One that is ignored stays so: `nohup` means it.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stopped.set)
    async with serving(
        region=region,
        start_s=start_s,
        speed=speed,
        port=port,
        directory=directory,
        faults=faults,
        clock=clock,
        say=say,
    ) as running:
        ready(running)
        await stopped.wait()


@asynccontextmanager
async def serving(
    *,
    region: str,
    start_s: float | None,
    speed: float,
    port: int,
    directory: Path | None,
    faults: Sequence[Fault | Illness] = (),
    clock: Clock,
    say: Say,
) -> AsyncIterator[Running]:
    """Within, the fake answers at `Running.url`. `start_s` None: it begins now. Without a `directory` what clusters keep in
    files goes with them. Raises what `serve_until_stopped` does."""
    began_s = clock.now()
    aws_time = AwsTime(clock, began_s, began_s if start_s is None else start_s, speed)
    with _bound(port) as listening, _kept(directory) as kept:
        async with Moto(region) as moto:
            clusters: dict[str, Cluster] = {}
            shipped = known()
            fleet = EmulatedFleet(
                kept,
                region=region,
                aws_time=aws_time,
                known=shipped,
                find=clusters.get,
                identify=moto.identity,
                say=say,
            )
            world = World(
                known=shipped,
                fleet=fleet,
                rng=random.Random(secrets.randbits(64)),
                region=region,
                durations=durations(speed),
                faults=Faults(
                    waiting=[one for one in faults if isinstance(one, Fault)],
                    ill=[one for one in faults if isinstance(one, Illness)],
                ),
                clusters=clusters,
            )
            service = Service(world, Model())
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            async with asyncio.TaskGroup() as group:
                began = asyncio.Event()
                lives = [
                    group.create_task(fleet.run(began), name="clusters"),
                    group.create_task(_go_on(service, aws_time), name="time"),
                ]
                await began.wait()
                try:
                    async with _answered(FakeEks(service, moto, aws_time.now), listening):
                        yield Running(url, service, aws_time)
                finally:
                    for life in lives:
                        life.cancel()


async def _go_on(service: Service, aws_time: AwsTime) -> None:
    while True:
        service.advance(aws_time.now())
        await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def _answered(app: FakeEks, listening: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app,
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        proxy_headers=False,
        # The fake tells its own time.
        date_header=False,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]), name="fake of EKS")
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.wait([task])


class _Server(uvicorn.Server):
    """Signals are the command's business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def _bound(port: int) -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
            listening.listen()
        except OSError as error:
            raise CannotServe(f"port {port} cannot be had: {error.strerror}; choose another --port") from None
        yield listening


@contextmanager
def _kept(directory: Path | None) -> Iterator[Path]:
    with contextlib.ExitStack() as stack:
        if directory is None:
            yield Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aliquot-eks-fake-")))
            return
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise CannotServe(f"{directory}: {error.strerror}; choose another --data") from None
        yield directory
