"""From the API's objects to the cluster as planners see it.

GPUs that are ailing, not in MIG mode, or whose profiles no driver has told, are left out: a plan neither switches modes nor guesses.
Pods that ask for slices by profile wait; those that ask for a GPUClass are the partitioner's, which chooses the way.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from aliquot.clock import parse_rfc3339
from aliquot.gpu.profiles import RESOURCE_PREFIX, of_gpu_instance, resource_name
from aliquot.kube import quantity
from aliquot.kube.api import core
from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION, AssignedDevice, decode
from aliquot.kube.api.gpunode import GPUNode, GPUStatus, MigMode, Partitioning
from aliquot.kube.api.policy import LabelSelector, PodDisruptionBudget
from aliquot.kube.resources import key
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
from aliquot.partition.gpus import MIG_CONFIG_LABEL, gpus_of

DO_NOT_DISRUPT = ("aliquot.dev/do-not-disrupt", "karpenter.sh/do-not-disrupt")
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
    assigned = _assigned(pods)
    gpus = tuple(
        gpu
        for gpu_node in sorted(gpu_nodes, key=lambda one: one.metadata.name)
        if gpu_node.metadata.name in by_name
        for gpu in _gpus(gpu_node, by_name[gpu_node.metadata.name], assigned)
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
    guards = _Guards(budgets)
    return Cluster(
        nodes=tuple(
            _node(by_name[one.metadata.name], one) for one in gpu_nodes if one.metadata.name in by_name
        ),
        gpus=gpus,
        running={key(pod): _running(pod, guards, key(pod) in sharing) for pod in pods if key(pod) in holding},
        pending=tuple(_pending(pods, profiles, holding, musts)),
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


def _gpus(
    gpu_node: GPUNode, node: core.Node, assigned: Mapping[str, list[tuple[str, AssignedDevice]]]
) -> Iterator[PlannedGpu]:
    facts = {one.uuid: one for one in gpus_of(gpu_node, node.metadata.labels or {})}
    for gpu in gpu_node.status.gpus:
        known = facts.get(gpu.uuid)
        if gpu.mig_mode is not MigMode.ENABLED or known is None or not known.profiles:
            continue
        states = states_of(ordinary(known.profiles))
        yield PlannedGpu(
            gpu.uuid,
            gpu_node.metadata.name,
            gpu.board,
            states,
            _instances(gpu, states, assigned.get(gpu.uuid, ())),
        )


def _instances(
    gpu: GPUStatus, states: BoardStates, assigned: Sequence[tuple[str, AssignedDevice]]
) -> tuple[Instance, ...]:
    """GPU instances with all who hold one of their devices, or are about to: what is promised is taken."""
    found: dict[int, Instance] = {}
    for device in gpu.instances:
        before = found.get(device.start)
        shared = [held.pod for held in device.shares.held] if device.shares is not None else []
        holders = {*(before.pods if before else ()), *device.pods, *shared}
        found[device.start] = Instance(
            of_gpu_instance(device.profile), device.start, device.size, tuple(sorted(holders))
        )
    for pod, promised in assigned:
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


def _assigned(pods: Iterable[core.Pod]) -> dict[str, list[tuple[str, AssignedDevice]]]:
    """GPU -> what of it pods have been promised, and may have already."""
    found: dict[str, list[tuple[str, AssignedDevice]]] = {}
    for pod in pods:
        text = (pod.metadata.annotations or {}).get(ASSIGNMENT_ANNOTATION)
        if not text or pod.status.phase in ("Succeeded", "Failed"):
            continue
        try:
            assignment = decode(text)
        except ValueError:
            continue
        for device in assignment.devices:
            found.setdefault(device.gpu, []).append((key(pod), device))
    return found


def _running(pod: core.Pod, guards: "_Guards", shares: bool) -> RunningPod:
    annotations = pod.metadata.annotations or {}
    budgets = guards.of(pod)
    started = pod.status.start_time
    return RunningPod(
        key(pod),
        pod.spec.priority,
        parse_rfc3339(started) if started else None,
        _where(pod.spec),
        budgets[0] if budgets else "",
        any(annotations.get(name) == "true" for name in DO_NOT_DISRUPT),
        _why_fixed(pod, budgets, shares),
    )


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
    return "it has a share of its slice" if shares else ""


def _pending(
    pods: Iterable[core.Pod], profiles: Mapping[str, str], holding: set[str], required: frozenset[str]
) -> Iterator[PendingPod]:
    for pod in pods:
        name = key(pod)
        if pod.spec.node_name or name in holding or pod.metadata.deletion_timestamp is not None:
            continue
        if pod.status.phase in ("Succeeded", "Failed") or pod.spec.scheduling_gates:
            continue
        asked: Counter[str] = Counter()
        for container in pod.spec.containers:
            for resource, amount in (container.resources.limits or {}).items():
                if resource.startswith(_MIG_PREFIX):
                    profile = profiles.get(resource, resource.removeprefix(_MIG_PREFIX))
                    asked[profile] += quantity.whole(amount)
        if needs := tuple(sorted((+asked).items())):
            yield PendingPod(name, needs, pod.spec.priority, _where(pod.spec), name in required)


def _where(spec: core.PodSpec) -> Where:
    """By node selector and required node affinity."""
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


class _Guards:
    """Which PodDisruptionBudgets a pod is under."""

    def __init__(self, budgets: Iterable[PodDisruptionBudget]) -> None:
        self._by_namespace: dict[str, list[tuple[str, tuple[Requirement, ...]]]] = {}
        for budget in budgets:
            if (selector := budget.spec.selector) is not None:
                own = self._by_namespace.setdefault(budget.metadata.namespace, [])
                own.append((key(budget), _requirements(selector)))

    def of(self, pod: core.Pod) -> tuple[str, ...]:
        labels = pod.metadata.labels or {}
        return tuple(
            name
            for name, requirements in self._by_namespace.get(pod.metadata.namespace, ())
            if all(one.met_by(labels.get(one.key)) for one in requirements)
        )


def _requirements(selector: LabelSelector) -> tuple[Requirement, ...]:
    equal = [Requirement(k, Operator.IN, (v,)) for k, v in (selector.match_labels or {}).items()]
    more = [
        Requirement(one.key, Operator(one.operator), one.values or ())
        for one in selector.match_expressions or ()
    ]
    return (*equal, *more)
