"""Names to gRPC servers: a directory of unix sockets, or the same in memory.

Kubelet and device plugins find each other by file names in shared directories. Both sides here see only `Sockets`,
so that the same code runs over real sockets (`SocketDirectory`) and, without file descriptors and threads, on a
virtual-time loop (`MemorySockets`). Must not know what is said over the sockets.
"""

import asyncio
import contextlib
import itertools
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio

from aliquot.kube.kubeletapi.deviceplugin_pb2_grpc import DevicePluginStub, RegistrationStub
from aliquot.kube.kubeletapi.memory import MemoryChannel, MemoryServer
from aliquot.kube.kubeletapi.podresources_pb2_grpc import PodResourcesListerStub
from aliquot.kube.kubeletapi.rpc import Context, MethodHandler, Service

__all__ = ["Connection", "Listener", "MemorySockets", "Service", "SocketDirectory", "SocketError", "Sockets"]

MAX_PATH_BYTES = 107
"""sockaddr_un.sun_path on Linux, less the closing zero."""

_STOP_GRACE_S = 1.0
_CLIENT_OPTIONS = (
    # A plugin that comes back must be reachable soon, and one channel's back-off must not delay another's.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
)


class SocketError(Exception):
    """A socket cannot be served; the text is one line and names the path."""


class Listener(Protocol):
    async def close(self) -> None:
        """Ends open streams, lets answers under way finish, then removes the socket. Idempotent."""
        ...


class Connection:
    """Stubs for every kubelet service over one connection; which of them answer depends on the server."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    # Made when asked for: a caller speaks one service, and a fleet opens thousands of connections.

    @cached_property
    def device_plugin(self) -> DevicePluginStub:
        return DevicePluginStub(self._channel)

    @cached_property
    def registration(self) -> RegistrationStub:
        return RegistrationStub(self._channel)

    @cached_property
    def pod_resources(self) -> PodResourcesListerStub:
        return PodResourcesListerStub(self._channel)

    async def close(self) -> None:
        await self._channel.close()


class Sockets(Protocol):
    async def serve(self, name: str, *services: Service) -> Listener:
        """Replaces a dead server's socket of that name. Raises SocketError."""
        ...

    def connect(self, name: str) -> Connection:
        """Never fails: an absent server shows as AioRpcError UNAVAILABLE when called."""
        ...

    def generation(self, name: str) -> object | None:
        """Changes when the socket is re-created; None when absent."""
        ...


_bound_names = itertools.count()


class SocketDirectory:
    """Unix sockets in the directory `path`, which must exist when a name is served."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._paths: dict[str, Path] = {}
        """By name, once found good: an agent at rest asks for generations, and does hardly anything else."""

    async def serve(self, name: str, *services: Service) -> Listener:
        path = self._socket_path(name)
        _remove_stale(path)
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        closing = asyncio.Event()
        for service in services:
            for service_name, methods in service.methods().items():
                handlers = {method: _ending(handler, closing) for method, handler in methods.items()}
                server.add_generic_rpc_handlers(
                    (grpc.method_handlers_generic_handler(service_name, handlers),)
                )
        # gRPC unlinks the path it bound, at some time after `stop` has returned: by then it may be another server's.
        # So it binds a name of its own, and what others see is a rename that is ours to remove.
        bound = self._path / f".{os.getpid():x}-{next(_bound_names):x}"
        try:
            server.add_insecure_port(f"unix:{bound}")
            await server.start()
            found = bound.stat()
            bound.rename(path)
        except (RuntimeError, OSError) as error:
            await server.stop(None)
            raise SocketError(f"{path}: cannot listen: {error}") from error
        return _GrpcListener(server, closing, path, found.st_ino)

    def connect(self, name: str) -> Connection:
        return Connection(
            grpc.aio.insecure_channel(f"unix:{self._socket_path(name)}", options=_CLIENT_OPTIONS)
        )

    def generation(self, name: str) -> object | None:
        try:
            found = self._socket_path(name).stat()
        except OSError:
            return None
        return found.st_ino, found.st_ctime_ns

    def _socket_path(self, name: str) -> Path:
        if (known := self._paths.get(name)) is not None:
            return known
        path = self._path / name
        if path.parent != self._path or name in (".", ".."):
            raise SocketError(f"{name!r} is no file name")
        if (length := len(os.fsencode(path))) > MAX_PATH_BYTES:
            raise SocketError(
                f"{path}: {length} bytes, but a unix socket's path has at most {MAX_PATH_BYTES}: "
                "use a directory with a shorter path"
            )
        self._paths[name] = path
        return path


def _remove_stale(path: Path) -> None:
    """What a killed process left behind. Only ever removes sockets."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise SocketError(f"{path.parent}: no such directory") from None
        return
    if not stat.S_ISSOCK(mode):
        raise SocketError(f"{path}: exists and is no socket")
    path.unlink(missing_ok=True)


