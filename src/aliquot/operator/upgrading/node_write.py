"""What a step writes on its node, as one patch. Pure."""

from collections.abc import Mapping
from typing import Any

from aliquot.kube.api.core import Node
from aliquot.operator.core.operands import DEPLOY_LABELS, PAUSED
from aliquot.operator.core.upgrade.cordons import Cordoner
from aliquot.operator.core.upgrade.effects import (
    Cordon,
    ForgetRequest,
    ForgetRetry,
    PauseClients,
    ResumeClients,
    Step,
    Uncordon,
    UncordonIfOurs,
)
from aliquot.operator.core.upgrade.memory import encode
from aliquot.operator.core.upgrade.states import MEMORY, REQUESTED, RETRY, STATE_LABEL
from aliquot.operator.upgrading.reading import CLIENTS

_CLIENT_LABELS = tuple(DEPLOY_LABELS[name] for name in CLIENTS)


def may_uncordon(node: Node, step: Step) -> bool:
    """Whose the cordon is has to be known for it."""
    return node.spec.unschedulable and any(isinstance(one, Uncordon | UncordonIfOurs) for one in step.effects)


def node_patch(
    node: Node, step: Step, *, in_order: bool, cordoned_by: Cordoner = Cordoner.UNKNOWN
) -> dict[str, Any] | None:
    """A merge patch that holds only for the node as it was seen. None: the node is so already. `in_order`: somebody lets the
    clients that are resumed come back one after the other, as on a new node."""
    labels: dict[str, str | None] = {STATE_LABEL: str(step.state) or None}
    annotations: dict[str, str | None] = {MEMORY: encode(step.memory) or None}
    spec: dict[str, Any] = {}
    for effect in step.effects:
        match effect:
            case Cordon() if not node.spec.unschedulable:
                spec["unschedulable"] = True
            case Uncordon() if node.spec.unschedulable and cordoned_by is not Cordoner.OTHERS:
                spec["unschedulable"] = None
            case UncordonIfOurs() if node.spec.unschedulable and cordoned_by is Cordoner.WE:
                spec["unschedulable"] = None
            case PauseClients():
                labels |= _turned(node, "true", PAUSED)
            case ResumeClients():
                labels |= _turned(node, PAUSED, None if in_order else "true")
            case ForgetRetry():
                annotations[RETRY] = None
            case ForgetRequest():
                annotations[REQUESTED] = None
    labels = _changed(labels, node.metadata.labels or {})
    annotations = _changed(annotations, node.metadata.annotations or {})
    if not (labels or annotations or spec):
        return None
    metadata: dict[str, Any] = {"resourceVersion": node.metadata.resource_version}
    if labels:
        metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": spec} if spec else {"metadata": metadata}


def _turned(node: Node, before: str, after: str | None) -> dict[str, str | None]:
    """What a user said, and what is not deployed yet, stays."""
    labels = node.metadata.labels or {}
    return {label: after for label in _CLIENT_LABELS if labels.get(label) == before}


def _changed(wanted: Mapping[str, str | None], there: Mapping[str, str]) -> dict[str, str | None]:
    return {name: value for name, value in wanted.items() if there.get(name) != value}
