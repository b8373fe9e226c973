"""The parts that every Kubernetes object has. Only the fields that Aliquot reads: never PUT what was decoded."""

from msgspec import Struct


class Wire(Struct, kw_only=True, rename="camel", omit_defaults=True, gc=False, frozen=True):
    """Base of the partial types. Frozen, because caches share them; outside the garbage collector's sight, because
    they are trees and its passes would be most of the cost of a large list. Subclasses repeat `kw_only` and `frozen`."""


class OwnerReference(Wire, kw_only=True, frozen=True):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Wire, kw_only=True, frozen=True):
    name: str = ""
    namespace: str = ""
    generate_name: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None
    finalizers: tuple[str, ...] | None = None


class Condition(Struct, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    type: str
    """What it is about; each once."""
    status: str
    """`True`, `False` or `Unknown`."""
    reason: str = ""
    """Why, in one word."""
    message: str = ""
    """Why, in a line."""
    last_transition_time: str | None = None
    """Since when the status is what it is."""
    observed_generation: int = 0
    """Of the spec that this is about."""
