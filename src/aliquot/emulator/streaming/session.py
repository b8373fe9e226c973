"""What the API server asks of a kubelet for a person, and what it gets."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeAlias


class SessionRefused(Exception):
    """The kubelet will not join anybody to the container: its HTTP status, and the text that the person reads."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class CannotExecute(Exception):
    """The command could not be started; the text says why."""


class Output(Enum):
    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class Execution:
    """`kubectl exec`: a command to be run in a container."""

    command: tuple[str, ...]
    stdin: bool = False
    tty: bool = False


class Session(Protocol):
    """Something that runs in a container, as one person sees it."""

    def output(self) -> AsyncGenerator[tuple[Output, bytes], None]:
        """All that it prints, until it will print no more. To be read once."""
        ...

    async def write(self, data: bytes) -> None:
        """To its standard input; waits until it can take more. What it does not take any more is lost."""
        ...

    def close_input(self) -> None: ...

    def resize(self, columns: int, rows: int) -> None:
        """Of its terminal, if it has one."""
        ...

    async def ended(self) -> int:
        """Its exit code. Of what was attached to, 0."""
        ...

    async def leave(self) -> None:
        """Called last, once: a command that was run for the person ends, if it has not."""
        ...


Start: TypeAlias = Callable[[], Awaitable[Session]]
"""Raises CannotExecute."""


class Kubelets(Protocol):
    """`pod` is the object as it is stored. Both raise SessionRefused."""

    async def exec(self, pod: Mapping[str, Any], container: str, execution: Execution) -> Start: ...

    async def attach(self, pod: Mapping[str, Any], container: str, *, stdin: bool) -> Start: ...
