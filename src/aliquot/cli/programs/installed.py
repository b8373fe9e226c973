"""What is in a cluster before the first GPUPolicy, of what `aliquot install` would bring: accounts of operands, and discovery.
The operator itself is a part of this process."""

from collections.abc import Iterator
from typing import Any

from aliquot.installation.rendering import Offers, of_part, shared
from aliquot.installation.values import Part, Values
from aliquot.kube.resources import DAEMONSETS, SERVICEACCOUNTS, Resource
from aliquot.operator.core.operands import parse_image

_KINDS = {"ServiceAccount": SERVICEACCOUNTS, "DaemonSet": DAEMONSETS}
"""Roles are there already."""
_VALUES = Values()
OURS = parse_image(_VALUES.image)
"""Our image, which nobody pulls here."""


def objects() -> Iterator[tuple[Resource, dict[str, Any]]]:
    """To be applied in this order, after the roles, which bring the namespace."""
    offers = Offers()
    for one in (*shared(_VALUES, offers), *of_part(Part.DISCOVERY, _VALUES, offers)):
        if one["kind"] in _KINDS:
            yield _KINDS[one["kind"]], one
