"""Pods that ask for a node group by its name: on the nodes of another one they never run."""

from typing import Any

from aliquot.eks.estate.objects import PodSpec
from aliquot.eks.estate.places import GROUP_LABEL


def stays_behind(spec: PodSpec, group: str, other: str) -> bool:
    """It takes nodes of `group`, and none of `other`, for their names."""
    return _takes(spec, group) and not _takes(spec, other)


def _takes(spec: PodSpec, group: str) -> bool:
    if spec.node_selector.get(GROUP_LABEL, group) != group:
        return False
    required = spec.affinity.node_affinity if spec.affinity is not None else {}
    wanted = required.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = wanted.get("nodeSelectorTerms") or ()
    return not terms or any(_term_takes(term, group) for term in terms)


def _term_takes(term: dict[str, Any], group: str) -> bool:
    asked = [one for one in term.get("matchExpressions") or () if one.get("key") == GROUP_LABEL]
    return all(
        (group in (one.get("values") or ())) is (one.get("operator") == "In")
        for one in asked
        if one.get("operator") in ("In", "NotIn")
    )
