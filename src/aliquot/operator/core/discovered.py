"""Whether a node has GPUs, as far as its labels say."""

from collections.abc import Mapping

from aliquot.operator.core.operands import POLICY_LABEL, PRESENT_LABEL

OWN_DISCOVERY = "aliquot.dev/pci-10de.present"
"""What the nodes say of themselves where there is no Node Feature Discovery."""
_DISCOVERED = (
    OWN_DISCOVERY,
    "feature.node.kubernetes.io/pci-10de.present",
    "feature.node.kubernetes.io/pci-0302_10de.present",
    "feature.node.kubernetes.io/pci-0300_10de.present",
)
BY_HAND = "aliquot.dev/gpu-present-by-hand"
"""An annotation that the operator writes on a node whose label `nvidia.com/gpu.present` was there before it: nobody found the
GPUs, a user has said so. From the label alone, which the operator gives all of its nodes, it could not be told."""


def has_gpus(labels: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
    present = labels.get(PRESENT_LABEL, "")
    if present == "false":
        return False
    if any(labels.get(label) == "true" for label in _DISCOVERED):
        return True
    return present == "true" and (POLICY_LABEL not in labels or annotations.get(BY_HAND) == "true")


def said_by_hand(labels: Mapping[str, str]) -> bool:
    """Of a node that has GPUs and no policy yet: only its user says that it has."""
    return not any(labels.get(label) == "true" for label in _DISCOVERED)
