"""From the API's objects to the cluster as planners see it.

GPUs that are ailing, not in MIG mode, or whose profiles no driver has told, are left out: a plan neither switches modes nor guesses.
Pods that ask for slices by profile wait; those that ask for a GPUClass are the partitioner's, which chooses the way.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from aliquot.clock import parse_rfc3339
from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.profiles import GPU_RESOURCE, RESOURCE_PREFIX, of_gpu_instance, resource_name
from aliquot.kube.api import core
from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION, AssignedDevice, most_devices
from aliquot.kube.api.gpunode import GPUNode, GPUStatus, MigMode, Partitioning
from aliquot.kube.api.policy import LabelSelector, PodDisruptionBudget
from aliquot.kube.resources import key
from aliquot.partition.asked import asked_of
from aliquot.partition.board_states import BoardStates, ordinary, states_of
from aliquot.partition.cluster import (
    ANYWHERE,
    NODE_NAME,
    Cluster,
    Instance,
    Node,
    Operator,
    PendingPod,
    PlannedGpu,
    Requirement,
    RunningPod,
    Where,
)
from aliquot.partition.controller.claims import Claim, claimed, open_claims
from aliquot.partition.gpus import MIG_CONFIG_LABEL, gpus_of

_MARKS = {
    "aliquot.dev/do-not-disrupt": "true",
    "karpenter.sh/do-not-disrupt": "true",
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
}
_MIG_PREFIX = RESOURCE_PREFIX + "mig-"
_OWN_TAINT = "nvidia.com/gpu"
"""Pods that ask for GPUs are given a toleration of it."""


def read(
    gpu_nodes: Sequence[GPUNode],
    nodes: Iterable[core.Node],
    pods: Sequence[core.Pod],
    budgets: Sequence[PodDisruptionBudget],
    required: Iterable[str] = (),
) -> Cluster:
    """`required`: keys of pods that wait and have to be admitted."""
    by_name = {node.metadata.name: node for node in nodes}
    known = sorted(
        (one for one in gpu_nodes if one.metadata.name in by_name), key=lambda one: one.metadata.name
    )
    promised = _promised(pods, known)
    tables: _Tables = {}
    gpus = tuple(
        gpu
        for gpu_node in known
        for gpu in _gpus(gpu_node, by_name[gpu_node.metadata.name], promised, tables)
    )
    profiles = {
        resource_name(profile.name): profile.name
        for states in {id(gpu.states): gpu.states for gpu in gpus}.values()
        for profile in states.profiles
    }
    holding = {pod for gpu in gpus for instance in gpu.instances for pod in instance.pods}
    sharing = {
        held.pod
        for gpu_node in gpu_nodes
        for gpu in gpu_node.status.gpus
        for instance in gpu.instances
        if instance.shares is not None
        for held in instance.shares.held
    }
    musts = frozenset(required)
    guards = Budgets(budgets)
    running: dict[str, RunningPod] = {}
    pending: list[tuple[str, PendingPod]] = []
    for pod in pods:
        name = key(pod)
        if name in holding:
            running[name] = _running(pod, name, guards, name in sharing)
        elif (waits := _pending(pod, name, profiles, name in musts)) is not None:
            pending.append((pod.metadata.creation_timestamp or "", waits))
    pending.sort(key=lambda one: (one[0], one[1].key))
    return Cluster(
        nodes=tuple(_node(by_name[one.metadata.name], one) for one in known),
        gpus=gpus,
        running=running,
        pending=tuple(waits for _, waits in pending),
        budgets={key(budget): budget.status.disruptions_allowed for budget in budgets},
    )


# --- nodes and GPUs ---


def _node(node: core.Node, gpu_node: GPUNode) -> Node:
    return Node(node.metadata.name, node.metadata.labels or {}, _closed(node, gpu_node))


def _closed(node: core.Node, gpu_node: GPUNode) -> str:
    if (node.metadata.labels or {}).get(MIG_CONFIG_LABEL):
        return f"its label {MIG_CONFIG_LABEL} says how it is cut"
    if gpu_node.spec.partitioning is Partitioning.STATIC:
        return "its partitioning is static"
    if node.spec.unschedulable:
        return "it is cordoned"
    for taint in node.spec.taints or ():
        if taint.effect in ("NoSchedule", "NoExecute") and taint.key != _OWN_TAINT:
            return f"it has the taint {taint.key}"
    return ""


_Tables = dict[int, tuple[tuple[InstanceProfile, ...], BoardStates]]
"""Boards met before, by the identity of their profiles, which are kept with them: to compare profiles takes longer than the rest."""


def _gpus(
    gpu_node: GPUNode,
    node: core.Node,
    promised: Mapping[str, list[tuple[str, AssignedDevice]]],
    tables: _Tables,
) -> Iterator[PlannedGpu]:
    facts = {one.uuid: one for one in gpus_of(gpu_node, node.metadata.labels or {})}
    for gpu in gpu_node.status.gpus:
        known = facts.get(gpu.uuid)
        if gpu.mig_mode is not MigMode.ENABLED or known is None or not known.profiles:
            continue
        if id(known.profiles) not in tables:
            tables[id(known.profiles)] = known.profiles, states_of(ordinary(known.profiles))
        _, states = tables[id(known.profiles)]
        yield PlannedGpu(
            gpu.uuid,
            gpu_node.metadata.name,
            gpu.board,
            states,
            _instances(gpu, states, promised.get(gpu.uuid, ())),
        )


def _instances(
    gpu: GPUStatus, states: BoardStates, promises: Sequence[tuple[str, AssignedDevice]]
) -> tuple[Instance, ...]:
    """GPU instances with all who hold one of their devices, or are about to: what is promised is taken."""
    found: dict[int, Instance] = {}
    for device in gpu.instances:
        before = found.get(device.start)
        if before is None and device.shares is None:
            # As nearly all are; of the others there may be several in one place.
            profile = of_gpu_instance(device.profile)
            found[device.start] = Instance(profile, device.start, device.size, tuple(sorted(device.pods)))
            continue
        shared = [held.pod for held in device.shares.held] if device.shares is not None else []
        holders = {*(before.pods if before else ()), *device.pods, *shared}
        found[device.start] = Instance(
            of_gpu_instance(device.profile), device.start, device.size, tuple(sorted(holders))
        )
    for pod, promised in promises:
        placing = states.placing(promised.profile, promised.start) if promised.start is not None else None
        if placing is None:
            continue
        there = found.get(placing.start)
        if there is not None and there.profile == promised.profile:
            found[placing.start] = Instance(
                there.profile, there.start, there.size, tuple(sorted({*there.pods, pod}))
            )
            continue
        # What is in the way of a promise is idle, and on its way out.
        found = {start: one for start, one in found.items() if one.pods or not one.mask & placing.mask}
        if not any(one.mask & placing.mask for one in found.values()):
            found[placing.start] = Instance(promised.profile, placing.start, placing.mask.bit_count(), (pod,))
    return tuple(found[start] for start in sorted(found))


# --- pods ---


def _promised(
    pods: Iterable[core.Pod], gpu_nodes: Sequence[GPUNode]
) -> dict[str, list[tuple[str, AssignedDevice]]]:
    """GPU -> what of it pods have been promised and have not been given yet, that or another like it."""
    listed: Counter[str] = Counter()
    for gpu_node in gpu_nodes:
        for gpu in gpu_node.status.gpus:
            listed.update(gpu.pods)
            for instance in gpu.instances:
                listed.update(instance.pods)
    on_node: dict[str, list[Claim]] = {}
    for pod in pods:
        text = (pod.metadata.annotations or {}).get(ASSIGNMENT_ANNOTATION)
        if text and listed[key(pod)] < most_devices(text):
            node, its = claimed(pod)
            on_node.setdefault(node, []).extend(its)
    found: dict[str, list[tuple[str, AssignedDevice]]] = {}
    for gpu_node in gpu_nodes:
        if (claims := on_node.get(gpu_node.metadata.name)) is not None:
            for claim in open_claims(claims, gpu_node.status):
                found.setdefault(claim.device.gpu, []).append((claim.pod, claim.device))
    return found


def _running(pod: core.Pod, name: str, guards: "Budgets", shares: bool) -> RunningPod:
    budgets = guards.of(pod)
    started = pod.status.start_time
    return RunningPod(
        name,
        pod.spec.priority,
        parse_rfc3339(started) if started else None,
        _where(pod.spec),
        budgets[0] if budgets else "",
        is_marked(pod),
        _why_fixed(pod, budgets, shares),
    )


def is_marked(pod: core.Pod) -> bool:
    """Whether the pod says of itself that it is not to be evicted for others, in our word or in an autoscaler's."""
    annotations = pod.metadata.annotations or {}
    return any(annotations.get(mark) == value for mark, value in _MARKS.items())


