"""The life of `aliquot up` in the foreground: API server, machines and parts, from their start to their orderly end."""

import asyncio
import os
import random
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog

from aliquot.admission import installation as admission
from aliquot.cli import auditing, earlier_nodes, machines, pod_networks
from aliquot.cli.cluster import Cluster
from aliquot.cli.driver_times import as_long_as_real
from aliquot.cli.failures import innermost
from aliquot.cli.plan import LocalClusterError, Plan, encode
from aliquot.cli.readiness import MOST_NAMED, Readiness
from aliquot.cli.state import Running, replace_file, way_out
from aliquot.clock import SystemClock
from aliquot.emulator.app import ApiServer
from aliquot.emulator.audit.log_file import AuditError
from aliquot.emulator.certificates import Authority, CertificateError
from aliquot.emulator.faults import Conditions, FaultPlan, FaultyApplication, SteppedClock
from aliquot.emulator.faults import file as fault_files
from aliquot.emulator.kubelet.checkpoint import CheckpointError
from aliquot.emulator.kubelet.fleet import Fleet
from aliquot.emulator.kubelet.runtimes.process import ProcessRuntime
from aliquot.emulator.network import HttpsNetwork
from aliquot.emulator.server import HttpsServer, ServerError, write_kubeconfig
from aliquot.emulator.storage.persistence import StoreError
from aliquot.emulator.storage.store import Store
from aliquot.emulator.streaming.session import Execution, SessionRefused, Start
from aliquot.emulator.verbs.subresources import LogOptions, LogsUnavailable
from aliquot.kube.api.gpunode import Partitioning
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.cache import settle_gc
from aliquot.kube.client import Client
from aliquot.kube.crds import NotEstablished
from aliquot.kube.errors import ApiError
from aliquot.kube.kubeletapi.sockets import SocketError
from aliquot.scheduler.recording.flight_recorder import FlightRecorder

_MINIMUM_RUN_S = 10.0
"""Before a pod is moved for another. Nobody watches an emulated cluster for five minutes."""
_NOT_STARTED = "the nodes have not started yet"
_LOOK_WHILE_STARTING_S = 0.02
_LOOKS_APART = 20
"""Times as long as a look took."""
_LOOK_S = 1.0
_PLUGIN_PATIENCE_S = 10.0
"""Kubelets and agents start together here, and pods of the last time are to be found again."""

Say = Callable[[str], None]

_log = structlog.get_logger(__name__)


def run_in_foreground(plan: Plan, *, say: Say) -> None:
    """Until SIGINT, SIGTERM or SIGHUP. Raises LocalClusterError when it cannot come up; then nothing is left running."""
    import uvloop

    # Before a fleet fills the heap: collections over it find nothing, and take a third of the time to ready.
    settle_gc()
    told: BaseException | None = None
    try:
        machines.refuse_another_runtime(plan)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_live(plan, say))
    except* (AuditError, StoreError, CertificateError, CheckpointError, ServerError, SocketError) as group:
        raise LocalClusterError(str(innermost(group))) from group
    except* (ApiError, NotEstablished) as group:
        raise LocalClusterError(f"what the parts need cannot be put in: {innermost(group)}") from group
    except* LocalClusterError as group:
        # Not raised from here: see `explaining.explain`.
        told = innermost(group)
    except* OSError as group:
        error = innermost(group)
        if not isinstance(error, OSError) or isinstance(error, ConnectionError | TimeoutError):
            raise
        place = error.filename or plan.state.path
        raise LocalClusterError(f"{place}: {error.strerror or error}; {way_out(error)}") from group
    if told is not None:
        raise told


