"""All kinds of acts: the one place that has to know them."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from aliquot.eks.upgrade.acts import (
    addon,
    approval,
    backup,
    canary_node,
    cluster_counts,
    control_plane,
    control_plane_health,
    fargate,
    freeze,
    gang_resumption,
    gang_suspension,
    gpu_restore,
    group_config,
    group_copy,
    group_drain,
    group_health,
    group_removal,
    group_roll,
    insights_refresh,
    node_class,
    platform,
    pool_health,
    pool_roll,
    preflight,
    rights_check,
    rollback_readiness,
    smoke_job,
    soak,
    support_policy,
)
from aliquot.eks.upgrade.acts.addon import AddonBuild
from aliquot.eks.upgrade.acts.approval import Approval
from aliquot.eks.upgrade.acts.backup import Backup
from aliquot.eks.upgrade.acts.canary_node import CanaryNode
from aliquot.eks.upgrade.acts.cluster_counts import CountAfter, CountBefore
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.control_plane_health import ControlPlaneHealth
from aliquot.eks.upgrade.acts.fargate import FargateRestart
from aliquot.eks.upgrade.acts.freeze import Freeze, Unfreeze
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.gpu_restore import RestoreGpus, SaveGpus
from aliquot.eks.upgrade.acts.group_config import GroupConfig
from aliquot.eks.upgrade.acts.group_copy import GroupCopy
from aliquot.eks.upgrade.acts.group_drain import GroupDrain
from aliquot.eks.upgrade.acts.group_health import GroupHealth
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.acts.insights_refresh import InsightsRefresh
from aliquot.eks.upgrade.acts.node_class import NodeClassReady
from aliquot.eks.upgrade.acts.platform import PlatformHealth
from aliquot.eks.upgrade.acts.pool_health import PoolHealth
from aliquot.eks.upgrade.acts.pool_roll import PoolRoll
from aliquot.eks.upgrade.acts.preflight import Preflight
from aliquot.eks.upgrade.acts.rights_check import RightsCheck
from aliquot.eks.upgrade.acts.rollback_readiness import RollbackReadiness
from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
from aliquot.eks.upgrade.acts.soak import Soak
from aliquot.eks.upgrade.acts.support_policy import SupportPolicy
from aliquot.eks.upgrade.doing import Doing

Act: TypeAlias = (
    AddonBuild
    | Approval
    | Backup
    | CanaryNode
    | ControlPlane
    | ControlPlaneHealth
    | CountAfter
    | CountBefore
    | FargateRestart
    | Freeze
    | GroupConfig
    | GroupCopy
    | GroupDrain
    | GroupHealth
    | GroupRemoval
    | GroupRoll
    | InsightsRefresh
    | NodeClassReady
    | PlatformHealth
    | PoolHealth
    | PoolRoll
    | Preflight
    | RestoreGpus
    | ResumeGangs
    | RightsCheck
    | RollbackReadiness
    | SaveGpus
    | SmokeJob
    | Soak
    | SupportPolicy
    | SuspendGangs
    | Unfreeze
)

DOINGS: Mapping[type, Doing[Any, Any]] = {
    AddonBuild: addon.DOING,
    Approval: approval.DOING,
    Backup: backup.DOING,
    CanaryNode: canary_node.DOING,
    ControlPlane: control_plane.DOING,
    ControlPlaneHealth: control_plane_health.DOING,
    CountAfter: cluster_counts.AFTER,
    CountBefore: cluster_counts.BEFORE,
    FargateRestart: fargate.DOING,
    Freeze: freeze.FREEZE,
    GroupConfig: group_config.DOING,
    GroupCopy: group_copy.DOING,
    GroupDrain: group_drain.DOING,
    GroupHealth: group_health.DOING,
    GroupRemoval: group_removal.DOING,
    GroupRoll: group_roll.DOING,
    InsightsRefresh: insights_refresh.DOING,
    NodeClassReady: node_class.DOING,
    PlatformHealth: platform.DOING,
    PoolHealth: pool_health.DOING,
    PoolRoll: pool_roll.DOING,
    Preflight: preflight.DOING,
    RestoreGpus: gpu_restore.RESTORE,
    ResumeGangs: gang_resumption.RESUME,
    RightsCheck: rights_check.DOING,
    RollbackReadiness: rollback_readiness.DOING,
    SaveGpus: gpu_restore.SAVE,
    SmokeJob: smoke_job.DOING,
    Soak: soak.DOING,
    SupportPolicy: support_policy.DOING,
    SuspendGangs: gang_suspension.SUSPEND,
    Unfreeze: freeze.UNFREEZE,
}
