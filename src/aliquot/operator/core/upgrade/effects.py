"""What a step does to the cluster, as data: the shell carries it out, in the order given."""

from dataclasses import dataclass
from typing import TypeAlias

from aliquot.operator.core.upgrade.memory import Memory
from aliquot.operator.core.upgrade.states import State


@dataclass(frozen=True, slots=True)
class Cordon:
    pass


@dataclass(frozen=True, slots=True)
class Uncordon:
    """Unless somebody else has closed the node since."""


@dataclass(frozen=True, slots=True)
class UncordonIfOurs:
    """Nothing is remembered of the cordon: the API server knows who has set it."""


@dataclass(frozen=True, slots=True)
class AskCheckpoint:
    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evict:
    """Through the API's eviction, so that budgets are kept."""

    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PauseClients:
    """Operands that use the driver leave the node."""


@dataclass(frozen=True, slots=True)
class ResumeClients:
    pass


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Of the driver: its DaemonSet makes the next."""

    pod: str
    uid: str = ""


@dataclass(frozen=True, slots=True)
class ForgetRetry:
    """The annotation that asked for it has been heard."""


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """So has this one: it is for one upgrade."""


PodEffect: TypeAlias = AskCheckpoint | Evict | DeletePod
NodeEffect: TypeAlias = (
    Cordon | Uncordon | UncordonIfOurs | PauseClients | ResumeClients | ForgetRetry | ForgetRequest
)
Effect: TypeAlias = PodEffect | NodeEffect


@dataclass(frozen=True, slots=True)
class Step:
    """First the effects on pods; then, in one write of the node, those on it, the state, and what is remembered. Who dies in
    between does those on pods again, and of whose doing a cordon is can always be told."""

    state: State
    memory: Memory
    """`NOTHING`: nothing is."""
    effects: tuple[Effect, ...] = ()
    look_again_s: float | None = None
    """After so long, though nothing is heard; None: when something is."""
    waits_for: str = ""
    """For people: what the node waits for, or why it has failed."""
