"""Selectors of the API as the core's requirements. Raises KeyError or ValueError for what cannot be read."""

from collections.abc import Iterator, Mapping
from typing import Any

from aliquot.scheduler.core.matching import NodeTerm, Operator, Requirement


def label_requirements(selector: Mapping[str, Any]) -> Iterator[Requirement]:
    for name, value in sorted((selector.get("matchLabels") or {}).items()):
        yield Requirement(name, Operator.IN, (value,))
    for one in selector.get("matchExpressions") or ():
        yield requirement(one)


def node_term(term: Mapping[str, Any]) -> NodeTerm:
    return NodeTerm(
        labels=tuple(requirement(one) for one in term.get("matchExpressions") or ()),
        fields=tuple(requirement(one) for one in term.get("matchFields") or ()),
    )


def requirement(one: Mapping[str, Any]) -> Requirement:
    return Requirement(one["key"], Operator(one["operator"]), tuple(one.get("values") or ()))