class _GrpcListener:
    def __init__(self, server: grpc.aio.Server, closing: asyncio.Event, path: Path, inode: int) -> None:
        self._server = server
        self._closing = closing
        self._path = path
        self._inode = inode

    async def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        await self._server.stop(_STOP_GRACE_S)


def _ending(handler: MethodHandler, closing: asyncio.Event) -> Any:
    """The handler, its stream ended by `closing`: gRPC prints a traceback for streams it has to cut itself."""
    if handler.unary_stream is None:
        return handler
    return grpc.unary_stream_rpc_method_handler(  # type: ignore[call-overload, unused-ignore]
        _until(closing, handler.unary_stream),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


def _until(closing: asyncio.Event, stream: Callable[[Any, Context], AsyncIterator[Any]]) -> Any:
    async def respond(request: Any, context: Context) -> AsyncIterator[Any]:
        messages = stream(request, context)
        stopped = asyncio.ensure_future(closing.wait())
        following: asyncio.Future[Any] | None = None
        try:
            while True:
                following = asyncio.ensure_future(_next(messages))
                await asyncio.wait((stopped, following), return_when=asyncio.FIRST_COMPLETED)
                if stopped.done():
                    return
                try:
                    message = following.result()
                except StopAsyncIteration:
                    return
                yield message
        finally:
            stopped.cancel()
            if following is not None:
                following.cancel()
                await asyncio.wait((stopped, following))
            if isinstance(messages, AsyncGenerator):
                await messages.aclose()

    return respond


async def _next(messages: AsyncIterator[Any]) -> Any:
    return await anext(messages)


class MemorySockets:
    """Sockets without sockets: calls reach the servicer objects through the same messages and the same errors.

    Deterministic and free of threads, so it also runs on a VirtualTimeLoop. `drop` plays a lost socket.
    """

    def __init__(self) -> None:
        self._servers: dict[str, MemoryServer] = {}
        self._generations = 0

    async def serve(self, name: str, *services: Service) -> Listener:
        methods = {
            f"/{service_name}/{method}": handler
            for service in services
            for service_name, handlers in service.methods().items()
            for method, handler in handlers.items()
        }
        self._generations += 1
        self._servers[name] = server = MemoryServer(name, methods, self._generations)
        return _MemoryListener(self._servers, server)

    def connect(self, name: str) -> Connection:
        return Connection(MemoryChannel(name, lambda: self._servers.get(name)))

    def generation(self, name: str) -> object | None:
        server = self._servers.get(name)
        return None if server is None else server.generation

    def names(self) -> Collection[str]:
        """Of the servers there are, in no order that means anything."""
        return self._servers.keys()

    def drop(self, name: str) -> None:
        """The socket file is gone and its connections are cut, while the server believes that it still serves."""
        server = self._servers.pop(name, None)
        if server is not None:
            server.cut()


class _MemoryListener:
    def __init__(self, servers: dict[str, MemoryServer], server: MemoryServer) -> None:
        self._servers = servers
        self._server = server

    async def close(self) -> None:
        if self._servers.get(self._server.name) is self._server:
            del self._servers[self._server.name]
        await self._server.stop()
