"""What a simulated container may have inside: a program that works as long as the container runs.

Whoever puts a cluster together knows the programs; the runtime knows containers. A container that no program recognises
stays a span of time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from aliquot.emulator.kubelet.runtimes.base import ContainerConfig, ProbeRequest, ProbeResult

Say: TypeAlias = Callable[[str], None]
"""Prints a line into the container's log."""


@dataclass(frozen=True, slots=True)
class End:
    exit_code: int
    message: str = ""
    """What it leaves in its termination log."""


class Program(Protocol):
    """One run of one container."""

    async def run(self, say: Say) -> End:
        """Until its end. Cancelled, as by SIGTERM, it may clean up for its grace period; then it is cut off."""
        ...

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        """Whether it is well. It may wait for that: past the request's timeout it counts as not being."""
        ...

    def gone(self) -> None:
        """It has ended, however. Not called where the process ends that emulates the node: what it made there stays."""
        ...


class Programs(Protocol):
    """Of one node."""

    def of(self, config: ContainerConfig, *, resumed: bool) -> Program | None:
        """None: the container is no program's. `resumed`: it ran already when this process was started, and finds the node
        as it left it.

        Raises StartRefused where the node's runtime cannot run it, whosever it is.
        """
        ...

    def rebooted(self) -> None:
        """The machine has gone down with all of them."""
        ...
