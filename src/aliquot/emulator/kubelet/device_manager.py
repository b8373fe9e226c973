"""kubelet's half of the device plugin protocol: listens for plugins, follows their lists, asks them for devices.

Every decision is `devices.DeviceTable`'s; here are the order of the calls and the checkpoint. Must not know pods
beyond uid, container names and limits.

As in the real one, a container found running when kubelet starts is asked no more: it keeps devices that no plugin
lists any longer, until it ends. Whoever puts other boards into an emulated machine has to reboot it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import grpc
import grpc.aio
import structlog

from aliquot.clock import Clock
from aliquot.emulator.kubelet.checkpoint import DEVICES, CheckpointError, CheckpointStore
from aliquot.emulator.kubelet.devices import (
    AllocationError,
    Choice,
    Device,
    DeviceTable,
    is_extended_resource,
)
from aliquot.emulator.kubelet.plugin import Plugin, go_error
from aliquot.emulator.kubelet.runtimes.base import DeviceNode, Mount, RunOptions
from aliquot.kube.kubeletapi.deviceplugin_pb2 import ContainerAllocateResponse, Empty, RegisterRequest
from aliquot.kube.kubeletapi.deviceplugin_pb2_grpc import (
    RegistrationServicer,
    add_RegistrationServicer_to_server,
)
from aliquot.kube.kubeletapi.rpc import Context
from aliquot.kube.kubeletapi.sockets import Service, SocketError, Sockets

KUBELET_SOCKET = "kubelet.sock"
API_VERSION = "v1beta1"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ContainerClaim:
    """One container's limits in whole numbers, as far as they may be devices."""

    name: str
    limits: Mapping[str, int]
    is_init: bool = False
    """An init container that ends before the others begin: what it holds may be used again."""
    running: bool = False
    """Already runs, from before this kubelet started: it has what it needs."""


@dataclass(frozen=True, slots=True)
class PodClaim:
    uid: str
    containers: tuple[ContainerClaim, ...]
    """Init containers first."""

    @property
    def init_names(self) -> frozenset[str]:
        return frozenset(claim.name for claim in self.containers if claim.is_init)


_SAVE_DELAY_S = 0.5


