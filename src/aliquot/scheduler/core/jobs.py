"""Jobs: pods that belong together, and how many of them it takes before any of them is of use.

A job is a tree of groups. A leaf has pods, and says how many of them it needs at least; a group of groups says how many
of those. So `8 workers, of which 6 will do, and one launcher` is a root that needs both of its leaves, one of which
needs 6. What comes beyond the minimum are extras: placed later one by one, and given up first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from msgspec import Struct

from aliquot.scheduler.core.reasons import Reason
from aliquot.scheduler.core.topology import GPU_LEVELS


@dataclass(frozen=True, slots=True)
class TopologyWish:
    """Where the pods of a group should be together. Levels are node labels of the named Topology, coarse to fine, or those
    within a node."""

    topology: str
    """Empty: that which has the level."""
    required: str = ""
    """All pods in one domain of this level, or none is placed."""
    preferred: str = ""
    """In one domain of this level if there is room, else in one of a coarser level."""


@dataclass(frozen=True, slots=True)
class Group:
    name: str = ""
    """Unique within the job; pods name the leaf that they belong to."""
    minimum: int = 1
    """Of the pods of a leaf, else of `groups`."""
    groups: tuple["Group", ...] = ()
    topology: TopologyWish | None = None

    @property
    def wishes_gpus_together(self) -> bool:
        """Whether it, or a group in it, names a level within a node."""
        wish = self.topology
        if wish is not None and not GPU_LEVELS.keys().isdisjoint((wish.required, wish.preferred)):
            return True
        return any(group.wishes_gpus_together for group in self.groups)

    @property
    def leaves(self) -> Iterator["Group"]:
        if not self.groups:
            yield self
        for group in self.groups:
            yield from group.leaves


class JobSpec(Struct, frozen=True, gc=False):
    """What is known of a job beside its pods. Every pod that is one by itself has its own: so it is a Struct, made in a fraction of
    the time that a frozen dataclass takes."""

    key: str
    """Of a pod that is a job of its own, the pod's `namespace/name`; else `namespace/kind.group:name` of what makes it one."""
    root: Group | None = None
    """None: it is one pod, and never more."""
    queue: str = ""
    """Empty: the default queue."""
    user: str = ""
    """Whose it is within the queue, for their turns; jobs without one are one user's."""
    priority: int = 0
    preemptible: bool = True
    created_s: float = 0.0
    max_runtime_s: float | None = None
    """It is stopped after so long; with it others can be told when its room is free."""
    minimum_runtime_s: float | None = None
    """Not evicted before; None: as its queue says."""
    stale_after_s: float | None = 60.0
    """Evicted whole once it has been below its minimum for so long; None: never."""
    waits: Reason | None = None
    """What has to end before it begins."""
    refusal: Reason | None = None
    """Why it can never be placed, for a job that contradicts itself."""
    evicts: bool = True
    """Whether others may lose their places for it; else it waits until they end (preemptionPolicy `Never`)."""


def lacking(root: Group, placed: Mapping[str, int], waiting: Mapping[str, int]) -> dict[str, int] | None:
    """How many more pods of which leaf bring the job to its minimum; both maps count pods by leaf. Nothing where it is there.
    None where too few pods exist.

    Of several groups of which not all are needed, those go first that lack least.
    """
    if not root.groups:
        more = root.minimum - placed.get(root.name, 0)
        if more <= 0:
            return {}
        return {root.name: more} if waiting.get(root.name, 0) >= more else None
    found = [needs for group in root.groups if (needs := lacking(group, placed, waiting)) is not None]
    if len(found) < root.minimum:
        return None
    found.sort(key=lambda needs: sum(needs.values()))
    together: dict[str, int] = {}
    for needs in found[: root.minimum]:
        together |= needs
    return together


def extras(root: Group, placed: Mapping[str, int], waiting: Mapping[str, int]) -> list[dict[str, int]]:
    """What a job at its minimum could take besides, each a unit that is of use by itself: a pod, or a group's minimum."""
    lacks = lacking(root, placed, waiting)
    if lacks is None:
        return []
    if lacks:
        return [lacks]
    if not root.groups:
        return [{root.name: 1}] if waiting.get(root.name) else []
    return [unit for group in root.groups for unit in extras(group, placed, waiting)]


def least_pods(root: Group) -> int:
    """The least number of pods that the whole job needs."""
    if not root.groups:
        return root.minimum
    return sum(sorted(least_pods(group) for group in root.groups)[: root.minimum])


def surplus(root: Group, placed: Mapping[str, int]) -> dict[str, int]:
    """How many pods of which leaf can go with the job still at its minimum. Nothing where it is below."""
    spare: dict[str, int] = {}
    if _keep(root, placed, spare):
        return {leaf: count for leaf, count in spare.items() if count > 0}
    return {}


def _keep(group: Group, placed: Mapping[str, int], spare: dict[str, int]) -> bool:
    """Whether the group is at its minimum. What it can do without is added to `spare`; of one that is below, everything."""
    if not group.groups:
        have = placed.get(group.name, 0)
        enough = have >= group.minimum
        spare[group.name] = have - group.minimum if enough else have
        return enough
    kept = [part for part in group.groups if _keep(part, placed, spare)]
    # Those that need most pods are given up first.
    kept.sort(key=least_pods)
    for part in kept[group.minimum :]:
        for leaf in part.leaves:
            spare[leaf.name] = placed.get(leaf.name, 0)
    if len(kept) >= group.minimum:
        return True
    for leaf in group.leaves:
        spare[leaf.name] = placed.get(leaf.name, 0)
    return False
