"""The node software of one emulated node: what is loaded, what is set up, who uses it. A node begins without any."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.clock import Clock
from aliquot.emulator.kubelet.machine import Machine
from aliquot.emulator.kubelet.runtimes.base import ContainerConfig
from aliquot.emulator.kubelet.runtimes.programs import Program
from aliquot.gpu.loadable_driver import LoadableDriver
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.kube.client import Client
from aliquot.node.plugin_config.file import Flags

DRIVER_FAILS = "aliquot.dev/driver-fails"
"""An annotation of the Node: what the driver says when it ends instead of being loaded."""
PREINSTALLED = "aliquot.dev/preinstalled-driver"
"""A label of the machine: the version of the driver that its own image brought, with the toolkit."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The cluster, as programs on a node reach it."""

    clock: Clock
    annotations: Callable[[str], Mapping[str, str]]
    """Of a Node, as it is now."""
    agent: Callable[[str, Flags, str], Coroutine[Any, Any, None]]
    """Runs the node's agent: node, what its command line says, and its ConfigMap."""
    client: Callable[[str, str], Client]
    """Of an account of the installation, on a node."""
    runs_operator: bool = False
    """Whether an operator is there that is no pod."""


class NodeSoftware:
    """`Programs` of one node. `driver_s`: how long it takes to load a driver.

    `join` before anything runs.
    """

    def __init__(self, machine: Machine, hardware: SimulatedDriver, *, driver_s: float = 2.0) -> None:
        self.machine = machine
        self.driver_s = driver_s
        self.loadable = LoadableDriver(hardware)
        self.loaded_as = ""
        """The digest that the loaded driver's container was given; of the file in /run/nvidia."""
        self.driver_runs: object | None = None
        """The container that keeps the driver."""
        self.toolkit: object | None = None
        """The container that made the container runtime know GPUs; it unmakes it when it ends."""
        self.clients: dict[object, str] = {}
        """Containers of node software that hold the driver open, as `namespace/pod`."""
        self.device_holders: Callable[[], Sequence[str]] = tuple
        """Of everybody else's containers."""
        self.surroundings: Surroundings | None = None
        self._preinstalled = machine.labels.get(PREINSTALLED, "")
        self._begin()

    @property
    def name(self) -> str:
        return self.machine.name

    def of(self, config: ContainerConfig, *, resumed: bool) -> Program | None:
        from aliquot.cli.programs.recognise import program

        return program(self, config, resumed=resumed)

    def rebooted(self) -> None:
        self.clients.clear()
        self._begin()

    def _begin(self) -> None:
        self.loadable.version = self._preinstalled
        self.loaded_as = ""
        self.driver_runs = None
        self.toolkit = self._preinstalled or None

    def users(self) -> Sequence[str]:
        """Who keeps the driver from being unloaded."""
        return sorted({*self.clients.values(), *self.device_holders()})

    def unload(self) -> str:
        """Why the driver cannot be unloaded; empty: it is."""
        if self._preinstalled:
            return f"driver {self._preinstalled} is of the node's own image: say driver.preinstalled in its GPUPolicy"
        if self.loadable.version and (users := self.users()):
            return f"module nvidia is in use by {', '.join(users[:3])}" + (
                f" and {len(users) - 3} more" if len(users) > 3 else ""
            )
        self.loadable.unload()
        return ""

    def has_loaded(self, digest: str) -> bool:
        """The very driver that a container with this digest would load."""
        return bool(self.loadable.version and digest) and digest == self.loaded_as

    @property
    def is_followed(self) -> bool:
        """An operator is there already: a pod with another one would write against it."""
        return self.surroundings is not None and self.surroundings.runs_operator

    def driver_failure(self) -> str:
        assert self.surroundings is not None
        return self.surroundings.annotations(self.name).get(DRIVER_FAILS, "")
