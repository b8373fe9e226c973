"""Pods that stop together and start together: which they are, on which nodes, who made them, and how they can be suspended.

Two pods are of one gang where the same job made them, or a PodGroup of whatever project has both. The job is the highest owner of a
kind that is known (`job_kinds`): what stands above it made it to be just that. Pods that serve, each by itself, are of no gang.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from aliquot.eks.estate import gpu_kinds
from aliquot.eks.estate.job_kinds import ACTIVE, JOB_KINDS, ON_EACH_NODE, WORKLOADS, Way, way_of
from aliquot.eks.estate.objects import Container, Meta, Objects, Owner, Pod, PodSpec
from aliquot.kube.api.gpuclass import CLASS_PREFIX
from aliquot.kube.resources import DEPLOYMENTS, JOBS, PODS, REPLICASETS, STATEFULSETS, Resource

POD_GROUPS = (
    "aliquot.dev/pod-group",
    "pod-group-name",
    "scheduling.x-k8s.io/pod-group",
    "scheduling.k8s.io/group-name",
    "scheduling.volcano.sh/group-name",
    "kueue.x-k8s.io/pod-group-name",
)
"""Labels or annotations that name a pod's group: ours, KAI's, coscheduling's, Volcano's two, Kueue's."""
GPU_PREFIXES = ("nvidia.com/gpu", "nvidia.com/mig-", CLASS_PREFIX)
_MIRROR = "kubernetes.io/config.mirror"
_ENDED = frozenset({"Succeeded", "Failed"})
_DEEPEST = 8

Key = tuple[str, str, str, str]
"""Group, kind, namespace, name."""


class Thing(Struct, frozen=True, kw_only=True):
    """An object that may own pods, or others that do."""

    resource: Resource
    """In the version in which it was read."""
    metadata: Meta
    resource_version: str = ""
    spec: dict[str, Any] = {}

    @property
    def key(self) -> Key:
        return (self.resource.group, self.resource.kind, self.metadata.namespace, self.metadata.name)

    def __str__(self) -> str:
        group, kind, namespace, name = self.key
        return f"{kind}.{group}/{namespace}/{name}" if group else f"{kind} {namespace}/{name}"


class Root(Struct, frozen=True, kw_only=True):
    """Who made pods of a gang, and what is written to in order to suspend it: itself, or Kueue's Workload of it."""

    kind: str
    group: str
    """Of its API."""
    namespace: str
    name: str
    way: Way
    target: Thing | None = None
    """None: there is no way."""
    path: tuple[str, ...] = ()
    why: str = ""
    """There is no way."""
    itself: Thing | None = None
    """None: it was not read, or is a pod that nobody owns."""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def key(self) -> str:
        return f"{self.kind}.{self.group}/{self.namespace}/{self.name}" if self.group else str(self)

    @property
    def annotations(self) -> dict[str, str]:
        return self.itself.metadata.annotations if self.itself is not None else {}

    @property
    def value(self) -> Any:
        """Of the field that suspends it; None: it is not set."""
        return at(self.target.spec, self.path[1:]) if self.target is not None else None

    @property
    def is_suspended(self) -> bool:
        match self.way:
            case Way.FIELD:
                return self.value is True
            case Way.KUEUE:
                return self.value is False
            case Way.SCALE:
                return bool(self.value == 0)
        return False


class Gang(Struct, frozen=True, kw_only=True):
    roots: tuple[Root, ...]
    """More than one where a PodGroup has pods of several."""
    pods: tuple[Pod, ...]
    """Those that have not ended."""

    @property
    def name(self) -> str:
        return self.roots[0].key

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(sorted({pod.spec.node_name for pod in self.pods if pod.spec.node_name}))

    def places(self, of_node: Mapping[str, str]) -> tuple[str, ...]:
        """`of_node`: where each node is that is in a place (`estate.places`)."""
        return tuple(sorted({of_node[node] for node in self.nodes if node in of_node}))

    @property
    def way(self) -> Way:
        """The hardest of its roots'."""
        order = (Way.NONE, Way.SCALE, Way.KUEUE, Way.FIELD)
        return min((root.way for root in self.roots), key=order.index)

    @property
    def why(self) -> str:
        """Of one that cannot just be suspended; empty: it can."""
        if self.way is Way.SCALE:
            return "it can only be scaled to no replicas"
        return next((root.why for root in self.roots if root.way is Way.NONE), "")

    def __str__(self) -> str:
        return ", ".join(str(root) for root in self.roots)


