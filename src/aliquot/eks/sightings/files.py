"""Manifests in files: YAML and JSON, several documents, Lists, each with its line."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aliquot.document import Document, DocumentError, parse_all, read
from aliquot.eks.sightings.sighting import Sighting, Trace, Unchecked, Where

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_MOST_BYTES = 20 << 20


def in_directory(root: Path) -> Iterator[Sighting | Unchecked]:
    """Of a directory and all below it, or of one file or pipe; in the order of their names. Hidden ones are passed over.

    Where nothing at all is found, that is told: nobody has looked at anything, and it may be the wrong path.
    """
    empty = True
    read_it = _below if root.is_dir() else in_file if root.is_file() else _in_stream
    for one in read_it(root):
        empty = False
        yield one
    if empty:
        yield Unchecked(what=str(root), why="there is no manifest in it")


def _below(root: Path) -> Iterator[Sighting | Unchecked]:
    refused: list[OSError] = []
    paths: list[Path] = []
    linked: list[Path] = []
    for folder, folders, files in os.walk(root, onerror=refused.append):
        here = Path(folder)
        folders[:] = [name for name in folders if not name.startswith(".")]
        linked += [here / name for name in folders if (here / name).is_symlink()]
        paths += [here / name for name in files if not name.startswith(".")]
    for error in refused:
        yield Unchecked(what=str(error.filename), why=error.strerror or str(error))
    whole = root.resolve()
    for path in sorted(linked):
        # What it leads to is looked at below `root`, or is not looked at.
        if not path.resolve().is_relative_to(whole):
            yield Unchecked(what=str(path), why="it is a link to a directory elsewhere: name that, too")
    for path in sorted(paths):
        if path.suffix.lower() in SUFFIXES:
            yield from in_file(path)


def in_file(path: Path) -> Iterator[Sighting | Unchecked]:
    try:
        told = path.stat()
        if not stat.S_ISREG(told.st_mode):
            yield Unchecked(what=str(path), why="it is no plain file")
            return
        if told.st_size > _MOST_BYTES:
            yield Unchecked(what=str(path), why=f"{told.st_size >> 20} MiB are more than a manifest has")
            return
        text = read(path)
    except OSError as error:
        yield Unchecked(what=str(path), why=error.strerror or str(error))
        return
    except DocumentError as error:
        yield _unchecked(error, "")
        return
    yield from in_text(text, str(path))


def _in_stream(path: Path) -> Iterator[Sighting | Unchecked]:
    """Of what has no size beforehand: a pipe, `/dev/stdin`."""
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            yield Unchecked(
                what=str(path), why=f"more than {_MOST_BYTES >> 20} MiB are more than a manifest has"
            )
            return
        text = content.decode("utf-8-sig")
    except OSError as error:
        yield Unchecked(what=str(path), why=error.strerror or str(error))
    except UnicodeDecodeError:
        yield Unchecked(what=str(path), why="not UTF-8 text")
    else:
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
