"""One node, as its upgrade sees it."""

from dataclasses import dataclass
from enum import Enum, auto

from aliquot.operator.core.upgrade.memory import Memory
from aliquot.operator.core.upgrade.states import State


@dataclass(frozen=True, slots=True)
class DriverPod:
    key: str
    revision: str
    ready: bool
    restarts: int = 0
    is_going: bool = False
    message: str = ""
    """What keeps it from being ready, where something is known of it."""
    uid: str = ""
    is_blocked: bool = False
    """It cannot unload the last driver."""


@dataclass(frozen=True, slots=True)
class GPUPod:
    """A pod that holds GPUs, and is none of the node software."""

    key: str
    gang: str = ""
    """What it belongs to, where it is of use only together with pods of other nodes."""
    is_waited_for: bool = False
    """Its end is waited for, as the policy selects."""
    comes_back: bool = True
    """Somebody makes it anew once it is gone."""
    has_empty_dir: bool = False
    is_going: bool = False
    can_checkpoint: bool = False
    """It has said that it saves what it has done when it is asked."""
    checkpoint_asked_s: float | None = None
    last_checkpoint_s: float | None = None
    refusal: str = ""
    """Why its eviction was refused last."""


class Validation(Enum):
    WAITING = auto()
    PASSED = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class UpgradeNode:
    name: str
    wanted_revision: str
    state: State | None = State.NONE
    """None: its label says something that is no state."""
    memory: Memory | None = None
    """None: nothing is known of an upgrade."""
    driver: DriverPod | None = None
    gpu_pods: tuple[GPUPod, ...] = ()
    other_pods: tuple[GPUPod, ...] = ()
    """Those that a drain of the whole node would evict as well."""
    clients_running: bool = False
    """Operands that use the driver: they have to go before it can be unloaded."""
    validation: Validation = Validation.WAITING
    validated_s: float = 0.0
    """As of when `validation` is known."""
    validation_message: str = ""
    is_cordoned: bool = False
    is_ready: bool = True
    is_skipped: bool = False
    is_requested: bool = False
    is_retried: bool = False
    is_garbled: bool = False
    """What is remembered of it cannot be read: somebody has edited it."""
    misfit: str = ""
    """Why the wanted driver cannot run there: the kernel, or the GPUs."""
    refused: str = ""
    """Why the pod of the wanted driver cannot be made."""

    @property
    def is_outdated(self) -> bool:
        """Another driver than the wanted one is loaded, and in use."""
        if self.driver is None:
            return False
        return self.driver.revision != self.wanted_revision or self.is_blocked

    @property
    def is_blocked(self) -> bool:
        """Somebody else than the upgrade put the pod of the wanted driver there, and those who use the last one are in its way."""
        in_use = self.clients_running or bool(self.gpu_pods)
        return in_use and self.driver is not None and self.driver.is_blocked and not self.driver.is_going
