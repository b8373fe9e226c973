"""Who runs on which node group, as far as that decides how groups are rolled: gangs, and what else would move."""

from msgspec import Struct

from aliquot.eks.estate import gangs
from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.gangs import Gang
from aliquot.eks.estate.objects import Objects
from aliquot.eks.estate.places import GROUP_LABEL, is_fargate
from aliquot.kube.resources import NODES, PODS


class Placement(Struct, frozen=True, kw_only=True):
    known: bool
    """No: no API server was asked, or it did not tell."""
    sets: tuple[tuple[str, ...], ...]
    """Every node group; those that gangs tie together in one set."""
    pods: dict[str, int] = {}
    """That move when the group's nodes are replaced, by group."""
    alone: dict[str, int] = {}
    """Of these, pods that are of no gang."""
    gangs: dict[str, tuple[str, ...]] = {}
    """By group."""
    stuck: dict[str, tuple[Gang, ...]] = {}
    """By group, gangs that cannot just be suspended."""
    only_gangs: frozenset[str] = frozenset()
    """Groups where something runs, and all of it in gangs: once these are suspended nobody is there any more."""


def has_fargate(estate: Estate) -> bool:
    """As far as the API server was asked."""
    return estate.objects is not None and any(
        is_fargate(node.metadata.labels) for node in estate.objects.nodes
    )


def placement(estate: Estate) -> Placement:
    names = tuple(one.name for one in estate.nodegroups)
    if estate.objects is None or {NODES.kind, PODS.kind}.intersection(estate.objects.unread):
        return Placement(known=False, sets=tuple((name,) for name in names))
    of_node = _groups(estate.objects, names)
    found = gangs.of_objects(estate.objects)
    held = {(pod.metadata.namespace, pod.metadata.name) for gang in found for pod in gang.pods}
    pods: dict[str, int] = {}
    alone: dict[str, int] = {}
    for pod in estate.objects.pods:
        group = of_node.get(pod.spec.node_name)
        if group is not None and gangs.counts(pod):
            pods[group] = pods.get(group, 0) + 1
            if (pod.metadata.namespace, pod.metadata.name) not in held:
                alone[group] = alone.get(group, 0) + 1
    by_group: dict[str, list[str]] = {}
    stuck: dict[str, tuple[Gang, ...]] = {}
    for gang in found:
        for group in gang.places(of_node):
            by_group.setdefault(group, []).append(str(gang))
            if gang.why:
                stuck[group] = (*stuck.get(group, ()), gang)
    return Placement(
        known=True,
        sets=tuple(tuple(one) for one in gangs.sets_tied(found, of_node, names)),
        pods=pods,
        alone=alone,
        gangs={group: tuple(sorted(told)) for group, told in by_group.items()},
        stuck=stuck,
        only_gangs=frozenset(by_group) - alone.keys(),
    )


def _groups(objects: Objects, names: tuple[str, ...]) -> dict[str, str]:
    labelled = ((node.metadata.name, node.metadata.labels.get(GROUP_LABEL, "")) for node in objects.nodes)
    return {node: group for node, group in labelled if group in names}
