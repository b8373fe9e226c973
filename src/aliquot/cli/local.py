"""The cluster of `aliquot up`: its plan from options and state, and its life in the foreground."""

import asyncio
import os
import random
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog

from aliquot.cli.cluster import Cluster, EmulatedNode
from aliquot.cli.failures import innermost
from aliquot.cli.state import Running, StateDirectory, replace_file
from aliquot.clock import SystemClock
from aliquot.document import DocumentError
from aliquot.emulator.app import ApiServer
from aliquot.emulator.certificates import Authority, CertificateError
from aliquot.emulator.kubelet.checkpoint import CheckpointDirectory, CheckpointError
from aliquot.emulator.kubelet.fleet import Fleet
from aliquot.emulator.kubelet.machine import Machine
from aliquot.emulator.kubelet.runtimes.process import ProcessRuntime
from aliquot.emulator.kubelet.runtimes.simulated import SimulatedRuntime
from aliquot.emulator.persistence import StoreError
from aliquot.emulator.server import HttpsServer, ServerError, write_kubeconfig
from aliquot.emulator.store import Store
from aliquot.emulator.subresources import LogOptions, LogsUnavailable
from aliquot.gpu import inventory as inventories
from aliquot.gpu.inventory import Inventory, InventoryNode
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.kube.cache import settle_gc
from aliquot.kube.kubeletapi.sockets import MemorySockets, SocketDirectory, SocketError, Sockets

_log = structlog.get_logger(__name__)

MOST_NODES_ON_SOCKETS = 50
"""Kubelets and agents of larger fleets are joined in memory: the same servicers, no sockets."""
READY_DEADLINE_S = 110.0
DEFAULT_GPUS = "h100-80gb:8"


class LocalClusterError(Exception):
    """One line: why the cluster cannot be as asked, and the fix."""


@dataclass(frozen=True, slots=True)
class Plan:
    state: StateDirectory
    inventory: Inventory
    gone: tuple[str, ...]
    """Nodes of the last start that are in the inventory no more: their objects are deleted."""
    runtime: str
    port: int
    """0: not asked for."""
    last_port: int
    sockets: bool


def plan(
    state: StateDirectory,
    *,
    nodes: int | None,
    gpus: str | None,
    inventory: Path | None,
    runtime: str | None,
    port: int,
) -> Plan:
    """What to bring up. Changes nothing. Raises LocalClusterError."""
    try:
        last = inventories.load(state.inventory) if state.inventory.exists() else None
        if inventory is not None:
            wanted = inventories.load(inventory)
        elif nodes is None and gpus is None and last is not None:
            wanted = last
        else:
            groups = inventories.parse_gpus(gpus or DEFAULT_GPUS)
            wanted = Inventory(
                tuple(InventoryNode(f"node-{i}", {}, groups) for i in range(1 if nodes is None else nodes))
            )
    except (DocumentError, ValueError) as error:
        raise LocalClusterError(str(error)) from error
    # An inventory of a single machine need not name it.
    wanted = Inventory(tuple(replace(node, name=node.name or "node-0") for node in wanted.nodes))
    names = {node.name for node in wanted.nodes}
    running = state.running()
    return Plan(
        state=state,
        inventory=wanted,
        gone=tuple(node.name for node in last.nodes if node.name not in names) if last is not None else (),
        runtime=runtime or (running.runtime if running is not None else "simulated"),
        port=port,
        last_port=urlsplit(running.server).port or 0 if running is not None else 0,
        sockets=len(names) <= MOST_NODES_ON_SOCKETS,
    )


def run_in_foreground(plan: Plan, *, say: Callable[[str], None]) -> None:
    """Until SIGINT or SIGTERM. Raises LocalClusterError when it cannot come up; then nothing is left running."""
    import uvloop

    # Before a fleet fills the heap: collections over it find nothing, and take a third of the time to ready.
    settle_gc()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_live(plan, say))
    except* (StoreError, CertificateError, CheckpointError, ServerError, SocketError) as group:
        raise LocalClusterError(str(innermost(group))) from group
    except* LocalClusterError as group:
        raise innermost(group) from None


async def _live(plan: Plan, say: Callable[[str], None]) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)

    clock, state = SystemClock(), plan.state
    store = Store(state.store)
    try:
        authority = Authority(state.path / "pki", clock=clock)
        logs = _Logs()
        api = ApiServer(store, clock=clock, rng=_rng(), token_key=authority.token_key, logs=logs)
        await api.start()
        async with _server(api, authority, plan) as server:
            admin = authority.client("aliquot-admin", ["system:masters"])
            write_kubeconfig(
                state.kubeconfig,
                url=server.url,
                authority=authority.certificate,
                user="aliquot-admin",
                client=admin,
            )
            running = Running(
                pid=os.getpid(),
                server=server.url,
                ready=False,
                nodes=len(plan.inventory.nodes),
                joined_by="unix sockets" if plan.sockets else "memory",
                runtime=plan.runtime,
            )
            state.write_running(running)
            say(f"API at {server.url}")
            cluster = Cluster(
                api.app,
                [_node(plan, node) for node in plan.inventory.nodes],
                clock=clock,
                seed=secrets.randbits(64),
                run_blocking=_at_once,
                root_ca_pem=authority.certificate.decode(),
            )
            logs.fleet = cluster.fleet
            await _tend(cluster, plan, running, stopped, say)
    finally:
        store.close()
        state.remove_sockets()


