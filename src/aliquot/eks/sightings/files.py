"""Manifests in files: YAML and JSON, several documents, Lists, each with its line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aliquot.document import Document, DocumentError, parse_all, read
from aliquot.eks.sightings.sighting import Sighting, Trace, Unchecked, Where

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_MOST_BYTES = 20 << 20


def in_directory(root: Path) -> Iterator[Sighting | Unchecked]:
    """Of a directory and all below it, or of one file; in the order of their names. Hidden directories are passed over."""
    if root.is_file():
        yield from in_file(root)
        return
    for path in sorted(root.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(root).parts):
            continue
        if path.suffix in SUFFIXES and path.is_file():
            yield from in_file(path)


def in_file(path: Path) -> Iterator[Sighting | Unchecked]:
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            yield Unchecked(what=str(path), why=f"{size >> 20} MiB are more than a manifest has")
            return
        text = read(path)
    except OSError as error:
        yield Unchecked(what=str(path), why=error.strerror or str(error))
        return
    except DocumentError as error:
        yield _unchecked(error, "")
        return
    yield from in_text(text, str(path))


def in_text(text: str, source: str) -> Iterator[Sighting | Unchecked]:
    if "apiVersion" not in text or "kind" not in text:
        # Values, workflows, package.json: no manifest, and nothing to be told of.
        return
    try:
        documents = parse_all(text, source=source, repeats=[])
    except DocumentError as error:
        yield _unchecked(error, text)
        return
    for document in documents:
        yield from _of_value(document, document.value, ())


def _of_value(document: Document, value: Any, path: tuple[str | int, ...]) -> Iterator[Sighting]:
    if not isinstance(value, dict):
        return
    api_version, kind = value.get("apiVersion"), value.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return
    items = value.get("items")
    if kind.endswith("List") and isinstance(items, list):
        # Items of a PodList need not say again what they are; those of a List have to.
        said = {} if kind == "List" else {"apiVersion": api_version, "kind": kind.removesuffix("List")}
        for index, item in enumerate(items):
            whole = {**said, **item} if isinstance(item, dict) else item
            yield from _of_value(document, whole, (*path, "items", index))
        return
    metadata = value.get("metadata")
    meta: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
    yield Sighting(
        api_version=api_version,
        kind=kind,
        namespace=_text(meta.get("namespace")),
        name=_text(meta.get("name")) or _text(meta.get("generateName")),
        labels=labels if isinstance(labels := meta.get("labels"), dict) else {},
        where=Where(trace=Trace.FILE, file=document.source, line=document.line((*path, "apiVersion")) or 1),
        body=value,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _unchecked(error: DocumentError, text: str) -> Unchecked:
    templated = "; it is a template: render it, or check its release with --helm" if "{{" in text else ""
    where = error.source if error.line is None else f"{error.source}:{error.line}"
    return Unchecked(what=where, why=f"{error.message}{templated}")
