"""What a pure rule says to do next about a step."""

from typing import Any, TypeAlias

from msgspec import Struct


class Call(Struct, frozen=True, tag="call"):
    """Ask AWS for this, then look again."""

    service: str
    operation: str
    parameters: dict[str, Any]


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


Verdict: TypeAlias = Call | Wait | Done | Hold
