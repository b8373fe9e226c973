"""What steps ask AWS for, where that is one call: the very one that the act makes."""

from collections.abc import Callable, Mapping
from typing import Any

from aliquot.eks.upgrade.acts import (
    addon,
    control_plane,
    group_config,
    group_roll,
    insights_refresh,
    support_policy,
)
from aliquot.eks.upgrade.acts.addon import AddonBuild
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.group_config import GroupConfig
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
    InsightsRefresh: insights_refresh.call_of,
    SupportPolicy: support_policy.call_of,
}
"""Acts that are one call: what the runner will ask for is what is checked and shown. The others have none, or decide when they look."""
_TOKEN = "clientRequestToken"


def call_of(act: Act, token: str) -> Call | None:
    found = CALLS.get(type(act))
    return None if found is None else found(act, token)


def shown(act: Act) -> Call | None:
    """As it stands in a plan: which token it has is the run's."""
    call = call_of(act, "")
    if call is None:
        return None
    parameters = {name: value for name, value in call.parameters.items() if name != _TOKEN}
    return Call(call.service, call.operation, parameters)
