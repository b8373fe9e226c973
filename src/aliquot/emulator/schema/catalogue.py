"""The kinds that a server knows: those of a Kubernetes version, and those of the CRDs added to it."""

from typing import Any

from aliquot.emulator.schema import definitions
from aliquot.emulator.schema.kind import Schema
from aliquot.emulator.versions import STANDARD, Surface


class Catalogue:
    """Schemas by group, version and kind. Not safe for threads; lookups are dictionary reads after the first."""

    def __init__(self, surface: Surface = STANDARD) -> None:
        self.version = surface.version
        self._minor = surface.minor
        self.built_in = definitions.load(surface)
        self._schemas: dict[definitions.GroupVersionKind, Schema] = {}
        self._custom: dict[str, list[Schema]] = {}

    def get(self, group: str, version: str, kind: str) -> Schema | None:
        """The schema, or None when this server has no such kind."""
        key = (group, version, kind)
        schema = self._schemas.get(key)
        if schema is None and (name := self.built_in.names.get(key)) is not None:
            shape = self.built_in.shapes.get(name)
            schema = self._schemas[key] = Schema(group, version, kind, shape, minor=self._minor)
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
            shape = self.built_in.shapes.custom(root)
            scale = (version.get("subresources") or {}).get("scale")
            schemas.append(
                Schema(group, version["name"], kind, shape, custom=True, minor=self._minor, scale=scale)
            )
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