def _why_fixed(pod: core.Pod, budgets: Sequence[str], shares: bool) -> str:
    if pod.metadata.deletion_timestamp is not None:
        return "it is going already"
    if pod.status.phase != "Running":
        return "it does not run yet"
    owners = [owner for owner in pod.metadata.owner_references or () if owner.controller]
    if not owners:
        return "nothing would start it again"
    if owners[0].kind == "DaemonSet":
        return "its DaemonSet wants it on that node"
    if len(budgets) > 1:
        return "it has more than one PodDisruptionBudget, which the eviction API refuses"
    if any(GPU_RESOURCE in (container.resources.limits or ()) for container in pod.spec.containers):
        return "it has a whole GPU besides"
    return "it has a share of its slice" if shares else ""


def _pending(pod: core.Pod, name: str, profiles: Mapping[str, str], required: bool) -> PendingPod | None:
    if pod.spec.node_name or pod.metadata.deletion_timestamp is not None:
        return None
    if pod.status.has_ended or pod.spec.scheduling_gates:
        return None
    asked: Counter[str] = Counter()
    for resource, amount in asked_of(pod).items():
        if resource.startswith(_MIG_PREFIX):
            asked[profiles.get(resource, resource.removeprefix(_MIG_PREFIX))] += amount
    needs = tuple(sorted((+asked).items()))
    return PendingPod(name, needs, pod.spec.priority, _where(pod.spec), required) if needs else None


