"""Nodes by what makes and replaces them together, and the pods that run there or ask to.

A pool is a managed node group, a NodePool of Karpenter, Fargate, or what is left. A group without nodes is one, too.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from aliquot.eks.estate.estate import Estate, Nodegroup
from aliquot.eks.estate.objects import Meta, Node, Objects, Pod, PodSpec, Workload
from aliquot.eks.estate.places import GROUP_LABEL, POOL_LABEL, is_fargate
from aliquot.eks.versions import drivers
from aliquot.eks.versions.drivers import Family
from aliquot.kube.selectors import SelectorError, from_object

TYPE_LABEL = "node.kubernetes.io/instance-type"

_OVER = frozenset({"Succeeded", "Failed"})


class Pool(Struct, frozen=True, kw_only=True):
    name: str
    """For sentences: `node group gpu`."""
    group: Nodegroup | None = None
    nodes: tuple[Node, ...] = ()
    pods: tuple[Pod, ...] = ()
    """That are on its nodes, and not over."""
    labels: frozenset[tuple[str, str]] = frozenset()
    """That some node of it has, or would have where there is none."""

    @property
    def instance_types(self) -> tuple[str, ...]:
        """Of the nodes that are there."""
        found = {node.metadata.labels.get(TYPE_LABEL, "") for node in self.nodes}
        return tuple(sorted(found - {""}))

    def selected_by(self, spec: PodSpec) -> bool:
        """Whether the pod names what this pool has. One that may go anywhere selects nothing."""
        terms = _terms(spec)
        wanted = spec.node_selector
        if (not wanted and not terms) or not self.labels.issuperset(wanted.items()):
            return False
        return any(
            all(labels.get(key) == value for key, value in wanted.items())
            and (not terms or any(_fits(term, labels) for term in terms))
            for labels in self._labels()
        )

    def _labels(self) -> Iterator[dict[str, str]]:
        if self.group is not None and not self.nodes:
            yield _declared(self.group)
        for node in self.nodes:
            yield node.metadata.labels


def _declared(group: Nodegroup) -> dict[str, str]:
    """Labels that its nodes would have."""
    types = {TYPE_LABEL: group.instance_types[0]} if group.instance_types else {}
    return {**types, **group.labels, GROUP_LABEL: group.name}


def _pool(name: str, group: Nodegroup | None, nodes: list[Node], pods: list[Pod]) -> Pool:
    declared = _declared(group) if group is not None and not nodes else {}
    labels = frozenset(pair for node in nodes for pair in node.metadata.labels.items())
    return Pool(
        name=name,
        group=group,
        nodes=tuple(nodes),
        pods=tuple(pods),
        labels=labels.union(declared.items()),
    )


def pools(estate: Estate) -> tuple[Pool, ...]:
    """Managed groups first, as AWS lists them."""
    nodes: dict[str, list[Node]] = {pool_name(GROUP_LABEL, one.name): [] for one in estate.nodegroups}
    groups = {pool_name(GROUP_LABEL, one.name): one for one in estate.nodegroups}
    of_node: dict[str, str] = {}
    objects = estate.objects or Objects()
    for node in objects.nodes:
        name = pool_of(node)
        nodes.setdefault(name, []).append(node)
        of_node[node.metadata.name] = name
    pods: dict[str, list[Pod]] = {}
    for pod in objects.pods:
        where = of_node.get(pod.spec.node_name)
        if where is not None and pod.status.phase not in _OVER:
            pods.setdefault(where, []).append(pod)
    return tuple(_pool(name, groups.get(name), there, pods.get(name, [])) for name, there in nodes.items())


def gpu_families(estate: Estate, pool: Pool) -> tuple[Family, ...]:
    """Of NVIDIA's GPUs, by what its group and its nodes say of instance types."""
    types = set(pool.instance_types)
    if pool.group is not None:
        types |= set(estate.types_of(pool.group))
    found = {family.name: family for one in types if (family := drivers.family(one))}
    return tuple(found[name] for name in sorted(found))


def pool_of(node: Node) -> str:
    labels = node.metadata.labels
    for label in _KINDS:
        if label in labels:
            return pool_name(label, labels[label])
    if is_fargate(labels):
        return "nodes of Fargate"
    return "nodes of no group"


_KINDS = {GROUP_LABEL: "node group", POOL_LABEL: "NodePool"}


def pool_name(label: str, value: str) -> str:
    return f"{_KINDS[label]} {value}"


class Asking(Struct, frozen=True, kw_only=True):
    """A pod, or a workload's template of pods that are not there."""

    what: str
    metadata: Meta
    spec: PodSpec


def asking(pool: Pool, unplaced: Iterable[Asking]) -> Iterator[Asking]:
    """What runs in the pool, what waits for it, and what would if it were scaled up or resumed."""
    for pod in pool.pods:
        yield _of_pod(pod)
    for one in unplaced:
        if pool.selected_by(one.spec):
            yield one


def unplaced(objects: Objects) -> tuple[Asking, ...]:
    """Pods without a node, and templates of those that are scaled to none or suspended."""
    found = [_of_pod(pod) for pod in objects.pods if not pod.spec.node_name and pod.status.phase == "Pending"]
    for kind in ("Deployment", "StatefulSet"):
        away = (one for one in objects.workloads.get(kind, ()) if one.spec.replicas == 0)
        found += [_of_template(kind, one) for one in away]
    found += [_of_template("Job", one) for one in objects.jobs if one.spec.suspend]
    return tuple(found)


def _of_template(kind: str, workload: Workload) -> Asking:
    meta, template = workload.metadata, workload.spec.template
    return Asking(what=f"{kind} {meta.namespace}/{meta.name}", metadata=template.metadata, spec=template.spec)


def _of_pod(pod: Pod) -> Asking:
    what = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
    return Asking(what=what, metadata=pod.metadata, spec=pod.spec)


def _terms(spec: PodSpec) -> list[dict[str, object]]:
    affinity = spec.affinity.node_affinity if spec.affinity is not None else {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    return [term for term in required.get("nodeSelectorTerms") or () if term.get("matchExpressions")]


def _fits(term: dict[str, object], labels: dict[str, str]) -> bool:
    try:
        return from_object({"matchExpressions": term["matchExpressions"]}).matches(labels)
    except SelectorError:
        # Gt and Lt are of nodes alone; nobody chooses a group by them.
        return False


def some(names: list[str]) -> str:
    """`pod shop/train-0 and 7 more`."""
    first = sorted(names)
    return first[0] if len(first) == 1 else f"{first[0]} and {len(first) - 1} more"
