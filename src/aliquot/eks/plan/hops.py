"""What a hop is made of: parts in order, each one planned on what the parts before it leave behind. Pure."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from aliquot.eks.estate.estate import Addon
from aliquot.eks.plan import addon_builds, pool_steps, rolling
from aliquot.eks.plan.mending import mended
from aliquot.eks.plan.node_steps import of_groups
from aliquot.eks.plan.placing import has_fargate
from aliquot.eks.plan.way import MINUTE_S, Way
from aliquot.eks.upgrade.acts.approval import Approval
from aliquot.eks.upgrade.acts.backup import Backup
from aliquot.eks.upgrade.acts.cluster_counts import CountAfter, CountBefore
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.control_plane_health import ControlPlaneHealth
from aliquot.eks.upgrade.acts.fargate import FargateRestart
from aliquot.eks.upgrade.acts.freeze import Freeze, Unfreeze
from aliquot.eks.upgrade.acts.insights_refresh import InsightsRefresh
from aliquot.eks.upgrade.acts.platform import PlatformHealth
from aliquot.eks.upgrade.acts.preflight import Preflight
from aliquot.eks.upgrade.acts.soak import Soak, lasting
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step

Part = Callable[[Way], Iterator[Step]]


def insights(way: Way) -> Iterator[Step]:
    if not way.rest:
        yield way.step(
            State.REFRESH_INSIGHTS,
            "EKS looks at its upgrade insights anew",
            InsightsRefresh(cluster=way.cluster),
            minutes=(3, 15),
        )


def preflight(way: Way) -> Iterator[Step]:
    act = Preflight(
        cluster=way.cluster,
        now=way.hop.now,
        to=way.hop.to,
        waivers=(*way.options.waivers, *mended(way)),
        unchecked_passes=way.options.allow_unchecked,
        helm=way.options.helm,
        minimal=tuple(
            one.name for one in way.estate.nodegroups if rolling.no_surge(way.estate, one, way.options)
        ),
        copied=way.options.blue_green,
    )
    yield way.step(
        State.PREFLIGHT, f"all checks for {way.hop.to}, on what is there then", act, minutes=(2, 10)
    )


def approval(way: Way) -> Iterator[Step]:
    yield way.step(
        State.APPROVE,
        f"a person approves this plan, and that it goes on to {way.hop.to}",
        Approval(hash=way.plan),
        minutes=(0, 0),
    )


def backup(way: Way) -> Iterator[Step]:
    hop = str(way.hop.to)
    yield way.step(
        State.BACKUP,
        "objects of the cluster, and what AWS has of it, into the place for exports",
        Backup(cluster=way.cluster, hop=hop, arn=way.estate.cluster.arn),
        minutes=(3, 30),
    )
    yield way.step(
        State.BACKUP,
        "nodes, GPUs, pods and workloads are counted, and what is ill already is kept",
        CountBefore(hop=hop, cluster=way.cluster),
        "counts",
        minutes=(1, 5),
    )
    # What fails before the upgrade is not for the upgrade to find out.
    for smoke in way.options.smokes:
        if not smoke.group:
            yield way.smoke(State.BACKUP, smoke)


def freeze(way: Way) -> Iterator[Step]:
    yield way.step(
        State.FREEZE,
        "GitOps, Karpenter, autoscalers and the GPU operator's own upgrades stand still",
        Freeze(),
        minutes=(1, 10),
        disrupts="who rolls out: nothing new is, and no nodes come or go by themselves",
        back="what stood still goes on as it was: it is kept in the journal, and written on each object",
    )


def pre_addons(way: Way) -> Iterator[Step]:
    if way.rest:
        return
    for addon in way.estate.addons:
        build = addon_builds.before_control_plane(way.estate, addon, way.hop.to)
        if build is not None:
            yield from _addon(way, State.PRE_ADDONS, addon, build)


def pre_nodes(way: Way) -> Iterator[Step]:
    """Node groups that are behind the control plane, before it goes on. EKS may refuse them; skew is used up otherwise."""
    if way.rest:
        return
    behind = tuple(one for one in way.estate.nodegroups if one.minor < way.hop.now)
    yield from of_groups(way, behind, way.hop.now, before=True)


def control_plane(way: Way) -> Iterator[Step]:
    if way.rest:
        return
    now, to = way.hop.now, way.hop.to
    yield way.step(
        State.CONTROL_PLANE,
        f"control plane from {now} to {to}",
        ControlPlane(cluster=way.cluster, now=now, to=to),
        minutes=(10, 60),
        disrupts="whoever talks to the API server: connections break off, and are taken up again",
        back=f"EKS takes back what fails; after it, for seven days and until the next hop: aliquot eks rollback {way.cluster}",
    )


def control_plane_health(way: Way) -> Iterator[Step]:
    if not way.rest:
        yield way.step(
            State.CP_VERIFY,
            "the API server answers as before: health, version, every API group, admission, DNS",
            ControlPlaneHealth(minor=way.hop.to),
            minutes=(3, 30),
        )


def core_addons(way: Way) -> Iterator[Step]:
    for addon in addon_builds.in_order(way.estate.addons):
        build = addon_builds.after_control_plane(way.estate, addon, way.hop.to)
        if build is not None:
            yield from _addon(way, State.CORE_ADDONS, addon, build)


def nodes(way: Way) -> Iterator[Step]:
    yield from of_groups(way, way.estate.nodegroups, way.hop.to, before=False)


def pools(way: Way) -> Iterator[Step]:
    yield from pool_steps.of_pools(way, way.hop.to)


def fargate(way: Way) -> Iterator[Step]:
    if not way.placement.known or has_fargate(way.estate):
        yield way.step(
            State.FARGATE,
            f"workloads on Fargate are restarted, for their kubelets to be {way.hop.to}",
            FargateRestart(minor=way.hop.to),
            minutes=(10, 30),
            disrupts="workloads on Fargate, as far as their rollouts do",
        )


def kube_proxy(way: Way) -> Iterator[Step]:
    for addon in way.estate.addons:
        if addon.name == addon_builds.KUBE_PROXY:
            build = addon_builds.after_control_plane(way.estate, addon, way.hop.to)
            if build is not None:
                yield from _addon(way, State.KUBE_PROXY, addon, build)


def platform(way: Way) -> Iterator[Step]:
    yield way.step(
        State.PLATFORM,
        "controllers, device plugins and operators are well, and of builds that go with it",
        PlatformHealth(minor=way.hop.to),
        minutes=(3, 30),
    )


def unfreeze(way: Way) -> Iterator[Step]:
    yield way.step(State.UNFREEZE, "what stood still goes on as it was", Unfreeze(), minutes=(1, 10))


def verification(way: Way) -> Iterator[Step]:
    yield way.step(
        State.VERIFY,
        "all that there was before is there",
        CountAfter(hop=str(way.hop.to), cluster=way.cluster, instead=way.instead),
        minutes=(5, 30),
    )
    for smoke in way.options.smokes:
        if not smoke.group:
            yield way.smoke(State.VERIFY, smoke)


def soak(way: Way) -> Iterator[Step]:
    """Before a next hop, which ends the right to take this one back."""
    minutes = way.options.soak_s / MINUTE_S
    if not way.last and minutes:
        yield way.step(
            State.SOAK,
            f"{lasting(way.options.soak_s)} in which it can still go back to {way.hop.now}",
            Soak(cluster=way.cluster, seconds=way.options.soak_s, hop=str(way.hop.to)),
            minutes=(minutes, 0),
        )


PARTS: tuple[Part, ...] = (
    insights,
    preflight,
    approval,
    backup,
    freeze,
    pre_addons,
    pre_nodes,
    control_plane,
    control_plane_health,
    core_addons,
    nodes,
    pools,
    fargate,
    kube_proxy,
    platform,
    unfreeze,
    verification,
    soak,
)
"""A hop, in order."""

_ADDON_DISRUPTS = {
    addon_builds.VPC_CNI: "pods that start meanwhile wait for the node's agent; those that run do not notice",
    addon_builds.COREDNS: "who looks up names: it may take longer while replicas are replaced",
    addon_builds.KUBE_PROXY: "Services that change meanwhile reach a node later; connections stay",
}


def _addon(way: Way, state: State, addon: Addon, build: str) -> Iterator[Step]:
    """In one step; the CNI through each of its own minors."""
    at = way.estate.cluster.minor
    on_the_way: tuple[str, ...] = ()
    if addon.name == addon_builds.VPC_CNI:
        on_the_way = addon_builds.between(way.estate, addon.name, addon.build, build, at)
    disrupts = _ADDON_DISRUPTS.get(addon.name, "whoever uses it, while its pods are replaced")
    if addon.name != addon_builds.KUBE_PROXY and not addon_builds.fits(way.estate, addon, at):
        disrupts += (
            f"; until then it runs a build that EKS does not list for {at}: none goes with both minors"
        )
    for was, becomes in pairwise((addon.build, *on_the_way, build)):
        yield way.step(
            state,
            addon_builds.to_build(addon, was, becomes, way.options.conflicts_of(addon.name)),
            way.addon_to(addon, becomes),
            _named(state, addon.name) if becomes == build else f"{addon.name}/{becomes}",
            minutes=(3, 30),
            disrupts=disrupts if was == addon.build else _ADDON_DISRUPTS[addon_builds.VPC_CNI],
            back=f"update the add-on {addon.name} to {was}",
        )


def _named(state: State, addon: str) -> str:
    """`1.32/kube-proxy` says it."""
    return "" if state == addon else addon