def _where(spec: core.PodSpec) -> Where:
    """By node selector and required node affinity."""
    if not spec.node_selector and not spec.affinity:
        return ANYWHERE
    selected = tuple(
        Requirement(label, Operator.IN, (value,))
        for label, value in sorted((spec.node_selector or {}).items())
    )
    affinity = (spec.affinity or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return Where((selected,)) if selected else ANYWHERE
    terms = tuple((*selected, *_term(term)) for term in required.get("nodeSelectorTerms") or ())
    return Where(terms) if terms else ANYWHERE


def _term(term: Mapping[str, Any]) -> Iterator[Requirement]:
    for part in ("matchExpressions", "matchFields"):
        for one in term.get(part) or ():
            # Of fields only the node's name can be asked for.
            name = NODE_NAME if part == "matchFields" else one["key"]
            yield Requirement(name, Operator(one["operator"]), tuple(one.get("values") or ()))


class Budgets:
    """Which PodDisruptionBudgets a pod is under."""

    def __init__(self, budgets: Iterable[PodDisruptionBudget]) -> None:
        self._by_namespace: dict[str, list[tuple[str, tuple[Requirement, ...]]]] = {}
        for budget in budgets:
            if (selector := budget.spec.selector) is not None:
                own = self._by_namespace.setdefault(budget.metadata.namespace, [])
                own.append((key(budget), _requirements(selector)))

    def of(self, pod: core.Pod) -> tuple[str, ...]:
        here = self._by_namespace.get(pod.metadata.namespace)
        if here is None:
            return ()
        labels = pod.metadata.labels or {}
        return tuple(
            name
            for name, requirements in here
            if all(one.met_by(labels.get(one.key)) for one in requirements)
        )


def _requirements(selector: LabelSelector) -> tuple[Requirement, ...]:
    equal = [Requirement(k, Operator.IN, (v,)) for k, v in (selector.match_labels or {}).items()]
    more = [
        Requirement(one.key, Operator(one.operator), one.values or ())
        for one in selector.match_expressions or ()
    ]
    return (*equal, *more)
