"""One HTTP exchange, whoever carries it: sockets in production, a function call in tests and simulation.

A transport knows addresses, certificates and tokens. It knows nothing of Kubernetes, never retries, and never
waits longer for an answer to begin than the request says.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol


class TransportError(Exception):
    """No answer, or an answer cut short. `delivered` is False only when the server cannot have seen the request."""

    def __init__(self, message: str, *, delivered: bool = True) -> None:
        super().__init__(message)
        self.delivered = delivered


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    """Percent-encoded where it must be; without the query."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    timeout_s: float
    """The longest wait for the answer's status and headers. Reading the body is the caller's to limit."""


class Response(Protocol):
    """An answer whose body has not been read. Read it to its end or close it."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...

    async def read(self) -> bytes:
        """The whole body. Raises TransportError when it ends early."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, in pieces of any size. Raises TransportError when it is cut off."""
        ...

    async def close(self) -> None:
        """Drop the exchange; the server sees a disconnect if it is still sending. Safe to repeat."""
        ...


class Transport(Protocol):
    async def send(self, request: Request) -> Response:
        """Raises TransportError."""
        ...

    async def close(self) -> None: ...
