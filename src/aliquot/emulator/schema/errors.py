"""What is wrong with an object, in Kubernetes' words."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


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
    TOO_FEW = "FieldValueTooFew"
    INTERNAL = "InternalError"
    TYPE_INVALID = "FieldValueTypeInvalid"


_WORDS = {
    ErrorType.NOT_FOUND: "Not found",
    ErrorType.REQUIRED: "Required value",
    ErrorType.DUPLICATE: "Duplicate value",
    ErrorType.INVALID: "Invalid value",
    ErrorType.NOT_SUPPORTED: "Unsupported value",
    ErrorType.FORBIDDEN: "Forbidden",
    ErrorType.TOO_LONG: "Too long",
    ErrorType.TOO_MANY: "Too many",
    ErrorType.TOO_FEW: "Too few",
    ErrorType.INTERNAL: "Internal error",
    ErrorType.TYPE_INVALID: "Invalid value",
}
_WITHOUT_VALUE = {ErrorType.REQUIRED, ErrorType.FORBIDDEN, ErrorType.TOO_LONG, ErrorType.INTERNAL}
OMITTED: Final = object()
"""A bad value that is not shown, for there would be too much of it."""


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
        text = _WORDS[self.type]
        if self.type not in _WITHOUT_VALUE and self.bad_value is not OMITTED:
            text += f": {_json(self.bad_value)}"
        return f"{text}: {self.detail}" if self.detail else text

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


def _json(value: Any) -> str:
    # Go's encoder sorts the keys of maps, but those of objects keep the order of their declaration, which is gone.
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if isinstance(value, str):
        return text
    # It also takes care that nobody's browser reads tags in it.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def required(field: str, detail: str = "") -> FieldError:
    return FieldError(ErrorType.REQUIRED, field, "", detail)


def invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError(ErrorType.INVALID, field, value, detail)


def forbidden(field: str, detail: str) -> FieldError:
    return FieldError(ErrorType.FORBIDDEN, field, "", detail)


def duplicate(field: str, value: Any) -> FieldError:
    return FieldError(ErrorType.DUPLICATE, field, value)


def not_found(field: str, value: Any) -> FieldError:
    return FieldError(ErrorType.NOT_FOUND, field, value)


def not_supported(field: str, value: Any, supported: Sequence[str]) -> FieldError:
    names = ", ".join(json.dumps(name, ensure_ascii=False) for name in supported)
    return FieldError(ErrorType.NOT_SUPPORTED, field, value, f"supported values: {names}" if names else "")


def too_long(field: str, limit_bytes: int) -> FieldError:
    unit = "byte" if limit_bytes == 1 else "bytes"
    return FieldError(ErrorType.TOO_LONG, field, None, f"may not be more than {limit_bytes} {unit}")


def too_many(field: str, actual: int, limit: int) -> FieldError:
    unit = "item" if limit == 1 else "items"
    return FieldError(ErrorType.TOO_MANY, field, actual, f"must have at most {limit} {unit}")


def invalid_status(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> dict[str, Any]:
    """The 422 Status of an object with `errors`."""
    texts = list(dict.fromkeys(map(str, errors)))
    what = f"{kind}.{group}" if group else kind
    why = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    details: dict[str, Any] = {"name": name, "group": group, "kind": kind}
    causes = [{"reason": str(error.type), "message": error.body, "field": error.field} for error in errors]
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"{what} {json.dumps(name)} is invalid: {why}"
        if texts
        else f"{what} {json.dumps(name)} is invalid",
        "reason": "Invalid",
        "details": {key: value for key, value in details.items() if value} | {"causes": causes},
        "code": 422,
    }
