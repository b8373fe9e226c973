"""The way back to the minor before: nodes first, then add-ons, then what EKS bills, and the control plane last. Pure."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from aliquot.eks.estate import karpenter, places
from aliquot.eks.estate.estate import Addon, Estate
from aliquot.eks.estate.karpenter import Pool
from aliquot.eks.estate.places import is_fargate
from aliquot.eks.plan import addon_builds, blue_green, giving_up, hashing, pins, pool_steps, refusing
from aliquot.eks.plan.node_steps import of_groups
from aliquot.eks.plan.noting import node_classes
from aliquot.eks.plan.passing import after
from aliquot.eks.plan.placing import placement
from aliquot.eks.plan.plan import CannotPlan, Hop, Options, Plan, identity
from aliquot.eks.plan.planning import today_of
from aliquot.eks.plan.targets import Targets
from aliquot.eks.plan.way import Way
from aliquot.eks.upgrade import way_back
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.control_plane_health import ControlPlaneHealth
from aliquot.eks.upgrade.acts.freeze import Freeze, Unfreeze
from aliquot.eks.upgrade.acts.insights_refresh import InsightsRefresh
from aliquot.eks.upgrade.acts.node_class import NodeClassReady
from aliquot.eks.upgrade.acts.platform import PlatformHealth
from aliquot.eks.upgrade.acts.rollback_readiness import RollbackReadiness
from aliquot.eks.upgrade.acts.support_policy import SupportPolicy
from aliquot.eks.upgrade.acts.table import Act
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.versions import calendar as calendars
from aliquot.eks.versions.calendar import Support
from aliquot.eks.versions.minor import Minor

MINUTE_S = 60.0
_NAMED = 5


def plan(estate: Estate, targets: Targets, options: Options, *, undo: tuple[Step, ...] = ()) -> Plan:
    """`undo`: what an upgrade that stands still in the middle has begun, and has to put back. Raises CannotPlan."""
    now, to = estate.cluster.minor, estate.cluster.minor.previous
    reasons = [*way_back.against(estate.cluster, estate.updates, to, estate.read_s), *_ended(estate)]
    if reasons:
        raise CannotPlan(f"cluster {estate.cluster.name} cannot go back to {to}: {'; '.join(reasons)}")
    first = giving_up.before_nodes(undo)
    lasting = estate
    for step in first:
        lasting = after(lasting, step.act)
    # What comes back is rolled, under the name that it has by then.
    options = replace(options.renamed(blue_green.names_now(options, lasting)), blue_green=())
    pins.check_templates(lasting, options, targets, (to,))
    refusing.on_its_way(lasting)
    where = placement(estate)
    found = hashing.state(estate)
    bare = Plan(
        cluster=estate.cluster.name,
        arn=estate.cluster.arn,
        made_s=estate.read_s,
        now=now,
        to=to,
        options=options,
        hops=(Hop(now=now, to=to),),
        steps=(),
        state=found,
        state_hash=hashing.hashed(found),
        notes=(*_notes(estate), *node_classes(estate, to)),
        unchecked=(*estate.unchecked, *targets.unchecked),
    )

    def way(at: Estate, id_: str) -> Way:
        return Way(
            estate=at,
            placement=where,
            hop=bare.hops[0],
            last=True,
            targets=targets,
            options=options,
            plan=id_,
            today=today_of(estate),
        )

    def steps(id_: str) -> tuple[Step, ...]:
        at = lasting
        gone = [_renamed(step) for step in first]
        for part in (_nodes, _pools, _addons, _support, _control_plane, _classes):
            for step in part(way(at, id_)):
                gone.append(step)
                at = after(at, step.act)
        rest = [_renamed(step) for step in undo if step not in first]
        if any(isinstance(step.act, Freeze) for step in gone) and not _unfreezes(rest):
            rest.append(_step(way(at, id_), "unfreeze", "what stood still goes on as it was", Unfreeze(), 1))
        return (*gone, *rest, *_health(way(at, id_)))

    whole = replace(bare, steps=steps(""))
    id_ = identity(whole)
    return replace(whole, id=id_, steps=steps(id_))


def _ended(estate: Estate) -> Iterator[str]:
    to = estate.cluster.minor.previous
    calendar = estate.calendar or calendars.shipped()
    if calendar.support(to, today_of(estate)) is Support.ENDED:
        row = calendar.row(to)
        day = f" since {row.extended_until}" if row is not None else ""
        yield f"EKS has no {to} any more{day}"


def _nodes(way: Way) -> Iterator[Step]:
    if _every_pool(way):
        # What a person changes of a class for it is drift, and so is what an alias selects until the control plane is back.
        yield _step(way, "freeze", "GitOps, Karpenter and autoscalers stand still", Freeze(), 1)
    newer = tuple(one for one in way.estate.nodegroups if one.minor > way.hop.to)
    # The release that it goes back to has run there before.
    for step in of_groups(way, newer, way.hop.to, before=False, with_canaries=False):
        yield _renamed(step)


def _pools(way: Way) -> Iterator[Step]:
    for step in pool_steps.of_pools(way, way.hop.to):
        yield _renamed(step)


def _addons(way: Way) -> Iterator[Step]:
    to = way.hop.to
    for addon in way.estate.addons:
        build = _build_before(way.estate, addon, way)
        if build is not None:
            act = way.addon_to(addon, build)
            what = addon_builds.to_build(addon, addon.build, f"{build}, for {to}", act.conflicts)
            yield _step(way, addon.name, what, act, 3)


def _build_before(estate: Estate, addon: Addon, way: Way) -> str | None:
    """None: what it has goes with the minor before, too."""
    if addon_builds.fits(estate, addon, way.hop.to) or not addon_builds.listed(estate, addon):
        return None
    return addon_builds.default(estate, addon, way.hop.to)


def _support(way: Way) -> Iterator[Step]:
    calendar = way.estate.calendar or calendars.shipped()
    extended = calendar.support(way.hop.to, way.today) is Support.EXTENDED
    if extended and way.estate.cluster.support != "EXTENDED":
        what = f"extended support, for {way.hop.to} is in it: AWS bills it from then on"
        yield _step(way, "support", what, SupportPolicy(cluster=way.cluster, support="EXTENDED"), 2)


def _control_plane(way: Way) -> Iterator[Step]:
    now, to, cluster = way.hop.now, way.hop.to, way.cluster
    yield _step(way, "insights", "EKS looks at its insights anew", InsightsRefresh(cluster=cluster), 3)
    what = f"EKS has nothing against going back to {to}"
    yield _step(way, "readiness", what, RollbackReadiness(cluster=cluster, to=to), 1)
    act = ControlPlane(cluster=cluster, now=now, to=to)
    yield _step(way, "control-plane", f"control plane from {now} back to {to}", act, 20)


def _classes(way: Way) -> Iterator[Step]:
    for pool in _every_pool(way):
        act = NodeClassReady(pool=pool.name, minor=way.hop.to, afterwards=True)
        what = f"EC2NodeClass {pool.node_class} selects no newer AMIs than {way.hop.to}, for NodePool {pool.name}"
        yield _step(way, f"class/{places.pool(pool.name)}", what, act, 10)


def _every_pool(way: Way) -> tuple[Pool, ...]:
    return karpenter.pools(way.estate.objects) if way.estate.objects is not None else ()


def _unfreezes(steps: Iterable[Step]) -> bool:
    return any(isinstance(step.act, Unfreeze) for step in steps)


def _health(way: Way) -> Iterator[Step]:
    to = way.hop.to
    yield _step(way, "health", f"the API server is {to}, and well", ControlPlaneHealth(minor=to), 3)
    yield _step(way, "platform", "what runs the cluster is well", PlatformHealth(minor=to), 3)


def _step(way: Way, name: str, what: str, act: Act, minutes: float) -> Step:
    step = way.step(State.ROLLBACK, what, act, name, minutes=(minutes, 30))
    return replace(step, id=f"back-to-{way.hop.to}/{name}")


def _renamed(step: Step) -> Step:
    """In a run that was turned the ids of the way there are taken."""
    return replace(step, id=f"back/{step.id}", state=State.ROLLBACK)


def _notes(estate: Estate) -> tuple[str, ...]:
    to = estate.cluster.minor.previous
    notes = [f"what the API server has stored in {estate.cluster.minor}'s own forms stays so in etcd"]
    newer = _newer_on_fargate(estate, to)
    if newer:
        names = ", ".join(newer[:_NAMED]) + (f" and {len(newer) - _NAMED} more" if newer[_NAMED:] else "")
        notes.append(
            f"pods on Fargate have kubelets newer than {to}: {names}; EKS goes back once they are gone, and one that is deleted comes anew "
            f"with {estate.cluster.minor}: scale their workloads to none when the run is held by that, and back once the control plane is {to}"
        )
    return tuple(notes)


def _newer_on_fargate(estate: Estate, to: Minor) -> list[str]:
    """Pods, by namespace and name; the node where its pod is not known. Of Fargate nobody takes a kubelet back: not a step of ours, for it stands
    still until all of the rest is done, and whoever runs it has to say whether it may."""
    if estate.objects is None:
        return []
    nodes = {
        node.metadata.name: f"node {node.metadata.name}"
        for node in estate.objects.nodes
        if is_fargate(node.metadata.labels) and not _is_at(node.status.node_info.kubelet_version, to)
    }
    for pod in estate.objects.pods:
        if pod.spec.node_name in nodes:
            nodes[pod.spec.node_name] = f"{pod.metadata.namespace}/{pod.metadata.name}"
    return sorted(nodes.values())


def _is_at(kubelet: str, to: Minor) -> bool:
    """One that has not told of its kubelet yet came with the control plane's."""
    try:
        return Minor.parse(kubelet) <= to
    except ValueError:
        return False
