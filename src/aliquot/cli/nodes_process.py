"""The nodes of a large cluster in a process of their own, on another core than the API server and the controllers.

Everything but those two is here: kubelets, agents, the scheduler and whoever shares their caches. The API server's
process starts it, and tells it over the socket what to run; from then on the socket is a `Pipe`. Whichever of the two
dies takes the other with it: of half a cluster nobody could tell what it does.
"""

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from aliquot.cli.parts import Parts
from aliquot.cli.plan import LocalClusterError, Plan
from aliquot.cli.state import Running
from aliquot.clock import SystemClock
from aliquot.emulator.authentication import Accepted
from aliquot.emulator.kubelet.remote_fleet import FleetApplication, RemoteFleet
from aliquot.kube.asgi_transport import Application
from aliquot.kube.pipe import Pipe

# Imported by its name: what is pickled says of which module it is.
_PROGRAM = "from aliquot.cli.nodes_process import main; main()"
_LENGTH_BYTES = 8
_STOP_S = 20.0
"""How long the nodes may take to take their leave."""
_GONE_S = 5.0
_SETTLED, _FAILED = "settled", "failed"


@dataclass(frozen=True, slots=True)
class _Start:
    plan: Plan
    networks: Mapping[str, str]
    running: Running
    seed: int


# ---- as the API server's process sees it ---------------------------------------------------------------------


class NodesProcess:
    def __init__(self, *, verbose: bool, lock: int) -> None:
        """Starts it: its imports go on beside what is to be done here first. It holds the state directory's `lock` too."""
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), str(int(verbose))],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), lock],
            )
        self._pipe: Pipe | None = None
        self._settled = asyncio.Event()
        self._failure = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    async def begin(
        self, app: Application, plan: Plan, networks: Mapping[str, str], running: Running, *, seed: int
    ) -> RemoteFleet:
        """`app` is the API server's. Raises LocalClusterError where there is no process any more."""
        # Whom the API server lets in, and what it records, is no business of nodes.
        plan = replace(plan, accepted=Accepted(), audit=None)
        start = pickle.dumps(_Start(plan, networks, running, seed))
        self._socket.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_sendall(
                self._socket, len(start).to_bytes(_LENGTH_BYTES, "big") + start
            )
        except OSError as error:
            raise LocalClusterError(await self._how_it_ended()) from error
        self._pipe = await Pipe.over(self._socket, app, hear=self._hear)
        return RemoteFleet(self._pipe.transport("system:apiserver"))

    async def settled(self) -> None:
        """All nodes are ready, or have had their time."""
        await self._settled.wait()

    async def ended(self) -> str:
        """Returns, when the process has gone by itself, why, for people."""
        assert self._pipe is not None
        await self._pipe.lost.wait()
        return self._failure or await self._how_it_ended()

    async def stop(self) -> None:
        """The nodes take their leave while the API server still answers. Safe to repeat."""
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, _STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._pipe is not None:
            self._pipe.close()

    def kill(self) -> None:
        """What has not ended by now."""
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def _hear(self, what: str, text: str) -> None:
        if what == _SETTLED:
            self._settled.set()
        elif what == _FAILED:
            self._failure = text

    async def _how_it_ended(self) -> str:
        try:
            code = await asyncio.to_thread(self._process.wait, _GONE_S)
        except subprocess.TimeoutExpired:
            return f"the nodes' process ({self.pid}) hung up; 'aliquot up' starts the cluster again"
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        return f"the nodes' process ({self.pid}) was ended {how}; 'aliquot up' starts the cluster again"


# ---- the process itself --------------------------------------------------------------------------------------


def main() -> None:
    from aliquot.cli import logs
    from aliquot.kube.cache import settle_gc

    descriptor, verbose = int(sys.argv[1]), bool(int(sys.argv[2]))
    # Ctrl-C and the end of a terminal reach both processes; when the nodes are to go is the other's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logs.configure(verbose=verbose)
    import uvloop

    end = socket.socket(fileno=descriptor)
    start = _read(end)
    if start is None:
        return
    settle_gc()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_live(end, start))


def _read(end: socket.socket) -> _Start | None:
    """None where the other process has gone."""
    with end.makefile("rb", buffering=0) as stream:
        received = b""
        wanted = _LENGTH_BYTES
        while len(received) < wanted:
            if not (piece := stream.read(wanted - len(received))):
                return None
            received += piece
            if len(received) == _LENGTH_BYTES:
                wanted += int.from_bytes(received, "big")
    found = pickle.loads(received[_LENGTH_BYTES:])
    assert isinstance(found, _Start)
    return found


async def _live(end: socket.socket, start: _Start) -> None:
    from aliquot.cli import logs, nodes

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    pipe = await Pipe.over(end)
    dying = asyncio.create_task(_die_with(pipe, stopped))
    plan = start.plan

    def settled() -> None:
        pipe.tell(_SETTLED, "")

    try:
        with nodes.one_line(plan):
            parts = Parts(
                lambda identity: pipe.transport(identity.user, identity.groups),
                clock=SystemClock(),
                seed=start.seed,
            )
            cluster = nodes.build(plan, start.networks, parts, None)
            pipe.app = FleetApplication(cluster.fleet).app
            running = msgspec.structs.replace(start.running, nodes_pid=os.getpid())
            await nodes.tend(cluster, plan, running, stopped, logs.say, settled)
    except LocalClusterError as error:
        pipe.tell(_FAILED, str(error))
    finally:
        dying.cancel()
        pipe.close()
        await pipe.lost.wait()


async def _die_with(pipe: Pipe, stopped: asyncio.Event) -> None:
    """At once, as with one process that is killed: what the nodes would still say, nobody hears."""
    await pipe.lost.wait()
    if not stopped.is_set():
        os._exit(1)
