"""Which grants a cluster has, as its objects say: for when nobody else can tell. Pure."""

from collections.abc import Mapping, Sequence

from aliquot.access.cluster.naming import HOLDER, LABEL, NAMESPACE, TEMPLATE, Ours, is_id
from aliquot.access.core.outage import KnownGrant, holder_in
from aliquot.kube.resources import Resource

Labelled = Mapping[Resource, Sequence[Ours]]
"""Objects with the label, of the kinds of `naming.KINDS`."""


def known_grants(cluster: str, found: Labelled) -> tuple[KnownGrant, ...]:
    """By id. What several objects of one grant say differently, none of them is believed."""
    grants: dict[str, list[Ours]] = {}
    for objects in found.values():
        for one in objects:
            grant = (one.metadata.labels or {}).get(LABEL, "")
            if is_id(grant):
                grants.setdefault(grant, []).append(one)
    return tuple(_known(grant, cluster, objects) for grant, objects in sorted(grants.items()))


def _known(grant: str, cluster: str, objects: Sequence[Ours]) -> KnownGrant:
    places = {one.metadata.namespace for one in objects} - {NAMESPACE, "", None}
    holder = _agreed(objects, HOLDER)
    return KnownGrant(
        id=grant,
        cluster=cluster,
        namespace=str(places.pop()) if len(places) == 1 else "",
        template=_agreed(objects, TEMPLATE),
        holder=holder_in(holder) if holder else None,
    )


def _agreed(objects: Sequence[Ours], annotation: str) -> str:
    said = {(one.metadata.annotations or {}).get(annotation, "") for one in objects}
    return said.pop() if len(said) == 1 else ""
