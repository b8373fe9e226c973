"""Keeps every plugin served and known to kubelet, whatever happens to either side.

Kubelet forgets all plugins when it restarts, and deletes their sockets. So the state is looked at, not the events:
a plugin is in order while its socket is there and kubelet watches it; anything else is mended, with back-off and a
reason to read.

Kubelet listens to whoever registered a name last, so two that insist would take it from each other for ever. Two
agents on one node serve the same socket names, and the first name's socket settles it: nobody takes a socket that
still answers, and whoever finds the first one answering stands back with all names. Against a plugin with sockets of
its own there is only patience: a name that keeps being taken away is registered ever more rarely.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import grpc
import grpc.aio
import structlog

from aliquot.kube.kubeletapi.deviceplugin_pb2 import Empty, RegisterRequest
from aliquot.kube.kubeletapi.sockets import Listener, SocketError, Sockets
from aliquot.node.device_plugin import DevicePlugin, options

KUBELET = "kubelet.sock"
API_VERSION = "v1beta1"

_log = structlog.get_logger()

_POLL_S = 1.0
_REGISTER_TIMEOUT_S = 5.0
_PROBE_TIMEOUT_S = 2.0
_STREAM_WAIT_S = 10.0
"""Kubelet opens its stream right after it has accepted a registration; one that has not by then never will."""
_FIRST_RETRY_S = 0.2
_LAST_RETRY_S = 30.0
_STEADY_S = 60.0
"""Watched for this long, a plugin is in order for good. More than the longest back-off, or a rival would go unnoticed."""
_PATIENCE_S = 1.0
"""Kubelet and agent start in any order: what is mended within this time is not worth a warning."""

_LOST = (
    "kubelet does not keep it: if another device plugin registers the same resource, "
    "let only one of them run on this node"
)


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
    watched_since: float | None = None
    """Loop time; None: kubelet has not watched since the last registration."""
    retry_at: float = 0.0
    tries: int = 0
    """Since it was last in order for good."""
    rival: bool | None = None
    """Whether another process answers on its socket; None: not looked yet."""
    reason: str = "not registered with kubelet yet"
    wrong_since: float | None = None
    warned_of: str = ""


class Registrar:
    """One server and one registration for each resource name. `changed` is called when a reason changes."""

    def __init__(self, sockets: Sockets, rng: random.Random, changed: Callable[[], None]) -> None:
        self._sockets = sockets
        self._rng = rng
        self._changed = changed
        self._served: dict[str, _Served] = {}
        self._attention = asyncio.Event()
        self._announced = False

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

    @property
    def is_alone(self) -> bool:
        """Whether it is known that no other agent serves this node."""
        return next((served.rival is False for served in self._served.values()), False)

    async def run(self) -> None:
        """Until cancelled; then every socket is closed and removed."""
        kubelet: object | None = None
        try:
            while True:
                self._attention.clear()
                if (seen := self._sockets.generation(KUBELET)) != kubelet:
                    kubelet = seen
                    self._forget_tries()
                await self._mend_all()
                self._tell()
                try:
                    async with asyncio.timeout(self._pause_s()):
                        await self._attention.wait()
                except TimeoutError:
                    pass
        finally:
            await self._close()

    def _forget_tries(self) -> None:
        """Another kubelet deserves a fresh try."""
        for served in self._served.values():
            served.tries, served.retry_at = 0, 0.0

    async def _mend_all(self) -> None:
        if not self._served:
            return
        first, *others = self._served.values()
        if self._needs_mending(first):
            await self._mend(first)
        if first.rival:
            for served in others:
                await self._withdraw(served)
                self._say(served, first.reason)
            return
        async with asyncio.TaskGroup() as group:
            for served in others:
                if self._needs_mending(served):
                    group.create_task(self._mend(served))

    def _pause_s(self) -> float:
        now = asyncio.get_running_loop().time()
        due = [served.retry_at - now for served in self._served.values() if served.retry_at > now]
        return min([_POLL_S, *due])

    def _needs_mending(self, served: _Served) -> bool:
        if self._in_order(served):
            return False
        if served.tries > 1 and self._is_registered(served):
            self._say(served, _LOST)
        rival_left = served.rival and self._sockets.generation(served.plugin.endpoint) is None
        return rival_left or asyncio.get_running_loop().time() >= served.retry_at

    def _in_order(self, served: _Served) -> bool:
        if not self._is_registered(served):
            return False
        now = asyncio.get_running_loop().time()
        if not served.plugin.streams:
            return served.watched_since is None and now < served.stream_due
        if served.watched_since is None:
            served.watched_since = now
        if now - served.watched_since >= _STEADY_S:
            served.tries, served.warned_of = 0, ""
        self._say(served, "")
        return True

    def _is_registered(self, served: _Served) -> bool:
        """On our side: kubelet may have let go of it all the same."""
        if served.own is None or self._sockets.generation(served.plugin.endpoint) != served.own:
            return False
        return served.kubelet is not None and self._sockets.generation(KUBELET) == served.kubelet

    async def _mend(self, served: _Served) -> None:
        loop = asyncio.get_running_loop()
        try:
            await self._serve(served)
            await self._register(served)
        except (SocketError, _Rival, _KubeletAbsent) as error:
            self._failed(served, str(error))
        except grpc.aio.AioRpcError as error:
            details = " ".join((error.details() or "").split())
            self._failed(served, f"kubelet refuses it: {error.code().name}: {details}")
        else:
            served.stream_due = loop.time() + _STREAM_WAIT_S
            # Each registration makes kubelet drop its stream and begin anew: not again before this one had its time.
            served.retry_at = loop.time() + self._delay_s(served)
            served.tries += 1

    async def _serve(self, served: _Served) -> None:
        endpoint = served.plugin.endpoint
        found = self._sockets.generation(endpoint)
        if served.own is not None and found == served.own:
            return
        await self._withdraw(served)
        served.rival = found is not None and await self._answers(endpoint)
        if served.rival:
            raise _Rival(f"another process serves {endpoint}: let only one agent run on this node")
        served.listener = await self._sockets.serve(endpoint, served.plugin.service())
        served.own = self._sockets.generation(endpoint)

    async def _answers(self, endpoint: str) -> bool:
        """Whether somebody serves the socket; else a killed process left it behind, or hangs."""
        connection = self._sockets.connect(endpoint)
        try:
            await connection.device_plugin.GetDevicePluginOptions(Empty(), timeout=_PROBE_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        finally:
            await connection.close()
        return True

    async def _withdraw(self, served: _Served) -> None:
        listener, served.listener = served.listener, None
        served.own = served.kubelet = served.watched_since = None
        if listener is not None:
            await listener.close()

    async def _register(self, served: _Served) -> None:
        generation = self._sockets.generation(KUBELET)
        if generation is None:
            raise _KubeletAbsent(
                f"{KUBELET} is absent: kubelet does not run, or its directory is another one"
            )
        served.kubelet = served.watched_since = None
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
        _log.debug("registered", resource=served.plugin.resource)

    def _failed(self, served: _Served, reason: str) -> None:
        served.retry_at = asyncio.get_running_loop().time() + self._delay_s(served)
        served.tries += 1
        if served.reason != reason:
            _log.debug("not registered", resource=served.plugin.resource, reason=reason)
        self._say(served, reason)

    def _delay_s(self, served: _Served) -> float:
        backoff: float = min(_LAST_RETRY_S, _FIRST_RETRY_S * 2 ** min(served.tries, 10))
        spread: float = self._rng.uniform(0.8, 1.2)
        return backoff * spread

    def _say(self, served: _Served, reason: str) -> None:
        if served.reason != reason:
            served.reason = reason
            self._changed()

    def _tell(self) -> None:
        """One line for all names with one reason, and one when all is well again."""
        now = asyncio.get_running_loop().time()
        to_warn: dict[str, list[str]] = {}
        for resource, served in self._served.items():
            if not served.reason:
                served.wrong_since = None
            elif served.wrong_since is None:
                served.wrong_since = now
            elif now - served.wrong_since >= _PATIENCE_S and served.reason != served.warned_of:
                served.warned_of = served.reason
                to_warn.setdefault(served.reason, []).append(resource)
        for reason, resources in to_warn.items():
            more = f" and {len(resources) - 1} more" if len(resources) > 1 else ""
            _log.warning("not known to kubelet", resources=resources[0] + more, reason=reason)
            self._announced = False
        if self._served and not self._announced and not self.reasons():
            _log.info("known to kubelet", resources=len(self._served))
            self._announced = True

    async def _close(self) -> None:
        for _, served in sorted(self._served.items()):
            await self._withdraw(served)


class _KubeletAbsent(Exception):
    pass


class _Rival(Exception):
    pass
