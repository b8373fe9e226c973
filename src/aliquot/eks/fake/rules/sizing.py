"""What of a node group is changed without new nodes: size, labels, taints, how its nodes are replaced and mended."""

import re
from collections.abc import Mapping
from typing import Any

from aliquot.eks.fake.refusals import wrong
from aliquot.eks.fake.rules import finding, rolls
from aliquot.eks.fake.rules.updating import begin
from aliquot.eks.fake.world import World, at

MOST_TAINTS = 50
MOST_UNAVAILABLE = 100
RESERVED = ("kubernetes.io/", "k8s.io/", "eks.amazonaws.com/")
_LABEL = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


def update_config(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.active(world, call["clusterName"])
    group = finding.nodegroup(cluster, call["nodegroupName"])
    names = {"clusterName": cluster.name, "nodegroupName": call["nodegroupName"]}
    finding.idle_group(cluster, group, *finding.UPDATABLE)
    changes, params = changed(group.told, call, names)
    if not changes:
        raise wrong("Nothing is to be changed", **names)
    answer = begin(
        world,
        cluster,
        "UpdateNodegroupConfig",
        "ConfigUpdate",
        params,
        now_s,
        due_s=now_s + world.durations.update_config,
        of=f"nodegroup/{names['nodegroupName']}",
    )
    if not cluster.updates[answer["update"]["id"]].errors:
        group.told |= changes
        group.told["modifiedAt"] = at(now_s)
        rolls.change(world, group)
        rolls.scale(world, group, now_s)
    return answer


def changed(
    told: Mapping[str, Any], call: Mapping[str, Any], names: dict[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is new of a group, and the parameters that its update tells. Raises Refused."""
    changes: dict[str, Any] = {}
    params: dict[str, Any] = {}
    if "scalingConfig" in call:
        changes["scalingConfig"] = {**told["scalingConfig"], **call["scalingConfig"]}
        check_scaling(changes["scalingConfig"], names)
        params |= {f"{key[0].upper()}{key[1:]}": str(value) for key, value in call["scalingConfig"].items()}
    if "labels" in call:
        changes["labels"] = _labels(told["labels"], call["labels"], names)
        params |= _params(call["labels"], addOrUpdateLabels="LabelsToAdd", removeLabels="LabelsToRemove")
    if "taints" in call:
        changes["taints"] = _taints(told["taints"], call["taints"], names)
        params |= _params(call["taints"], addOrUpdateTaints="TaintsToAdd", removeTaints="TaintsToRemove")
    if "updateConfig" in call:
        changes["updateConfig"] = update_settings(told["updateConfig"], call["updateConfig"], names)
        params |= {f"{key[0].upper()}{key[1:]}": str(value) for key, value in call["updateConfig"].items()}
    if "nodeRepairConfig" in call:
        changes["nodeRepairConfig"] = {**told.get("nodeRepairConfig", {}), **call["nodeRepairConfig"]}
        params["NodeRepairConfig"] = call["nodeRepairConfig"]
    if "warmPoolConfig" in call:
        changes["warmPoolConfig"] = {**told.get("warmPoolConfig", {}), **call["warmPoolConfig"]}
        params["WarmPoolEnabled"] = changes["warmPoolConfig"].get("enabled", False)
    return changes, params


def _params(call: Mapping[str, Any], **names: str) -> dict[str, Any]:
    return {name: call[key] for key, name in names.items() if call.get(key)}


def check_scaling(scaling: Mapping[str, int], names: dict[str, str]) -> None:
    low, want, high = scaling["minSize"], scaling["desiredSize"], scaling["maxSize"]
    if low > high:
        raise wrong(f"Minimum capacity {low} can't be greater than maximum size {high}", **names)
    if want < low:
        raise wrong(f"Minimum capacity {low} can't be greater than desired size {want}", **names)
    if want > high:
        raise wrong(f"desired capacity {want} can't be greater than max size {high}", **names)


def update_settings(
    now: Mapping[str, Any], wanted: Mapping[str, Any], names: dict[str, str]
) -> dict[str, Any]:
    """At most so many unavailable, or so many in a hundred: the one that is set last."""
    if {"maxUnavailable", "maxUnavailablePercentage"} <= set(wanted):
        raise wrong("maxUnavailable and maxUnavailablePercentage exclude each other", **names)
    if wanted.get("maxUnavailable", 1) > MOST_UNAVAILABLE:
        raise wrong(f"maxUnavailable can be {MOST_UNAVAILABLE} at most", **names)
    kept = dict(now)
    if "maxUnavailable" in wanted or "maxUnavailablePercentage" in wanted:
        kept = {key: value for key, value in kept.items() if not key.startswith("maxUnavailable")}
    return {**kept, **wanted}


def check_labels(labels: Mapping[str, str], names: dict[str, str]) -> None:
    for key, value in labels.items():
        if not _LABEL.fullmatch(key) or not _VALUE.fullmatch(value):
            raise wrong(f"Label {key}={value} is not valid", **names)
        if key.startswith(RESERVED):
            raise wrong(f"Label cannot contain reserved prefixes [{', '.join(RESERVED)}]", **names)


def check_taints(taints: list[dict[str, str]], names: dict[str, str]) -> None:
    if len(taints) > MOST_TAINTS:
        raise wrong(f"A node group can have {MOST_TAINTS} taints at most", **names)
    for taint in taints:
        if not _LABEL.fullmatch(taint.get("key", "")) or not _VALUE.fullmatch(taint.get("value", "")):
            raise wrong(f"Taint {taint.get('key', '')}={taint.get('value', '')} is not valid", **names)
        if "effect" not in taint:
            raise wrong(f"Taint {taint['key']} needs an effect", **names)


def _labels(now: Mapping[str, str], change: Mapping[str, Any], names: dict[str, str]) -> dict[str, str]:
    more, less = change.get("addOrUpdateLabels", {}), set(change.get("removeLabels", ()))
    if both := sorted(less & set(more)):
        raise wrong(f"Labels {', '.join(both)} are to be added and removed at once", **names)
    check_labels(more, names)
    return {**{key: value for key, value in now.items() if key not in less}, **more}


def _taints(
    now: list[dict[str, str]], change: Mapping[str, Any], names: dict[str, str]
) -> list[dict[str, str]]:
    def key(taint: dict[str, str]) -> tuple[str, str]:
        return taint["key"], taint["effect"]

    more, less = change.get("addOrUpdateTaints", []), change.get("removeTaints", [])
    check_taints([*more, *less], names)
    if {key(one) for one in more} & {key(one) for one in less}:
        raise wrong("A taint is to be added and removed at once", **names)
    gone = {key(one) for one in less}
    taints = {key(one): one for one in now if key(one) not in gone} | {key(one): one for one in more}
    check_taints(list(taints.values()), names)
    return list(taints.values())
