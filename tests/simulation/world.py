"""The whole demo cluster in one process, on virtual time, with everything that may go wrong going wrong.

The parts are those of `aliquot up`, put together by the same code; only time, sockets and the API's carriage are
doubles. One seed fixes everything: two runs of a seed write the same objects in the same order.
"""

import asyncio
import functools
import hashlib
import importlib.util
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from aliquot.cli.cluster import Cluster, EmulatedNode
from aliquot.cli.control_plane import ControlPlane
from aliquot.cli.parts import Parts, in_memory
from aliquot.cli.supervisor import Supervisor
from aliquot.clock import VirtualClock, VirtualTimeLoop
from aliquot.emulator.app import ApiServer
from aliquot.emulator.kubelet.checkpoint import MemoryCheckpoints
from aliquot.emulator.kubelet.machine import Machine
from aliquot.emulator.kubelet.runtimes.simulated import SimulatedRuntime
from aliquot.emulator.storage.store import Store
from aliquot.emulator.versions import STANDARD
from aliquot.gpu import inventory
from aliquot.gpu.profiles import resource_name
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.kube.api.gpunode import Partitioning
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.errors import NotFound
from aliquot.kube.kubeletapi.podresources_pb2 import ListPodResourcesRequest
from aliquot.kube.kubeletapi.sockets import MemorySockets
from aliquot.kube.resources import CONFIGMAPS, DEPLOYMENTS, GPUNODES, NODES, PODS, Resource
from aliquot.kube.roles import NAMESPACE, PLUGIN_CONFIG_MAP
from aliquot.node.advertise import device_of
from tests.simulation.faults import Weather

CONFIGURATIONS = (
    "",
    "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 3}]}}",
    "sharing: {timeSlicing: {renameByDefault: true, resources: [{name: gpu, replicas: 2}, {name: mig-1g.10gb, replicas: 2}]}}",
    "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 2, devices: [0]}, {name: mig-3g.40gb, replicas: 4}]}}",
    "flags: {migStrategy: single}",
    "version: v2",
)
"""Of the device plugin; the last one nobody can take."""
EXAMPLES = Path(__file__).parents[2] / "examples"
RESOURCES: Mapping[str, Resource] = {"Pod": PODS, "Deployment": DEPLOYMENTS, "GPUNode": GPUNODES}


