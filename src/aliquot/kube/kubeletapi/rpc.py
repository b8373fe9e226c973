"""The shape of kubelet's gRPC services as the rest of Aliquot types them, whatever carries the calls.

The generated `*_pb2_grpc.py` modules carry no types; their hand-written `.pyi` files speak in these terms. Must not
know about sockets.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeVar

import grpc

RequestT = TypeVar("RequestT", contravariant=True)
ResponseT = TypeVar("ResponseT", covariant=True)


class Context(Protocol):
    """What a servicer may do besides answering. `grpc.aio.ServicerContext` is one."""

    async def abort(self, code: grpc.StatusCode, details: str = "") -> NoReturn:
        """Ends the call with an error; the peer sees `grpc.aio.AioRpcError` with this code and text."""
        ...


class UnaryCall(Protocol[RequestT, ResponseT]):
    """`await stub.Method(request, timeout=5)`. Raises grpc.aio.AioRpcError."""

    def __call__(self, request: RequestT, *, timeout: float | None = None) -> Awaitable[ResponseT]: ...


class Stream(Protocol[ResponseT]):
    """An open server stream. A lost server raises grpc.aio.AioRpcError from the iteration."""

    def __aiter__(self) -> AsyncIterator[ResponseT]: ...

    def cancel(self) -> bool:
        """Ends the stream from this side. Whoever still iterates gets asyncio.CancelledError."""
        ...


class StreamCall(Protocol[RequestT, ResponseT]):
    """`async for message in stub.Method(request): ...`"""

    def __call__(self, request: RequestT, *, timeout: float | None = None) -> Stream[ResponseT]: ...


class MethodHandler(Protocol):
    """The part of grpc.RpcMethodHandler that is read here; exactly one of the last two is set."""

    request_deserializer: Callable[[bytes], Any]
    response_serializer: Callable[[Any], bytes]
    unary_unary: Callable[[Any, Context], Awaitable[Any]] | None
    unary_stream: Callable[[Any, Context], AsyncIterator[Any]] | None


class ServerLike(Protocol):
    """What the generated `add_*_to_server` functions need of a server."""

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None: ...

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, MethodHandler]) -> None: ...


@dataclass(frozen=True, slots=True)
class Service:
    """A servicer object with the generated function that adds it to a server."""

    servicer: Any
    add_to_server: Callable[[Any, ServerLike], None]

    def methods(self) -> dict[str, dict[str, MethodHandler]]:
        """Service name -> method name -> handler."""
        collector = _Collector()
        self.add_to_server(self.servicer, collector)
        return collector.methods


class _Collector:
    def __init__(self) -> None:
        self.methods: dict[str, dict[str, MethodHandler]] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """The same methods again, in the form older servers want."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, MethodHandler]) -> None:
        self.methods[service] = dict(handlers)
