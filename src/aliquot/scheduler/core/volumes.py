"""Where a pod's claims let it go: to nodes that its volumes can be reached from, or that volumes can be had on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from aliquot.scheduler.core.matching import NodeTerm, any_term_matches


@dataclass(frozen=True, slots=True)
class BoundClaim:
    claim: str
    places: tuple[tuple[NodeTerm, ...], ...] = ()
    """Of each a term must match the node: the volume's node affinity, and its zone."""

    def reached_from(self, node: str, labels: Mapping[str, str]) -> bool:
        return all(any_term_matches(terms, node, labels) for terms in self.places)


@dataclass(frozen=True, slots=True)
class OpenVolume:
    """That no claim has."""

    name: str
    places: tuple[NodeTerm, ...] | None = None
    """None: every node."""


@dataclass(frozen=True, slots=True)
class OpenClaim:
    """That gets its volume once its pod has a node."""

    claim: str
    available: tuple[OpenVolume, ...] = ()
    """Those that would do, the smallest first."""
    provisioned: bool = False
    """Whether one is made for it where there is none."""
    allowed: tuple[NodeTerm, ...] = ()
    """Where its class makes volumes; empty: everywhere."""
    node: str = ""
    """The node that it was told already."""


def bound(
    claims: Sequence[OpenClaim], node: str, labels: Mapping[str, str], taken: Collection[str] = ()
) -> Mapping[str, str] | str:
    """The volume of each claim if the pod goes to this node, empty where one is to be made there; or the first claim
    that gets none. `taken`: volumes spoken for."""
    found: dict[str, str] = {}
    for claim in claims:
        volume = None if claim.node else _smallest(claim, node, labels, {*taken, *found.values()})
        made = claim.provisioned and (not claim.allowed or any_term_matches(claim.allowed, node, labels))
        if volume is None and not (made and claim.node in ("", node)):
            return claim.claim
        found[claim.claim] = volume or ""
    return found


def _smallest(claim: OpenClaim, node: str, labels: Mapping[str, str], taken: Collection[str]) -> str | None:
    for volume in claim.available:
        if volume.name not in taken and (
            volume.places is None or any_term_matches(volume.places, node, labels)
        ):
            return volume.name
    return None
