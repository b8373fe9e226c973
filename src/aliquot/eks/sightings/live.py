"""What objects of a cluster say of how they were written: the last applied manifest, and the fields' managers."""

from collections.abc import Iterable, Iterator, Mapping
from sys import intern
from typing import Any

import msgspec

from aliquot.eks.sightings.sighting import Sighting, Trace, Unchecked, Where

LAST_APPLIED = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "kapp.k14s.io/original",
)
_APPLIED, _MANAGED = Where(trace=Trace.LAST_APPLIED), Where(trace=Trace.MANAGED_FIELDS)
"""One for all: a cluster has tens of thousands of traces."""


class _Manifest(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    api_version: Any = None
    kind: Any = None


_manifest = msgspec.json.Decoder(_Manifest)


def of_object(one: Mapping[str, Any]) -> Iterator[Sighting | Unchecked]:
    metadata = one.get("metadata") or {}
    yield from of_traces(
        one.get("kind", ""),
        metadata.get("namespace", ""),
        metadata.get("name", ""),
        metadata.get("annotations") or {},
        (
            (entry.get("apiVersion", ""), entry.get("manager", ""))
            for entry in metadata.get("managedFields") or ()
        ),
        metadata.get("labels") or {},
    )


def of_traces(
    kind: str,
    namespace: str,
    name: str,
    annotations: Mapping[str, Any],
    managers: Iterable[tuple[str, str]],
    labels: Mapping[str, Any],
) -> Iterator[Sighting | Unchecked]:
    """`managers`: of fields, as (API version, who)."""
    for annotation in LAST_APPLIED:
        if annotation in annotations:
            yield _applied(annotations[annotation], kind, namespace, name, labels)
    for api_version, manager in dict.fromkeys(managers):
        if api_version:
            yield Sighting(
                api_version=intern(api_version),
                kind=kind,
                namespace=namespace,
                name=name,
                owner=intern(manager),
                labels=labels,
                where=_MANAGED,
            )


def _applied(
    text: object, kind: str, namespace: str, name: str, labels: Mapping[str, Any]
) -> Sighting | Unchecked:
    object_name = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
    try:
        applied = _manifest.decode(text) if isinstance(text, str) else _Manifest()
    except msgspec.ValidationError:
        applied = _Manifest()
    except msgspec.DecodeError as error:
        return Unchecked(what=f"last applied manifest of {object_name}", why=f"it is no JSON: {error}")
    if not isinstance(applied.api_version, str):
        return Unchecked(what=f"last applied manifest of {object_name}", why="it has no apiVersion")
    return Sighting(
        api_version=intern(applied.api_version),
        kind=intern(applied.kind) if isinstance(applied.kind, str) else kind,
        namespace=namespace,
        name=name,
        owner="kubectl apply",
        labels=labels,
        where=_APPLIED,
    )
