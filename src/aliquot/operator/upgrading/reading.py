"""One node and what is on it, as its upgrade sees them. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from aliquot.clock import parse_rfc3339
from aliquot.kube.api.core import ContainerStatus, Node, Pod
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.api.gpupolicy import GPUPolicySpec
from aliquot.kube.api.meta import Condition
from aliquot.kube.api.node_checks import CHECKS_PASSED
from aliquot.kube.resources import key
from aliquot.kube.selectors import parse_labels
from aliquot.operator.core import pods
from aliquot.operator.core.operands import ALL_LABEL, DEPLOY_LABELS, OperandName
from aliquot.operator.core.pods import operand_of
from aliquot.operator.core.policies import Policy
from aliquot.operator.core.rendering.operands import UNLOADS_LAST
from aliquot.operator.core.rendering.pods import OPERAND_LABEL, REVISION_LABEL
from aliquot.operator.core.upgrade.fit import misfit
from aliquot.operator.core.upgrade.memory import decode
from aliquot.operator.core.upgrade.node import DriverPod, UpgradeNode, Validation
from aliquot.operator.core.upgrade.states import (
    MEMORY,
    REQUESTED,
    RETRY,
    SKIP_LABEL,
    STATE_LABEL,
    State,
    state_of,
)
from aliquot.operator.upgrading.gpu_pods import (
    controller_of,
    gang_of,
    holds_gpus,
    is_drained,
    seen,
)

CLIENTS = tuple(name for name in OperandName if name is not OperandName.DRIVER)
"""Operands that use the driver."""
_VALIDATIONS = {"True": Validation.PASSED, "False": Validation.FAILED}
_BLOCKED_AFTER = 2
"""Restarts: the API server may have been away for once."""


@dataclass(frozen=True, slots=True)
class OnNode:
    """What is on a node, as the caches have it."""

    node: Node
    pods: Sequence[Pod]
    """Bound to it."""
    gpu_node: GPUNode | None
    namespace: str
    """Of operands."""
    refusals: Mapping[str, str]
    """Why evictions were refused last, by the pods' UIDs."""


def read(here: OnNode, wanted_revision: str, policy: Policy | None) -> UpgradeNode:
    """`policy` None: its spec is refused, and nothing is known of what it wants but what is rendered already."""
    operands = _operands(here)
    mine = {pod.metadata.uid for some in operands.values() for pod in some}
    theirs = [pod for pod in here.pods if pod.metadata.uid not in mine and not _is_ours(pod, here.namespace)]
    drivers = operands.get(OperandName.DRIVER, ())
    validation = _validation(here, policy, operands.get(OperandName.VALIDATOR, ()), drivers)
    spec = policy.spec if policy is not None else GPUPolicySpec()
    waited_for, drained = _waited_for(spec), _drained(spec)
    return replace(
        glance(here.node, here.gpu_node, wanted_revision),
        driver=_driver(drivers),
        gpu_pods=tuple(seen(pod, waited_for, here.refusals) for pod in theirs if holds_gpus(pod)),
        other_pods=tuple(
            seen(pod, refusals=here.refusals)
            for pod in theirs
            if not holds_gpus(pod) and is_drained(pod) and drained(pod)
        ),
        clients_running=any(operands.get(name) for name in CLIENTS),
        validation=validation[0],
        validated_s=validation[1],
        validation_message=validation[2],
        misfit=_misfit(policy, _labels(here.node)),
    )


def glance(node: Node, gpu_node: GPUNode | None, wanted_revision: str) -> UpgradeNode:
    """Without its pods: all that others' starts go by."""
    labels, annotations = _labels(node), node.metadata.annotations or {}
    checks, memory = checks_of(gpu_node), decode(annotations.get(MEMORY, ""))
    return UpgradeNode(
        node.metadata.name,
        wanted_revision,
        state=state_of(labels.get(STATE_LABEL, "")),
        memory=memory,
        is_garbled=memory is None and MEMORY in annotations,
        validation=_VALIDATIONS.get(checks.status if checks is not None else "", Validation.WAITING),
        is_cordoned=node.spec.unschedulable,
        is_ready=is_ready(node),
        is_skipped=labels.get(SKIP_LABEL) == "true",
        is_requested=annotations.get(REQUESTED) == "true",
        is_retried=annotations.get(RETRY) == "true",
    )


def has_our_driver(policy: Policy, node: Node) -> bool:
    """Somebody of us is to run it there."""
    labels = _labels(node)
    refused = labels.get(ALL_LABEL) == "false" or labels.get(DEPLOY_LABELS[OperandName.DRIVER]) == "false"
    return policy.operands[OperandName.DRIVER].wanted and not refused


def upgrade_of(node: Node) -> tuple[State | None, str]:
    """How far the upgrade of its driver is, and what it waits for, or why it failed."""
    memory = decode((node.metadata.annotations or {}).get(MEMORY, ""))
    return state_of(_labels(node).get(STATE_LABEL, "")), memory.reason if memory is not None else ""


def is_driver(pod: Pod, namespace: str) -> bool:
    known = operand_of(pod)
    return known is not None and known[1] is OperandName.DRIVER and pod.metadata.namespace == namespace


def is_blocked(driver: Pod) -> bool:
    """It cannot unload the last driver."""
    return any(
        one.name == UNLOADS_LAST and one.restart_count >= _BLOCKED_AFTER and not _has_succeeded(one)
        for one in driver.status.init_container_statuses or ()
    )


