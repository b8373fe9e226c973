"""What a cluster has behind the service: nodes that come up, pods that leave or do not. An emulated cluster can be one."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A node of a node group, or of Fargate."""

    name: str
    instance_id: str
    cluster: str
    nodegroup: str
    zone: str
    instance_type: str
    ami_type: str
    minor: str
    release: str
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[tuple[str, str, str], ...] = ()
    """Key, value, effect as Kubernetes writes it."""
    profile: str = ""
    """The Fargate profile, in place of a node group."""
    pod: tuple[str, str] = ("", "")
    """Namespace and name of the one pod that a node of Fargate is for."""


@dataclass(frozen=True, kw_only=True)
class Pod:
    """One that Fargate may take, or has taken."""

    namespace: str
    name: str
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Requested:
    """A deprecated API that somebody asked a cluster for."""

    group: str
    version: str
    resource: str
    user_agent: str
    times: int
    last_s: float


class Fleet(Protocol):
    """Wishes are told and looked at again later: nothing here waits."""

    def control_plane(self, cluster: str, minor: str) -> None:
        """It is of this minor from now on."""
        ...

    def endpoint(self, cluster: str) -> tuple[str, str]:
        """Where its API server is, and its certificate authority (base64 of PEM)."""
        ...

    def serves(self, cluster: str) -> bool:
        """Its API server answers, and what every cluster has is there."""
        ...

    def delete(self, cluster: str) -> None:
        """Its control plane is gone, and its nodes are already."""
        ...

    def launch(self, machine: Machine) -> None: ...

    def change(self, machine: Machine) -> None:
        """It has these labels and taints from now on."""
        ...

    def terminate(self, machine: Machine) -> None: ...

    def ready(self, machine: Machine) -> bool: ...

    def cordon(self, machine: Machine) -> None: ...

    def uncordon(self, machine: Machine) -> None:
        """It takes pods again, and nobody empties it any more."""
        ...

    def drain(self, machine: Machine, *, force: bool) -> None:
        """Evict its pods, but those of DaemonSets; by force: delete them, whatever their budgets say."""
        ...

    def drained(self, machine: Machine) -> bool: ...

    def pods(self, cluster: str) -> tuple[Pod, ...]:
        """All that are on no node of a group: they wait, or have a node of Fargate."""
        ...

    def requested(self, cluster: str) -> tuple[Requested, ...]:
        """Within the last 30 days."""
        ...


class Imagined:
    """A fleet of nothing: nodes are ready and empty at once, where a test has not said otherwise."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self.cordoned: set[str] = set()
        self.minors: dict[str, str] = {}
        self.never_ready: set[str] = set()
        """Names of node groups."""
        self.never_drained: set[str] = set()
        """Names of machines."""
        self.asked: dict[str, tuple[Requested, ...]] = {}
        self.waiting: dict[str, tuple[Pod, ...]] = {}

    def control_plane(self, cluster: str, minor: str) -> None:
        self.minors[cluster] = minor

    def endpoint(self, cluster: str) -> tuple[str, str]:
        return f"https://{cluster}.fake-eks.invalid", "ZmFrZQ=="

    def serves(self, cluster: str) -> bool:
        return cluster in self.minors

    def delete(self, cluster: str) -> None:
        self.minors.pop(cluster, None)

    def launch(self, machine: Machine) -> None:
        self.machines[machine.name] = machine

    def change(self, machine: Machine) -> None:
        self.machines[machine.name] = machine

    def terminate(self, machine: Machine) -> None:
        self.machines.pop(machine.name, None)
        self.cordoned.discard(machine.name)

    def ready(self, machine: Machine) -> bool:
        return machine.nodegroup not in self.never_ready

    def cordon(self, machine: Machine) -> None:
        self.cordoned.add(machine.name)

    def uncordon(self, machine: Machine) -> None:
        self.cordoned.discard(machine.name)

    def drain(self, machine: Machine, *, force: bool) -> None:
        if force:
            self.never_drained.discard(machine.name)

    def drained(self, machine: Machine) -> bool:
        return machine.name not in self.never_drained

    def pods(self, cluster: str) -> tuple[Pod, ...]:
        return self.waiting.get(cluster, ())

    def requested(self, cluster: str) -> tuple[Requested, ...]:
        return self.asked.get(cluster, ())
