"""API versions that end, and what to use instead."""

from collections.abc import Iterable
from enum import StrEnum
from functools import cache

from msgspec import Struct

from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.shipped import rows

KUBERNETES = "kubernetes"
ANY_KIND = "*"


class Stage(StrEnum):
    ALPHA = "alpha"
    BETA = "beta"
    GA = "ga"
    CRD = "crd"
    """Of a project beside Kubernetes; its versions are that project's."""


class State(StrEnum):
    REMOVED = "removed"
    DEPRECATED = "deprecated"


class Served(StrEnum):
    """By EKS, which lets nobody set flags of its API server."""

    YES = "yes"
    NO = "no"
    FILE = "file"
    """A format of files, of which no API server knows."""


class Removal(Struct, frozen=True, kw_only=True):
    component: str
    group: str
    version: str
    """Empty: every version of the group."""
    kind: str
    """`*`: every kind of the group and version."""
    resource: str
    stage: Stage
    deprecated: Minor | None
    removed: Minor | None
    served: Served
    use: str
    """What serves it afterwards, as an apiVersion; empty: nothing does."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def state(self, at: Minor) -> State | None:
        """None: it is served there, and nobody plans otherwise."""
        if self.removed is not None and at >= self.removed:
            return State.REMOVED
        if self.deprecated is not None and at >= self.deprecated:
            return State.DEPRECATED
        return None


class Removals:
    """Rows by what a manifest says of itself."""

    def __init__(self, of: tuple[Removal, ...]) -> None:
        self.rows = of
        self._by_kind = {(row.group, row.version, row.kind): row for row in of}

    @property
    def components(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.component for row in self.rows))

    def only(self, components: Iterable[str]) -> "Removals":
        wanted = set(components)
        return Removals(tuple(row for row in self.rows if row.component in wanted))

    def with_rows(self, rows: Iterable[Removal]) -> "Removals":
        return Removals((*self.rows, *rows))

    def has(self, row: Removal) -> bool:
        """One of the same group, version and kind."""
        return (row.group, row.version, row.kind) in self._by_kind

    def of(self, api_version: str, kind: str) -> Removal | None:
        """Kinds that end with `List` are judged as what they hold."""
        group, _, version = api_version.rpartition("/")
        for name in (kind, kind.removesuffix("List"), ANY_KIND):
            found = self._by_kind.get((group, version, name)) or self._by_kind.get((group, "", name))
            if found is not None:
                return found
        return None


def _minor(text: str) -> Minor | None:
    return Minor.parse(text) if text else None


@cache
def shipped() -> Removals:
    return Removals(
        tuple(
            Removal(
                component=row["component"],
                group=row["group"],
                version=row["version"],
                kind=row["kind"],
                resource=row["resource"],
                stage=Stage(row["stage"]),
                deprecated=_minor(row["deprecated"]),
                removed=_minor(row["removed"]),
                served=Served(row["served"]),
                use=row["use"],
            )
            for row in rows("removals.csv")
        )
    )
