"""The estate as it is once an act is done: so one step is planned on what the steps before it leave behind."""

from collections.abc import Callable

from msgspec.structs import replace

from aliquot.eks.estate.estate import Estate, Nodegroup
from aliquot.eks.estate.objects import NodeInfo
from aliquot.eks.estate.places import POOL_LABEL
from aliquot.eks.upgrade.acts.addon import AddonBuild
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.group_config import GroupConfig
from aliquot.eks.upgrade.acts.group_copy import GroupCopy
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.acts.pool_roll import PoolRoll
from aliquot.eks.upgrade.acts.table import Act


def after(estate: Estate, act: Act) -> Estate:
    match act:
        case ControlPlane():
            return replace(estate, cluster=replace(estate.cluster, minor=act.to))
        case AddonBuild():
            addons = (replace(one, build=act.build) if one.name == act.name else one for one in estate.addons)
            return replace(estate, addons=tuple(addons))
        case GroupRoll():
            return _changed(estate, act.name, lambda one: _rolled(one, act))
        case PoolRoll():
            return _pool_rolled(estate, act)
        case GroupConfig():
            return _changed(estate, act.name, lambda one: _configured(one, act))
        case GroupCopy():
            copies = tuple(_copied(one, act) for one in estate.nodegroups if one.name == act.of)
            return replace(estate, nodegroups=(*estate.nodegroups, *copies))
        case GroupRemoval():
            left = (one for one in estate.nodegroups if one.name != act.name)
            return replace(estate, nodegroups=tuple(left))
    return estate


def _changed(estate: Estate, name: str, change: Callable[[Nodegroup], Nodegroup]) -> Estate:
    groups = (change(one) if one.name == name else one for one in estate.nodegroups)
    return replace(estate, nodegroups=tuple(groups))


def _rolled(group: Nodegroup, act: GroupRoll) -> Nodegroup:
    return replace(
        group,
        minor=act.minor,
        release=act.release or group.release,
        template_version=act.template.get("version", group.template_version),
    )


def _pool_rolled(estate: Estate, act: PoolRoll) -> Estate:
    if estate.objects is None:
        return estate
    nodes = (
        replace(node, status=replace(node.status, node_info=_raised(node.status.node_info, act)))
        if node.metadata.labels.get(POOL_LABEL) == act.name
        else node
        for node in estate.objects.nodes
    )
    return replace(estate, objects=replace(estate.objects, nodes=tuple(nodes)))


def _raised(info: NodeInfo, act: PoolRoll) -> NodeInfo:
    return replace(info, kubelet_version=f"v{act.minor}.0")


def _configured(group: Nodegroup, act: GroupConfig) -> Nodegroup:
    share = act.most_unavailable_percentage or 0
    return replace(
        group,
        strategy=str(act.strategy),
        most_unavailable_percentage=share,
        most_unavailable=act.most_unavailable or max(1, group.desired * share // 100),
    )


_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}


def _copied(group: Nodegroup, act: GroupCopy) -> Nodegroup:
    size = group.desired if act.size is None else act.size
    return replace(
        group,
        name=act.name,
        minor=act.minor,
        release=act.release or group.release,
        template_version=act.template.get("version", group.template_version),
        desired=size,
        minimum=size if act.canary else group.minimum,
        maximum=size if act.canary else group.maximum,
        labels={**group.labels, **act.labels},
        taints=(
            *group.taints,
            *(f"{one.key}={one.value}:{_EFFECTS[one.effect]}" for one in act.taints),
        ),
    )
