"""The life of `aliquot up` in the foreground: API server, machines and parts, from their start to their orderly end."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aliquot.admission import installation as admission
from aliquot.cli import auditing, earlier_nodes, machines, pod_networks
from aliquot.cli.control_plane import ControlPlane
from aliquot.cli.joined_kubelets import JoinedKubelets
from aliquot.cli.nodes import Say, build, one_line, rng, tend
from aliquot.cli.nodes_process import NodesProcess
from aliquot.cli.parts import Parts, in_memory
from aliquot.cli.plan import LocalClusterError, Plan, encode
from aliquot.cli.state import Running, replace_file
from aliquot.cli.supervisor import Supervisor
from aliquot.clock import SystemClock
from aliquot.emulator.app import ApiServer
from aliquot.emulator.certificates import Authority
from aliquot.emulator.faults import Conditions, FaultPlan, FaultyApplication, SteppedClock
from aliquot.emulator.faults import file as fault_files
from aliquot.emulator.network import HttpsNetwork
from aliquot.emulator.server import HttpsServer, ServerError, write_kubeconfig
from aliquot.emulator.storage.store import Store
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.cache import settle_gc
from aliquot.kube.client import Client


def run_in_foreground(plan: Plan, *, say: Say, verbose: bool, lock: int) -> None:
    """Until SIGINT, SIGTERM or SIGHUP; `lock` is the descriptor that holds the state directory. Raises LocalClusterError
    when it cannot come up, or not stay; then nothing is left running."""
    import uvloop

    # Before a fleet fills the heap: collections over it find nothing, and take a third of the time to ready.
    settle_gc()
    with one_line(plan):
        machines.refuse_another_runtime(plan)
        apart = NodesProcess(verbose=verbose, lock=lock) if plan.apart else None
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_live(plan, say, apart))
        finally:
            if apart is not None:
                apart.kill()


async def _live(plan: Plan, say: Say, apart: NodesProcess | None) -> None:
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
        nodes, network = JoinedKubelets(), HttpsNetwork()
        api = ApiServer(
            store,
            clock=clock,
            rng=rng(),
            surface=plan.surface,
            token_key=authority.token_key,
            client_authority=authority.for_clients,
            accepted=plan.accepted,
            logs=nodes.logs,
            kubelets=nodes,
            network=network,
            auditor=auditing.auditor(plan.audit, network, clock=clock, rng=rng())
            if plan.audit is not None
            else None,
        )
        await api.start(made_anew=admission.installed())
        faults = FaultyApplication(api.app, rng=rng(), who=api.user_of)
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
            parts = Parts(in_memory(api.app), clock=clock, seed=secrets.randbits(64))
            control_plane = ControlPlane(parts, surface=plan.surface, authority=authority)
            if apart is not None:
                fleet = await apart.begin(api.app, plan, networks, running, seed=secrets.randbits(64))
                nodes.fleet = fleet
                await _tend_apart(apart, parts, control_plane, stopped)
            else:
                cluster = build(plan, networks, parts, control_plane)
                nodes.fleet = cluster.fleet
                await tend(cluster, plan, running, stopped, say)
            say("stopped; the state stays")
    finally:
        store.close()
        state.remove_sockets()


async def _fit_earlier_nodes(api: ApiServer, plan: Plan) -> Mapping[str, str]:
    """Before any kubelet runs. Gives the pod network of each node."""
    transport = AsgiTransport(api.app, "system:aliquot:up", ("system:masters", "system:authenticated"))
    try:
        client = Client(transport, clock=SystemClock(), rng=rng(), user_agent="aliquot-up")
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


async def _tend_apart(
    apart: NodesProcess, parts: Parts, control_plane: ControlPlane, stopped: asyncio.Event
) -> None:
    """Run the controllers until `stopped`, or until the nodes' process has gone. Raises LocalClusterError then."""
    try:
        async with asyncio.TaskGroup() as group:
            await control_plane.run(Supervisor(group))
            settling = group.create_task(_settle(apart))
            stopping, ended = group.create_task(stopped.wait()), group.create_task(apart.ended())
            await asyncio.wait((stopping, ended), return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                raise LocalClusterError(ended.result())
            await apart.stop()
            settling.cancel()
            raise _Stop
    except* _Stop:
        pass
    finally:
        await parts.close()


async def _settle(apart: NodesProcess) -> None:
    await apart.settled()
    settle_gc()


class _Stop(Exception):
    """Ends the task group."""


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
