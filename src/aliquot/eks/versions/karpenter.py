"""Which Karpenter goes with which minor."""

from functools import cache

from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.shipped import document

Release = tuple[int, int, int]


@cache
def _least() -> dict[Minor, Release]:
    return {
        Minor.parse(minor): release(version)
        for minor, version in document("karpenter.yaml", dict[str, str]).items()
    }


def least(minor: Minor) -> Release | None:
    """None: nothing is known of that minor."""
    return _least().get(minor)


def release(version: str) -> Release:
    """Of "1.6.0". Raises ValueError."""
    major, minor, patch = version.split(".")
    return int(major), int(minor), int(patch)
