"""Rules by which pods attract, avoid or spread out from other pods: what they say, over plain data.

A rule selects pods by namespace and labels, and speaks of domains: all nodes with one value of a label, the topology
key. A pod brings rules of its own, and is subject to those of pods that run already: their required anti-affinity
keeps it out, and what they prefer pulls it or pushes it away. How many pods are where is in `neighbours`, what
follows for a node in `domains`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from aliquot.scheduler.core.matching import Requirement, satisfies


@dataclass(frozen=True, slots=True)
class PodSelector:
    """`namespaces` None: all. `requirements` None: no pod at all; empty: every pod of these namespaces."""

    namespaces: frozenset[str] | None
    requirements: tuple[Requirement, ...] | None

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        return (
            self.requirements is not None
            and (self.namespaces is None or namespace in self.namespaces)
            and all(satisfies(labels, requirement) for requirement in self.requirements)
        )

    def __str__(self) -> str:
        if self.requirements is None:
            return "no pod"
        return ",".join(str(requirement) for requirement in self.requirements) or "any pod"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class PodTerm:
    """In one domain with pods of `selector`, or in none that has one: which of the two, the place says where it stands."""

    selector: PodSelector
    topology_key: str

    def __str__(self) -> str:
        return f"{self.selector} by {self.topology_key}"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Pull:
    """A preference for domains with pods of the term's selector; below zero, against them."""

    term: PodTerm
    weight: int


Carried: TypeAlias = PodTerm | Pull
"""A rule of a pod that concerns others: a term of its required anti-affinity, or a preference."""


@dataclass(frozen=True, slots=True)
class Spread:
    """No domain is to have more than `max_skew` pods of `selector` more than the one with the fewest.

    Only nodes that have the topology keys of all of the pod's constraints count, and, where it `honors` them, that
    the pod's node selector and affinity match, and whose taints it tolerates. With fewer domains than `min_domains`
    the fewest are none.
    """

    selector: PodSelector
    topology_key: str
    max_skew: int = 1
    min_domains: int = 1
    honors_affinity: bool = True
    honors_taints: bool = False
    selects_itself: bool = True

    def __str__(self) -> str:
        return f"{self.selector} by {self.topology_key}, maxSkew {self.max_skew}"


@dataclass(frozen=True, slots=True)
class Kin:
    """What rules of others see of a pod, and the rules that it brings for others.

    `repels`: its required anti-affinity. `pulls`: what it prefers, and with weight 1 what it requires: kube-scheduler
    lets the others come to it as well.
    """

    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    repels: tuple[PodTerm, ...] = ()
    pulls: tuple[Pull, ...] = ()

    @property
    def carried(self) -> tuple[Carried, ...]:
        return (*self.repels, *self.pulls)


NO_KIN = Kin()


@dataclass(frozen=True, slots=True)
class Rules:
    """All the rules that concern pods of one shape: their own, and those of others that select them."""

    affinity: tuple[PodTerm, ...] = ()
    """All of them hold by one set of pods: those that every term selects."""
    selects_itself: bool = False
    """Every term of `affinity` selects the pod: the first of its kind may go anywhere."""
    anti_affinity: tuple[PodTerm, ...] = ()
    pulls: tuple[Pull, ...] = ()
    spread: tuple[Spread, ...] = ()
    """That must hold."""
    soft_spread: tuple[Spread, ...] = ()
    """That had better hold."""
    kept_out_by: tuple[PodTerm, ...] = ()
    """Of others: their anti-affinity that selects the pod."""
    pulled_by: tuple[Pull, ...] = ()

    @property
    def may_open(self) -> bool:
        """Whether a pod that comes somewhere may open a node to pods of the shape."""
        return bool(self.affinity or self.spread)

    def __bool__(self) -> bool:
        return bool(
            self.affinity
            or self.anti_affinity
            or self.pulls
            or self.spread
            or self.soft_spread
            or self.kept_out_by
            or self.pulled_by
        )


NO_RULES = Rules()
