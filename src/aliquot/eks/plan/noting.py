"""What whoever approves a plan has to know, and no step says."""

from collections.abc import Iterator, Sequence
from datetime import date

from aliquot.eks.estate import karpenter, places
from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.job_kinds import Way
from aliquot.eks.estate.karpenter import NODECLASSES
from aliquot.eks.estate.places import GROUP_LABEL, POOL_LABEL, is_fargate, is_pool, place
from aliquot.eks.plan import canaries
from aliquot.eks.plan.addon_builds import COREDNS, KUBE_PROXY, VPC_CNI, listed
from aliquot.eks.plan.placing import Placement
from aliquot.eks.plan.plan import DAY_S, Hop, Options
from aliquot.eks.plan.pool_steps import has_gangs, to_replace
from aliquot.eks.plan.rolling import has_gpus, no_surge
from aliquot.eks.plan.times import duration
from aliquot.eks.upgrade.acts.group_config import Strategy
from aliquot.eks.upgrade.gates import NOTICED
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.versions.calendar import Calendar, Support
from aliquot.eks.versions.minor import Minor

_WINDOW_DAYS = 7
_KEEP_AWAY = ("NoSchedule", "NoExecute")
_ALSO_WITHOUT_EKS = {
    VPC_CNI: ("DaemonSet", "aws-node"),
    KUBE_PROXY: ("DaemonSet", "kube-proxy"),
    COREDNS: ("Deployment", "coredns"),
}


def notes(
    estate: Estate,
    placement: Placement,
    hops: tuple[Hop, ...],
    calendar: Calendar,
    today: date,
    options: Options,
) -> tuple[str, ...]:
    return (
        *_soak(hops, options),
        *_support(hops, calendar, today),
        *_policy(estate, hops, calendar, today),
        *_nodes_of_nobody(estate),
        *node_classes(estate, hops[0].to),
        *_nowhere_to_go(estate, options),
        *_tied(estate, placement),
        *_stuck(estate, placement, options),
        *canaries.notes(estate, options),
        *_addons(estate),
    )


def short_windows(steps: Sequence[Step], options: Options) -> Iterator[str]:
    """What begins in a window and does not end in it waits for the next one, in the middle of a hop."""
    if not options.windows:
        return
    longest_s = max(window.duration_s for window in options.windows)
    for hop in dict.fromkeys(step.hop for step in steps):
        states = [step.state for step in steps if step.hop == hop]
        if State.FREEZE not in states or State.UNFREEZE not in states:
            continue
        ends = [number for number, state in enumerate(states) if state in NOTICED]
        within = [step for step in steps if step.hop == hop][ends[0] : ends[-1] + 1]
        takes_s = sum(step.expected_s for step in within)
        if takes_s > longest_s:
            yield (
                f"what may be noticed of the hop to {hop} takes {duration(takes_s)}, and a window is open for {duration(longest_s)} at most: "
                "the rest waits for the next one, and so does what stands still (GitOps, autoscalers)"
            )


def _soak(hops: tuple[Hop, ...], options: Options) -> Iterator[str]:
    if len(hops) > 1 and not options.soak_s:
        yield f"there is no soak between hops: with the hop to {hops[1].to} the right to go back to {hops[0].now} ends at once"
    elif len(hops) > 1 and options.soak_s > _WINDOW_DAYS * DAY_S:
        yield f"a soak of {options.soak_s / DAY_S:.0f} days is longer than the {_WINDOW_DAYS} days in which a hop can be rolled back"
    if len(hops) > 1:
        yield f"each hop ends the right to roll back the one before it: in the end {hops[-1].to} can go back to {hops[-1].now}, no further"


def _support(hops: tuple[Hop, ...], calendar: Calendar, today: date) -> Iterator[str]:
    for hop in hops[:-1]:
        row = calendar.row(hop.to)
        if row is not None and row.standing(today) is Support.ENDED:
            yield f"support of {hop.to}, on the way, ended on {row.extended_until}: EKS may refuse that hop; ask AWS how to get past it"
    last = calendar.row(hops[-1].to)
    if last is not None and last.standing(today) is Support.EXTENDED:
        yield f"{last.minor} is in extended support, too, until {last.extended_until}: {calendar.prices.extended:.2f} USD an hour"
    if hops[0].now == hops[0].to:
        yield f"the control plane is at {hops[0].to} already: only what is behind it is planned"


def _policy(estate: Estate, hops: tuple[Hop, ...], calendar: Calendar, today: date) -> Iterator[str]:
    """EKS upgrades by itself whoever has said that he does not pay for extended support."""
    last = calendar.row(hops[-1].to)
    if last is not None and estate.cluster.support == "STANDARD":
        if last.standing(today) is Support.EXTENDED:
            yield f"its upgrade policy is STANDARD, and standard support of {last.minor} is over: EKS may move it on by itself, without these checks"
        else:
            yield f"its upgrade policy is STANDARD: EKS moves it on by itself after {last.standard_until}, without these checks"


