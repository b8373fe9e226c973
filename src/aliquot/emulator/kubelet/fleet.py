"""Many kubelets in one process: one watch of pods for all of them; each writes as itself."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import structlog

from aliquot.clock import Clock
from aliquot.emulator.kubelet.checkpoint import CheckpointStore
from aliquot.emulator.kubelet.kubelet import Kubelet
from aliquot.emulator.kubelet.machine import Machine
from aliquot.emulator.kubelet.node_pods import NodePods
from aliquot.emulator.kubelet.runtimes import base
from aliquot.emulator.streaming.session import Execution, SessionRefused, Start
from aliquot.emulator.verbs.subresources import LogOptions, LogsUnavailable
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder
from aliquot.kube.kubeletapi.sockets import SocketError, Sockets
from aliquot.kube.retry import Backoff

REGISTERING_AT_ONCE = 8

_log = structlog.get_logger()


class Fleet:
    """`pods` is a cache of all pods with the index BY_NODE; its owner runs it, as it may serve others too.
    `client_of` gives the client of the kubelet of a node; `plugin_patience_s`, `tells_at_once` and
    `together_s` are each kubelet's."""

    def __init__(
        self,
        pods: Cache[Pod],
        *,
        client_of: Callable[[str], Client],
        clock: Clock,
        rng: random.Random,
        plugin_patience_s: float = 0.0,
        tells_at_once: bool = False,
        together_s: float = 0.0,
    ) -> None:
        self._pods = NodePods(pods)
        self._client_of = client_of
        self._clock = clock
        self._rng = rng
        self._plugin_patience_s = plugin_patience_s
        self._tells_at_once = tells_at_once
        self._together_s = together_s
        self._registering = asyncio.Semaphore(REGISTERING_AT_ONCE)
        self._kubelets: dict[str, Kubelet] = {}
        self._recorders: dict[str, Recorder] = {}
        self._tasks: dict[str, tuple[asyncio.Task[None], ...]] = {}
        self._running: asyncio.TaskGroup | None = None

    def add(
        self,
        machine: Machine,
        *,
        runtime: base.Runtime,
        plugin_sockets: Sockets,
        pod_resources_sockets: Sockets,
        state: CheckpointStore,
    ) -> Kubelet:
        """Starts at once when the fleet runs. Raises ValueError for a name that is taken."""
        if machine.name in self._kubelets:
            raise ValueError(f"node {machine.name} is in the fleet already")
        client = self._client_of(machine.name)
        recorder = self._recorders[machine.name] = Recorder(client, "kubelet")
        kubelet = self._kubelets[machine.name] = Kubelet(
            machine,
            client=client,
            clock=self._clock,
            # Of its own, so that what one node does never shifts the chances of another.
            rng=random.Random(self._rng.getrandbits(64)),
            runtime=runtime,
            plugin_sockets=plugin_sockets,
            pod_resources_sockets=pod_resources_sockets,
            state=state,
            pods=self._pods,
            recorder=recorder,
            registering=self._registering,
            plugin_patience_s=self._plugin_patience_s,
            tells_at_once=self._tells_at_once,
            together_s=self._together_s,
        )
        if self._running is not None:
            self._start(self._running, machine.name)
        return kubelet

    def remove(self, node: str) -> None:
        """The machine goes, and its kubelet with it, at whatever it is. Raises KeyError."""
        del self._kubelets[node], self._recorders[node]
        for task in self._tasks.pop(node, ()):
            task.cancel()

    def __getitem__(self, node: str) -> Kubelet:
        return self._kubelets[node]

    def __len__(self) -> int:
        return len(self._kubelets)

    async def run(self) -> None:
        """Until cancelled. A kubelet that fails is started again, by itself."""
        try:
            async with asyncio.TaskGroup() as self._running:
                for name in self._kubelets:
                    self._start(self._running, name)
        finally:
            self._running = None

    def _start(self, group: asyncio.TaskGroup, name: str) -> None:
        self._tasks[name] = (
            group.create_task(self._recorders[name].run(), name=f"events of kubelet {name}"),
            group.create_task(self._keep(self._kubelets[name]), name=f"kubelet {name}"),
        )

    async def _keep(self, kubelet: Kubelet) -> None:
        """Until the kubelet is stopped."""
        backoff = Backoff(self._rng)
        while True:
            try:
                await kubelet.run()
                return
            except SocketError as error:
                _log.error("kubelet cannot serve", node=kubelet.name, error=str(error))
            except Exception:
                _log.exception("kubelet failed", node=kubelet.name)
            await asyncio.sleep(backoff.delay_s())

    async def logs(self, pod: Mapping[str, Any], options: LogOptions) -> AsyncGenerator[bytes, None]:
        """What a container printed, from the node that `pod` (its object) is on. Raises LogsUnavailable."""
        try:
            kubelet, found = self._find(pod)
        except _Unknown as error:
            raise LogsUnavailable(str(error)) from error
        wanted = base.LogOptions(
            follow=options.follow,
            tail_lines=options.tail_lines,
            limit_bytes=options.limit_bytes,
            since=options.since,
            timestamps=options.timestamps,
        )
        try:
            chunks = kubelet.logs(found, options.container, wanted, previous=options.previous)
            async for chunk in chunks:
                yield chunk
        except base.LogsUnavailable as error:
            raise LogsUnavailable(str(error)) from error

    async def exec(self, pod: Mapping[str, Any], container: str, execution: Execution) -> Start:
        """Raises SessionRefused."""
        kubelet, found = self._find_to_join(pod)
        return kubelet.exec(found, container, execution)

    async def attach(self, pod: Mapping[str, Any], container: str, *, stdin: bool) -> Start:
        """Raises SessionRefused."""
        kubelet, found = self._find_to_join(pod)
        return kubelet.attach(found, container, stdin=stdin)

    def _find_to_join(self, pod: Mapping[str, Any]) -> tuple[Kubelet, Pod]:
        """Raises SessionRefused."""
        try:
            return self._find(pod)
        except _Unknown as error:
            raise SessionRefused(404, str(error)) from error

    def _find(self, pod: Mapping[str, Any]) -> tuple[Kubelet, Pod]:
        """Raises _Unknown."""
        metadata, node = pod["metadata"], pod["spec"].get("nodeName", "")
        found = self._pods.get(metadata.get("namespace", ""), metadata["name"])
        if node not in self._kubelets:
            raise _Unknown(f'node "{node}" is not emulated here')
        if found is None or found.metadata.uid != metadata["uid"]:
            raise _Unknown(f'kubelet on {node} does not know pod "{metadata["name"]}" yet')
        return self._kubelets[node], found


class _Unknown(Exception):
    """No kubelet here has that pod; the text says why."""
