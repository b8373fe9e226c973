"""The kinds that a server knows: those of a Kubernetes version, and those of the CRDs added to it."""

from typing import Any

from aliquot.emulator.schema.kind import Schema


class Catalogue:
    """Schemas by group, version and kind. Not safe for threads; lookups are dictionary reads after the first."""

    def __init__(self, version: str = "1.36") -> None:
        self.version = version

    def get(self, group: str, version: str, kind: str) -> Schema | None:
        """The schema, or None when this server has no such kind."""
        raise NotImplementedError

    def add_crd(self, crd: dict[str, Any]) -> None:
        """Takes in (or takes anew) every version of a CustomResourceDefinition."""
        raise NotImplementedError

    def remove_crd(self, name: str) -> None:
        """Forgets a CustomResourceDefinition by its metadata.name; unknown names are no error."""
        raise NotImplementedError