async def _tend(
    cluster: Cluster, plan: Plan, running: Running, stopped: asyncio.Event, say: Callable[[str], None]
) -> None:
    """Run the cluster's parts until `stopped`."""
    try:
        async with asyncio.TaskGroup() as group:
            await cluster.forget(plan.gone)
            replace_file(plan.state.inventory, _encode(plan.inventory))
            await cluster.run(group)
            await _ready(cluster, stopped, say)
            if not stopped.is_set():
                settle_gc()
                plan.state.write_running(msgspec.structs.replace(running, ready=True))
                say(f"{running.nodes} nodes ready; kubelets and agents joined by {running.joined_by}")
                say(f"export KUBECONFIG={plan.state.kubeconfig}")
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


async def _ready(cluster: Cluster, stopped: asyncio.Event, say: Callable[[str], None]) -> None:
    """Wait until every node is ready, telling how far it is. Raises LocalClusterError after the deadline."""
    loop = asyncio.get_running_loop()
    deadline, told = loop.time() + READY_DEADLINE_S, loop.time()
    while (waiting := cluster.not_ready()) and not stopped.is_set():
        if loop.time() > deadline:
            raise LocalClusterError(
                f"{len(waiting)} nodes, first of them {waiting[0]}, are not ready after {READY_DEADLINE_S:.0f} s; "
                f"'kubectl describe node {waiting[0]}' says why"
            )
        if loop.time() - told > 2:
            told = loop.time()
            say(f"{len(cluster.nodes) - len(waiting)} of {len(cluster.nodes)} nodes ready")
        await asyncio.sleep(0.02)


def _server(api: ApiServer, authority: Authority, plan: Plan) -> HttpsServer:
    """On the port asked for; else on the last one, so that kubeconfigs stay good; else on a free one."""
    if plan.port:
        try:
            return HttpsServer(api, authority, port=plan.port)
        except ServerError as error:
            raise LocalClusterError(f"{error} (--port)") from error
    try:
        return HttpsServer(api, authority, port=plan.last_port)
    except ServerError:
        return HttpsServer(api, authority, port=0)


def _node(plan: Plan, node: InventoryNode) -> EmulatedNode:
    directory = plan.state.path / "nodes" / node.name
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    checkpoints = CheckpointDirectory(directory / "kubelet")
    clock = SystemClock()
    sockets: tuple[Sockets, Sockets]
    if plan.sockets:
        short = plan.state.sockets(node.name)
        sockets = SocketDirectory(short / "device-plugins"), SocketDirectory(short / "pod-resources")
    else:
        sockets = MemorySockets(), MemorySockets()
    return EmulatedNode(
        machine=Machine(node.name, labels=node.labels),
        driver=_driver(node, directory / "gpus.json"),
        runtime=ProcessRuntime(directory / "containers", checkpoints, clock=clock, rng=_rng())
        if plan.runtime == "process"
        else SimulatedRuntime(checkpoints, clock=clock, rng=_rng()),
        plugin_sockets=sockets[0],
        pod_resources_sockets=sockets[1],
        checkpoints=checkpoints,
    )


def _driver(node: InventoryNode, state_file: Path) -> SimulatedDriver:
    try:
        return SimulatedDriver(node.gpus, node=node.name, state_file=state_file)
    except ValueError as error:
        # Other GPUs than last time: a machine that was rebuilt, and remembers nothing.
        _log.warning("the node's GPUs start anew", node=node.name, reason=str(error))
        state_file.unlink()
        return SimulatedDriver(node.gpus, node=node.name, state_file=state_file)


class _Logs:
    """The API server asks for logs through this; the fleet that answers is made after it."""

    fleet: Fleet | None = None

    def __call__(self, pod: Mapping[str, Any], options: LogOptions) -> AsyncIterator[bytes]:
        if self.fleet is None:
            raise LogsUnavailable("the nodes have not started yet")
        return self.fleet.logs(pod, options)


async def _at_once(function: Callable[..., Any], *arguments: Any) -> Any:
    """A simulated driver never blocks: no thread is needed."""
    return function(*arguments)


def _rng() -> random.Random:
    return random.Random(secrets.randbits(64))


def _encode(inventory: Inventory) -> bytes:
    """As `inventory.load` reads it; JSON is YAML."""
    nodes = [
        {
            "name": node.name,
            "labels": dict(node.labels),
            "gpus": [{"board": g.board, "count": g.count, "mig": g.mig} for g in node.gpus],
        }
        for node in inventory.nodes
    ]
    return msgspec.json.encode({"nodes": nodes})
