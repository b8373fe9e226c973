"""The kinds that a server knows: those of a Kubernetes version, and those of the CRDs added to it.

What a kind's schema says does not change. So a schema, and what is compiled of it as it is used, is the same for all
servers of a process, and for a CRD that is taken in anew although its schema is as it was.
"""

from functools import cache, lru_cache
from typing import Any

import msgspec

from aliquot.emulator.schema import definitions
from aliquot.emulator.schema.kind import Schema
from aliquot.emulator.versions import STANDARD, Surface

_CUSTOM = 64
"""Schemas of CRDs that are remembered beside those in use."""


class Catalogue:
    """Schemas by group, version and kind. Not safe for threads; lookups are dictionary reads after the first."""

    def __init__(self, surface: Surface = STANDARD) -> None:
        self.version = surface.version
        self._surface = surface
        self.built_in = definitions.load(surface)
        self._schemas: dict[definitions.GroupVersionKind, Schema] = {}
        self._custom: dict[str, list[Schema]] = {}

    def get(self, group: str, version: str, kind: str) -> Schema | None:
        """The schema, or None when this server has no such kind."""
        key = (group, version, kind)
        schema = self._schemas.get(key)
        if schema is None and key in self.built_in.names:
            schema = self._schemas[key] = _built_in(self._surface, key)
        return schema

    def add_crd(self, crd: dict[str, Any]) -> None:
        """Takes in (or takes anew) every version of a CustomResourceDefinition."""
        name = crd["metadata"]["name"]
        self.remove_crd(name)
        group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
        schemas = []
        for version in crd["spec"]["versions"]:
            root = version.get("schema", {}).get("openAPIV3Schema") or {
                "x-kubernetes-preserve-unknown-fields": True
            }
            scale = (version.get("subresources") or {}).get("scale")
            key = (group, version["name"], kind)
            schemas.append(_custom(self._surface, key, msgspec.json.encode(root), msgspec.json.encode(scale)))
        self._custom[name] = schemas
        for schema in schemas:
            self._schemas[schema.key] = schema

    def remove_crd(self, name: str) -> None:
        """Forgets a CustomResourceDefinition by its metadata.name; unknown names are no error."""
        for schema in self._custom.pop(name, ()):
            self._schemas.pop(schema.key, None)

    def custom(self) -> list[Schema]:
        """The kinds that came from CRDs, by the names of these."""
        return [schema for name in sorted(self._custom) for schema in self._custom[name]]


@cache
def _built_in(surface: Surface, key: definitions.GroupVersionKind) -> Schema:
    built_in = definitions.load(surface)
    return Schema(*key, built_in.shapes.get(built_in.names[key]), minor=surface.minor)


@lru_cache(maxsize=_CUSTOM)
def _custom(surface: Surface, key: definitions.GroupVersionKind, root: bytes, scale: bytes) -> Schema:
    """`root` and `scale` are the schema and the paths of its scale subresource, as JSON."""
    shape = definitions.load(surface).shapes.custom(msgspec.json.decode(root))
    return Schema(*key, shape, custom=True, minor=surface.minor, scale=msgspec.json.decode(scale))
