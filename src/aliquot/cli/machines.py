"""The machines of `aliquot up`: each has a directory below the state directory that outlives every process.

DIR/nodes/NAME/gpus.json     modes and slices of its simulated GPUs
DIR/nodes/NAME/kubelet       checkpoints of kubelet and of the container runtime
DIR/nodes/NAME/containers    what the process runtime's containers wrote
"""

import random
import secrets
from dataclasses import replace
from pathlib import Path

import structlog

from aliquot.cli.cluster import EmulatedNode
from aliquot.cli.output import counted
from aliquot.cli.plan import LocalClusterError, Plan
from aliquot.cli.programs.software import NodeSoftware
from aliquot.cli.state import StateDirectory
from aliquot.clock import SystemClock
from aliquot.emulator.kubelet.checkpoint import CheckpointDirectory
from aliquot.emulator.kubelet.machine import Machine
from aliquot.emulator.kubelet.runtimes.base import Runtime
from aliquot.emulator.kubelet.runtimes.process import ProcessRuntime
from aliquot.emulator.kubelet.runtimes.simulated import SimulatedRuntime
from aliquot.gpu.inventory import InventoryNode
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.kube.kubeletapi.sockets import MemorySockets, SocketDirectory, Sockets

_log = structlog.get_logger(__name__)


def build(plan: Plan, node: InventoryNode, *, pod_network: str) -> EmulatedNode:
    directory = _directory(plan.state, node.name)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    checkpoints = _checkpoints(directory)
    sockets: tuple[Sockets, Sockets]
    if plan.sockets:
        short = plan.state.kubelet_directory(node.name)
        sockets = SocketDirectory(short / "device-plugins"), SocketDirectory(short / "pod-resources")
    else:
        sockets = MemorySockets(), MemorySockets()
    machine = Machine(
        node.name,
        labels=node.labels,
        pod_cidr=pod_network,
        version=f"v{plan.surface.version}.0",
    )
    if plan.operator:
        # There are drivers for what it runs.
        machine = replace(machine, os_image="Ubuntu 24.04.1 LTS", kernel_version="6.8.0-45-generic")
    driver, rebuilt = _driver(node, plan.state.gpus(node.name))
    software = NodeSoftware(machine, driver) if plan.operator else None
    runtime = _runtime(plan.runtime, directory, checkpoints, software)
    if rebuilt:
        # No pod outlives the board that it ran on.
        runtime.reboot()
    return EmulatedNode(
        machine=machine,
        driver=driver,
        runtime=runtime,
        plugin_sockets=sockets[0],
        pod_resources_sockets=sockets[1],
        checkpoints=checkpoints,
        software=software,
    )


def refuse_another_runtime(plan: Plan) -> None:
    """Raises LocalClusterError while containers of the last start's runtime are alive: another one would take their
    record for its own, and call dead what runs."""
    if plan.last_runtime in ("", plan.runtime):
        return
    alive: list[str] = []
    for node in plan.inventory.nodes:
        directory = _directory(plan.state, node.name)
        if directory.exists():
            runtime = _runtime(plan.last_runtime, directory, _checkpoints(directory))
            alive += [node.name for pod in runtime.pods() for c in runtime.containers(pod) if c.running]
    if alive:
        raise LocalClusterError(
            f"{counted(len(alive), 'container')} of the {plan.last_runtime} runtime "
            f"{'is' if len(alive) == 1 else 'are'} alive, the first on {alive[0]}: "
            f"start with --runtime {plan.last_runtime} and delete their pods, or choose another --state DIR"
        )


def _directory(state: StateDirectory, node: str) -> Path:
    return state.gpus(node).parent


def _checkpoints(directory: Path) -> CheckpointDirectory:
    return CheckpointDirectory(directory / "kubelet")


def _runtime(
    kind: str, directory: Path, checkpoints: CheckpointDirectory, software: NodeSoftware | None = None
) -> Runtime:
    clock, rng = SystemClock(), random.Random(secrets.randbits(64))
    if kind == "process":
        return ProcessRuntime(directory / "containers", checkpoints, clock=clock, rng=rng)
    runtime = SimulatedRuntime(checkpoints, clock=clock, rng=rng, programs=software)
    if software is not None:
        software.device_holders = runtime.device_holders
    return runtime


def _driver(node: InventoryNode, state_file: Path) -> tuple[SimulatedDriver, bool]:
    """The node's GPUs as they were left, and whether others were put in instead."""
    try:
        return SimulatedDriver(node.gpus, node=node.name, fabric=node.fabric, state_file=state_file), False
    except ValueError as error:
        # Other GPUs than last time: a machine that was rebuilt, and remembers nothing.
        _log.warning("the node's GPUs start anew", node=node.name, reason=str(error))
        state_file.unlink()
        return SimulatedDriver(node.gpus, node=node.name, fabric=node.fabric, state_file=state_file), True
