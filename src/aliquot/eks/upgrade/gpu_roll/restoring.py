"""A new node in the place of an old one: what is written to it, and what it still lacks. Pure."""

from collections.abc import Iterator
from typing import Any

from aliquot.counting import counted
from aliquot.eks.upgrade.gpu_roll.layouts import (
    CONFIG,
    ONE_MORE,
    SHARING,
    SavedGroup,
    SavedNode,
    SeenNode,
    matched,
    spec_gpus,
    usual,
)
from aliquot.eks.upgrade.gpu_roll.marks import RESTORED_FROM
from aliquot.eks.upgrade.verdicts import Verb, Write
from aliquot.eks.versions import drivers
from aliquot.eks.versions.minor import Minor
from aliquot.kube.api.agent_labels import MIG_STATE
from aliquot.kube.resources import GPUNODES, NODES

_SAYS_HOW = frozenset({CONFIG, SHARING})
"""Labels that a default may have been written to before us."""
_SUCCESS = "success"


def places(saved: SavedGroup, nodes: tuple[SeenNode, ...]) -> list[tuple[SeenNode, SavedNode]]:
    of_node = matched(saved, nodes)
    more = usual(saved)
    return [(node, of_node[node.name] or more) for node in nodes]


def writes(node: SeenNode, place: SavedNode) -> list[Write]:
    """What gives the node what its place had; empty: it has it."""
    found = []
    if node.name != place.name and node.annotations.get(RESTORED_FROM) != place.name:
        labels = {
            key: value
            for key, value in place.labels.items()
            if key not in node.labels or (key in _SAYS_HOW and node.labels[key] != value)
        }
        body: dict[str, Any] = {"metadata": {"labels": labels, "annotations": {RESTORED_FROM: place.name}}}
        there = {(taint["key"], taint["effect"]) for taint in node.taints}
        missing = [taint for taint in place.taints if (taint["key"], taint["effect"]) not in there]
        if missing:
            # A list is written whole: of the node that was seen, and no other.
            body["metadata"]["resourceVersion"] = node.version
            body["spec"] = {"taints": [*node.taints, *missing]}
        found.append(Write(verb=Verb.PATCH, resource=NODES, name=node.name, body=body))
    return found + _cut(node, place)


def _cut(node: SeenNode, place: SavedNode) -> list[Write]:
    spec: dict[str, Any] = {}
    gpus = spec_gpus(place, node)
    if place.layout and gpus is not None and any(one not in node.wanted for one in gpus):
        spec["gpus"] = gpus
    if place.partitioning and node.uuids and node.partitioning != place.partitioning:
        spec["partitioning"] = place.partitioning
    if not spec:
        return []
    return [Write(verb=Verb.PATCH, resource=GPUNODES, name=node.name, body={"spec": spec})]


def lacks(node: SeenNode, place: SavedNode, minor: Minor, driver: str) -> Iterator[str]:
    """One line each."""
    if not node.ready:
        yield f"node {node.name} is not ready"
    if not is_of(node.kubelet, minor):
        yield f"node {node.name}: its kubelet is {node.kubelet or 'unknown'}, not {minor}"
    if place.follows_label and node.labels.get(MIG_STATE) != _SUCCESS:
        yield f"node {node.name}: {CONFIG}={node.labels.get(CONFIG, '')} is {node.labels.get(MIG_STATE, 'not taken up')}"
    if place.layout and spec_gpus(place, node) is None:
        yield f"node {node.name}: its GPUNode does not have all of its GPUs yet"
    yield from lacks_resources(node, place)
    # Of a node on which nobody tells of its driver it was not known before, either.
    if driver and (node.driver or place.driver) and not _reaches(node.driver, driver):
        yield f"node {node.name}: its driver is {node.driver or 'unknown'}, and its release has one of {driver}"


def lacks_resources(node: SeenNode, place: SavedNode) -> Iterator[str]:
    if place.resources:
        for name in sorted({*place.resources, *node.resources}):
            was, is_ = place.resources.get(name, 0), node.resources.get(name, 0)
            if was != is_:
                yield f"node {node.name}: {is_} {name}, {_whose(place)} had {was}"
    if len(node.uuids) < place.gpus:
        yield f"node {node.name}: {counted(len(node.uuids), 'GPU', 'GPUs')}, {_whose(place)} had {place.gpus}"


def _whose(place: SavedNode) -> str:
    return "others of its group" if place.name == ONE_MORE else place.name


def without(node: SeenNode, startup_taint: str) -> Write | None:
    """Who is whole takes pods; None: nothing kept them away."""
    left = [taint for taint in node.taints if taint["key"] != startup_taint]
    if len(left) == len(node.taints):
        return None
    body = {"metadata": {"resourceVersion": node.version}, "spec": {"taints": left}}
    return Write(verb=Verb.PATCH, resource=NODES, name=node.name, body=body)


def is_of(version: str, minor: Minor) -> bool:
    try:
        return Minor.parse(version) == minor
    except ValueError:
        return False


def _reaches(driver: str, least: str) -> bool:
    try:
        return drivers.reaches(drivers.parse(driver), drivers.parse(least))
    except ValueError:
        return False
