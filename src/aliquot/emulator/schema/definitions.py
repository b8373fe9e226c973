"""Kubernetes' own definitions, read from package data by version, once a process and only when asked for.

All of the default version is there as it is. Any other version is that one with changes: JSON merge patches, one for
each version on the way, so that what is equal is there once and the default version is read as fast as if it were alone.
"""

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from aliquot.emulator import versions
from aliquot.emulator.patching.merge import apply_merge_patch
from aliquot.emulator.schema import gates
from aliquot.emulator.schema.shapes import Definitions
from aliquot.emulator.versions import STANDARD, Surface

GroupVersionKind = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """The definitions of one Kubernetes version: as written, compiled, and by kind."""

    nodes: Mapping[str, Mapping[str, Any]]
    shapes: Definitions
    names: Mapping[GroupVersionKind, str]


@cache
def load(surface: Surface = STANDARD) -> BuiltIn:
    nodes, names = _definitions(surface.version)
    return BuiltIn(nodes, Definitions(nodes, gates.closed(surface)), names)


def forgets(before: Surface, now: Surface, kind: GroupVersionKind) -> bool:
    """Whether objects of a kind may hold fields from `before` that `now` does not know or keep."""
    old, new = load(before), load(now)
    waiting, seen = [old.names[kind]], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in new.nodes:
            return True
        properties = old.nodes[name].get("properties", {})
        if properties.keys() - new.nodes[name].get("properties", {}).keys():
            return True
        if properties.keys() & new.shapes.get(name).closed - old.shapes.get(name).closed:
            return True
        waiting += _references(old.nodes[name])
    return False


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        # The schema of schemas has a property of that name, too.
        if isinstance(reference := node.get("$ref"), str):
            yield reference
        for child in node.values():
            yield from _references(child)


def descriptions(version: str) -> dict[str, dict[str, str]]:
    """{definition: {property: prose}}, the definition's own under the empty name. 1 MB: read, used and let go."""
    return _of_version("descriptions", version)


def toward_base(version: str) -> str:
    """The neighbour of a version that it is told as changes of."""
    place, base = versions.SUPPORTED.index(version), versions.SUPPORTED.index(versions.DEFAULT)
    return versions.SUPPORTED[place + (1 if place < base else -1)]


@cache
def _definitions(version: str) -> tuple[dict[str, dict[str, Any]], dict[GroupVersionKind, str]]:
    nodes = _of_version("definitions", version)
    names = {
        (kind["group"], kind["version"], kind["kind"]): name
        for name, node in nodes.items()
        for kind in node.get("x-kubernetes-group-version-kind", ())
    }
    return nodes, names


def _of_version(name: str, version: str) -> dict[str, Any]:
    document: dict[str, Any] = _read(f"{name}-{versions.DEFAULT}.json.gz")
    way: list[str] = []
    while version != versions.DEFAULT:
        way.append(version)
        version = toward_base(version)
    if way:
        changes = _read(f"{name}-changes.json.gz")
        for step in reversed(way):
            document = apply_merge_patch(document, changes[step])
    return document


def _read(name: str) -> Any:
    file = resources.files("aliquot.emulator") / "data" / name
    return msgspec.json.decode(gzip.decompress(file.read_bytes()))
