"""How the GPUs of groups are cut, and what else was given to single nodes: kept before their nodes go, and given to those that come."""

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from aliquot.counting import counted
from aliquot.eks.estate.places import GROUP_LABEL
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.gpu_roll import restoring
from aliquot.eks.upgrade.gpu_roll.layouts import SavedGroup, SeenNode, matched, save, seen_node
from aliquot.eks.upgrade.verdicts import Done, Hold, Keep, Verdict, Wait, Write, Writes
from aliquot.eks.versions.minor import Minor
from aliquot.kube.client import Client
from aliquot.kube.errors import NotFound
from aliquot.kube.resources import GPUNODES, NODES

POLL_S = 10.0
STARTUP_TAINT = "aliquot.dev/startup"
"""Given by a launch template or a node group, it keeps pods away from a new node until it has all that the old one had."""
_NAMED = 5
_GIVEN = "gpus-given"


class SaveGpus(Struct, frozen=True, kw_only=True, tag="save-gpus"):
    cluster: str
    groups: tuple[str, ...]


class RestoreGpus(Struct, frozen=True, kw_only=True, tag="restore-gpus"):
    groups: tuple[str, ...]
    minor: Minor
    drivers: dict[str, str] = {}
    """By group, the branch of the driver that its new release has, as far as that is known."""
    instead: dict[str, str] = {}
    """By group, another one whose nodes take the places of its own."""
    limit_s: float = 1800.0
    """For GPUs to be cut and offered."""


class Given(Struct, frozen=True, kw_only=True):
    """By a node group to all of its nodes."""

    group: str
    labels: dict[str, str] = {}
    taints: tuple[tuple[str, str], ...] = ()
    """Key and effect."""


class Seen(Struct, frozen=True, kw_only=True):
    nodes: dict[str, tuple[SeenNode, ...]]
    """By group."""
    given: tuple[Given, ...] = ()


_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}


async def look_to_save(act: SaveGpus, doors: Doors) -> Seen:
    given = []
    for name in act.groups:
        told = await doors.api.call("eks", "DescribeNodegroup", clusterName=act.cluster, nodegroupName=name)
        group = told["nodegroup"]
        taints = tuple((one["key"], _EFFECTS[one["effect"]]) for one in group.get("taints", ()))
        given.append(Given(group=name, labels=group.get("labels", {}), taints=taints))
    return Seen(nodes=await nodes_of(doors.kube, act.groups), given=tuple(given))


async def look_to_restore(act: RestoreGpus, doors: Doors) -> Seen:
    of_group = {group: act.instead.get(group, group) for group in act.groups}
    found = await nodes_of(doors.kube, tuple(of_group.values()))
    return Seen(nodes={group: found[other] for group, other in of_group.items()})


async def nodes_of(kube: Client, groups: tuple[str, ...]) -> dict[str, tuple[SeenNode, ...]]:
    try:
        listed = (await kube.list(GPUNODES)).items
    except NotFound:
        # No Aliquot here.
        listed = []
    gpu_nodes = {one["metadata"]["name"]: one for one in listed}
    found: dict[str, list[SeenNode]] = {group: [] for group in groups}
    for node in (await kube.list(NODES)).items:
        group = (node["metadata"].get("labels") or {}).get(GROUP_LABEL, "")
        if group in found and "deletionTimestamp" not in node["metadata"]:
            found[group].append(seen_node(node, gpu_nodes.get(node["metadata"]["name"])))
    return {group: tuple(nodes) for group, nodes in found.items()}


def judged_to_save(act: SaveGpus, seen: Seen, attempt: Attempt) -> Verdict:
    counts = []
    for given in seen.given:
        name = f"{attempt.step}/gpus/{given.group}"
        nodes = seen.nodes[given.group]
        if name not in attempt.kept:
            return Keep(name, msgspec.to_builtins(_saved(given, nodes, attempt)))
        counts.append(f"{given.group} ({counted(len(nodes), 'node', 'nodes')})")
    return Done(f"kept what nodes of {', '.join(counts)} were given")


def _saved(given: Given, nodes: tuple[SeenNode, ...], attempt: Attempt) -> SavedGroup:
    """A run that was turned before new nodes had all that is theirs: what these have now is less than what they are to have."""
    due = saved_of(given.group, attempt)
    if due is not None and due.saved_s in _given(given.group, attempt):
        due = None
    place_of = {} if due is None else matched(due, nodes)
    found = []
    for node in nodes:
        place = place_of.get(node.name)
        if place is None or place.name == node.name:
            found.append(save(node, given.labels, given.taints))
        else:
            found.append(replace(place, name=node.name, zone=node.zone))
    return SavedGroup(group=given.group, saved_s=attempt.now_s, nodes=tuple(found))


def _given(group: str, attempt: Attempt) -> list[float]:
    """When what has been given to new nodes was saved."""
    return [value for name, value in attempt.kept.items() if name.endswith(f"/{_GIVEN}/{group}")]


def judged_to_restore(act: RestoreGpus, seen: Seen, attempt: Attempt) -> Verdict:
    to_write: list[Write] = []
    lacking: list[str] = []
    for group in act.groups:
        saved = saved_of(group, attempt)
        if saved is None:
            return Hold(
                f"what nodes of {group} were given is not in the journal",
                f"give it to the new nodes yourself, end the run (aliquot eks abort {attempt.run} --leave), and plan the rest anew",
            )
        nodes = seen.nodes[group]
        if len(nodes) < len(saved.nodes):
            lacking.append(
                f"node group {group}: {len(nodes)} of {counted(len(saved.nodes), 'node is', 'nodes are')} there"
            )
        for node, place in restoring.places(saved, nodes):
            to_write += restoring.writes(node, place)
            lack = list(restoring.lacks(node, place, act.minor, act.drivers.get(group, "")))
            lacking += lack
            taint = restoring.without(node, STARTUP_TAINT)
            # One write to a node at a time: it is looked at again in between.
            if not lack and taint is not None and not any(one.name == node.name for one in to_write):
                to_write.append(taint)
    if to_write:
        return Writes(tuple(to_write))
    if not lacking:
        for group in act.groups:
            name, saved = f"{attempt.step}/{_GIVEN}/{group}", saved_of(group, attempt)
            if name not in attempt.kept and saved is not None:
                return Keep(name, saved.saved_s)
        return Done(f"nodes of {', '.join(act.groups)} have what those before them had")
    if attempt.now_s - attempt.began_s < act.limit_s:
        return Wait(POLL_S, lacking[0])
    more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
    return Hold(
        f"after {act.limit_s:.0f} s: {'; '.join(lacking[:_NAMED])}{more}",
        "look at the device plugin, the MIG manager or Aliquot's agent on that node (their pods, and `kubectl describe node`); then retry",
    )


def saved_of(group: str, attempt: Attempt) -> SavedGroup | None:
    """The newest: of the hop that goes on."""
    found: list[Any] = [value for name, value in attempt.kept.items() if name.endswith(f"/gpus/{group}")]
    groups = [msgspec.convert(one, SavedGroup) for one in found]
    return max(groups, key=lambda one: one.saved_s, default=None)


SAVE = Doing(look=look_to_save, judge=judged_to_save)
RESTORE = Doing(look=look_to_restore, judge=judged_to_restore)
