"""What a pure rule says to do next about a step."""

from enum import StrEnum
from typing import Any, TypeAlias

from msgspec import Struct

from aliquot.kube.resources import Resource


class Call(Struct, frozen=True, tag="call"):
    """Ask AWS for this, then look again."""

    service: str
    operation: str
    parameters: dict[str, Any]


class Verb(StrEnum):
    CREATE = "create"
    PATCH = "patch"
    """A merge patch; with a resourceVersion in it only of the object that was seen."""
    DELETE = "delete"


class Write(Struct, frozen=True, kw_only=True):
    """One write to the cluster. Done twice it does no more than done once."""

    verb: Verb
    resource: Resource
    name: str
    namespace: str = ""
    body: dict[str, Any] = {}
    subresource: str = ""

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        part = f" ({self.subresource})" if self.subresource else ""
        return f"{self.verb} {self.resource.kind} {where}{part}"


class Writes(Struct, frozen=True, tag="writes"):
    """Do these in this order, then look again."""

    writes: tuple[Write, ...]


class Errand(Struct, frozen=True, tag="errand"):
    """Do what the kind of act has under this name, then look again."""

    name: str
    parameters: dict[str, Any] = {}


class Keep(Struct, frozen=True, tag="keep"):
    """Keep this in the journal, durably, then look again. A name has what was kept first."""

    name: str
    value: Any


class Wait(Struct, frozen=True, tag="wait"):
    """Look again after a while: something is on its way."""

    seconds: float
    why: str


class Done(Struct, frozen=True, tag="done"):
    told: str
    """One line for the journal."""


class Hold(Struct, frozen=True, tag="hold"):
    """A person decides: retry, or the way back."""

    why: str
    todo: str


Verdict: TypeAlias = Call | Writes | Errand | Keep | Wait | Done | Hold