def demo() -> ModuleType:
    """examples/demo.py, for its promises."""
    spec = importlib.util.spec_from_file_location("demo", EXAMPLES / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def manifests() -> Iterator[dict[str, Any]]:
    for path in sorted(EXAMPLES.glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


class World:
    """Made inside a running virtual-time loop. `nodes` None: those of the demo, whose manifests are applied."""

    def __init__(
        self,
        seed: int,
        nodes: Sequence[inventory.InventoryNode] | None = None,
        partitioning: Partitioning = Partitioning.STATIC,
        idle_s: float = 15.0,
        **more: Any,
    ) -> None:
        self.rng = random.Random(f"{seed} world")
        self.clock = VirtualClock()
        self.down: set[str] = set()
        """Nodes that are rebooting."""
        self.diary: list[str] = []
        """What was done to the world, for whoever reads a failing seed."""
        self._seed = seed
        self.store = Store(None)
        self.api = ApiServer(self.store, clock=self.clock, rng=random.Random(f"{seed} api"))
        self.weather = Weather(self.api.app, random.Random(f"{seed} faults"))
        self.sockets: dict[str, MemorySockets] = {}
        if nodes is None:
            nodes = inventory.load(EXAMPLES / "inventories/three-nodes.yaml").nodes
        emulated = [self._node(node) for node in nodes]
        parts = Parts(
            in_memory(self.weather.app),
            clock=self.clock,
            seed=seed,
            dress=lambda name, inner: self.weather.over(inner, random.Random(f"{seed} weather {name}")),
        )
        self.cluster = Cluster(
            parts,
            emulated,
            control_plane=ControlPlane(parts, surface=STANDARD, authority=None),
            run_blocking=_at_once,
            partitioning=partitioning,
            idle_s=idle_s,
            run_aside=_at_once,
            **more,
        )
        self._transport = AsgiTransport(self.api.app, "user", ["system:masters"])
        self.user = Client(self._transport, clock=self.clock, rng=random.Random(f"{seed} user"))
        """Of the person at the keyboard: under no weather."""
        self.supervisor: Supervisor | None = None
        self._most = Counter(
            {(node.machine.name, "nvidia.com/gpu"): len(node.driver.gpus()) for node in emulated}
        ) + Counter(
            (manifest["metadata"]["name"], f"nvidia.com/mig-{instance['profile']}")
            for manifest in manifests()
            if manifest["kind"] == "GPUNode"
            for gpu in manifest["spec"]["gpus"]
            for instance in gpu["instances"]
        )
        """Node and resource -> how many devices of it there can ever be."""

    def _node(self, node: inventory.InventoryNode) -> EmulatedNode:
        checkpoints = MemoryCheckpoints()
        self.sockets[node.name] = MemorySockets()
        return EmulatedNode(
            machine=Machine(node.name, labels=node.labels),
            driver=SimulatedDriver(node.gpus, node=node.name),
            runtime=SimulatedRuntime(
                checkpoints, clock=self.clock, rng=random.Random(f"{self._seed} {node.name}")
            ),
            plugin_sockets=self.sockets[node.name],
            pod_resources_sockets=MemorySockets(),
            checkpoints=checkpoints,
        )

    # --- time ---

    def note(self, what: str) -> None:
        self.diary.append(f"{asyncio.get_running_loop().time():9.3f}  {what}")

    async def until(self, check: Callable[[], Any], *, within_s: float, what: str) -> None:
        """Raises AssertionError when `check` has no true answer in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while not (check()):
            assert loop.time() < deadline, f"{what}: not within {within_s:g} virtual seconds"
            await asyncio.sleep(0.5)

    # --- what a user does ---

    async def apply_examples(self) -> None:
        for manifest in manifests():
            await self.apply(manifest)

    async def apply(self, manifest: dict[str, Any]) -> None:
        resource = RESOURCES[manifest["kind"]]
        if resource.namespaced:
            manifest = {**manifest, "metadata": {"namespace": "default", **manifest["metadata"]}}
        await self.user.apply(resource, manifest, field_manager="user", force=True)

    async def delete_pod(self, name: str) -> None:
        try:
            await self.user.delete(PODS, name, "default")
        except NotFound:
            return

    async def replace_failed(self) -> None:
        """What a person does about pods of their own that failed for good: delete them and apply them again."""
        for pod in (await self.user.list(PODS, "default")).items:
            if pod["status"].get("phase") in ("Failed", "Succeeded"):
                await self.delete_pod(pod["metadata"]["name"])
        await self.apply_examples()

    async def restart_sharers(self) -> None:
        """What a person does who wants a device of their own again: delete the pods that were given shares."""
        for device, holders in (await self.held()).items():
            if device_of(device) != device:
                for holder in holders:
                    await self.delete_pod(holder.split("/")[1])

    # --- what fate does ---

    async def misfortune(self) -> None:
        """One thing goes wrong."""
        assert self.supervisor is not None
        node = self.rng.choice(sorted(self.cluster.nodes))
        match self.rng.choice(("kill", "kill", "kill", "socket", "kubelet", "reboot", "delete", "configure")):
            case "kill":
                name = self.rng.choice(self.supervisor.names())
                self.note(f"kill {name}")
                self.supervisor.kill(name)
            # kubelet.sock is gone only together with its kubelet.
            case "socket" if names := sorted(set(self.sockets[node].names()) - {"kubelet.sock"}):
                name = self.rng.choice(names)
                self.note(f"lose the socket {name} of {node}")
                self.sockets[node].drop(name)
            case "kubelet":
                down_s = self.rng.uniform(0, 20)
                self.note(f"restart kubelet of {node}, {down_s:.1f} s")
                self.cluster.fleet[node].restart(down_s)
            case "reboot" if node not in self.down:
                await self.reboot(node, self.rng.uniform(5, 90))
            case "delete":
                pods = (await self.user.list(PODS, "default")).items
                name = self.rng.choice(sorted(pod["metadata"]["name"] for pod in pods))
                self.note(f"delete pod {name}")
                await self.delete_pod(name)

            case "configure":
                await self.configure(self.rng.choice(CONFIGURATIONS))

    async def configure(self, text: str) -> None:
        """Of every node's device plugin, while it runs."""
        self.note(f"configure {text!r}")
        metadata = {"name": PLUGIN_CONFIG_MAP, "namespace": NAMESPACE}
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"default": text}}
        await self.user.apply(CONFIGMAPS, config, field_manager="user", force=True)

    async def reboot(self, node: str, down_s: float) -> None:
        """The machine goes down with everything on it, and comes back."""
        assert self.supervisor is not None
        self.note(f"reboot {node}, {down_s:.1f} s")
        self.down.add(node)
        await self.supervisor.stop(f"agent {node}")
        self.cluster.fleet[node].reboot(down_s)
        self.cluster.nodes[node].driver.reboot()
        asyncio.get_running_loop().call_later(down_s, self._back, node)

    def _back(self, node: str) -> None:
        assert self.supervisor is not None
        self.down.discard(node)
        self.supervisor.start(f"agent {node}", functools.partial(self.cluster.agent, node))

    # --- what must hold ---

    async def held(self) -> dict[str, list[str]]:
        """Device -> the pods that kubelet says hold it, over all nodes that can be asked."""
        holders: dict[str, list[str]] = {}
        for node in self.cluster.nodes.values():
            connection = node.pod_resources_sockets.connect("kubelet.sock")
            try:
                answer = await connection.pod_resources.List(ListPodResourcesRequest(), timeout=5)
            except Exception as error:  # the node is down: nobody to ask
                self.note(f"{node.machine.name} does not answer: {type(error).__name__}")
                continue
            finally:
                await connection.close()
            for pod in answer.pod_resources:
                for container in pod.containers:
                    for device in container.devices:
                        for device_id in device.device_ids:
                            holders.setdefault(device_id, []).append(
                                f"{pod.namespace}/{pod.name}/{container.name}"
                            )
        return holders

    async def check_always(self) -> None:
        """What holds at every moment, however bad."""
        held = await self.held()
        for given, holders in sorted(held.items()):
            assert len(holders) == 1, f"{given} is handed out {len(holders)} times: {holders}"
            whole = device_of(given)
            assert whole == given or whole not in held, f"{whole} is handed out whole and in shares"
        # Equal slices are interchangeable: kubelet may swap two, and status follows it. What may never happen is
        # that more is promised on a node than it has.
        pods = (await self.user.list(PODS, "default")).items
        promised: Counter[tuple[str, str]] = Counter()
        for pod in pods:
            if pod["spec"].get("nodeName") and pod["status"].get("phase") not in ("Failed", "Succeeded"):
                for device in _assigned(pod):
                    # Of shares there are more, and how many may have changed since: what was given is seen above.
                    if not device.get("shares"):
                        promised[pod["spec"]["nodeName"], device["resource"]] += 1
        too_many = {place: count for place, count in promised.items() if count > self._most[place]}
        assert not too_many, f"promised more than there is: {too_many}"

    async def live(self, storm_s: float) -> None:
        """Raises AssertionError when a promise is broken."""
        await self.until(lambda: not self.cluster.not_ready(), within_s=120, what="nodes ready")
        await self.apply_examples()
        self.weather.storm()
        loop = asyncio.get_running_loop()
        end = loop.time() + storm_s
        while loop.time() < end:
            await asyncio.sleep(self.rng.expovariate(1 / 8))
            await self.misfortune()
            await self.check_always()
            if self.rng.random() < 0.2:
                await self.replace_failed()
        self.note("calm")
        self.weather.calm()
        await self.configure("")
        await self.until(lambda: not self.down, within_s=120, what="nodes back")

        promises: dict[str, bool] = {}
        judge = demo()
        for _ in range(40):
            await self.restart_sharers()
            await self.replace_failed()
            await asyncio.sleep(15)
            await self.check_always()
            pods = (await self.user.list(PODS, "default")).items
            gpu_nodes = (await self.user.list(GPUNODES)).items
            promises = judge.expectations(pods, judge.devices(gpu_nodes))
            if all(promises.values()):
                break
        broken = [promise for promise, is_so in promises.items() if not is_so]
        assert not broken, f"not so ten virtual minutes after the storm: {broken}; {summary(pods)}"
        nodes = (await self.user.list(NODES)).items
        assert [node["metadata"]["name"] for node in nodes] == sorted(self.cluster.nodes)
        for node in nodes:
            told = {
                key: int(value)
                for key, value in node["metadata"]["labels"].items()
                if key == "nvidia.com/gpu.count"
                or (key.startswith("nvidia.com/mig-") and key.endswith(".count"))
            }
            assert told == _counts(self.cluster.nodes[node["metadata"]["name"]].driver), node["metadata"][
                "name"
            ]

    def digest(self) -> str:
        """Of every object as it is now, with its revision: equal for two runs of a seed."""
        state = hashlib.sha256()
        for resource in sorted(self.store.resources()):
            for record in self.store.list(resource).records:
                state.update(f"{record.resource}/{record.namespace}/{record.name}@{record.revision}".encode())
                state.update(record.body)
        return state.hexdigest()


