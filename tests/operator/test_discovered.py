"""Which nodes have GPUs."""

from collections.abc import Mapping

import pytest

from aliquot.operator.core.discovered import BY_HAND, has_gpus
from aliquot.operator.core.operands import POLICY_LABEL, PRESENT_LABEL

PRESENT = {PRESENT_LABEL: "true"}
CLAIMED = {**PRESENT, POLICY_LABEL: "p"}


@pytest.mark.parametrize(
    ("labels", "annotations", "so"),
    [
        ({}, {}, False),
        ({"feature.node.kubernetes.io/pci-10de.present": "true"}, {}, True),
        ({"feature.node.kubernetes.io/pci-0302_10de.present": "true"}, {}, True),
        ({"aliquot.dev/pci-10de.present": "true"}, {}, True),
        ({"aliquot.dev/pci-10de.present": "false"}, {}, False),
        (PRESENT, {}, True),
        (CLAIMED, {}, False),
        (CLAIMED, {BY_HAND: "true"}, True),
        ({POLICY_LABEL: "p"}, {BY_HAND: "true"}, False),
        ({**CLAIMED, "aliquot.dev/pci-10de.present": "true"}, {}, True),
        ({PRESENT_LABEL: "false", "aliquot.dev/pci-10de.present": "true"}, {}, False),
    ],
)
def test_has_gpus(labels: Mapping[str, str], annotations: Mapping[str, str], so: bool) -> None:
    assert has_gpus(labels, annotations) is so
