"""One emulated cluster, put together: API server, controllers, nodes with their agents, scheduler.

The parts are the ones that ship; what is decided here is only who is joined to whom. `aliquot up` runs it on real
time and real sockets, the simulation on virtual time with every part under faults.
"""

import asyncio
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aliquot.admission import installation as admission
from aliquot.cli import earlier_installation, identities
from aliquot.cli.control_plane import ControlPlane
from aliquot.cli.parts import Parts
from aliquot.cli.programs import installed
from aliquot.cli.programs.software import NodeSoftware, Surroundings
from aliquot.cli.supervisor import Supervisor
from aliquot.emulator.kubelet.checkpoint import CheckpointStore
from aliquot.emulator.kubelet.fleet import Fleet
from aliquot.emulator.kubelet.machine import Machine
from aliquot.emulator.kubelet.node_pods import BY_NODE, by_node
from aliquot.emulator.kubelet.runtimes.base import Runtime
from aliquot.emulator.kubelet.runtimes.simulated import SimulatedRuntime
from aliquot.gpu.driver import Driver
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.installation.labels import RUN_BY_UP
from aliquot.kube import crds, roles
from aliquot.kube.api.core import ConfigMap, Node, NodeCondition, Pod
from aliquot.kube.api.gpunode import GPUNode, Partitioning
from aliquot.kube.api.meta import Condition
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.kubeletapi.sockets import Sockets
from aliquot.kube.resources import GPUNODES, NAMESPACES, NODES, PODS
from aliquot.kube.roles import MIG_CONFIG_MAP, NAMESPACE, PLUGIN_CONFIG_MAP
from aliquot.node.agent import Agent
from aliquot.node.company.neighbours import resource_slices
from aliquot.node.company.published import DRIVER
from aliquot.node.configuration import Configuration
from aliquot.node.driver_access import RunBlocking
from aliquot.node.feed import (
    config_maps_by_name,
    gpu_nodes_by_name,
    nodes_by_name,
    pods_by_node,
    resource_slices_by_node,
)
from aliquot.node.plugin_config.file import Flags
from aliquot.node.watched import Watched, config_maps
from aliquot.operator.core.operands import shipped
from aliquot.operator.operator import Operator
from aliquot.partition.controller.partitioner import IDLE_S, MINIMUM_RUN_S, MOVES_PER_HOUR, Partitioner
from aliquot.partition.controller.relocating import RunAside
from aliquot.scheduler.controller import DEFAULT_NAMES, Scheduler
from aliquot.scheduler.recording.flight_recorder import FlightRecorder
from aliquot.scheduler.settings import Settings

_MPS_ROOT = "/run/nvidia/mps"
"""Of the host, where NVIDIA's chart has it. GPUs are simulated here: nothing is put there."""
_NOT_REGISTERED = "its kubelet has not registered it; the log says what is in the way"
_DELETED = (
    "its Node was deleted, and a kubelet registers only when it starts: "
    "'aliquot down' and 'aliquot up' bring it back"
)

_SCHEDULING = Settings()


@dataclass(frozen=True, slots=True)
class EmulatedNode:
    """A machine and its GPUs: what outlives every process that runs on it."""

    machine: Machine
    driver: SimulatedDriver
    runtime: Runtime
    plugin_sockets: Sockets
    pod_resources_sockets: Sockets
    checkpoints: CheckpointStore
    software: NodeSoftware | None = None
    """Of a node that begins bare: who runs there is up to the pods that it gets."""


