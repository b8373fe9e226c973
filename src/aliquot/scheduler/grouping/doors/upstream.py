"""Kubernetes' own: `spec.schedulingGroup.podGroupName` names a PodGroup of scheduling.k8s.io, which may be in a
CompositePodGroup, and that in another.

The job is then the outermost, and its members are found by their word, for a composite does not list them. Those still to
come count as missing.
"""

from collections.abc import Iterable, Iterator, Sequence

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import Condition, ObjectMeta, Wire
from aliquot.kube.resources import Resource
from aliquot.scheduler.core.jobs import Group, TopologyWish
from aliquot.scheduler.grouping.drawn import Drawn, Refused, Served, job_key, reference

PODGROUPS = Resource("scheduling.k8s.io", "v1beta1", "podgroups", "PodGroup")
OLDER_PODGROUPS = tuple(
    Resource("scheduling.k8s.io", version, "podgroups", "PodGroup") for version in ("v1alpha3", "v1alpha2")
)
COMPOSITES = Resource("scheduling.k8s.io", "v1alpha3", "compositepodgroups", "CompositePodGroup")

_DEEPEST = 8
"""The API has four levels."""


class Gang(Wire, kw_only=True, frozen=True):
    min_count: int | None = None
    min_group_count: int | None = None
    """Of a composite, instead."""


class SchedulingPolicy(Wire, kw_only=True, frozen=True):
    """Without a gang it is `basic`: each pod by itself."""

    gang: Gang | None = None


class TopologyKey(Wire, kw_only=True, frozen=True):
    key: str = ""


class SchedulingConstraints(Wire, kw_only=True, frozen=True):
    topology: tuple[TopologyKey, ...] | None = None


class PodGroupSpec(Wire, kw_only=True, frozen=True):
    parent_composite_pod_group_name: str | None = None
    scheduling_policy: SchedulingPolicy = SchedulingPolicy()
    scheduling_constraints: SchedulingConstraints | None = None
    priority_class_name: str | None = None
    priority: int | None = None


class PodGroupStatus(Wire, kw_only=True, frozen=True):
    conditions: tuple[Condition, ...] = ()


class PodGroup(Wire, kw_only=True, frozen=True):
    """Or a CompositePodGroup, which is of the same shape as far as it is read."""

    metadata: ObjectMeta
    spec: PodGroupSpec = PodGroupSpec()
    status: PodGroupStatus = PodGroupStatus()


def draw(pod: Pod, groups: Served[PodGroup], composites: Served[PodGroup]) -> Drawn | None:
    named = pod.spec.scheduling_group
    if named is None or not named.pod_group_name or not groups.is_open:
        return None
    namespace, name = pod.metadata.namespace, named.pod_group_name
    group = groups.get(f"{namespace}/{name}")
    if group is None:
        raise Refused(f"PodGroup {namespace}/{name} of {PODGROUPS.group} does not exist: create it")
    outer = above(group, composites)
    outermost = outer[-1] if outer else group
    kind = COMPOSITES if outer else PODGROUPS
    root = _composed(outermost, groups, composites) if outer else _leaf(group)
    priorities = [one.spec.priority for one in (*reversed(outer), group) if one.spec.priority is not None]
    classes = [one.spec.priority_class_name for one in (*reversed(outer), group)]
    return Drawn(
        source=reference(kind.api_version, kind.kind, outermost.metadata),
        key=key_of(kind, outermost),
        root=root,
        leaf=name,
        metadata=tuple(one.metadata for one in (*reversed(outer), group)),
        created=outermost.metadata.creation_timestamp,
        priority=priorities[0] if priorities else None,
        priority_class=next((one for one in classes if one), ""),
    )


def key_of(kind: Resource, outermost: PodGroup) -> str:
    """Of the job that a group makes which is in no other."""
    return job_key(outermost.metadata.namespace, kind.kind, kind.group, outermost.metadata.name)


def part_of(root: Group, kind: Resource, group: PodGroup) -> Group | None:
    """What the group is in the job that it is a part of."""
    name = _composite(group.metadata.name) if kind.plural == COMPOSITES.plural else group.metadata.name
    return next((one for one in _parts(root) if one.name == name), None)


def _parts(group: Group) -> Iterator[Group]:
    yield group
    for part in group.groups:
        yield from _parts(part)


def _composite(name: str) -> str:
    """A composite may have the name of a group in it."""
    return f"composite:{name}"


def above(group: PodGroup, composites: Served[PodGroup]) -> Sequence[PodGroup]:
    """From the group's parent to the outermost. Where the cluster has no composites a group stands for itself."""
    found: list[PodGroup] = []
    parent = group.spec.parent_composite_pod_group_name
    while parent and composites.is_open:
        namespace = group.metadata.namespace
        composite = composites.get(f"{namespace}/{parent}")
        if composite is None:
            raise Refused(f"CompositePodGroup {namespace}/{parent} does not exist: create it")
        if len(found) == _DEEPEST:
            raise Refused(
                f"CompositePodGroup {namespace}/{parent} is in itself, or too deep: give it no parent"
            )
        found.append(composite)
        parent = composite.spec.parent_composite_pod_group_name
    return found


def _composed(
    composite: PodGroup, groups: Served[PodGroup], composites: Served[PodGroup], depth: int = 1
) -> Group:
    namespace, name = composite.metadata.namespace, composite.metadata.name
    if depth > _DEEPEST:
        raise Refused(f"CompositePodGroup {namespace}/{name} is too deep: give it no parent")
    inner = f"{namespace}/{name}"
    parts = [_leaf(group) for group in _by_name(groups.inside(inner))]
    parts += [_composed(one, groups, composites, depth + 1) for one in _by_name(composites.inside(inner))]
    gang = composite.spec.scheduling_policy.gang
    return Group(
        name=_composite(name),
        minimum=max(1, gang.min_group_count or 1) if gang is not None else 1,
        groups=tuple(parts),
        topology=_wish(composite.spec),
    )


def _by_name(groups: Iterable[PodGroup]) -> list[PodGroup]:
    # Whatever order they came in, the tree is the same.
    return sorted(groups, key=lambda one: one.metadata.name)


def _leaf(group: PodGroup) -> Group:
    gang = group.spec.scheduling_policy.gang
    return Group(
        name=group.metadata.name,
        minimum=max(1, gang.min_count or 1) if gang is not None else 1,
        topology=_wish(group.spec),
    )


def _wish(spec: PodGroupSpec) -> TopologyWish | None:
    constraints = spec.scheduling_constraints
    levels = [one.key for one in (constraints.topology or ()) if one.key] if constraints is not None else []
    return TopologyWish("", required=levels[0]) if levels else None
