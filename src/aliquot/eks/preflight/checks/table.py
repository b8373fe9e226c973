"""All checks, by id."""

from collections.abc import Callable, Iterator

from msgspec import Struct

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight import components
from aliquot.eks.preflight.checks import (
    addon_builds,
    addresses,
    budgets,
    certificates,
    cluster_behaviour,
    extensions,
    gangs,
    gpu_capacity,
    gpu_driver,
    gpu_stack,
    insights,
    karpenter,
    launch_templates,
    mig_layouts,
    node_os,
    pod_addresses,
    pod_behaviour,
    probes_and_spread,
    quotas,
    removed_apis,
    standing,
    strict_addresses,
    told_changes,
    user_data,
    version_skew,
    webhooks,
)
from aliquot.eks.preflight.checks import calendar as calendar_check
from aliquot.eks.preflight.findings import Finding, Unchecked
from aliquot.eks.preflight.subject import Need, Subject
from aliquot.eks.versions import calendar


class Check(Struct, frozen=True, kw_only=True):
    id: str
    title: str
    needs: Need
    judge: Callable[[Subject], Iterator[Finding | Unchecked]]
    """What it could not look at is said, and keeps it from being passed."""


def _objects(subject: Subject) -> Objects:
    objects = subject.known.objects
    assert objects is not None
    return objects


def _seen(subject: Subject) -> Objects | None:
    return subject.estate.objects if subject.estate is not None else None


