"""What has to change on a node, and on its GPUNode, so that nothing of Aliquot is left there. Pure.

What users said stays: `false` in a label, a cordon that was there before, a wish for a MIG configuration, a spec of theirs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aliquot.installation.labels import Json
from aliquot.kube.api import pci_labels
from aliquot.kube.api.agent_labels import FIELD_MANAGER, MIG_STATE
from aliquot.operator.core.after_agent import HAS_AGENT
from aliquot.operator.core.discovered import BY_HAND
from aliquot.operator.core.operands import PRESENT_LABEL
from aliquot.operator.core.pools import POOL_LABEL
from aliquot.operator.core.progress import leave
from aliquot.operator.core.upgrade.cordons import Cordoner, cordoner
from aliquot.operator.core.upgrade.memory import decode
from aliquot.operator.core.upgrade.states import MEMORY, RETRY, STATE_LABEL

_LABELS = (POOL_LABEL, STATE_LABEL, pci_labels.OURS, MIG_STATE)
_ANNOTATIONS = (MEMORY, RETRY, BY_HAND, HAS_AGENT)
APPLIED_BY = (FIELD_MANAGER,)
"""Field managers of what is on nodes by server-side apply: an apply of nothing takes it off."""
_OURS = "aliquot"


@dataclass(frozen=True, slots=True)
class NodeChange:
    name: str
    uid: str
    patch: Json
    """A merge patch; it holds for the node as it was seen. Empty: nothing but what was applied."""
    uncordons: bool
    applied_by: tuple[str, ...]

    def __str__(self) -> str:
        metadata = self.patch.get("metadata", {})
        parts = [*(metadata.get("labels") or ()), *(metadata.get("annotations") or ())]
        parts += [f"what {one} applied" for one in self.applied_by]
        return f"Node {self.name}: {'uncordon, ' if self.uncordons else ''}take off {', '.join(parts)}"


def of_node(node: Json) -> NodeChange | None:
    """None: there is nothing of ours on it."""
    metadata = node["metadata"]
    labels: Mapping[str, str] = metadata.get("labels") or {}
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    off = dict(leave(labels)) | {name: None for name in _LABELS if name in labels}
    if annotations.get(BY_HAND) == "true":
        off.pop(PRESENT_LABEL, None)
    forgotten = {name: None for name in _ANNOTATIONS if name in annotations}
    memory = decode(annotations.get(MEMORY, ""))
    by, is_marked = cordoner(node), MEMORY in annotations or STATE_LABEL in labels
    # What cannot be read any more says nothing of the cordon. The API server does.
    is_ours = memory.cordoned if memory is not None else is_marked and by is Cordoner.WE
    is_closed = bool((node.get("spec") or {}).get("unschedulable"))
    uncordons = is_closed and is_ours and by is not Cordoner.OTHERS
    applied = tuple(one for one in APPLIED_BY if one in _managers(node))
    if not off and not forgotten and not applied:
        return None
    if not off and not forgotten:
        return NodeChange(metadata["name"], metadata["uid"], {}, False, applied)
    changed: Json = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    if off:
        changed["labels"] = off
    if forgotten:
        changed["annotations"] = forgotten
    patch: Json = {"metadata": changed}
    if uncordons:
        patch["spec"] = {"unschedulable": None}
    return NodeChange(metadata["name"], metadata["uid"], patch, uncordons, applied)


def is_users(gpu_node: Json) -> bool:
    """Somebody has said how its GPUs are to be: it stays, with that alone."""
    return any(
        not str(entry.get("manager", "")).startswith(_OURS) and "f:spec" in (entry.get("fieldsV1") or {})
        for entry in gpu_node["metadata"].get("managedFields") or ()
    )


def _managers(obj: Mapping[str, Any]) -> Iterator[str]:
    for entry in obj["metadata"].get("managedFields") or ():
        if entry.get("operation") == "Apply" and entry.get("fieldsV1"):
            yield entry.get("manager", "")
