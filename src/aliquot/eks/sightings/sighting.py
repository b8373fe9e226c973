"""One use of an API version, and who to talk to about it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct


class Trace(StrEnum):
    FILE = "file"
    HELM = "helm"
    LAST_APPLIED = "last-applied"
    MANAGED_FIELDS = "managed-fields"
    REQUESTS = "requests"
    """Somebody asked the API server for it, since that was started."""


class Where(Struct, frozen=True, kw_only=True, omit_defaults=True):
    trace: Trace
    file: str = ""
    line: int = 0
    """Of the file, from 1."""
    release: str = ""
    """Of Helm, as `NAMESPACE/NAME`."""

    def __str__(self) -> str:
        if self.file and self.release:
            return f"Helm release {self.release}, {self.file}"
        if self.file:
            return f"{self.file}:{self.line}" if self.line else self.file
        if self.release:
            return f"Helm release {self.release}"
        return "requests to the API server" if self.trace is Trace.REQUESTS else f"the object's {self.trace}"


class Sighting(Struct, frozen=True, kw_only=True, omit_defaults=True):
    api_version: str
    kind: str
    where: Where
    namespace: str = ""
    name: str = ""
    owner: str = ""
    """Who wrote it so: a chart, a field manager, a client. Empty: nobody is named."""
    labels: Mapping[str, Any] = {}
    """Of the object."""
    body: dict[str, Any] | None = None
    """The whole manifest, of files and releases."""

    @property
    def object(self) -> str:
        named = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {named}" if named else self.kind


class Unchecked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What could not be read. It may hold anything, and never counts as passed."""

    what: str
    why: str
    passes: bool = False
    """By itself: whoever was asked had no time."""