def _assigned(pod: dict[str, Any]) -> list[dict[str, Any]]:
    text = pod["metadata"].get("annotations", {}).get("aliquot.dev/assignment")
    devices: list[dict[str, Any]] = yaml.safe_load(text)["devices"] if text else []
    return devices


def _counts(driver: SimulatedDriver) -> dict[str, int]:
    """Labels that count what the driver has."""
    gpus = driver.gpus()
    names = Counter(
        resource_name(compute.name)
        for gpu in gpus
        for instance in driver.instances(gpu.uuid)
        for compute in instance.compute_instances
    )
    return {"nvidia.com/gpu.count": len(gpus), **{f"{name}.count": count for name, count in names.items()}}


async def _at_once(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


async def run(seed: int, *, storm_s: float = 600.0, kind: type[World] = World) -> World:
    """One life of the world: calm, storm, calm; raises AssertionError, with the diary, when a promise is broken."""
    world = kind(seed)
    try:
        await world.api.start()
        async with asyncio.TaskGroup() as group:
            world.supervisor = await world.cluster.run(group)
            await world.live(storm_s)
            for name in world.supervisor.names():
                await world.supervisor.stop(name)
    except* AssertionError as failures:
        first: BaseException = failures
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise AssertionError(f"seed {seed}: {first}\n" + "\n".join(world.diary[-60:])) from first
    finally:
        await world.cluster.close()
    return world


def summary(pods: list[dict[str, Any]]) -> list[str]:
    lines = []
    for pod in pods:
        status = pod["status"]
        why = next((c.get("message", "") for c in status.get("conditions", []) if c["status"] == "False"), "")
        lines.append(
            f"{pod['metadata']['name']}: {status.get('phase')} {status.get('reason', '')} {status.get('message', '')} {why}"
        )
    return lines


def simulate(seed: int, *, storm_s: float = 600.0, kind: type[World] = World) -> str:
    """Run a seed on a loop of its own; the digest of the final state."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run(seed, storm_s=storm_s, kind=kind)).digest()
