"""The cluster as planners see it: GPUs in MIG mode with their slices, the pods that hold these, the pods that wait.

An immutable snapshot. `basis` hashes what a plan stands on, so that it is refused when that has changed meanwhile.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from aliquot.partition.board_states import BoardStates

NODE_NAME = "metadata.name"
"""Stands for the node's name among the keys of requirements."""


class Operator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GREATER = "Gt"
    LESS = "Lt"


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def met_by(self, value: str | None) -> bool:
        """By what the node has under the key; None: nothing."""
        if self.operator is Operator.EXISTS:
            return value is not None
        if self.operator is Operator.DOES_NOT_EXIST:
            return value is None
        if self.operator in (Operator.GREATER, Operator.LESS):
            try:
                has, bound = int(value or ""), int(self.values[0])
            except (ValueError, IndexError):
                return False
            return has > bound if self.operator is Operator.GREATER else has < bound
        return (value in self.values) is (self.operator is Operator.IN)


@dataclass(frozen=True, slots=True)
class Where:
    """The nodes that a pod may be on: any of the terms, each of them in full. No term: all nodes."""

    terms: tuple[tuple[Requirement, ...], ...] = ()

    @property
    def keys(self) -> set[str]:
        return {requirement.key for term in self.terms for requirement in term}

    def allows(self, labels: Mapping[str, str]) -> bool:
        return not self.terms or any(
            all(requirement.met_by(labels.get(requirement.key)) for requirement in term)
            for term in self.terms
        )


ANYWHERE = Where()


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    closed: str = ""
    """Why nothing new goes there; empty: it may."""

    def has(self) -> dict[str, str]:
        """Its labels, with its name among them."""
        return {**self.labels, NODE_NAME: self.name}


@dataclass(frozen=True, slots=True)
class Instance:
    """A GPU instance, by the memory slots that it takes."""

    profile: str
    start: int
    size: int
    pods: tuple[str, ...] = ()
    """Those that hold it; empty: nobody does."""

    @property
    def mask(self) -> int:
        return ((1 << self.size) - 1) << self.start


@dataclass(frozen=True, slots=True)
class PlannedGpu:
    """A GPU in MIG mode."""

    uuid: str
    node: str
    board: str
    states: BoardStates
    """Of the board's ordinary profiles; one for all GPUs of a board."""
    instances: tuple[Instance, ...] = ()
    closed: str = ""
    """Why nothing new goes there, as that it is unhealthy; empty: it may."""


@dataclass(frozen=True, slots=True)
class RunningPod:
    key: str
    """`namespace/name`"""
    priority: int = 0
    started_s: float | None = None
    """None: not known to have started."""
    where: Where = ANYWHERE
    budget: str = ""
    """The PodDisruptionBudget that it is under."""
    do_not_disrupt: bool = False
    fixed: str = ""
    """Why it could not be moved even without limits, as that nothing would start it again; empty: it could."""


@dataclass(frozen=True, slots=True)
class PendingPod:
    """One that waits for slices: all of them, on one node."""

    key: str
    needs: tuple[tuple[str, int], ...]
    """(profile, count), by profile."""
    priority: int = 0
    where: Where = ANYWHERE
    required: bool = False
    """A plan without it is none."""


@dataclass(frozen=True)
class Cluster:
    nodes: tuple[Node, ...]
    gpus: tuple[PlannedGpu, ...]
    running: Mapping[str, RunningPod]
    pending: tuple[PendingPod, ...]
    """The oldest first."""
    budgets: Mapping[str, int] = field(default_factory=dict)
    """PodDisruptionBudget -> how many of its pods may be disrupted now."""

    @cached_property
    def node(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def gpus_of(self) -> Mapping[str, tuple[PlannedGpu, ...]]:
        found: dict[str, list[PlannedGpu]] = {}
        for gpu in self.gpus:
            found.setdefault(gpu.node, []).append(gpu)
        return {node: tuple(gpus) for node, gpus in found.items()}

    def basis(self, nodes: Collection[str]) -> dict[str, str]:
        """Node -> hash of its GPUs, their slices and who holds them. A node that is not there has none."""
        return {name: _hash(self.gpus_of.get(name, ())) for name in sorted(nodes) if name in self.node}

    @property
    def state_hash(self) -> str:
        """Of all nodes."""
        parts = self.basis(self.node).items()
        return hashlib.sha256(repr(sorted(parts)).encode()).hexdigest()[:16]


def _hash(gpus: Iterable[PlannedGpu]) -> str:
    told = sorted(
        (gpu.uuid, gpu.board, gpu.closed, sorted((i.start, i.profile, i.size, i.pods) for i in gpu.instances))
        for gpu in gpus
    )
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]
