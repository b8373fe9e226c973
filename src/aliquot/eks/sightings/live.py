"""What objects of a cluster say of how they were written: the last applied manifest, and the fields' managers."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from aliquot.eks.sightings.sighting import Sighting, Trace, Unchecked, Where

LAST_APPLIED = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "kapp.k14s.io/original",
)


def of_object(one: Mapping[str, Any]) -> Iterator[Sighting | Unchecked]:
    metadata = one.get("metadata") or {}
    kind, namespace, name = one.get("kind", ""), metadata.get("namespace", ""), metadata.get("name", "")
    annotations = metadata.get("annotations") or {}
    for annotation in LAST_APPLIED:
        if annotation in annotations:
            yield _applied(annotations[annotation], kind, namespace, name)
    seen = set()
    for entry in metadata.get("managedFields") or ():
        api_version, manager = entry.get("apiVersion", ""), entry.get("manager", "")
        if not api_version or (api_version, manager) in seen:
            continue
        seen.add((api_version, manager))
        yield Sighting(
            api_version=api_version,
            kind=kind,
            namespace=namespace,
            name=name,
            owner=manager,
            where=Where(trace=Trace.MANAGED_FIELDS),
        )


def _applied(text: object, kind: str, namespace: str, name: str) -> Sighting | Unchecked:
    object_name = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
    try:
        body = msgspec.json.decode(text) if isinstance(text, str) else None
    except msgspec.DecodeError as error:
        return Unchecked(what=f"last applied manifest of {object_name}", why=f"it is no JSON: {error}")
    if not isinstance(body, dict) or not isinstance(body.get("apiVersion"), str):
        return Unchecked(what=f"last applied manifest of {object_name}", why="it has no apiVersion")
    return Sighting(
        api_version=body["apiVersion"],
        kind=body["kind"] if isinstance(body.get("kind"), str) else kind,
        namespace=namespace,
        name=name,
        owner="kubectl apply",
        where=Where(trace=Trace.LAST_APPLIED),
        body=body,
    )
