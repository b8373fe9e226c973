"""Which nodes a pod asks for: by node selector and by required node affinity. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def matches(
    node_selector: Mapping[str, str] | None,
    affinity: Mapping[str, Any] | None,
    name: str,
    labels: Mapping[str, str],
) -> bool:
    """Whether the node of that name and those labels is one of them."""
    if any(labels.get(label) != value for label, value in (node_selector or {}).items()):
        return False
    required = ((affinity or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    if required is None:
        return True
    return any(_term_matches(term, name, labels) for term in required.get("nodeSelectorTerms") or ())


def _term_matches(term: Mapping[str, Any], name: str, labels: Mapping[str, str]) -> bool:
    """All expressions hold; a term without any matches nothing."""
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    return bool(expressions or fields) and (
        all(_expression_holds(expression, labels) for expression in expressions)
        and all(_expression_holds(expression, {"metadata.name": name}) for expression in fields)
    )


def _expression_holds(expression: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    value = values.get(expression.get("key", ""))
    wanted: Sequence[str] = expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            try:
                mine, theirs = int(value or ""), int(wanted[0])
            except (ValueError, IndexError):
                return False
            return mine > theirs if operator == "Gt" else mine < theirs
        case _:
            return False


def pinned_to(affinity: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """The affinity with the node of that name as the only one; what it said of nodes is overruled."""
    only = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}
    nodes = {**((affinity or {}).get("nodeAffinity") or {}), _REQUIRED: {"nodeSelectorTerms": [only]}}
    return {**(affinity or {}), "nodeAffinity": nodes}


def pinned_node(affinity: Mapping[str, Any] | None) -> str:
    """The node that `pinned_to` named, empty where there is none."""
    required = ((affinity or {}).get("nodeAffinity") or {}).get(_REQUIRED) or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            values: Sequence[str] = field.get("values") or ()
            if (field.get("key"), field.get("operator"), len(values)) == ("metadata.name", "In", 1):
                return str(values[0])
    return ""
