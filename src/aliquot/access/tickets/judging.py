"""What all systems' tickets are judged by: whose it is, and for which cluster."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aliquot.access.core.requests import Request
from aliquot.access.tickets.settings import ForCluster, Requester
from aliquot.kube.quoted import quoted

Values = Callable[[str], Iterable[str]]
"""What a field holds, by its dotted name."""


def not_for(request: Request, values: Values, requester: Requester | None, cluster: ForCluster | None) -> str:
    """Why it is not this request's ticket; empty: it is."""
    if requester is not None:
        named = {requester.people.get(one, one) for field in requester.fields for one in values(field)}
        if request.requester.issuer != requester.issuer or request.requester.subject not in named:
            return f"it is not of whoever asks for access: {' or '.join(requester.fields)} says whose it is"
    if cluster is not None:
        named = {cluster.clusters.get(one, one) for field in cluster.fields for one in values(field)}
        if request.cluster not in named:
            return f"it is not for cluster {quoted(request.cluster)}: {' or '.join(cluster.fields)} says for which it is"
    return ""


def values_at(value: Any, path: str) -> list[str]:
    """Texts that a dotted path leads to; through lists, to those of each part."""
    found: list[Any] = [value]
    for key in path.split("."):
        found = [one[key] for one in _flat(found) if isinstance(one, Mapping) and key in one]
    return [one for one in _flat(found) if isinstance(one, str) and one]


def _flat(values: Iterable[Any]) -> list[Any]:
    return [one for value in values for one in (value if isinstance(value, list) else [value])]