async def _live(plan: Plan, say: Say) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # One that is ignored stays so: `nohup` means it.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stopped.set)

    clock, state = SteppedClock(SystemClock()), plan.state
    store = Store(state.store)
    try:
        authority = Authority(state.path / "pki", clock=clock)
        nodes, network = _Nodes(), HttpsNetwork()
        api = ApiServer(
            store,
            clock=clock,
            rng=_rng(),
            surface=plan.surface,
            token_key=authority.token_key,
            client_authority=authority.for_clients,
            accepted=plan.accepted,
            logs=nodes.logs,
            kubelets=nodes,
            network=network,
            auditor=auditing.auditor(plan.audit, network, clock=clock, rng=_rng())
            if plan.audit is not None
            else None,
        )
        await api.start(made_anew=admission.installed())
        faults = FaultyApplication(api.app, rng=_rng(), who=api.user_of)
        async with (
            _server(api, authority, plan, faults if plan.faults is not None else None) as server,
            _faults_of(plan, faults, Conditions(store, clock), say),
        ):
            admin = authority.client("aliquot-admin", ["system:masters"])
            write_kubeconfig(
                state.kubeconfig,
                url=server.url,
                authority=authority.certificate,
                user="aliquot-admin",
                client=admin,
            )
            say(f"API at {server.url}")
            networks = await _fit_earlier_nodes(api, plan)
            names = [node.name for node in plan.inventory.nodes]
            running = Running(
                pid=os.getpid(),
                server=server.url,
                ready=False,
                settled=False,
                nodes=len(names),
                joined_by="unix sockets" if plan.sockets else "memory",
                runtime=plan.runtime,
                kubernetes_version=plan.surface.version,
                enabled_apis=tuple(sorted(plan.surface.enabled)),
                partitioning=plan.partitioning,
                agents=plan.agents,
                operator=plan.operator,
                operator_outside=plan.operator_outside,
                kubelet_directories={name: str(state.kubelet_directory(name)) for name in names}
                if plan.sockets
                else {},
            )
            state.write_running(running)
            cluster = Cluster(
                api.app,
                [
                    machines.build(plan, node, pod_network=networks[node.name])
                    for node in plan.inventory.nodes
                ],
                clock=clock,
                surface=plan.surface,
                seed=secrets.randbits(64),
                run_blocking=as_long_as_real,
                authority=authority,
                agents=plan.agents,
                operator=plan.operator,
                operator_outside=plan.operator_outside,
                plugin_patience_s=_PLUGIN_PATIENCE_S,
                # Each exchange of a driver would take ten seconds longer, and nobody learns from that.
                kubelets_tell_at_once=plan.operator,
                partitioning=Partitioning(plan.partitioning),
                minimum_run_s=_MINIMUM_RUN_S,
                flight_recorder=FlightRecorder(state.recordings),
            )
            nodes.fleet = cluster.fleet
            await _tend(cluster, plan, running, stopped, say)
    finally:
        store.close()
        state.remove_sockets()


async def _fit_earlier_nodes(api: ApiServer, plan: Plan) -> Mapping[str, str]:
    """Before any kubelet runs. Gives the pod network of each node."""
    transport = AsgiTransport(api.app, "system:aliquot:up", ("system:masters", "system:authenticated"))
    try:
        client = Client(transport, clock=SystemClock(), rng=_rng(), user_agent="aliquot-up")
        await earlier_nodes.forget(client, plan.gone)
        await earlier_nodes.drop_labels(client, plan.dropped_labels)
        if plan.agents:
            await earlier_nodes.take_leave(client, SystemClock().now())
        # What the last inventory left is undone only now: killed before, the next start does it again.
        replace_file(plan.state.inventory, encode(plan.inventory))
        return pod_networks.assign(
            (node.name for node in plan.inventory.nodes), await earlier_nodes.networks(client)
        )
    finally:
        await transport.close()


async def _tend(cluster: Cluster, plan: Plan, running: Running, stopped: asyncio.Event, say: Say) -> None:
    """Run the cluster's parts until `stopped`."""
    try:
        async with asyncio.TaskGroup() as group:
            await cluster.run(group)
            group.create_task(_follow_readiness(cluster, plan, running, say))
            await stopped.wait()
            raise _Stop
    except* _Stop:
        say("stopped; the state stays")
    finally:
        await cluster.close()
        for node in cluster.nodes.values():
            if isinstance(node.runtime, ProcessRuntime):
                await node.runtime.shutdown()