CHECKS = (
    Check(
        id=removed_apis.CHECK,
        title="APIs that the new minor does not serve",
        needs=Need.SIGHTINGS,
        judge=lambda s: removed_apis.judge(
            s.sightings,
            s.removals,
            s.now,
            s.to,
            components.versions(_seen(s), s.components),
        ),
    ),
    Check(
        id=removed_apis.CHECK,
        title="APIs that the new minor does not serve",
        needs=Need.SIGHTINGS,
        judge=lambda s: removed_apis.beyond(s.to, calendar.shipped().rows[-1].minor),
    ),
    Check(
        id=pod_behaviour.CHECK,
        title="Pods that newer minors take otherwise",
        needs=Need.SIGHTINGS,
        judge=lambda s: pod_behaviour.judge_written(s.sightings, _seen(s), s.now, s.to),
    ),
    Check(
        id=pod_behaviour.CHECK,
        title="Pods that newer minors take otherwise",
        needs=Need.OBJECTS,
        judge=lambda s: pod_behaviour.judge_running(_objects(s), s.now, s.to),
    ),
    Check(
        id=cluster_behaviour.CHECK,
        title="Volumes, bindings, services and proxies that newer minors take otherwise",
        needs=Need.SIGHTINGS,
        judge=lambda s: cluster_behaviour.judge_written(s.sightings, _seen(s), s.now, s.to),
    ),
    Check(
        id=cluster_behaviour.CHECK,
        title="Volumes, bindings, services and proxies that newer minors take otherwise",
        needs=Need.OBJECTS,
        judge=lambda s: cluster_behaviour.judge(_objects(s), s.now, s.to),
    ),
    Check(
        id=strict_addresses.CHECK,
        title="Addresses that are written loosely",
        needs=Need.SIGHTINGS,
        judge=lambda s: strict_addresses.judge_written(s.sightings, s.now, s.to),
    ),
    Check(
        id=strict_addresses.CHECK,
        title="Addresses that are written loosely",
        needs=Need.OBJECTS,
        judge=lambda s: strict_addresses.judge(_objects(s), s.now, s.to),
    ),
    Check(
        id=calendar_check.CHECK,
        title="Support of the minors on the way",
        needs=Need.AWS,
        judge=lambda s: calendar_check.judge(
            s.name, s.now, s.to, s.known.calendar or calendar.shipped(), s.today
        ),
    ),
    Check(
        id=standing.CHECK,
        title="The cluster stands still, and is well",
        needs=Need.AWS,
        judge=lambda s: standing.judge(s.known, s.to),
    ),
    Check(
        id=insights.CHECK,
        title="EKS' own insights",
        needs=Need.AWS,
        judge=lambda s: insights.judge(s.known, s.now, s.to),
    ),
    Check(
        id=addon_builds.CHECK,
        title="Builds of add-ons",
        needs=Need.AWS,
        judge=lambda s: addon_builds.judge(s.known, s.now, s.to),
    ),
    Check(
        id=addresses.CHECK,
        title="Free addresses of subnets",
        needs=Need.AWS,
        judge=lambda s: addresses.judge(s.known),
    ),
    Check(
        id=pod_addresses.CHECK,
        title="Addresses for pods of nodes that come on top",
        needs=Need.AWS,
        judge=lambda s: pod_addresses.judge(s.known),
    ),
    Check(
        id=quotas.CHECK,
        title="Quotas that nodes which come on top would go over",
        needs=Need.AWS,
        judge=lambda s: quotas.judge(s.known),
    ),
    Check(
        id=launch_templates.CHECK,
        title="Launch templates: what waits in them, images of your own",
        needs=Need.AWS,
        judge=lambda s: launch_templates.judge(s.known, s.to),
    ),
    Check(
        id=version_skew.GROUPS,
        title="Node groups of the cluster's minor",
        needs=Need.AWS,
        judge=lambda s: version_skew.judge_groups(s.known),
    ),
    Check(
        id=node_os.CHECK,
        title="Operating systems of node groups",
        needs=Need.AWS,
        judge=lambda s: node_os.judge_groups(s.known, s.to),
    ),
    Check(
        id=user_data.CHECK,
        title="Flags in user data",
        needs=Need.AWS,
        judge=lambda s: user_data.judge(s.known, s.now, s.to),
    ),
    Check(
        id=version_skew.CHECK,
        title="Kubelets and kube-proxy that would be too old",
        needs=Need.AWS,
        judge=lambda s: version_skew.judge_kube_proxy(s.known, s.to),
    ),
    Check(
        id=version_skew.CHECK,
        title="Kubelets and kube-proxy that would be too old",
        needs=Need.OBJECTS,
        judge=lambda s: version_skew.judge_nodes(s.known, s.to),
    ),
    Check(
        id=version_skew.CHECK,
        title="Kubelets and kube-proxy that would be too old",
        needs=Need.OBJECTS,
        judge=lambda s: version_skew.judge_kube_proxy_of_nobody(s.known, s.to),
    ),
    Check(
        id=node_os.CHECK,
        title="Operating systems of node groups",
        needs=Need.OBJECTS,
        judge=lambda s: node_os.judge_nodes(s.known, _objects(s), s.to),
    ),
    Check(
        id=budgets.CHECK,
        title="PodDisruptionBudgets that can never be met",
        needs=Need.SIGHTINGS,
        judge=lambda s: budgets.judge_written(s.sightings, with_cluster=_seen(s) is not None),
    ),
    Check(
        id=budgets.CHECK,
        title="PodDisruptionBudgets that can never be met",
        needs=Need.OBJECTS,
        judge=lambda s: budgets.judge(_objects(s)),
    ),
    Check(
        id=budgets.REPLICAS,
        title="Workloads of one replica",
        needs=Need.OBJECTS,
        judge=lambda s: budgets.judge_replicas(_objects(s)),
    ),
    Check(
        id=probes_and_spread.CHECK,
        title="Probes, spread, budgets and time to end of workloads",
        needs=Need.OBJECTS,
        judge=lambda s: probes_and_spread.judge(_objects(s)),
    ),
    Check(
        id=webhooks.CHECK,
        title="Webhooks that fail closed",
        needs=Need.OBJECTS,
        judge=lambda s: webhooks.judge(_objects(s)),
    ),
    Check(
        id=extensions.CHECK,
        title="Aggregated APIs and conversions of CRDs that do not answer",
        needs=Need.OBJECTS,
        judge=lambda s: extensions.judge(_objects(s)),
    ),
    Check(
        id=certificates.CHECK,
        title="Certificates of webhooks, aggregated APIs and conversions",
        needs=Need.OBJECTS,
        judge=lambda s: certificates.judge(_objects(s), s.now, s.to, s.today),
    ),
    Check(
        id=karpenter.CHECK,
        title="Karpenter, its NodePools and NodeClasses",
        needs=Need.SIGHTINGS,
        judge=lambda s: karpenter.judge_written(s.sightings, s.now, s.to),
    ),
    Check(
        id=karpenter.CHECK,
        title="Karpenter, its NodePools and NodeClasses",
        needs=Need.OBJECTS,
        judge=lambda s: karpenter.judge(_objects(s), s.now, s.to),
    ),
    Check(
        id=karpenter.AUTOSCALER,
        title="The cluster autoscaler's minor",
        needs=Need.OBJECTS,
        judge=lambda s: karpenter.judge_autoscaler(_objects(s), s.now, s.to),
    ),
    Check(
        id=told_changes.CHECK,
        title="What behaves otherwise and cannot be looked for",
        needs=Need.OBJECTS,
        judge=lambda s: told_changes.judge(s.known.cluster.name, s.now, s.to),
    ),
    Check(
        id=gpu_driver.CHECK,
        title="Drivers of GPU nodes, against their GPUs and the CUDA of their pods",
        needs=Need.OBJECTS,
        judge=lambda s: gpu_driver.judge(s.known, s.to),
    ),
    Check(
        id=gpu_capacity.CHECK,
        title="Room and time to replace GPU nodes",
        needs=Need.AWS,
        judge=lambda s: gpu_capacity.judge(s.known, s.to),
    ),
    Check(
        id=gangs.CHECK,
        title="Gangs that a roll would cut, and pods that take longer to end than EKS waits",
        needs=Need.OBJECTS,
        judge=lambda s: gangs.judge(s.known),
    ),
    Check(
        id=mig_layouts.CHECK,
        title="Layouts of GPUs that would be lost",
        needs=Need.OBJECTS,
        judge=lambda s: mig_layouts.judge(s.known),
    ),
    Check(
        id=gpu_stack.CHECK,
        title="Operators, device plugins and DRA drivers of GPU nodes",
        needs=Need.OBJECTS,
        judge=lambda s: gpu_stack.judge(s.known, s.to),
    ),
)
TITLES = {check.id: check.title for check in CHECKS} | {"waivers": "Waivers that are over or fit nothing"}
