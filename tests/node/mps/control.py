"""Daemons that exist in name alone, and the levers to trouble them."""

from collections.abc import Callable, Mapping

from aliquot.node.mps.control import QUIT, SERVERS, ControlError


class FakeControl:
    """In place of nvidia-cuda-mps-control."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        """By their pipe directories."""
        self.servers: dict[str, tuple[int, ...]] = {}
        """Pipe directory -> processes that serve clients there, as the GPU sees them."""
        self.ended: Callable[[], None] = lambda: None
        """Called when a daemon is told to end."""
        self.fault = ""
        """Why none can be started."""

    async def start(self, environment: Mapping[str, str]) -> None:
        if self.fault:
            raise ControlError(self.fault)
        self.running.add(environment["CUDA_MPS_PIPE_DIRECTORY"])

    async def ask(self, environment: Mapping[str, str], command: str) -> str:
        pipe = environment["CUDA_MPS_PIPE_DIRECTORY"]
        if pipe not in self.running:
            raise ControlError("Cannot find MPS control daemon process")
        if command == QUIT:
            self.running.discard(pipe)
            self.servers.pop(pipe, None)
            self.ended()
        return "\n".join(map(str, self.servers.get(pipe, ()))) if command == SERVERS else ""
