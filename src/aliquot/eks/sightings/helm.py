"""Manifests of Helm's releases, as Helm 3 and 4 keep them: a Secret (or ConfigMap) for each revision, its payload base64 of gzip of JSON."""

import base64
import binascii
import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from aliquot.eks.sightings.files import in_text
from aliquot.eks.sightings.sighting import Sighting, Trace, Unchecked, Where

SECRET_TYPE = "helm.sh/release.v1"
SELECTOR = "owner=helm,status=deployed"
"""Revisions that somebody may still roll back to are not looked at: rolling back is a new decision."""
_MOST_BYTES = 64 << 20
_GZIP = b"\x1f\x8b"


class _Metadata(Struct, frozen=True):
    name: str = ""
    version: str = ""


class _Chart(Struct, frozen=True):
    metadata: _Metadata = _Metadata()


class _Hook(Struct):
    path: str = ""
    manifest: str = ""


class _Release(Struct):
    name: str
    namespace: str = ""
    manifest: str = ""
    chart: _Chart = _Chart()
    hooks: list[_Hook] | None = None


def in_releases(objects: Iterable[Mapping[str, Any]]) -> Iterator[Sighting | Unchecked]:
    """Of Secrets or ConfigMaps, as the API server gives them."""
    for one in objects:
        metadata = one.get("metadata") or {}
        named = f"Helm release {metadata.get('namespace', '')}/{_release_name(metadata)}"
        try:
            release = decode((one.get("data") or {}).get("release"), of_secret=one.get("kind") != "ConfigMap")
        except ValueError as error:
            yield Unchecked(what=named, why=f"its payload cannot be read: {error}")
            continue
        # Helm looks for a release where its Secret is, whatever a copied payload says.
        namespace = metadata.get("namespace", "") or release.namespace
        for text in (release.manifest, *(hook.manifest for hook in release.hooks or ())):
            for found in in_text(text, named):
                yield _of_release(found, release, namespace)


def decode(payload: object, *, of_secret: bool) -> _Release:
    """Raises ValueError with one line."""
    if not isinstance(payload, str) or not payload:
        raise ValueError("it has none (data.release)")
    try:
        raw = _unfolded(payload.encode())
        if of_secret:
            raw = _unfolded(raw)
    except binascii.Error:
        raise ValueError("it is not base64") from None
    if raw[:2] == _GZIP:
        raw = _unzipped(raw)
    try:
        return msgspec.json.decode(raw, type=_Release)
    except msgspec.DecodeError as error:
        raise ValueError(f"it is no release: {error}") from None


def _unfolded(text: bytes) -> bytes:
    """Line breaks count for nothing, as in Go. Raises binascii.Error."""
    return base64.b64decode(text.translate(None, b"\r\n"), validate=True)


def _unzipped(raw: bytes) -> bytes:
    unzipping = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        text = unzipping.decompress(raw, _MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"it is not gzip: {error}") from None
    if unzipping.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {_MOST_BYTES >> 20} MiB")
    if not unzipping.eof:
        raise ValueError("its end is missing")
    return text


def encode(release: Mapping[str, Any]) -> str:
    """What `data.release` of a Secret holds for it: for tests and demonstrations."""
    return base64.b64encode(base64.b64encode(gzip.compress(msgspec.json.encode(release)))).decode()


def _of_release(found: Sighting | Unchecked, release: _Release, namespace: str) -> Sighting | Unchecked:
    if isinstance(found, Unchecked):
        return found
    chart = release.chart.metadata
    return replace(
        found,
        # What a chart leaves out goes where the release is; of a kind without namespaces the judges know better.
        namespace=found.namespace or namespace,
        owner=f"chart {chart.name}-{chart.version}" if chart.name else "",
        where=Where(trace=Trace.HELM, release=f"{namespace}/{release.name}"),
    )


def _release_name(metadata: Mapping[str, Any]) -> str:
    labels = metadata.get("labels") or {}
    return str(labels.get("name") or metadata.get("name", "?"))
