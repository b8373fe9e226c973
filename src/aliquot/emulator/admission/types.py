"""What admission is asked about, and the shapes of those who answer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any, Protocol, TypeAlias

from aliquot.emulator.objects import Json
from aliquot.emulator.rbac import User
from aliquot.emulator.registry import Served
from aliquot.emulator.schema.definitions import GroupVersionKind
from aliquot.emulator.verbs.call import Call


class Look(Protocol):
    """Looks at another object as the next writer sees it; never to be changed."""

    def get(self, storage: str, namespace: str, name: str) -> Mapping[str, Any] | None: ...

    def all(self, storage: str, namespace: str | None = None) -> Sequence[Mapping[str, Any]]:
        """Of one namespace, or of all."""
        ...

    def used(self, quota: Mapping[str, Any]) -> Mapping[str, str]:
        """How much of each of a ResourceQuota's resources."""
        ...

    def changed(self, storage: str) -> int:
        """Another number whenever any object of a kind was changed: what was worked out from them is out of date."""
        ...


class Operation(Enum):
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"


@dataclass(frozen=True, slots=True)
class Admitted:
    """One operation on its way through admission, but for the object, which is handed from link to link.

    The operation is that of admission, not of HTTP: a patch is an UPDATE, or a CREATE where an apply makes the object;
    a POST of a Binding, an Eviction or a TokenRequest is a CREATE of that body, `kind`, on a subresource.
    """

    call: Call
    operation: Operation
    name: str
    """Empty on a create that asks for a name, and on a deletecollection."""
    old: Json | None
    """What is stored, for UPDATE and DELETE; of a subresource with a body of its own, in that form (a Scale)."""
    look: Look
    rng: Random
    dry_run: bool = False
    options: Mapping[str, Any] | None = None
    """The DeleteOptions of a DELETE; those of writes are worked out of the call where they are wanted."""
    until_written: ExitStack = field(default_factory=ExitStack)
    """Called back once the write is done, refused or given up: what was reserved for it is let go."""

    @property
    def served(self) -> Served:
        return self.call.served

    @property
    def subresource(self) -> str:
        return self.call.request.subresource

    @property
    def namespace(self) -> str:
        return self.call.namespace

    @property
    def user(self) -> User:
        return self.call.user

    @property
    def kind(self) -> GroupVersionKind:
        """Of the body: `autoscaling/v1 Scale` for deployments/scale."""
        resource = self.served.resource
        sub = resource.subresource(self.subresource) if self.subresource else None
        if sub is None:
            return resource.group, resource.version, resource.kind
        if not sub.version:
            return resource.group, resource.version, sub.kind
        return sub.group, sub.version, sub.kind


Mutation: TypeAlias = Callable[[Admitted, Json], Json]
"""A built-in link: the object as it was handed in, or a changed one. Raises StatusError. Runs on CREATE and UPDATE,
a second time where mutators changed the object after it: it must leave alone what it has done already."""

Check: TypeAlias = Callable[[Admitted, Json | None], None]
"""Raises StatusError for what may not be. The object is None for a DELETE."""


class Turn(Protocol):
    """One mutator's part in one operation: what it must remember from the first round to the second."""

    async def run(self, obj: Json | None, *, again: bool) -> Json | None:
        """The object, the same one if nothing is changed. `again`: the second round, after a change by anybody.

        Raises StatusError.
        """
        ...


class Mutator(Protocol):
    """MutatingAdmissionPolicies; mutating webhooks."""

    def begin(self, asked: Admitted) -> Turn | None:
        """None when nothing it knows concerns the operation: asked for every write, so the answer must be cheap."""
        ...


class Validator(Protocol):
    """ValidatingAdmissionPolicies; validating webhooks."""

    def check(self, asked: Admitted, obj: Json | None) -> Awaitable[None] | None:
        """Raises StatusError; None when all is said, or what is to be awaited for the rest of it, which may raise too.

        Asked for every write: where nothing concerns the operation the answer must be cheap.
        """
        ...