class DeviceManager:
    """`run` serves until cancelled; the rest may be called while it runs.

    `active` answers with the uids of all pods that may hold devices; what others held is taken back before each
    allocation. `on_change` gets the name of a resource whose devices have changed.
    """

    def __init__(
        self,
        sockets: Sockets,
        checkpoints: CheckpointStore,
        *,
        node: str,
        clock: Clock,
        rng: random.Random,
        active: Callable[[], Collection[str]],
        on_change: Callable[[str], None] = lambda resource: None,
    ) -> None:
        self.table = DeviceTable()
        self.fresh = False
        """No checkpoint was found: nothing is known of an earlier life."""
        self._sockets = sockets
        self._checkpoints = checkpoints
        self._clock = clock
        self._rng = rng
        self._active = active
        self._on_change = on_change
        self._plugins: dict[str, Plugin] = {}
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._allocating = asyncio.Lock()
        self._save_due: asyncio.TimerHandle | None = None
        self._log = _log.bind(node=node)
        self._restore()

    async def run(self, serving: asyncio.Event) -> None:
        """Serves kubelet.sock; sets `serving` once it does. Raises SocketError when it cannot."""
        service = Service(_Registration(self._register), add_RegistrationServicer_to_server)
        listener = await self._sockets.serve(KUBELET_SOCKET, service)
        try:
            async with asyncio.TaskGroup() as self._group:
                serving.set()
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None
            if self._save_due is not None:
                self._save_quietly()
            await listener.close()

    # Plugins.

    async def _register(self, request: RegisterRequest, context: Context) -> Empty:
        resource = request.resource_name
        self._log.debug("plugin registers", resource=resource, endpoint=request.endpoint)
        if request.version != API_VERSION:
            text = f'requested API version "{request.version}" is not supported by kubelet. '
            await context.abort(grpc.StatusCode.UNKNOWN, f'{text}Supported version is ["{API_VERSION}"]')
        if not is_extended_resource(resource):
            await context.abort(grpc.StatusCode.UNKNOWN, f'the ResourceName "{resource}" is invalid')
        try:
            plugin = Plugin(resource, self._sockets.connect(request.endpoint))
        except SocketError as error:
            await context.abort(grpc.StatusCode.UNKNOWN, f"failed to dial device plugin: {error}")
        try:
            await plugin.read_options()
        except AllocationError as error:
            await plugin.close()
            await context.abort(grpc.StatusCode.UNKNOWN, f"failed to get device plugin options: {error}")
        except asyncio.CancelledError:
            await plugin.close()
            raise
        if self._group is None:
            await plugin.close()
            await context.abort(grpc.StatusCode.UNAVAILABLE, "kubelet is stopping")
        replaced = self._readers.get(resource)
        self._plugins[resource] = plugin
        new = resource not in self.table.capacity()
        self.table.connect(resource)
        self._readers[resource] = self._group.create_task(self._follow(plugin))
        if replaced is not None:
            replaced.cancel()
        if new:
            self._save_soon()
        return Empty()

    async def _follow(self, plugin: Plugin) -> None:
        """Reads the plugin's lists until it goes or another takes its place."""
        try:
            async for devices in plugin.lists():
                self._listed(plugin, devices)
            self._log.debug("plugin ended its list", resource=plugin.resource)
        except grpc.aio.AioRpcError as error:
            self._log.info("plugin lost", resource=plugin.resource, error=go_error(error))
        finally:
            await plugin.close()
        if self._plugins.get(plugin.resource) is plugin:
            self.table.disconnect(plugin.resource, self._clock.now())
            self._on_change(plugin.resource)

    def _listed(self, plugin: Plugin, devices: Sequence[Device]) -> None:
        if self._plugins.get(plugin.resource) is plugin:
            self.table.update(plugin.resource, devices)
            self._on_change(plugin.resource)

    # What node.status shows.

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """Capacity and allocatable. A resource given up after its grace period is 0 in both, once."""
        gone = dict.fromkeys(self.table.expire(self._clock.now()), 0)
        for resource in gone:
            self._plugins.pop(resource, None)
        if gone:
            self._save_soon()
        return gone | self.table.capacity(), gone | self.table.allocatable()

    # Pods.

    def ready_for(self, pod: PodClaim) -> bool:
        """Whether plugins list what `allocate` would look for. What no plugin ever registered is not waited for."""
        return all(
            self.table.offers(pod.uid, claim.name, resource)
            for claim in pod.containers
            if not claim.running
            for resource in claim.limits
            if self.table.manages(resource)
        )

    async def allocate(self, pod: PodClaim) -> None:
        """Devices for all containers, one Allocate call for each container and resource.

        Raises AllocationError; what was allocated until then stays until the pod is no longer active.
        """
        async with self._allocating:
            self.reclaim()
            for claim in pod.containers:
                if not claim.running:
                    await self._allocate_container(pod, claim)

    async def _allocate_container(self, pod: PodClaim, claim: ContainerClaim) -> None:
        for resource, size in claim.limits.items():
            if not self.table.manages(resource):
                continue
            reusable = self.table.reusable(pod.uid, resource, pod.init_names)
            choice = self.table.choose(pod.uid, claim.name, resource, size, reusable=reusable)
            if choice is None:
                continue
            ids = choice.settle(await self._preferred(choice), self._shuffled)
            answer = await self._plugin(resource).allocate(ids)
            response = answer.SerializeToString(deterministic=True)
            self.table.commit(pod.uid, claim.name, resource, ids, response)
            try:
                self._save()
            except CheckpointError as error:
                raise AllocationError(f"failed to write checkpoint file: {error}") from error

    async def _preferred(self, choice: Choice) -> tuple[str, ...]:
        if choice.complete:
            return ()
        available = self._shuffled(choice.free.union(choice.reused))
        return await self._plugin(choice.resource).preferred(available, choice.reused, choice.size)

    async def prepare(self, pod: PodClaim, claim: ContainerClaim) -> RunOptions:
        """Called before each start of a container: PreStartContainer where asked for, then what it runs with.

        A resource that was unknown when the pod was admitted and is known now is allocated here, late.
        Raises AllocationError.
        """
        missing = False
        for resource, size in claim.limits.items():
            if size == 0 or not self.table.manages(resource):
                continue
            held = self.table.held_by(pod.uid).get(claim.name, {}).get(resource)
            if held is None:
                missing = True
            elif resource in self._plugins:
                await self._plugins[resource].pre_start(held.ids)
        if missing:
            async with self._allocating:
                self.reclaim()
                await self._allocate_container(pod, claim)
        return self.options(pod.uid, claim.name)

    def options(self, pod_uid: str, container: str) -> RunOptions:
        """The Allocate answers merged. Of two answers for one name the first (by resource name) stays."""
        held = self.table.held_by(pod_uid).get(container, {})
        env: dict[str, str] = {}
        annotations: dict[str, str] = {}
        devices: dict[str, DeviceNode] = {}
        mounts: dict[str, Mount] = {}
        cdi: dict[str, None] = {}
        for _, allocation in sorted(held.items()):
            answer = ContainerAllocateResponse.FromString(allocation.response)
            _merge(env, answer.envs)
            _merge(annotations, answer.annotations)
            for device in answer.devices:
                node = DeviceNode(device.host_path, device.container_path, device.permissions)
                devices.setdefault(device.container_path, node)
            for mount in answer.mounts:
                made = Mount(mount.host_path, mount.container_path, mount.read_only)
                mounts.setdefault(mount.container_path, made)
            cdi.update(dict.fromkeys(device.name for device in answer.cdi_devices))
        return RunOptions(
            env=env,
            devices=tuple(devices.values()),
            mounts=tuple(mounts.values()),
            annotations=annotations,
            cdi_devices=tuple(cdi),
            device_ids={resource: allocation.ids for resource, allocation in sorted(held.items())},
        )

    def reclaim(self) -> None:
        """Takes devices back from pods that are no longer active."""
        ended = self.table.reclaim(self._active())
        if ended:
            self._log.info("devices taken back", pods=ended)
            self._save_quietly()

    def _plugin(self, resource: str) -> Plugin:
        plugin = self._plugins.get(resource)
        if plugin is None:
            raise AllocationError(f"endpoint not found in cache for a registered resource: {resource}")
        return plugin

    def _shuffled(self, ids: Iterable[str]) -> list[str]:
        """A real kubelet's order is that of a Go map: nobody may rely on it."""
        listed = sorted(ids)
        self._rng.shuffle(listed)
        return listed

    # Checkpoint.

    def _restore(self) -> None:
        try:
            snapshot = self._checkpoints.load(DEVICES)
            self.fresh = snapshot is None
            if snapshot is not None:
                self.table.restore(snapshot, self._clock.now())
        except (CheckpointError, AttributeError, KeyError, TypeError, ValueError) as error:
            # A real kubelet goes on too, and may then hand out what is in use.
            self.table = DeviceTable()
            self._log.error("device checkpoint unreadable, allocations are forgotten", error=str(error))

    def _save(self) -> None:
        if self._save_due is not None:
            self._save_due.cancel()
            self._save_due = None
        self._checkpoints.save(DEVICES, self.table.snapshot())

    def _save_soon(self) -> None:
        """What plugins said of themselves they will say again: a burst of it is written once."""
        if self._save_due is None:
            self._save_due = asyncio.get_running_loop().call_later(_SAVE_DELAY_S, self._save_quietly)

    def _save_quietly(self) -> None:
        """Where nobody can be told no: the next allocation tries again, and is refused if it fails."""
        try:
            self._save()
        except CheckpointError as error:
            self._log.error("device checkpoint not written", error=str(error))


class _Registration(RegistrationServicer):
    def __init__(self, register: Callable[[RegisterRequest, Context], Awaitable[Empty]]) -> None:
        self._register = register

    async def Register(self, request: RegisterRequest, context: Context) -> Empty:  # noqa: N802
        return await self._register(request, context)


def _merge(into: dict[str, str], values: Mapping[str, str]) -> None:
    for name, value in sorted(values.items()):
        into.setdefault(name, value)
