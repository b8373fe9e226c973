"""Kubernetes' own definitions, read from package data by version, once a process and only when asked for."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from aliquot.emulator.schema.shapes import Definitions

GroupVersionKind = tuple[str, str, str]


class UnknownVersion(ValueError):
    """No data for this Kubernetes version is part of this package."""


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """The definitions of one Kubernetes version: as written, compiled, and by kind."""

    nodes: Mapping[str, Mapping[str, Any]]
    shapes: Definitions
    names: Mapping[GroupVersionKind, str]


def _read(name: str) -> Any:
    file = resources.files("aliquot.emulator") / "data" / name
    return msgspec.json.decode(gzip.decompress(file.read_bytes()))


@cache
def load(version: str) -> BuiltIn:
    """Raises UnknownVersion."""
    try:
        nodes = _read(f"definitions-{version}.json.gz")
    except FileNotFoundError:
        raise UnknownVersion(f"no schemas for Kubernetes {version}") from None
    names = {
        (kind["group"], kind["version"], kind["kind"]): name
        for name, node in nodes.items()
        for kind in node.get("x-kubernetes-group-version-kind", ())
    }
    return BuiltIn(nodes, Definitions(nodes), names)


def descriptions(version: str) -> dict[str, dict[str, str]]:
    """{definition: {property: prose}}, the definition's own under the empty name. 1 MB: read, used and let go."""
    prose: dict[str, dict[str, str]] = _read(f"descriptions-{version}.json.gz")
    return prose