def thing_of(resource: Resource, told: Mapping[str, Any]) -> Thing:
    """An object as the API server gives it."""
    meta = told.get("metadata", {})
    return Thing(
        resource=resource,
        metadata=Meta(
            name=meta.get("name", ""),
            namespace=meta.get("namespace", ""),
            uid=meta.get("uid", ""),
            labels=meta.get("labels") or {},
            annotations=meta.get("annotations") or {},
            owner_references=[_owner(one) for one in meta.get("ownerReferences") or ()],
        ),
        resource_version=meta.get("resourceVersion", ""),
        spec=told.get("spec") or {},
    )


def _owner(told: Mapping[str, Any]) -> Owner:
    return Owner(
        kind=told.get("kind", ""),
        name=told.get("name", ""),
        uid=told.get("uid", ""),
        controller=bool(told.get("controller")),
        api_version=told.get("apiVersion", ""),
    )


def at(body: Mapping[str, Any], path: Sequence[str]) -> Any:
    """None where it leads nowhere."""
    found: Any = body
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def has_gpus(container: Container) -> bool:
    """By name; which container a claim is of, its pod alone says."""
    return any(
        name.startswith(GPU_PREFIXES)
        for kind in ("requests", "limits")
        for name in container.resources.get(kind) or ()
    )


def asks_gpus(spec: PodSpec) -> bool:
    """Also by claims: what they are for is not looked up, and on a node with GPUs it hardly is anything else."""
    return bool(spec.resource_claims) or any(map(has_gpus, (*spec.containers, *spec.init_containers)))


def drawn(pods: Iterable[Pod], things: Mapping[Key, Thing]) -> tuple[Gang, ...]:
    """All gangs of the cluster. `things`: owners of pods, their owners, and Kueue's Workloads, as far as they were read."""
    pods = tuple(pods)
    workloads = _workloads(things.values())
    things = {**things, **_owning(pods)}
    roots: dict[str, Root] = {}
    """By name."""
    of_root: dict[str, list[Pod]] = {}
    of_group: dict[str, list[tuple[str, Pod]]] = {}
    standing: set[str] = set()
    for pod in pods:
        if not counts(pod):
            continue
        root, stands = _root(pod, things, workloads)
        name = root.key
        roots.setdefault(name, root)
        of_root.setdefault(name, []).append(pod)
        if stands:
            standing.add(name)
        if group := _group(pod):
            of_group.setdefault(group, []).append((name, pod))
    joined = _joined(roots, of_group)
    tied = {name for members in of_group.values() if len(members) > 1 for name, _ in members}
    gangs: dict[str, list[str]] = {}
    for name in sorted(roots):
        if name not in standing or name in tied:
            gangs.setdefault(joined[name], []).append(name)
    return tuple(
        Gang(
            roots=tuple(roots[name] for name in names),
            pods=tuple(pod for name in names for pod in of_root[name]),
        )
        for names in gangs.values()
    )


def of_objects(objects: Objects) -> tuple[Gang, ...]:
    """Those of an estate. Who made pods and was not read is a root that nobody knows how to suspend."""
    things = [
        thing_of(resource, told)
        for resource in (*(kind.resource for kind in JOB_KINDS.values()), WORKLOADS)
        for told in objects.of(gpu_kinds.key(resource))
    ]
    things += [
        Thing(resource=JOBS, metadata=one.metadata, spec={"suspend": bool(one.spec.suspend)})
        for one in objects.jobs
    ]
    things += [
        Thing(resource=resource, metadata=one.metadata, spec={"replicas": one.spec.replicas})
        for resource in (DEPLOYMENTS, STATEFULSETS)
        for one in objects.workloads.get(resource.kind, ())
    ]
    return drawn(objects.pods, {one.key: one for one in things})


def _owning(pods: Sequence[Pod]) -> dict[Key, Thing]:
    """Pods that own: leaders of a LeaderWorkerSet (by way of a StatefulSet), Spark's drivers."""
    return {thing.key: thing for thing in (Thing(resource=PODS, metadata=pod.metadata) for pod in pods)}


def counts(pod: Pod) -> bool:
    """It runs or will, and is not of its node."""
    if pod.status.phase in _ENDED or _MIRROR in pod.metadata.annotations:
        return False
    owner = controller(pod.metadata)
    return owner is None or (_group_of(owner), owner.kind) not in ON_EACH_NODE


def controller(meta: Meta) -> Owner | None:
    """Who controls it; the first of its owners, where none says so."""
    owners = meta.owner_references
    return next((one for one in owners if one.controller), owners[0] if owners else None)