class _Stop(Exception):
    """Ends the task group."""


async def _follow_readiness(cluster: Cluster, plan: Plan, running: Running, say: Say) -> None:
    """Until cancelled: says which nodes are not ready, and keeps it for `aliquot status`."""
    loop = asyncio.get_running_loop()
    readiness = Readiness(len(cluster.nodes), begun=loop.time(), patience_s=plan.patience_s)
    recorded_at, recorded = float("-inf"), True
    while True:
        looked_at = loop.time()
        waiting, settled = cluster.not_ready(), readiness.settled
        for line in readiness.look(waiting, loop.time()):
            say(line)
        if settles := readiness.settled and not settled:
            settle_gc()
            say(plan.state.export)
        seen = msgspec.structs.replace(
            running,
            ready=not waiting,
            settled=readiness.settled,
            nodes_ready=len(cluster.nodes) - len(waiting),
            not_ready=dict(list(waiting.items())[:MOST_NAMED]),
        )
        if seen != running and (settles or loop.time() >= recorded_at + _LOOK_S):
            recorded_at = loop.time()
            try:
                plan.state.write_running(seen)
            except OSError as error:
                if recorded:
                    _log.warning("'aliquot status' is behind", error=f"{plan.state.path}: {error.strerror}")
                recorded = False
            else:
                running, recorded = seen, True
        # Looking at hundreds of nodes must not keep them from starting.
        starting_s = max(_LOOK_WHILE_STARTING_S, _LOOKS_APART * (loop.time() - looked_at))
        await asyncio.sleep(_LOOK_S if readiness.settled else starting_s)


@asynccontextmanager
async def _faults_of(
    plan: Plan, app: FaultyApplication, conditions: Conditions, say: Say
) -> AsyncIterator[None]:
    """Within, the file of faults is in effect, and followed. The cluster's own parts do not go through `app`."""
    if plan.faults is None:
        yield
        return
    path = plan.faults

    def take(faults: FaultPlan) -> None:
        faults.take_effect(app, conditions)

    take(fault_files.load(path))
    following = asyncio.create_task(fault_files.follow(path, take, say), name="faults")
    try:
        yield
    finally:
        following.cancel()


def _server(api: ApiServer, authority: Authority, plan: Plan, app: FaultyApplication | None) -> HttpsServer:
    """On the port asked for; else on the last one, so that kubeconfigs stay good; else on a free one."""
    if plan.port:
        try:
            return HttpsServer(api, authority, port=plan.port, app=app)
        except ServerError as error:
            raise LocalClusterError(f"{error} (--port)") from error
    try:
        return HttpsServer(api, authority, port=plan.last_port, app=app)
    except ServerError:
        return HttpsServer(api, authority, port=0, app=app)


class _Nodes:
    """The API server asks kubelets through this; the fleet that answers is made after it."""

    fleet: Fleet | None = None

    def logs(self, pod: Mapping[str, Any], options: LogOptions) -> AsyncIterator[bytes]:
        if self.fleet is None:
            raise LogsUnavailable(_NOT_STARTED)
        return self.fleet.logs(pod, options)

    def exec(self, pod: Mapping[str, Any], container: str, execution: Execution) -> Start:
        return self._started().exec(pod, container, execution)

    def attach(self, pod: Mapping[str, Any], container: str, *, stdin: bool) -> Start:
        return self._started().attach(pod, container, stdin=stdin)

    def _started(self) -> Fleet:
        if self.fleet is None:
            raise SessionRefused(503, _NOT_STARTED)
        return self.fleet


def _rng() -> random.Random:
    return random.Random(secrets.randbits(64))
