"""Who runs on which node group or NodePool, as far as that decides how groups are rolled: gangs, and what else would move."""

from collections.abc import Mapping
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from aliquot.eks.estate import gangs, karpenter, places
from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.gangs import Gang
from aliquot.eks.estate.objects import Objects
from aliquot.eks.estate.places import is_fargate
from aliquot.kube.resources import NODES, PODS

T = TypeVar("T")


class Placement(Struct, frozen=True, kw_only=True):
    known: bool
    """No: no API server was asked, or it did not tell."""
    sets: tuple[tuple[str, ...], ...]
    """Every node group and NodePool (`estate.places`); those that gangs tie together in one set."""
    pods: dict[str, int] = {}
    """That move when nodes are replaced, by place."""
    alone: dict[str, int] = {}
    """Of these, pods that are of no gang."""
    gangs: dict[str, tuple[str, ...]] = {}
    """By place."""
    several: frozenset[str] = frozenset()
    """Places where a gang of several pods runs: one of a single pod loses what it has done, and no other's."""
    stuck: dict[str, tuple[Gang, ...]] = {}
    """By place, gangs that cannot just be suspended."""
    only_gangs: frozenset[str] = frozenset()
    """Places where something runs, and all of it in gangs: once these are suspended nobody is there any more."""

    def renamed(self, names: Mapping[str, str]) -> "Placement":
        """`names`: by node group that is gone, the one in its place."""
        if not names:
            return self
        return replace(
            self,
            sets=tuple(tuple(names.get(one, one) for one in together) for together in self.sets),
            pods=_by(names, self.pods),
            alone=_by(names, self.alone),
            gangs=_by(names, self.gangs),
            stuck=_by(names, self.stuck),
            only_gangs=frozenset(names.get(one, one) for one in self.only_gangs),
        )


def _by(names: Mapping[str, str], found: Mapping[str, T]) -> dict[str, T]:
    return {names.get(group, group): one for group, one in found.items()}


def has_fargate(estate: Estate) -> bool:
    """As far as the API server was asked."""
    return estate.objects is not None and any(
        is_fargate(node.metadata.labels) for node in estate.objects.nodes
    )


def placement(estate: Estate) -> Placement:
    pools = karpenter.pools(estate.objects) if estate.objects is not None else ()
    names = (*(one.name for one in estate.nodegroups), *(places.pool(one.name) for one in pools))
    if estate.objects is None or {NODES.kind, PODS.kind}.intersection(estate.objects.unread):
        return Placement(known=False, sets=tuple((name,) for name in names))
    of_node = _placed(estate.objects, names)
    found = gangs.of_objects(estate.objects)
    held = {(pod.metadata.namespace, pod.metadata.name) for gang in found for pod in gang.pods}
    pods: dict[str, int] = {}
    alone: dict[str, int] = {}
    for pod in estate.objects.pods:
        where = of_node.get(pod.spec.node_name)
        if where is not None and gangs.counts(pod):
            pods[where] = pods.get(where, 0) + 1
            if (pod.metadata.namespace, pod.metadata.name) not in held:
                alone[where] = alone.get(where, 0) + 1
    by_place: dict[str, list[str]] = {}
    stuck: dict[str, tuple[Gang, ...]] = {}
    for gang in found:
        for where in gang.places(of_node):
            by_place.setdefault(where, []).append(str(gang))
            if gang.why:
                stuck[where] = (*stuck.get(where, ()), gang)
    return Placement(
        known=True,
        sets=tuple(tuple(one) for one in gangs.sets_tied(found, of_node, names)),
        pods=pods,
        alone=alone,
        gangs={where: tuple(sorted(told)) for where, told in by_place.items()},
        several=frozenset(where for gang in found if len(gang.pods) > 1 for where in gang.places(of_node)),
        stuck=stuck,
        only_gangs=frozenset(by_place) - alone.keys(),
    )


def _placed(objects: Objects, names: tuple[str, ...]) -> dict[str, str]:
    found = ((node.metadata.name, places.place(node.metadata.labels)) for node in objects.nodes)
    return {node: where for node, where in found if where in names}