def pod_marks(pod: Pod) -> tuple[object, ...]:
    """All of a pod that is read here: equal marks, equal views."""
    metadata, status = pod.metadata, pod.status
    statuses = (*(status.init_container_statuses or ()), *(status.container_statuses or ()))
    return (
        metadata.uid,
        pod.spec.node_name,
        metadata.deletion_timestamp,
        metadata.labels,
        metadata.annotations,
        metadata.owner_references,
        status.phase,
        status.reason,
        status.message,
        [(one.type, one.status, one.reason, one.message) for one in status.conditions or ()],
        [(one.name, one.restart_count, one.state, one.last_state) for one in statuses],
    )


def is_ready(node: Node) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in node.status.conditions or ())


def _labels(node: Node) -> Mapping[str, str]:
    return node.metadata.labels or {}


def _is_ours(pod: Pod, namespace: str) -> bool:
    """Or of an operand's: the validator runs a pod with a device, and sees itself that it goes."""
    return pod.metadata.namespace == namespace and OPERAND_LABEL in (pod.metadata.labels or {})


def _operands(here: OnNode) -> Mapping[OperandName, Sequence[Pod]]:
    found: dict[OperandName, list[Pod]] = {}
    for pod in here.pods:
        known = operand_of(pod) if pod.metadata.namespace == here.namespace else None
        if known is not None and controller_of(pod) is not None and not pod.status.has_ended:
            found.setdefault(known[1], []).append(pod)
    return found


# --- the driver ---


def _driver(pods: Iterable[Pod]) -> DriverPod | None:
    """The one that stays, where there are two."""
    found = sorted((_driver_pod(pod) for pod in pods), key=lambda pod: (pod.is_going, not pod.ready, pod.key))
    return found[0] if found else None


def _driver_pod(pod: Pod) -> DriverPod:
    found = pods.read(pod, "")
    statuses = (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))
    return DriverPod(
        key(pod),
        (pod.metadata.labels or {}).get(REVISION_LABEL, ""),
        found.is_ready,
        restarts=max((one.restart_count for one in statuses), default=0),
        is_going=found.is_going,
        message=f"{found.reason}: {found.message}".strip(": "),
        uid=pod.metadata.uid,
        is_blocked=is_blocked(pod),
    )


def _has_succeeded(container: ContainerStatus) -> bool:
    return container.state.terminated is not None and container.state.terminated.exit_code == 0


def _misfit(policy: Policy | None, labels: Mapping[str, str]) -> str:
    if policy is None:
        return ""
    version = policy.operands[OperandName.DRIVER].image.version
    return misfit(version, policy.spec.driver.kernel_module_type, labels)


# --- what has been found of it ---


def _validation(
    here: OnNode, policy: Policy | None, validators: Sequence[Pod], drivers: Sequence[Pod]
) -> tuple[Validation, float, str]:
    """What is known, as of when, and in words."""
    labels = _labels(here.node)
    wanted = policy is None or policy.operands[OperandName.VALIDATOR].wanted
    if not wanted or "false" in (
        labels.get(ALL_LABEL),
        labels.get(DEPLOY_LABELS[OperandName.VALIDATOR]),
        labels.get(DEPLOY_LABELS[OperandName.AGENT]),
    ):
        # Nobody is there to say it.
        return Validation.PASSED, inf, ""
    found = checks_of(here.gpu_node)
    if found is None or found.status not in _VALIDATIONS:
        return Validation.WAITING, 0.0, ""
    told_s = _seconds(found.last_transition_time)
    if found.status == "False":
        return Validation.FAILED, told_s, found.message or found.reason
    # By the API server's clock alone: a validator that came after the driver, and has passed, has asked this one.
    since_s = max((_seconds(pod.metadata.creation_timestamp) for pod in drivers), default=inf)
    fresh = any(
        (found_pod := pods.read(pod, "")).is_ready
        and not found_pod.is_going
        and _seconds(pod.metadata.creation_timestamp) > since_s
        for pod in validators
    )
    return Validation.PASSED, inf if fresh else told_s, ""


def checks_of(gpu_node: GPUNode | None) -> Condition | None:
    conditions = gpu_node.status.conditions if gpu_node is not None else ()
    return next((one for one in conditions if one.type == CHECKS_PASSED), None)


def _seconds(text: str | None) -> float:
    return parse_rfc3339(text) if text else 0.0


# --- which pods ---


def _waited_for(spec: GPUPolicySpec) -> Callable[[Pod], bool]:
    jobs = spec.upgrade.wait_for_jobs
    if jobs is None:
        return lambda _: False
    if jobs.pod_selector:
        return _by_labels(jobs.pod_selector)
    # A gang that serves for ever is not waited for.
    return lambda pod: pod.spec.restart_policy != "Always" and bool(gang_of(pod))


def _drained(spec: GPUPolicySpec) -> Callable[[Pod], bool]:
    drain = spec.upgrade.drain
    if drain is None:
        return lambda _: False
    return _by_labels(drain.pod_selector) if drain.pod_selector else lambda _: True


def _by_labels(text: str) -> Callable[[Pod], bool]:
    selector = parse_labels(text)
    return lambda pod: selector.matches(pod.metadata.labels)
