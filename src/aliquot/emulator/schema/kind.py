"""One kind at one version: everything a request handler asks of its schema."""

from dataclasses import dataclass
from typing import Any

from aliquot.emulator.schema.errors import FieldError
from aliquot.emulator.schema.shapes import Shape


@dataclass(frozen=True, slots=True)
class DecodeError(Exception):
    """A body that is no object of the kind: 400 BadRequest with this message."""

    message: str

    def __str__(self) -> str:
        return self.message


class Schema:
    """The schema of a group, version and kind, built in or from a CRD.

    The order of a write: decode (types, unknown fields, pruning), default, then the caller fills what the
    registry owns (uid, status on create, generation), then validate.
    """

    group: str
    version: str
    kind: str
    shape: Shape
    custom: bool
    """From a CRD: no strategic merge patch (415)."""

    def decode(self, obj: Any) -> tuple[dict[str, Any], list[str]]:
        """(`obj` without unknown fields, strict-decoding errors such as `unknown field "spec.foo"`).

        Raises DecodeError when a value is of the wrong type.
        """
        raise NotImplementedError

    def default(self, obj: dict[str, Any]) -> dict[str, Any]:
        """`obj` with the defaults that Kubernetes fills in when it reads an object."""
        raise NotImplementedError

    def validate(self, obj: dict[str, Any]) -> list[FieldError]:
        """What is wrong with a new object."""
        raise NotImplementedError

    def validate_update(
        self, obj: dict[str, Any], old: dict[str, Any], subresource: str = ""
    ) -> list[FieldError]:
        """What is wrong with `obj` as the successor of `old` on an endpoint ("" or "status", "binding", ...)."""
        raise NotImplementedError


def strict_message(schema: Schema, errors: list[str]) -> str:
    """The 400 message of ?fieldValidation=Strict: `Pod in version "v1" cannot be handled as a Pod: strict ...`."""
    raise NotImplementedError
