"""Steps in words and commands, for whoever reads a plan or goes through it by hand."""

import json
import shlex
from collections.abc import Mapping
from typing import Any, assert_never

from botocore import xform_name

from aliquot.eks.estate import places
from aliquot.eks.plan.plan import Plan
from aliquot.eks.plan.times import duration
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
from aliquot.eks.upgrade.acts.gpu_restore import STARTUP_TAINT, RestoreGpus, SaveGpus
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
from aliquot.eks.upgrade.states import Abort
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.upgrade.verdicts import Call

_OTHER_NAMES = {
    ("UpdateClusterVersion", "version"): "--kubernetes-version",
    ("UpdateNodegroupVersion", "version"): "--kubernetes-version",
    ("CreateNodegroup", "version"): "--kubernetes-version",
}
"""Options that the AWS CLI does not call as the API does: --version is its own."""
STOPS = {
    Abort.FREE: "stop at any time: this hop has changed nothing",
    Abort.UNDO: "stop, and put back what was changed so far: the control plane is as it was",
    Abort.ROLLBACK: "hold and go on, or roll back",
}


def command(plan: Plan, step: Step) -> str:
    """What does the step by hand; empty: nothing that is one command."""
    return "" if step.call is None else aws_command(step.call, plan.region)


def aws_command(call: Call, region: str) -> str:
    parts = ["aws", call.service, xform_name(call.operation, "-")]
    for name, value in call.parameters.items():
        option = _OTHER_NAMES.get((call.operation, name), f"--{xform_name(name, '-')}")
        if isinstance(value, bool):
            parts.append(option if value else option.replace("--", "--no-", 1))
        else:
            parts += [option, shlex.quote(_value(value))]
    return " ".join([*parts, *(["--region", region] if region else [])])


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def by_hand(plan: Plan, step: Step) -> str:
    """Where there is no single command: what to do. Empty: the command does it."""
    name = plan.cluster
    match step.act:
        case Preflight():
            return f"`aliquot eks preflight {name} --to {step.act.to}` has to end with exit code 0"
        case RightsCheck():
            return "`kubectl auth can-i` for what its steps write, `aws iam simulate-principal-policy` for what they call"
        case Approval():
            return "whoever answers for the cluster says yes to this very plan"
        case Backup():
            return "export what etcd holds (Velero, AWS Backup), and what `aws eks describe-cluster`, `describe-nodegroup` and `describe-addon` say"
        case CountBefore():
            return "`kubectl get nodes,deployments,statefulsets,daemonsets,pods -A` into a file"
        case CountAfter():
            return "the same once more, and compare: no fewer nodes, GPUs and ready replicas"
        case Freeze():
            return "suspend Argo CD and Flux, set NodePool budgets to 0 nodes, keep the cluster autoscaler from scaling down, switch off the GPU operator's own upgrades"
        case NodeClassReady():
            return f"`kubectl get ec2nodeclasses -o yaml` (status.amis) shows AMIs of {step.act.minor}"
        case PoolRoll():
            many = "all at once" if step.act.at_once else "as many at a time as its budgets let drift"
            return f"`kubectl delete nodeclaim` of each that is behind of NodePool {step.act.name}, {many}: Karpenter empties and ends them"
        case PoolHealth():
            return f"`kubectl get nodes -l karpenter.sh/nodepool={step.act.name}`: all Ready, with their GPUs, and no pod is Pending that was not before"
        case SuspendGangs():
            return f"cordon the nodes of {places.told(step.act.places)}; for each job on them ask for a checkpoint, wait for it, then suspend the job as a whole"
        case ResumeGangs():
            return "resume each of these jobs, once its nodes are there"
        case SaveGpus():
            return "write down the labels, taints and `nvidia-smi mig -lgi` of each of these nodes"
        case RestoreGpus():
            return "label new nodes as the old ones were, wait for `nvidia.com/mig.config.state=success`, compare `kubectl get nodes -o yaml` (allocatable)"
        case GroupDrain():
            return f"`kubectl drain -l eks.amazonaws.com/nodegroup={step.act.group} --ignore-daemonsets --delete-emptydir-data`, once jobs that nobody can suspend have ended there; no --force, no --disable-eviction"
        case GroupHealth():
            return f"`kubectl get nodes -l eks.amazonaws.com/nodegroup={step.act.group}`: as many as before, Ready; `kubectl get pods -A --field-selector status.phase=Pending`: none more than before"
        case CanaryNode():
            return f"cordon the node of {step.act.name}, take the taint {STARTUP_TAINT} off, label it as nodes of {step.act.of} are, and compare `kubectl get nodes -o yaml` (allocatable) and `nvidia-smi`"
        case SmokeJob() if step.act.goes:
            return f"`kubectl delete` what there is of the Job {step.act.namespace}/{step.act.name}"
        case SmokeJob():
            return f"`kubectl create` the Job {step.act.namespace}/{step.act.name}, and `kubectl wait --for=condition=Complete` for it"
        case Unfreeze():
            return "take all of that back"
        case ControlPlaneHealth():
            return f"`kubectl get --raw /readyz` says ok, `kubectl version` says {step.act.minor}, `kubectl create --dry-run=server` goes through, names resolve"
        case FargateRestart():
            return "`kubectl rollout restart` of each workload on Fargate, one after the other"
        case PlatformHealth():
            return "all Deployments and DaemonSets of kube-system and of the operators are rolled out"
        case Soak():
            return "wait; look at alarms, and at `aws eks describe-cluster --query cluster.health`"
        case RollbackReadiness():
            return f"`aws eks list-insights --cluster-name {name}` has none of the category ROLLBACK_READINESS that says ERROR"
        case (
            AddonBuild()
            | ControlPlane()
            | GroupConfig()
            | GroupCopy()
            | GroupRemoval()
            | GroupRoll()
            | InsightsRefresh()
            | SupportPolicy()
        ):
            return ""
    assert_never(step.act)


