"""Which version of a component a cluster runs: what it serves goes by that, not by the minor of Kubernetes."""

from collections.abc import Mapping

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.deployed import with_image
from aliquot.eks.versions.minor import Minor

_IMAGES = {
    "cert-manager": "cert-manager-controller",
    "istio": "pilot",
    "karpenter": "karpenter/controller",
}


def running(objects: Objects) -> dict[str, Minor]:
    """By its image; where there are several, the newest: it is whose CRDs are there."""
    found: dict[str, Minor] = {}
    for component, image in _IMAGES.items():
        for one in with_image(objects, image):
            if one.release is not None:
                minor = Minor(one.release[0], one.release[1])
                found[component] = max(found.get(component, minor), minor)
    return found


def versions(objects: Objects | None, said: Mapping[str, Minor]) -> dict[str, Minor]:
    """What somebody says counts more than what is seen."""
    return {**(running(objects) if objects is not None else {}), **said}
