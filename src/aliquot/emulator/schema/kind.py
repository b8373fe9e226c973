"""One kind at one version: everything a request handler asks of its schema."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aliquot.emulator.schema import decoding, defaults, validation, warnings
from aliquot.emulator.schema.definitions import GroupVersionKind
from aliquot.emulator.schema.errors import FieldError
from aliquot.emulator.schema.known_specs import KnownSpecs, Read
from aliquot.emulator.schema.quick import Quick
from aliquot.emulator.schema.shapes import Shape
from aliquot.emulator.versions import STANDARD

_MADE_ALIKE = frozenset({("", "Pod")})
"""Kinds whose objects are made in numbers from one template."""


@dataclass(slots=True)
class DecodeError(Exception):
    """A body that is no object of the kind.

    `message` is that of the 400 BadRequest which a create or an update answers; a patch whose result cannot be
    decoded answers 422 with `cause` alone in it.
    """

    message: str
    cause: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of a group, version and kind, built in or from a CRD.

    The order of a write: decode (types, unknown fields, pruning), default, then the caller fills what the
    registry owns (uid, status on create, generation), then validate.
    """

    group: str
    version: str
    kind: str
    shape: Shape = field(repr=False)
    custom: bool = False
    """From a CRD: no strategic merge patch (415)."""
    minor: int = STANDARD.minor
    """Of Kubernetes: 36 for 1.36."""
    scale: Mapping[str, str] | None = None
    """The paths of a CRD's scale subresource."""
    _quick: Quick = field(init=False, repr=False, compare=False)
    _specs: KnownSpecs | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_quick", Quick(self.shape))
        alike = not self.custom and (self.group, self.kind) in _MADE_ALIKE
        object.__setattr__(self, "_specs", KnownSpecs() if alike else None)

    @property
    def key(self) -> GroupVersionKind:
        return self.group, self.version, self.kind

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def read(self, obj: Any) -> Read:
        """`obj` decoded and with its defaults, and its strict-decoding errors. Raises DecodeError."""
        if self._specs is not None and isinstance(obj, dict) and obj.get("spec"):
            return self._specs.read(obj, self._read)
        return self._read(obj)

    def _read(self, obj: Any) -> Read:
        decoded, errors = self.decode(obj)
        return self.default(decoded), errors

    def decode(self, obj: Any) -> tuple[dict[str, Any], list[str]]:
        """(`obj` without unknown fields, strict-decoding errors such as `unknown field "spec.foo"`).

        Raises DecodeError when a value is of the wrong type.
        """
        if (read := self._quick.read(obj)) is not None:
            return read, []
        try:
            decoded, unknown = decoding.decode(obj, self.shape)
        except decoding.NotDecodable as error:
            cause = str(error)
            raise DecodeError(self._refusal(cause), cause) from None
        return decoded, [unknown_field(path) for path in unknown]

    def default(self, obj: dict[str, Any]) -> dict[str, Any]:
        """`obj` with the defaults that Kubernetes fills in when it reads an object."""
        if self.custom:
            if self._quick.fits(obj):
                return obj
            filled: dict[str, Any] = decoding.default_custom(
                decoding.prune_nulls(obj, self.shape), self.shape
            )
            return filled
        if (bare := self._quick.read(obj)) is not None:
            return defaults.fill_in(self.group, self.kind, bare, self.shape)
        return defaults.fill(self.group, self.kind, obj, self.shape)

    def first_status(self) -> dict[str, Any]:
        """The status that an object of a built-in kind begins with."""
        return defaults.zero_status(self.group, self.kind, self.shape)

    def validate(self, obj: dict[str, Any]) -> list[FieldError]:
        """What is wrong with a new object."""
        if self.custom:
            return validation.custom(obj, self.shape, self.minor, self.scale, fits=self._quick.fits(obj))
        return validation.built_in(self.group, self.kind, obj, self.shape, self.minor)

    def validate_update(
        self, obj: dict[str, Any], old: dict[str, Any], subresource: str = ""
    ) -> list[FieldError]:
        """What is wrong with `obj` as the successor of `old` on an endpoint ("" or "status", "binding", ...)."""
        if self.custom:
            return validation.custom_update(
                obj,
                old,
                self.shape,
                subresource,
                self.minor,
                self.scale,
                fits=self._quick.fits(obj),
            )
        return validation.built_in_update(
            self.group, self.kind, obj, old, self.shape, subresource, self.minor
        )

    def warnings(self, obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
        """What its writer should hear of a valid object, or of one that succeeds `old`."""
        if self.custom:
            return warnings.custom(obj, old)
        return warnings.built_in(self.group, self.kind, obj, old)

    def _refusal(self, cause: str) -> str:
        return f'{self.kind} in version "{self.version}" cannot be handled as a {self.kind}: {cause}'


def unknown_field(path: str) -> str:
    return f'unknown field "{path}"'


def strict_cause(errors: list[str]) -> str:
    """`strict decoding error: unknown field "spec.foo", unknown field "spec.bar"`."""
    return "strict decoding error: " + ", ".join(errors)


def strict_message(schema: Schema, errors: list[str]) -> str:
    """The 400 message of ?fieldValidation=Strict: `Pod in version "v1" cannot be handled as a Pod: strict ...`."""
    return schema._refusal(strict_cause(errors))
