"""Keeps every plugin served and known to kubelet, whatever happens to either side.

Kubelet forgets all plugins when it restarts, and deletes their sockets. So the state is looked at, not the events:
a plugin is in order while its socket is there and kubelet watches it; anything else is mended, with back-off and a
reason to read.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import grpc.aio
import structlog

from aliquot.kube.kubeletapi.deviceplugin_pb2 import RegisterRequest
from aliquot.kube.kubeletapi.sockets import Listener, SocketError, Sockets
from aliquot.node.device_plugin import DevicePlugin, options

KUBELET = "kubelet.sock"
API_VERSION = "v1beta1"

_log = structlog.get_logger()

_POLL_S = 1.0
_REGISTER_TIMEOUT_S = 5.0
_STREAM_WAIT_S = 10.0
"""Kubelet opens its stream right after it has accepted a registration; one that has not by then never will."""
_FIRST_RETRY_S = 0.2
_LAST_RETRY_S = 30.0


@dataclass(slots=True)
class _Served:
    plugin: DevicePlugin
    listener: Listener | None = None
    own: object | None = None
    """Generation of its socket as we made it."""
    kubelet: object | None = None
    """Generation of the kubelet it is registered with."""
    stream_due: float = 0.0
    """Loop time by which kubelet must watch."""
    retry_at: float = 0.0
    failures: int = 0
    reason: str = "not registered with kubelet yet"


class Registrar:
    """One server and one registration for each resource name. `changed` is called when a reason changes."""

    def __init__(self, sockets: Sockets, rng: random.Random, changed: Callable[[], None]) -> None:
        self._sockets = sockets
        self._rng = rng
        self._changed = changed
        self._served: dict[str, _Served] = {}
        self._attention = asyncio.Event()

    def serve(self, plugins: Sequence[DevicePlugin]) -> None:
        """Take plugins on, for good: kubelet ignores names it does not know, so a name once given stays."""
        for plugin in plugins:
            if plugin.resource not in self._served:
                self._served[plugin.resource] = _Served(plugin)
                self._attention.set()

    def wake(self) -> None:
        """Something may need mending now."""
        self._attention.set()

    def reasons(self) -> Mapping[str, str]:
        """Resource name -> why kubelet does not know it; names in order are left out."""
        return {resource: served.reason for resource, served in sorted(self._served.items()) if served.reason}

    async def run(self) -> None:
        """Until cancelled; then every socket is closed and removed."""
        kubelet: object | None = None
        try:
            while True:
                self._attention.clear()
                if (seen := self._sockets.generation(KUBELET)) != kubelet:
                    kubelet = seen
                    self._forget_failures()
                await self._mend_all()
                try:
                    async with asyncio.timeout(self._pause_s()):
                        await self._attention.wait()
                except TimeoutError:
                    pass
        finally:
            await self._close()

    def _forget_failures(self) -> None:
        """Another kubelet deserves a fresh try."""
        for served in self._served.values():
            served.failures, served.retry_at = 0, 0.0

    async def _mend_all(self) -> None:
        now = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for _, served in sorted(self._served.items()):
                if not self._in_order(served) and now >= served.retry_at:
                    group.create_task(self._mend(served))

    def _pause_s(self) -> float:
        now = asyncio.get_running_loop().time()
        due = [served.retry_at - now for served in self._served.values() if served.retry_at > now]
        return min([_POLL_S, *due])

    def _in_order(self, served: _Served) -> bool:
        if served.own is None or self._sockets.generation(served.plugin.endpoint) != served.own:
            return False
        if served.kubelet is None or self._sockets.generation(KUBELET) != served.kubelet:
            return False
        if served.plugin.streams:
            self._say(served, "")
            served.failures = 0
            return True
        return asyncio.get_running_loop().time() < served.stream_due

    async def _mend(self, served: _Served) -> None:
        loop = asyncio.get_running_loop()
        try:
            await self._serve(served)
            await self._register(served)
        except (SocketError, _KubeletAbsent) as error:
            self._failed(served, str(error))
        except grpc.aio.AioRpcError as error:
            details = " ".join((error.details() or "").split())
            self._failed(served, f"kubelet refuses {served.plugin.resource}: {error.code().name}: {details}")
        else:
            served.stream_due = loop.time() + _STREAM_WAIT_S
            # Each registration makes kubelet drop its stream and begin anew: not again before this one had its time.
            served.retry_at = loop.time() + self._delay_s(served)
            served.failures += 1

    async def _serve(self, served: _Served) -> None:
        endpoint = served.plugin.endpoint
        if served.own is not None and self._sockets.generation(endpoint) == served.own:
            return
        if served.listener is not None:
            await served.listener.close()
            served.listener = None
        served.own = served.kubelet = None
        served.listener = await self._sockets.serve(endpoint, served.plugin.service())
        served.own = self._sockets.generation(endpoint)

    async def _register(self, served: _Served) -> None:
        generation = self._sockets.generation(KUBELET)
        if generation is None:
            raise _KubeletAbsent(
                f"{KUBELET} is absent: kubelet does not run, or its directory is another one"
            )
        served.kubelet = None
        connection = self._sockets.connect(KUBELET)
        try:
            await connection.registration.Register(
                RegisterRequest(
                    version=API_VERSION,
                    endpoint=served.plugin.endpoint,
                    resource_name=served.plugin.resource,
                    options=options(),
                ),
                timeout=_REGISTER_TIMEOUT_S,
            )
        finally:
            await connection.close()
        served.kubelet = generation
        _log.info("registered with kubelet", resource=served.plugin.resource)

    def _failed(self, served: _Served, reason: str) -> None:
        delay_s = self._delay_s(served)
        served.failures += 1
        served.retry_at = asyncio.get_running_loop().time() + delay_s
        if served.reason != reason:
            _log.warning("not registered", resource=served.plugin.resource, reason=reason)
        self._say(served, reason)

    def _delay_s(self, served: _Served) -> float:
        backoff: float = min(_LAST_RETRY_S, _FIRST_RETRY_S * 2 ** min(served.failures, 10))
        spread: float = self._rng.uniform(0.8, 1.2)
        return backoff * spread

    def _say(self, served: _Served, reason: str) -> None:
        if served.reason != reason:
            served.reason = reason
            self._changed()

    async def _close(self) -> None:
        for _, served in sorted(self._served.items()):
            if served.listener is not None:
                await served.listener.close()
                served.listener, served.own, served.kubelet = None, None, None


class _KubeletAbsent(Exception):
    pass
