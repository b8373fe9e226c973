"""Whether the EBS CSI driver is there, without which no EBS volume of the in-tree plugin is mounted."""

from collections.abc import Iterable
from enum import StrEnum

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.findings import Severity
from aliquot.eks.sightings.sighting import Sighting

IN_TREE = "kubernetes.io/aws-ebs"
FIX = "install the add-on aws-ebs-csi-driver"
_KINDS = frozenset({"DaemonSet", "Deployment"})
"""That a CSI driver consists of."""


class EbsDriver(StrEnum):
    THERE = "there"
    MISSING = "missing"
    UNSEEN = "unseen"
    """There is no cluster to look into, or its workloads could not be listed."""

    @property
    def severity(self) -> Severity:
        """Of what needs it."""
        return Severity.BLOCK if self is EbsDriver.MISSING else Severity.WARN

    @property
    def why(self) -> str:
        end = (
            "which is not there" if self is EbsDriver.MISSING else "and nothing here says whether it is there"
        )
        return f"{IN_TREE} is served by the EBS CSI driver alone, {end}"


def of_cluster(objects: Objects) -> EbsDriver:
    names = (one.metadata.name for kind in _KINDS for one in objects.workloads.get(kind, ()))
    if any(_is_driver(name) for name in names):
        return EbsDriver.THERE
    return EbsDriver.UNSEEN if _KINDS.intersection(objects.unread) else EbsDriver.MISSING


def unless_unread(objects: Objects) -> EbsDriver:
    """That workloads could not be listed is told already."""
    found = of_cluster(objects)
    return EbsDriver.THERE if found is EbsDriver.UNSEEN else found


def of_manifests(sightings: Iterable[Sighting], objects: Objects | None) -> EbsDriver:
    """`objects`: of the cluster that they go to, if that was looked at."""
    if any(one.kind in _KINDS and _is_driver(one.name) for one in sightings):
        return EbsDriver.THERE
    return EbsDriver.UNSEEN if objects is None else of_cluster(objects)


def _is_driver(name: str) -> bool:
    return "ebs" in name and "csi" in name
