"""What is wrong with an object, in Kubernetes' words."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ErrorType(StrEnum):
    """The reasons of a Status' causes (k8s.io/apimachinery field.ErrorType)."""

    NOT_FOUND = "FieldValueNotFound"
    REQUIRED = "FieldValueRequired"
    DUPLICATE = "FieldValueDuplicate"
    INVALID = "FieldValueInvalid"
    NOT_SUPPORTED = "FieldValueNotSupported"
    FORBIDDEN = "FieldValueForbidden"
    TOO_LONG = "FieldValueTooLong"
    TOO_MANY = "FieldValueTooMany"
    INTERNAL = "InternalError"
    TYPE_INVALID = "FieldValueTypeInvalid"


@dataclass(frozen=True, slots=True)
class FieldError:
    """`field` is a path as Kubernetes writes it: `spec.containers[0].resources.limits[nvidia.com/gpu]`."""

    type: ErrorType
    field: str
    bad_value: Any = None
    detail: str = ""

    @property
    def body(self) -> str:
        """`Invalid value: "500m": must be an integer`"""
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


def invalid_status(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> dict[str, Any]:
    """The 422 Status of an object with `errors`."""
    raise NotImplementedError
