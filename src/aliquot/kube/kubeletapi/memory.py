"""gRPC calls inside one event loop: the generated stubs on one side, servicer objects on the other, no wire between.

Messages are serialised and parsed as on a wire, so that neither side can reach into the other's objects, and errors
are the `grpc.aio.AioRpcError` a real channel raises. A handler runs in a task of its own that the server owns.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Generator
from typing import Any, NoReturn

import grpc
import grpc.aio
import structlog

from aliquot.kube.kubeletapi.rpc import MethodHandler

_log = structlog.get_logger()

_STREAM_WINDOW = 16
"""Messages a stream holds for a slow reader before the sender has to wait."""


def _error(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=details, debug_error_string=details
    )


class _Aborted(Exception):
    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


class _Context:
    async def abort(self, code: grpc.StatusCode, details: str = "") -> NoReturn:
        raise _Aborted(code, details)


def _failure(path: str, error: Exception) -> grpc.aio.AioRpcError:
    """What the peer sees of an exception in a handler."""
    if isinstance(error, _Aborted):
        return _error(error.code, error.details)
    _log.error("handler failed", method=path, exc_info=error)
    return _error(grpc.StatusCode.UNKNOWN, f"Unexpected {type(error)}: {error}")


class MemoryServer:
    """The handlers behind one name, and the calls they are answering."""

    def __init__(self, name: str, methods: dict[str, MethodHandler], generation: int) -> None:
        self.name = name
        self.generation = generation
        self._methods = methods
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._streams: dict[MemoryStream, None] = {}

    def method(self, path: str) -> MethodHandler:
        handler = self._methods.get(path)
        if handler is None:
            raise _error(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        return handler

    def spawn(
        self, work: Coroutine[Any, Any, Any], stream: "MemoryStream | None" = None
    ) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        if stream is not None:
            self._streams[stream] = None
            task.add_done_callback(lambda _: self._streams.pop(stream, None))
        return task

    def cut(self) -> None:
        """Every open call ends as when the connection breaks."""
        for stream in tuple(self._streams):
            stream.end(_error(grpc.StatusCode.UNAVAILABLE, f"connection to {self.name} lost"))
        for task in tuple(self._tasks):
            task.cancel()

    async def stop(self) -> None:
        """Open streams end normally, unary calls in flight as on a broken connection."""
        for stream in tuple(self._streams):
            stream.end(None)
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class MemoryChannel:
    """What the generated stubs take for a channel. Finds its server anew at each call, as a channel reconnects."""

    def __init__(self, name: str, find: Callable[[], MemoryServer | None]) -> None:
        self._name = name
        self._find = find
        self._streams: list[MemoryStream] = []
        self._closed = False

    def unary_unary(
        self,
        path: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        _registered_method: bool = False,
    ) -> Callable[..., Awaitable[Any]]:
        def call(request: Any, *, timeout: float | None = None) -> Awaitable[Any]:
            return _UnaryCall(
                lambda: self._unary(path, request_serializer(request), response_deserializer, timeout)
            )

        return call

    def unary_stream(
        self,
        path: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        _registered_method: bool = False,
    ) -> Callable[..., "MemoryStream"]:
        def call(request: Any, *, timeout: float | None = None) -> MemoryStream:
            stream = MemoryStream(response_deserializer)
            try:
                server = self._server()
                handler = server.method(path)
            except grpc.aio.AioRpcError as error:
                stream.end(error)
                return stream
            stream.task = server.spawn(
                stream.serve(path, handler, request_serializer(request), timeout), stream
            )
            self._streams = [open_stream for open_stream in self._streams if not open_stream.ended]
            self._streams.append(stream)
            return stream

        return call

    async def close(self) -> None:
        self._closed = True
        for stream in self._streams:
            stream.cancel()

    def _server(self) -> MemoryServer:
        if self._closed:
            raise asyncio.InvalidStateError("Channel is closed.")
        server = self._find()
        if server is None:
            raise _error(grpc.StatusCode.UNAVAILABLE, f"{self._name}: no such socket")
        return server

    async def _unary(
        self, path: str, request: bytes, deserialize: Callable[[bytes], Any], timeout_s: float | None
    ) -> Any:
        server = self._server()
        handler = server.method(path)
        task = server.spawn(_answer(path, handler, request))
        try:
            await asyncio.wait((task,), timeout=timeout_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            task.cancel()
            raise _error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        if task.cancelled():
            raise _error(grpc.StatusCode.UNAVAILABLE, f"connection to {self._name} lost")
        answer = task.result()
        if isinstance(answer, grpc.aio.AioRpcError):
            raise answer
        return deserialize(answer)


class _UnaryCall:
    """Awaitable but no coroutine, like a grpc.aio call."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._start = start

    def __await__(self) -> Generator[Any, None, Any]:
        return self._start().__await__()


async def _answer(path: str, handler: MethodHandler, request: bytes) -> bytes | grpc.aio.AioRpcError:
    if handler.unary_unary is None:
        return _error(grpc.StatusCode.INTERNAL, f"{path} streams")
    try:
        return handler.response_serializer(
            await handler.unary_unary(handler.request_deserializer(request), _Context())
        )
    except Exception as error:
        return _failure(path, error)


class MemoryStream:
    """One open server stream, seen from both ends."""

    def __init__(self, deserialize: Callable[[bytes], Any]) -> None:
        self.task: asyncio.Task[None] | None = None
        self.ended = False
        self._error: grpc.aio.AioRpcError | None = None
        self._cancelled = False
        self._deserialize = deserialize
        self._messages: deque[bytes] = deque()
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()

    async def serve(self, path: str, handler: MethodHandler, request: bytes, timeout_s: float | None) -> None:
        """Runs in a task of the server until the handler or the peer ends the stream."""
        if handler.unary_stream is None:
            self.end(_error(grpc.StatusCode.INTERNAL, f"{path} does not stream"))
            return
        responses = handler.unary_stream(handler.request_deserializer(request), _Context())
        try:
            async with asyncio.timeout(timeout_s):
                async for response in responses:
                    self._messages.append(handler.response_serializer(response))
                    self._readable.set()
                    while len(self._messages) >= _STREAM_WINDOW:
                        self._writable.clear()
                        await self._writable.wait()
            self.end(None)
        except TimeoutError:
            self.end(_error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))
        except Exception as error:
            self.end(_failure(path, error))
        finally:
            if isinstance(responses, AsyncGenerator):
                await responses.aclose()

    def end(self, error: grpc.aio.AioRpcError | None) -> None:
        """No more messages; the first reason given counts."""
        if not self.ended:
            self.ended = True
            self._error = error
            self._readable.set()

    def cancel(self) -> bool:
        if self.ended:
            return False
        self._cancelled = True
        self.end(None)
        if self.task is not None:
            self.task.cancel()
        return True

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._read()

    async def _read(self) -> AsyncIterator[Any]:
        while True:
            while self._messages and not self._cancelled:
                message = self._messages.popleft()
                self._writable.set()
                yield self._deserialize(message)
            if self._cancelled:
                raise asyncio.CancelledError
            if self.ended:
                if self._error is not None:
                    raise self._error
                return
            self._readable.clear()
            try:
                await self._readable.wait()
            except asyncio.CancelledError:
                self.cancel()
                raise
