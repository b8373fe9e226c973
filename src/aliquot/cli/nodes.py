"""The nodes of `aliquot up` and all that shares their caches, from their start to their orderly end."""

import asyncio
import random
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

import msgspec
import structlog

from aliquot.cli import machines
from aliquot.cli.cluster import Cluster
from aliquot.cli.control_plane import ControlPlane
from aliquot.cli.driver_times import as_long_as_real
from aliquot.cli.failures import innermost
from aliquot.cli.parts import Parts
from aliquot.cli.plan import LocalClusterError, Plan
from aliquot.cli.readiness import MOST_NAMED, Readiness
from aliquot.cli.state import Running, way_out
from aliquot.emulator.audit.log_file import AuditError
from aliquot.emulator.certificates import CertificateError
from aliquot.emulator.kubelet.checkpoint import CheckpointError
from aliquot.emulator.kubelet.runtimes.process import ProcessRuntime
from aliquot.emulator.server import ServerError
from aliquot.emulator.storage.persistence import StoreError
from aliquot.kube.api.gpunode import Partitioning
from aliquot.kube.cache import settle_gc
from aliquot.kube.crds import NotEstablished
from aliquot.kube.errors import ApiError
from aliquot.kube.kubeletapi.sockets import SocketError
from aliquot.scheduler.recording.flight_recorder import FlightRecorder

_MINIMUM_RUN_S = 10.0
"""Before a pod is moved for another. Nobody watches an emulated cluster for five minutes."""
_LOOK_WHILE_STARTING_S = 0.02
_LOOKS_APART = 20
"""Times as long as a look took."""
_LOOK_S = 1.0
_TOGETHER_S = 0.3
"""Of many kubelets: what changes of a pod within it is one write. A real kubelet looks at its containers once a second."""
_PLUGIN_PATIENCE_S = 10.0
"""Kubelets and agents start together here, and pods of the last time are to be found again."""

Say: TypeAlias = Callable[[str], None]

_log = structlog.get_logger(__name__)


def build(
    plan: Plan, networks: Mapping[str, str], parts: Parts, control_plane: ControlPlane | None
) -> Cluster:
    """`networks`: the pod network of each node."""
    return Cluster(
        parts,
        [machines.build(plan, node, pod_network=networks[node.name]) for node in plan.inventory.nodes],
        control_plane=control_plane,
        run_blocking=as_long_as_real,
        agents=plan.agents,
        operator=plan.operator,
        operator_outside=plan.operator_outside,
        plugin_patience_s=_PLUGIN_PATIENCE_S,
        # Each exchange of a driver would take ten seconds longer, and nobody learns from that.
        kubelets_tell_at_once=plan.operator,
        kubelets_together_s=_TOGETHER_S if plan.apart else 0.0,
        partitioning=Partitioning(plan.partitioning),
        minimum_run_s=_MINIMUM_RUN_S,
        flight_recorder=FlightRecorder(plan.state.recordings),
    )


async def tend(
    cluster: Cluster,
    plan: Plan,
    running: Running,
    stopped: asyncio.Event,
    say: Say,
    settled: Callable[[], None] = lambda: None,
) -> None:
    """Run the cluster's parts until `stopped`. `settled` is called once all nodes are ready, or have had their time."""
    try:
        async with asyncio.TaskGroup() as group:
            await cluster.run(group)
            group.create_task(_follow_readiness(cluster, plan, running, say, settled))
            await stopped.wait()
            raise _Stop
    except* _Stop:
        pass
    finally:
        await cluster.close()
        for node in cluster.nodes.values():
            if isinstance(node.runtime, ProcessRuntime):
                await node.runtime.shutdown()


class _Stop(Exception):
    """Ends the task group."""


async def _follow_readiness(
    cluster: Cluster, plan: Plan, running: Running, say: Say, settled: Callable[[], None]
) -> None:
    """Until cancelled: says which nodes are not ready, and keeps it for `aliquot status`."""
    loop = asyncio.get_running_loop()
    readiness = Readiness(len(cluster.nodes), begun=loop.time(), patience_s=plan.patience_s)
    recorded_at, recorded = float("-inf"), True
    while True:
        looked_at = loop.time()
        waiting, was_settled = cluster.not_ready(), readiness.settled
        for line in readiness.look(waiting, loop.time()):
            say(line)
        if settles := readiness.settled and not was_settled:
            settle_gc()
            settled()
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


@contextmanager
def one_line(plan: Plan) -> Iterator[None]:
    """Whatever keeps a cluster from coming up is raised as a LocalClusterError."""
    told: BaseException | None = None
    try:
        yield
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


def rng() -> random.Random:
    return random.Random(secrets.randbits(64))
