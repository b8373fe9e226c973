"""What is said on a Node of NVIDIA's GPUs on its PCI bus, with a driver or without."""

from collections.abc import Mapping

OURS = "aliquot.dev/pci-10de.present"
"""By `aliquot node discover`."""
NFDS = (
    "feature.node.kubernetes.io/pci-10de.present",
    "feature.node.kubernetes.io/pci-0302_10de.present",
    "feature.node.kubernetes.io/pci-0300_10de.present",
)
"""Node Feature Discovery's, as it is set up for NVIDIA's operator, and as it is by itself."""


def has_gpus(labels: Mapping[str, str]) -> bool:
    return any(labels.get(label) == "true" for label in (OURS, *NFDS))
