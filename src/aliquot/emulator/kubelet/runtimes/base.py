"""What kubelet asks of a container runtime, and nothing more.

A runtime outlives the kubelet that uses it, as containerd does: its containers go on while kubelet is down, and a
new kubelet finds them again. Must not know pods' specs, restart policies or the API.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aliquot.emulator.streaming.session import Execution, Start

EXIT_SIGTERM = 128 + 15
EXIT_SIGKILL = 128 + 9
EXIT_START_ERROR = 128
START_ERROR = "StartError"
"""Why a container has ended whose command could not be run."""
EXIT_UNKNOWN = 255
"""What a container is said to have ended with when nobody saw its end: the node went down."""


class StartRefused(Exception):
    """The container cannot even be made; kubelet shows `reason` and the text, and tries again later. `of_sandbox`: its pod
    cannot, and no container of it is to blame."""

    def __init__(self, reason: str, message: str, *, of_sandbox: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.of_sandbox = of_sandbox


class LogsUnavailable(Exception):
    """There is nothing to read; the text says why."""


@dataclass(frozen=True, slots=True)
class DeviceNode:
    host_path: str
    container_path: str
    permissions: str


@dataclass(frozen=True, slots=True)
class Mount:
    host_path: str
    container_path: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the device plugins' Allocate answers add to one container."""

    env: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[DeviceNode, ...] = ()
    mounts: tuple[Mount, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    cdi_devices: tuple[str, ...] = ()
    device_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By resource."""


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """One run of one container, everything expanded."""

    pod_uid: str
    pod_namespace: str
    pod_name: str
    name: str
    attempt: int
    """0 for the first run."""
    image: str
    must_end: bool = False
    """An init container: the others wait for its end."""
    runtime_handler: str = ""
    """As the pod's RuntimeClass says; empty: the runtime's own."""
    command: tuple[str, ...] = ()
    """Empty: the image's entrypoint."""
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    options: RunOptions = field(default_factory=RunOptions)
    annotations: Mapping[str, str] = field(default_factory=dict)
    """The pod's."""


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """One run of one container, as the runtime sees it. Times in Unix seconds."""

    id: str
    pod_uid: str
    name: str
    attempt: int
    boot_id: str
    """Of the boot in which it was started; another one means that its pod must be set up anew."""
    image: str
    started_at: float
    finished_at: float | None = None
    exit_code: int = 0
    reason: str = ""
    """`Completed`, `Error`, START_ERROR or `Unknown` once finished."""
    message: str = ""

    @property
    def running(self) -> bool:
        return self.finished_at is None


@dataclass(frozen=True, slots=True)
class LogOptions:
    follow: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: float | None = None
    """Unix seconds."""
    timestamps: bool = False


ATTACHED = LogOptions(follow=True, tail_lines=0)
"""What one sees who attaches to a container."""


@dataclass(frozen=True, slots=True)
class ExecCheck:
    """A command within the container; it succeeds with exit code 0."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HttpCheck:
    port: int
    host: str = ""
    """Here and below, empty: where the container is."""
    path: str = "/"
    scheme: str = "http"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TcpCheck:
    port: int
    host: str = ""


@dataclass(frozen=True, slots=True)
class GrpcCheck:
    """Of the protocol grpc.health.v1.Health."""

    port: int
    service: str = ""


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One run of one probe."""

    kind: str
    """`Startup`, `Liveness` or `Readiness`"""
    check: ExecCheck | HttpCheck | TcpCheck | GrpcCheck
    timeout_s: float
    annotations: Mapping[str, str] = field(default_factory=dict)
    """The pod's, as they are now."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    success: bool | None
    """None: it could not be made, which says nothing of the container."""
    text: str = ""
    """Why not."""


def end_reason(exit_code: int) -> str:
    return "Completed" if exit_code == 0 else "Error"


class Runtime(Protocol):
    name: str
    """Scheme of container ids: `simulated://...`"""
    boot_id: str
    """Changes with each `reboot`."""
    version: str
    """For nodeInfo."""
    mounts_volumes: bool
    """Whether a container finds its volumes where it looks for them."""

    async def run(self, on_exit: Callable[[str], None]) -> None:
        """Until cancelled: `on_exit` gets the pod uid of each container that ends. One caller at a time."""
        ...

    def containers(self, pod_uid: str) -> Sequence[ContainerRecord]:
        """All runs that are remembered, oldest first."""
        ...

    def pods(self) -> Sequence[str]:
        """Uids of the pods that have containers here."""
        ...

    async def start(self, config: ContainerConfig) -> ContainerRecord:
        """Raises StartRefused. A command that cannot be run is no refusal but a container that ended at once."""
        ...

    def stop(self, container_id: str, grace_s: float) -> None:
        """SIGTERM now, SIGKILL after the grace period. Asked again, the earlier kill counts. Ends in `on_exit`."""
        ...

    async def probe(self, container_id: str, request: ProbeRequest) -> ProbeResult:
        """Of a running container. Takes no longer than the request's timeout."""
        ...

    def remove(self, container_id: str) -> None:
        """Forgets an ended container and its logs."""
        ...

    def reboot(self) -> None:
        """The node goes down and comes up: whatever ran has ended, with EXIT_UNKNOWN."""
        ...

    def exec(self, container_id: str, execution: Execution) -> Start:
        """In a running container. Raises SessionRefused."""
        ...

    def attach(self, container_id: str, *, stdin: bool) -> Start:
        """To what a running container prints from now on. What is typed (`stdin`) does not reach it."""
        ...

    def logs(self, container_id: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Raises LogsUnavailable."""
        ...
