"""An operand's pod on a node, as far as it matters for the node's way."""

from collections.abc import Iterable, Mapping

from aliquot.kube.api.core import ContainerStatus, Pod
from aliquot.operator.core.operands import POLICY_LABEL, OperandName
from aliquot.operator.core.progress import OperandPod
from aliquot.operator.core.rendering.pods import OPERAND_LABEL, REVISION_LABEL

_ORDINARY = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Reasons to wait that say nothing."""
_CRASHES = "CrashLoopBackOff"


def operand_of(pod: Pod) -> tuple[str, OperandName] | None:
    """(policy, operand); None: it is none of the node software."""
    labels = pod.metadata.labels or {}
    policy, name = labels.get(POLICY_LABEL, ""), labels.get(OPERAND_LABEL, "")
    if not policy or name not in _NAMES:
        return None
    return policy, _NAMES[name]


_NAMES = {str(name): name for name in OperandName}


def operand_pods(
    pods: Iterable[Pod], policy: str, namespace: str, revisions: Mapping[OperandName, str]
) -> dict[OperandName, OperandPod]:
    """`pods` of one node; `revisions`: those of what is rendered now. While a pod goes and its successor comes, the latter."""
    found: dict[OperandName, OperandPod] = {}
    for pod in pods:
        known = operand_of(pod)
        if known is None or known[0] != policy or pod.metadata.namespace != namespace:
            continue
        name = known[1]
        one = read(pod, revisions.get(name, ""))
        if name not in found or _rank(one) > _rank(found[name]):
            found[name] = one
    return found


def read(pod: Pod, revision: str) -> OperandPod:
    made_from = (pod.metadata.labels or {}).get(REVISION_LABEL, "")
    is_current = not revision or made_from == revision
    is_going = pod.metadata.deletion_timestamp is not None
    if any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions or ()):
        return OperandPod(True, is_current, is_going)
    reason, message = _why_not(pod)
    return OperandPod(False, is_current, is_going, reason, message)


def _rank(pod: OperandPod) -> tuple[bool, bool, bool]:
    return not pod.is_going, pod.is_current, pod.is_ready


def _why_not(pod: Pod) -> tuple[str, str]:
    status = pod.status
    if status.phase == "Failed":
        return status.reason or "Failed", status.message or "its pod has failed"
    for one in status.conditions or ():
        if one.type == "PodScheduled" and one.status == "False":
            return one.reason, one.message
    for container in (*(status.init_container_statuses or ()), *(status.container_statuses or ())):
        waiting, last_end = container.state.waiting, _last_end(container)
        if waiting is not None and waiting.reason not in _ORDINARY:
            # Of one that ends again and again kubelet says how long it waits, and not why.
            why = last_end if waiting.reason == _CRASHES else waiting.message or last_end
            return waiting.reason, f"{container.name}: {why or waiting.message or 'it does not start'}"
        if last_end and not container.ready and container.state.running is not None:
            return "Starting", f"{container.name}: {last_end}; it was started again"
    return "", ""


def _last_end(container: ContainerStatus) -> str:
    """Empty: it has not ended yet."""
    ended = container.last_state.terminated
    if ended is None:
        return ""
    said = f": {ended.message.strip().splitlines()[-1]}" if ended.message.strip() else ""
    count = container.restart_count
    return f"it ended with code {ended.exit_code}, {'once' if count == 1 else f'{count} times'}{said}"