class Cluster:
    """`parts` reach the API server, which has been started, each as a user of its own.

    Pods, Nodes and GPUNodes are watched once for all kubelets, agents and the scheduler: as the scheduler, who must see
    them all. `run_blocking` carries driver calls. With a `control_plane` that is started too; else it runs elsewhere. Without
    `agents` the nodes wait for agents from elsewhere; with `operator` they are bare until a GPUPolicy says otherwise, and each
    has its `software`; `operator_outside`: one that follows the policies comes from elsewhere. `plugin_patience_s`, `kubelets_tell_at_once` and `kubelets_together_s` are the kubelets', `partitioning` that of nodes which
    say none of their own, `idle_s` after which a device that nobody needs is given back, `minimum_run_s` before which no pod is moved,
    `moves_per_hour` how many are; `scheduling` is the scheduler's. `run_aside` carries what computes for seconds. Each component draws its chance from `seed` and
    its own name.
    """

    def __init__(
        self,
        parts: Parts,
        nodes: Sequence[EmulatedNode],
        *,
        control_plane: ControlPlane | None,
        run_blocking: RunBlocking,
        agents: bool = True,
        operator: bool = False,
        operator_outside: bool = False,
        plugin_patience_s: float = 0.0,
        kubelets_tell_at_once: bool = False,
        kubelets_together_s: float = 0.0,
        partitioning: Partitioning = Partitioning.STATIC,
        idle_s: float = IDLE_S,
        minimum_run_s: float = MINIMUM_RUN_S,
        moves_per_hour: int = MOVES_PER_HOUR,
        run_aside: RunAside = asyncio.to_thread,
        flight_recorder: FlightRecorder | None = None,
        scheduling: Settings = _SCHEDULING,
    ) -> None:
        clock = self._clock = parts.clock
        self._parts = parts
        self._control_plane = control_plane
        self._run_blocking = run_blocking
        self._agents = agents and not operator
        self._operator = operator
        self._partitioning = partitioning
        self._idle_s = idle_s
        self._minimum_run_s = minimum_run_s
        self._moves_per_hour = moves_per_hour
        self._run_aside = run_aside
        self._flight_recorder = flight_recorder
        self._scheduling = scheduling
        self.nodes = {node.machine.name: node for node in nodes}
        self._account_clients: dict[str, Client] = {}

        scheduler = identities.account("aliquot-scheduler")
        watching = self._parts.client("caches", scheduler)
        self.pods = Cache(watching, PODS, Pod, indexes={BY_NODE: by_node})
        self.node_objects = Cache(watching, NODES, Node)
        self.gpu_nodes = Cache(watching, GPUNODES, GPUNode)
        self._agents_client = self._parts.client("agents", identities.account("aliquot-node-agent"))
        self._config_maps = {
            name: config_maps(self._agents_client, name) for name in (MIG_CONFIG_MAP, PLUGIN_CONFIG_MAP)
        }
        self._slices = resource_slices(self._agents_client, f"spec.driver={DRIVER}")
        self._watched = Watched(
            pods_by_node(self.pods),
            nodes_by_name(self.node_objects),
            gpu_nodes_by_name(self.gpu_nodes),
            config_maps_by_name(self._config_maps[MIG_CONFIG_MAP]),
            resource_slices_by_node(self._slices),
            config_maps_by_name(self._config_maps[PLUGIN_CONFIG_MAP]),
        )
        self.fleet = Fleet(
            self.pods,
            client_of=self._kubelet_client,
            clock=clock,
            rng=self._parts.rng("kubelets"),
            plugin_patience_s=plugin_patience_s,
            tells_at_once=kubelets_tell_at_once,
            together_s=kubelets_together_s,
        )
        for node in nodes:
            self._add_kubelet(node)
        self._registered_once: set[str] = set()
        """Nodes whose objects were seen by a look at what is not ready."""
        # Asked at every look while a fleet comes up, and what an inventory says does not change.
        self._with_gpus = {name for name, node in self.nodes.items() if node.driver.gpus()}
        self._scheduler_client = self._parts.client("scheduler", scheduler)
        self._partitioner_client = self._parts.client(
            "partitioner", identities.account("aliquot-partitioner")
        )
        self._installer = self._parts.client("installer", identities.INSTALLER)
        self._operator_client = self._parts.client("operator", identities.account("aliquot-operator"))
        self._runs_operator = operator and not operator_outside
        surroundings = Surroundings(
            clock, self._annotations, self._agent_by_pod, self._client_on_node, self._runs_operator
        )
        for node in nodes if operator else ():
            if node.software is None:
                raise ValueError(f"node {node.machine.name} has no software to be installed")
            node.software.surroundings = surroundings

    async def run(self, group: asyncio.TaskGroup) -> Supervisor:
        """Install what the parts need and start them all in `group`, under the supervisor that is returned."""
        supervisor = Supervisor(group)
        if self._control_plane is not None:
            await self._control_plane.run(supervisor)
        await earlier_installation.wait_until_gone(self._installer)
        await crds.install(self._installer)
        await admission.install_policies(self._installer)
        await roles.install(self._installer)
        await self._installer.apply(
            NAMESPACES, self._marked_namespace(), field_manager="aliquot-up", force=True
        )
        if self._operator:
            for resource, made in installed.objects():
                await self._installer.apply(resource, made, field_manager="aliquot-install", force=True)
        for name, cache in (("pods", self.pods), ("nodes", self.node_objects), ("gpunodes", self.gpu_nodes)):
            supervisor.start(f"cache {name}", cache.run)
        if self._agents or self._operator:
            for name, configs in self._config_maps.items():
                supervisor.start(f"cache {name}", configs.run)
            supervisor.start("cache resourceslices", self._slices.run)
        supervisor.start("scheduler", self._scheduler)
        supervisor.start("partitioner", self._partitioner)
        supervisor.start("kubelets", self.fleet.run)
        if self._runs_operator:
            supervisor.start("operator", self._run_operator)
        for name in self.nodes if self._agents else ():
            supervisor.start(f"agent {name}", functools.partial(self.agent, name))
        return supervisor

    def join(self, node: EmulatedNode, supervisor: Supervisor) -> None:
        """A machine more, while the cluster runs under `supervisor`; one without GPUs gets no agent, as no DaemonSet of agents
        would reach it. Raises ValueError for a name that is taken."""
        self._add_kubelet(node)
        name = node.machine.name
        self.nodes[name] = node
        if node.driver.gpus():
            self._with_gpus.add(name)
            if self._agents:
                supervisor.start(f"agent {name}", functools.partial(self.agent, name))

    async def leave(self, name: str, supervisor: Supervisor) -> None:
        """The machine goes, with all that runs on it; its objects stay for others to take away. Raises KeyError."""
        node = self.nodes.pop(name)
        # The agent first: a kubelet that goes takes no registrations any more.
        if (agent := f"agent {name}") in supervisor.names():
            await supervisor.stop(agent)
        self.fleet.remove(name)
        if isinstance(node.runtime, SimulatedRuntime):
            await node.runtime.close()
        self._with_gpus.discard(name)
        self._registered_once.discard(name)

    def _add_kubelet(self, node: EmulatedNode) -> None:
        self.fleet.add(
            node.machine,
            runtime=node.runtime,
            plugin_sockets=node.plugin_sockets,
            pod_resources_sockets=node.pod_resources_sockets,
            state=node.checkpoints,
        )

    def _marked_namespace(self) -> dict[str, Any]:
        """Says of what an uninstall would only fight with."""
        who = "operator" if self._runs_operator else "agents" if self._agents else ""
        return {"metadata": {"name": NAMESPACE, "annotations": {RUN_BY_UP: who} if who else {}}}

    async def close(self) -> None:
        """Once everything in the group has ended."""
        for node in self.nodes.values():
            if isinstance(node.runtime, SimulatedRuntime):
                await node.runtime.close()
        await self._parts.close()

    def not_ready(self) -> dict[str, str]:
        """Nodes whose kubelet or agent is not ready yet, as those that watch see them, each with its reason."""
        reasons = ((name, self._why_not_ready(name)) for name in self.nodes)
        return {name: reason for name, reason in reasons if reason}

    def _why_not_ready(self, name: str) -> str:
        if (found := self.node_objects.get(name)) is None:
            return _DELETED if name in self._registered_once else _NOT_REGISTERED
        self._registered_once.add(name)
        if reason := _unless_ready("kubelet", found.status.conditions or ()):
            return reason
        # A machine without GPUs has nothing for its agent to be ready with; an agent from elsewhere is not ours.
        if not self._agents or name not in self._with_gpus:
            return ""
        if (gpu_node := self.gpu_nodes.get(name)) is None:
            return "its agent has not reported its GPUs"
        return _unless_ready("agent", gpu_node.status.conditions)

    async def _scheduler(self) -> None:
        scheduler = Scheduler(
            self._scheduler_client,
            clock=self._clock,
            rng=self._parts.rng("scheduler"),
            pods=self.pods,
            nodes=self.node_objects,
            gpu_nodes=self.gpu_nodes,
            flight_recorder=self._flight_recorder,
            settings=self._scheduling,
        )
        await scheduler.run()

    async def _partitioner(self) -> None:
        partitioner = Partitioner(
            self._partitioner_client,
            clock=self._clock,
            rng=self._parts.rng("partitioner"),
            mode=self._partitioning,
            idle_s=self._idle_s,
            minimum_run_s=self._minimum_run_s,
            moves_per_hour=self._moves_per_hour,
            run_aside=self._run_aside,
            placed_elsewhere=DEFAULT_NAMES,
            pods=self.pods,
            nodes=self.node_objects,
            gpu_nodes=self.gpu_nodes,
        )
        await partitioner.run()

    async def _run_operator(self) -> None:
        operator = Operator(
            self._operator_client,
            clock=self._clock,
            rng=self._parts.rng("operator"),
            images=shipped(installed.OURS),
            pods=self.pods,
            nodes=self.node_objects,
            gpu_nodes=self.gpu_nodes,
        )
        await operator.run()

    async def agent(self, name: str) -> None:
        """The agent of one node, until cancelled. Like the pod of a DaemonSet, it starts once there is a Node."""
        await self._registered(name)
        configuration = Configuration(Flags(mps_root=_MPS_ROOT), config_map=PLUGIN_CONFIG_MAP)
        await self._agent(name, self.nodes[name].driver, configuration, self._watched, ())

    async def _agent_by_pod(self, name: str, given: Flags, config_map: str) -> None:
        """The agent of one node, by a pod that is on it."""
        software = self.nodes[name].software
        assert software is not None
        watched, caches = self._watched, []
        if config_map != PLUGIN_CONFIG_MAP:
            caches = [config_maps(self._agents_client, config_map)] if config_map else []
            feed = config_maps_by_name(caches[0]) if caches else None
            watched = replace(watched, plugin_configs=feed)
        configuration = Configuration(given, config_map=config_map)
        await self._agent(name, software.loadable.driver, configuration, watched, caches)

    async def _agent(
        self,
        name: str,
        driver: Driver,
        configuration: Configuration,
        watched: Watched,
        caches: Sequence[Cache[ConfigMap]],
    ) -> None:
        node = self.nodes[name]
        agent = Agent(
            name,
            client=self._agents_client,
            driver=driver,
            plugin_sockets=node.plugin_sockets,
            pod_resources_sockets=node.pod_resources_sockets,
            clock=self._clock,
            rng=self._parts.rng(f"agent {name}"),
            run_blocking=self._run_blocking,
            configuration=configuration,
            watched=watched,
            caches=caches,
        )
        await agent.run()

    def _annotations(self, name: str) -> Mapping[str, str]:
        found = self.node_objects.get(name)
        return (found.metadata.annotations or {}) if found is not None else {}

    def _client_on_node(self, account: str, node: str) -> Client:
        """One for each account: what a pod may do is the account's."""
        if account not in self._account_clients:
            self._account_clients[account] = self._parts.client(account, identities.account(account))
        return self._account_clients[account]

    async def _registered(self, name: str) -> None:
        changed = asyncio.Event()
        unlisten = self._watched.nodes.listen(name, changed.set)
        try:
            while not self._watched.nodes.of(name):
                changed.clear()
                await changed.wait()
        finally:
            unlisten()

    def _kubelet_client(self, node: str) -> Client:
        return self._parts.client(f"kubelet {node}", identities.kubelet(node))


def _unless_ready(who: str, conditions: Sequence[Condition | NodeCondition]) -> str:
    ready = next((condition for condition in conditions if condition.type == "Ready"), None)
    if ready is None:
        return f"its {who} has not said yet whether it is ready"
    return "" if ready.status == "True" else f"{ready.reason}: {ready.message}"
