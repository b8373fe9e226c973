"""Who asks for a node group by its name."""

from typing import Any

import msgspec
import pytest

from aliquot.eks.estate.group_selectors import stays_behind
from aliquot.eks.estate.objects import PodSpec
from aliquot.eks.estate.places import GROUP_LABEL as LABEL


def affine(*terms: list[tuple[str, str, list[str]]]) -> dict[str, Any]:
    asked = [
        {"matchExpressions": [{"key": key, "operator": how, "values": values} for key, how, values in term]}
        for term in terms
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": asked}}
    return {"affinity": {"nodeAffinity": required}}


@pytest.mark.parametrize(
    ("spec", "stays"),
    [
        ({}, False),
        ({"nodeSelector": {"zone": "a"}}, False),
        ({"nodeSelector": {LABEL: "gpu"}}, True),
        ({"nodeSelector": {LABEL: "cpu"}}, False),
        (affine([(LABEL, "In", ["gpu"])]), True),
        (affine([(LABEL, "In", ["gpu", "green"])]), False),
        (affine([(LABEL, "In", ["gpu"])], [("zone", "In", ["a"])]), False),
        (affine([(LABEL, "In", ["gpu"]), ("zone", "In", ["a"])]), True),
        (affine([(LABEL, "In", ["cpu"])]), False),
        (affine([(LABEL, "NotIn", ["cpu"])]), False),
        (affine([(LABEL, "NotIn", ["green"])]), True),
        (affine([(LABEL, "Exists", [])]), False),
        (affine(), False),
    ],
    ids=range(13),
)
def test_who_would_run_nowhere_without_the_group(spec: dict[str, Any], stays: bool) -> None:
    assert stays_behind(msgspec.convert(spec, PodSpec), "gpu", "green") is stays