def _nodes_of_nobody(estate: Estate) -> Iterator[str]:
    """Nodes that no step of the plan replaces."""
    if estate.objects is None:
        return
    labels = [node.metadata.labels for node in estate.objects.nodes]
    rolled = {pool.name for pool in karpenter.pools(estate.objects)}
    of_karpenter = sum(1 for one in labels if POOL_LABEL in one and one[POOL_LABEL] not in rolled)
    if of_karpenter:
        nodes = "1 node is" if of_karpenter == 1 else f"{of_karpenter} nodes are"
        yield f"{nodes} Karpenter's, of a NodePool that could not be read or has no EC2NodeClass: no step replaces them, and it does so by itself"
    others = sum(1 for one in labels if not place(one) and not is_fargate(one))
    if others:
        nodes = "1 node is" if others == 1 else f"{others} nodes are"
        yield f"{nodes} of no managed group: whoever made them replaces them, before they are three minors behind"


def node_classes(estate: Estate, to: Minor) -> Iterator[str]:
    """Of pools that are rolled: which give nodes of their old minor again unless a person says otherwise."""
    if estate.objects is None:
        return
    classes = {one.name: one for one in map(karpenter.node_class, estate.objects.of(NODECLASSES.kind))}
    back = to < estate.cluster.minor
    pools: dict[str, list[str]] = {}
    for pool in karpenter.pools(estate.objects):
        if not back or to_replace(estate, pool, to):
            pools.setdefault(pool.node_class, []).append(places.pool(pool.name))
    for name, of_class in pools.items():
        found, named = classes.get(name), f"EC2NodeClass {name}"
        holds = f"the run holds before nodes of {places.told(of_class)} go till then"
        if found is None:
            yield f"{named} is not there: {holds}"
        elif back and found.alias:
            yield f"{named} ({found.how}) follows the control plane: let it select AMIs of {to} until that is back (ssmParameter or name, with amiFamily); {holds}"
        elif not found.alias:
            yield f"{named} selects {found.how}: let it select those of {to}{'' if back else ' once the control plane is there'}; {holds}"


def _nowhere_to_go(estate: Estate, options: Options) -> Iterator[str]:
    """EKS cordons all old nodes of a group before it empties the first of them."""
    names = any(addon.name == COREDNS for addon in estate.addons)
    open_ = [one for one in estate.nodegroups if one.desired and not any(map(_keeps_away, one.taints))]
    if not names or len(open_) != 1 or _open_nodes_beside_groups(estate):
        return
    group = open_[0]
    if group.strategy == Strategy.MINIMAL or no_surge(estate, group, options):
        yield (
            f"node group {group.name} is rolled with its old nodes first, and no other node is without taints: all of them are cordoned before the first is emptied, "
            "so CoreDNS has nowhere to go, its budget lets no pod leave, and EKS gives up (PodEvictionFailure): for that time have a node without taints in another group"
        )


def _keeps_away(taint: str) -> bool:
    return taint.rpartition(":")[2] in _KEEP_AWAY


def _open_nodes_beside_groups(estate: Estate) -> bool:
    """As far as the API server was asked."""
    return estate.objects is not None and any(
        GROUP_LABEL not in node.metadata.labels
        and not is_fargate(node.metadata.labels)
        and not node.spec.unschedulable
        and not any(taint.get("effect") in _KEEP_AWAY for taint in node.spec.taints)
        for node in estate.objects.nodes
    )


def _tied(estate: Estate, placement: Placement) -> Iterator[str]:
    for names in placement.sets:
        with_gpus = any(has_gpus(estate, one) for one in estate.nodegroups if one.name in names)
        if len(names) > 1 and (with_gpus or any(map(is_pool, names))):
            yield f"{places.told(sorted(names))} are rolled in one go: jobs lie across them"


def _stuck(estate: Estate, placement: Placement, options: Options) -> Iterator[str]:
    suspended = [
        group.name
        for group in estate.nodegroups
        if has_gpus(estate, group) and group.name not in options.blue_green
    ]
    pools = karpenter.pools(estate.objects) if estate.objects is not None else ()
    suspended += [places.pool(one.name) for one in pools if has_gangs(estate, placement, one)]
    gangs = {str(gang): gang for name in suspended for gang in placement.stuck.get(name, ())}
    for name, gang in sorted(gangs.items()):
        if gang.way is Way.SCALE and options.scale_gangs:
            yield f"{name} is scaled to no replicas while its nodes are replaced, and back"
        elif options.evict_gangs:
            yield f"{name} cannot be suspended ({gang.why}): EKS evicts its pods, node by node"
        else:
            ways = "--scale-gangs or --evict-gangs" if gang.way is Way.SCALE else "--evict-gangs"
            yield f"{name} cannot be suspended ({gang.why}): the run holds there unless it has ended by then; {ways} says now what is to become of it"


def _addons(estate: Estate) -> Iterator[str]:
    for addon in estate.addons:
        if not listed(estate, addon):
            yield f"EKS tells of no build of the add-on {addon.name}: it stays as it is; see its own documentation"
    if estate.objects is not None:
        there = {addon.name for addon in estate.addons}
        for name, (kind, workload) in _ALSO_WITHOUT_EKS.items():
            runs = any(
                (one.metadata.namespace, one.metadata.name) == ("kube-system", workload)
                for one in estate.objects.workloads.get(kind, ())
            )
            if runs and name not in there:
                yield f"{name} runs, and is no add-on of EKS here: no step raises it; do it yourself, or make it an add-on"
