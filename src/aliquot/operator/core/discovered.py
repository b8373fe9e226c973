"""Whether a node has GPUs, as far as its labels say."""

from collections.abc import Mapping

from aliquot.kube.api import pci_labels
from aliquot.operator.core.operands import POLICY_LABEL, PRESENT_LABEL

BY_HAND = "aliquot.dev/gpu-present-by-hand"
"""An annotation that the operator writes on a node whose label `nvidia.com/gpu.present` was there before it: nobody found the
GPUs, a user has said so. From the label alone, which the operator gives all of its nodes, it could not be told."""


def has_gpus(labels: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
    present = labels.get(PRESENT_LABEL, "")
    if present == "false":
        return False
    if pci_labels.has_gpus(labels):
        return True
    return present == "true" and (POLICY_LABEL not in labels or annotations.get(BY_HAND) == "true")


def said_by_hand(labels: Mapping[str, str]) -> bool:
    """Of a node that has GPUs and no policy yet: only its user says that it has."""
    return not pci_labels.has_gpus(labels)
