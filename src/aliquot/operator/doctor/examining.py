"""All that is wrong, the nearest to the root of it first."""

from collections.abc import Sequence

from aliquot.operator.core.operands import Image, shipped
from aliquot.operator.core.policies import read_stored
from aliquot.operator.doctor.findings import Finding, Weight, grouped
from aliquot.operator.doctor.installation import examine_installation
from aliquot.operator.doctor.nodes import examine_nodes
from aliquot.operator.doctor.policies import examine_policies
from aliquot.operator.doctor.seen import Seen

_IMAGES = shipped(Image("", "aliquot", "0"))
"""Which they are does not matter here."""


def examine(seen: Seen) -> Sequence[Finding]:
    """What is to be done before what is only to be known."""
    stored = {policy["metadata"]["name"]: read_stored(policy, _IMAGES) for policy in seen.policies}
    found = grouped(
        [*examine_installation(seen, stored), *examine_policies(seen, stored), *examine_nodes(seen, stored)]
    )
    return sorted(found, key=lambda one: one.weight is not Weight.TO_DO)