def verified(plan: Plan, step: Step) -> str:
    """How it is seen that it is done; empty: the step itself is a look."""
    name = plan.cluster
    match step.act:
        case InsightsRefresh():
            return f"`aws eks describe-insights-refresh --cluster-name {name}` says COMPLETED"
        case ControlPlane():
            return f"`aws eks describe-cluster --name {name} --query 'cluster.[status,version]'` says ACTIVE, {step.act.to}"
        case AddonBuild():
            return f"`aws eks describe-addon --cluster-name {name} --addon-name {step.act.name} --query 'addon.[status,addonVersion]'` says ACTIVE, {step.act.build}"
        case GroupRoll():
            return f"`kubectl get nodes -l eks.amazonaws.com/nodegroup={step.act.name}`: all Ready, at {step.act.minor}"
        case PoolRoll():
            return f"`kubectl get nodes -l karpenter.sh/nodepool={step.act.name}`: all Ready, at {step.act.minor}"
        case GroupCopy():
            return f"`aws eks describe-nodegroup --cluster-name {name} --nodegroup-name {step.act.name} --query nodegroup.status` says ACTIVE"
        case GroupRemoval():
            return f"`aws eks wait nodegroup-deleted --cluster-name {name} --nodegroup-name {step.act.name}`"
        case GroupConfig():
            return f"`aws eks describe-nodegroup --cluster-name {name} --nodegroup-name {step.act.name} --query nodegroup.updateConfig`"
        case SupportPolicy():
            return f"`aws eks describe-cluster --name {name} --query cluster.upgradePolicy` says {step.act.support}"
    return ""


def expected(step: Step) -> str:
    if isinstance(step.act, Approval):
        return "a person's"
    most = f", {duration(step.at_most_s)} at most" if step.at_most_s else ""
    return duration(step.expected_s) + most


def money(usd: float) -> str:
    return f"{usd:,.2f} USD"


def costs(plan: Plan) -> tuple[str, ...]:
    told = plan.costs
    lines = [
        f"control plane: {told.now_per_hour:.2f} USD an hour now, {told.then_per_hour:.2f} afterwards"
        + (
            f"; {money(abs(told.saved_per_year))} {'less' if told.saved_per_year > 0 else 'more'} a year"
            if told.saved_per_year
            else ""
        )
    ]
    if told.surge:
        usd = told.surge_usd
        priced = money(usd) if usd is not None else "not priced as a whole, for some prices could not be read"
        lines.append(
            f"nodes on top while groups are rolled: {told.surge_node_hours:.1f} node hours, {priced}"
        )
    if told.staying and plan.now != plan.to:
        lines.append(f"staying: {told.staying}")
    return tuple(lines)


def times(plan: Plan) -> Mapping[str, float]:
    """Of each hop the expected seconds, its soak left out."""
    return {
        str(hop.to): sum(step.expected_s for step in plan.steps_of(hop) if not isinstance(step.act, Soak))
        for hop in plan.hops
    }
