"""All kinds of acts: the one place that has to know them."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from aliquot.eks.upgrade.acts import addon, control_plane, group_config, group_roll
from aliquot.eks.upgrade.acts.addon import AddonBuild
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.group_config import GroupConfig
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.doing import Doing

Act: TypeAlias = ControlPlane | AddonBuild | GroupRoll | GroupConfig

DOINGS: Mapping[type, Doing[Any, Any]] = {
    ControlPlane: control_plane.DOING,
    AddonBuild: addon.DOING,
    GroupRoll: group_roll.DOING,
    GroupConfig: group_config.DOING,
}