def unread(
    pods: Iterable[Pod], things: Iterable[Thing], known: Collection[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Kinds of their owners, by group and kind, of which nothing has been read so far. ReplicaSets only where a group has one of their
    pods: a cluster has thousands, and pods that serve are of no gang."""
    owned = [(thing.metadata, True) for thing in things]
    owned += [(pod.metadata, bool(_group(pod))) for pod in pods if counts(pod)]
    found = set()
    for meta, is_grouped in owned:
        owner = controller(meta)
        if owner is not None:
            kind = (_group_of(owner), owner.kind)
            if kind in JOB_KINDS and kind not in known and (is_grouped or owner.kind != REPLICASETS.kind):
                found.add(kind)
    return found


def sets_tied(gangs: Iterable[Gang], of_node: Mapping[str, str], places: Sequence[str]) -> list[list[str]]:
    """Places that have to be rolled together, for a gang is on each; in the order of `places`."""
    sets = [[place] for place in places]
    for gang in gangs:
        on = set(gang.places(of_node))
        touched = [one for one in sets if on.intersection(one)]
        if len(touched) > 1:
            merged = [place for place in places if any(place in one for one in touched)]
            first = sets.index(touched[0])
            sets = [one for one in sets if one not in touched]
            sets.insert(first, merged)
    return sets


def _root(pod: Pod, things: Mapping[Key, Thing], workloads: Mapping[str, Thing]) -> tuple[Root, bool]:
    """With whether it stands."""
    meta: Meta = pod.metadata
    found: Thing | None = None
    unknown: Owner | None = None
    for _ in range(_DEEPEST):
        owner = controller(meta)
        if owner is None:
            break
        thing = things.get((_group_of(owner), owner.kind, pod.metadata.namespace, owner.name))
        if thing is None:
            unknown = owner if found is None else None
            break
        if (thing.resource.group, thing.resource.kind) in JOB_KINDS:
            found = thing
        meta = thing.metadata
    if found is not None:
        return _of_thing(found, workloads)
    if unknown is not None:
        kind = JOB_KINDS.get((_group_of(unknown), unknown.kind))
        root = Root(
            kind=unknown.kind,
            group=_group_of(unknown),
            namespace=pod.metadata.namespace,
            name=unknown.name,
            way=Way.NONE,
            why="it could not be read" if kind else f"nothing is known here of a {unknown.kind}",
        )
        return root, kind is not None and kind.stands
    root = Root(
        kind=PODS.kind,
        group="",
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        way=Way.NONE,
        why="nobody makes it anew",
    )
    # One that has no GPUs is somebody looking around.
    return root, not asks_gpus(pod.spec)


def _of_thing(thing: Thing, workloads: Mapping[str, Thing]) -> tuple[Root, bool]:
    kind = JOB_KINDS[thing.resource.group, thing.resource.kind]
    way, why = way_of(kind, thing.spec)
    path, target = kind.path, thing
    workload = workloads.get(thing.metadata.uid)
    if workload is not None:
        way, path, target, why = Way.KUEUE, ACTIVE, workload, ""
    root = Root(
        kind=thing.resource.kind,
        group=thing.resource.group,
        namespace=thing.metadata.namespace,
        name=thing.metadata.name,
        way=way,
        target=None if way is Way.NONE else target,
        path=() if way is Way.NONE else path,
        why=why,
        itself=thing,
    )
    return root, kind.stands


def _workloads(things: Iterable[Thing]) -> dict[str, Thing]:
    """Kueue's, by the uid of whom they are of."""
    return {
        owner.uid: thing
        for thing in things
        if (thing.resource.group, thing.resource.kind) == (WORKLOADS.group, WORKLOADS.kind)
        for owner in thing.metadata.owner_references
    }


def _group(pod: Pod) -> str:
    """Empty: it is in none."""
    meta = pod.metadata
    for key in POD_GROUPS:
        if name := meta.labels.get(key) or meta.annotations.get(key):
            return f"{key}/{meta.namespace}/{name}"
    name = pod.spec.scheduling_group.get("podGroupName", "")
    return f"scheduling.k8s.io/{meta.namespace}/{name}" if name else ""


def _group_of(owner: Owner) -> str:
    return owner.api_version.rpartition("/")[0]


def _joined(roots: Iterable[str], of_group: Mapping[str, Sequence[tuple[str, Pod]]]) -> dict[str, str]:
    """Of each root the first of those that groups tie it to."""
    first = {name: name for name in roots}

    def top(name: str) -> str:
        while first[name] != name:
            name = first[name]
        return name

    for members in of_group.values():
        for name, _ in members:
            one, other = sorted((top(members[0][0]), top(name)))
            first[other] = one
    return {name: top(name) for name in first}
