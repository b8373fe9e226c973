"""What steps ask AWS for, where that is one call: the very one that the act makes."""

from collections.abc import Callable, Mapping
from typing import Any

from aliquot.eks.estate.estate import Estate, Nodegroup
from aliquot.eks.upgrade.acts import (
    addon,
    control_plane,
    group_config,
    group_copy,
    group_removal,
    group_roll,
    insights_refresh,
    support_policy,
)
from aliquot.eks.upgrade.acts.addon import AddonBuild
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.group_config import GroupConfig
from aliquot.eks.upgrade.acts.group_copy import GroupCopy
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.acts.insights_refresh import InsightsRefresh
from aliquot.eks.upgrade.acts.support_policy import SupportPolicy
from aliquot.eks.upgrade.acts.table import Act
from aliquot.eks.upgrade.verdicts import Call

CALLS: Mapping[type, Callable[[Any, str], Call]] = {
    ControlPlane: control_plane.call_of,
    AddonBuild: addon.call_of,
    GroupRoll: group_roll.call_of,
    GroupConfig: group_config.call_of,
    GroupRemoval: group_removal.call_of,
    InsightsRefresh: insights_refresh.call_of,
    SupportPolicy: support_policy.call_of,
}
"""Acts that are one call: what the runner will ask for is what is checked and shown. The others have none, or decide when they look."""
_TOKEN = "clientRequestToken"


def call_of(act: Act, token: str) -> Call | None:
    found = CALLS.get(type(act))
    return None if found is None else found(act, token)


def shown(act: Act, estate: Estate) -> Call | None:
    """As it stands in a plan: which token it has is the run's. Of a copy, as far as the estate tells of the other group."""
    call = call_of(act, "")
    if isinstance(act, GroupCopy):
        like = next((one for one in estate.nodegroups if one.name == act.of), None)
        call = None if like is None else group_copy.call_like(act, _told(like), "", "")
    if call is None:
        return None
    parameters = {name: value for name, value in call.parameters.items() if name != _TOKEN}
    return Call(call.service, call.operation, parameters)


_EFFECTS = {"NoSchedule": "NO_SCHEDULE", "NoExecute": "NO_EXECUTE", "PreferNoSchedule": "PREFER_NO_SCHEDULE"}


def _told(group: Nodegroup) -> dict[str, Any]:
    """As EKS tells of it."""
    share = group.most_unavailable_percentage
    template = {"id": group.template, "version": group.template_version}
    return {
        "scalingConfig": {"minSize": group.minimum, "maxSize": group.maximum, "desiredSize": group.desired},
        "subnets": group.subnets,
        "nodeRole": group.role_arn,
        "instanceTypes": list(group.instance_types),
        "capacityType": group.capacity,
        "diskSize": group.disk_gib,
        "amiType": group.ami_type,
        "updateConfig": {
            **({"maxUnavailablePercentage": share} if share else {"maxUnavailable": group.most_unavailable}),
            "updateStrategy": group.strategy,
        },
        "labels": group.labels,
        "taints": [_taint(one) for one in group.taints],
        **({"launchTemplate": template} if group.template else {}),
    }


def _taint(written: str) -> dict[str, str]:
    rest, _, effect = written.rpartition(":")
    key, _, value = rest.partition("=")
    return {"key": key, "effect": _EFFECTS[effect], **({"value": value} if value else {})}
