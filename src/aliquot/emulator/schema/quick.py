"""One look at a whole object: is all of it known, of the right type, and nothing empty?

Most objects are as they should be. To see that by walking them (`decoding`) is a good part of a write's cost, so the
types of a kind are also made into msgspec structs, and the same question is answered in C in a twentieth of the time.
What does not pass is walked: that finds what is wrong and where, and drops what is empty. Making the structs takes a
while, so a kind is looked at this way once it has been read a number of times.
"""

from functools import cached_property
from typing import Annotated, Any, Union

import msgspec

from aliquot.emulator.schema import decoding, quick_custom
from aliquot.emulator.schema.shapes import Form, Shape

READS_BEFORE = 30
"""Objects of a kind that are walked before its structs are made."""

_LIMITS = {"int32": 2**31, "": 2**63}


class _Exact(str):
    """A text whose spelling is not free: quantities, times, bytes."""


class _Quantity(_Exact):
    pass


class _Time(_Exact):
    pass


class _MicroTime(_Exact):
    pass


class _Bytes(_Exact):
    pass


class _NoStruct(Exception):
    """The kind has a part that refers to itself."""


class Quick:
    """Of the kind with `shape`."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._reads = 0

    def read(self, obj: Any) -> dict[str, Any] | None:
        """A copy of `obj`, with quantities in their canonical spelling; None when it must be walked."""
        if self._reads < READS_BEFORE:
            self._reads += 1
            return None
        respelled = self._respelled(obj)
        if respelled is None:
            return None
        try:
            copy: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(obj))
        except OverflowError:  # a number of more than 64 bits
            return None
        if respelled:
            _spell(copy, self._shape)
        return copy

    def fits(self, obj: Any) -> bool:
        """Whether `obj` needs no walk, but for the spelling of its quantities."""
        return self._reads >= READS_BEFORE and self._respelled(obj) is not None

    def _respelled(self, obj: Any) -> bool | None:
        """Whether quantities of `obj` are not in their canonical spelling; None when it must be walked."""
        if self._kind is None:
            return None
        exact = _Exactly()
        try:
            msgspec.convert(obj, self._kind, dec_hook=exact.read)
        except (msgspec.ValidationError, RecursionError):
            return None
        return exact.respelled

    @cached_property
    def _kind(self) -> Any:
        try:
            if self._shape.name:
                return _type(self._shape, {})
            return quick_custom.root(self._shape.node, _type(self._shape.fields["metadata"], {}))
        except (_NoStruct, quick_custom.NoType):
            return None


class _Exactly:
    """Reads the texts of one object whose spelling is not free."""

    def __init__(self) -> None:
        self.respelled = False

    def read(self, kind: type[Any], value: Any) -> Any:
        """Raises ValueError, which msgspec makes a ValidationError, for what is to be walked."""
        if kind is _Quantity:
            spelled = decoding.spelled_quantity(value)
            self.respelled |= spelled != value
            return kind(spelled)
        if kind is _Time and isinstance(value, str) and decoding.is_time(value):
            return kind(value)
        if kind is _MicroTime and isinstance(value, str) and decoding.is_micro_time(value):
            return kind(value)
        if kind is _Bytes and isinstance(value, str) and decoding.is_base64(value):
            return kind(value)
        if issubclass(kind, quick_custom.Formatted):
            return kind.of(value)
        raise ValueError


def _type(shape: Shape, made: dict[int, Any]) -> Any:
    match shape.form:
        case Form.STRING:
            return str
        case Form.BOOLEAN:
            return bool
        case Form.INTEGER:
            limit = _LIMITS.get(shape.node.get("format", ""), 2**63)
            return Annotated[int, msgspec.Meta(ge=-limit, le=limit - 1)]
        case Form.NUMBER:
            return int | float
        case Form.INT_OR_STRING:
            return int | str
        case Form.QUANTITY:
            return _Quantity
        case Form.TIME:
            return _MicroTime if shape.name.endswith(".MicroTime") else _Time
        case Form.BYTES:
            return _Bytes
        case Form.LIST:
            assert shape.element is not None
            return list[_type(shape.element, made)]  # type: ignore[misc]
        case Form.OBJECT:
            if shape.untyped:
                return dict[str, Any]
            if decoding.is_map(shape):
                assert shape.element is not None
                return dict[str, _type(shape.element, made)]  # type: ignore[misc]
            return _struct(shape, made)
        case Form.ANY:
            return Any


def _struct(shape: Shape, made: dict[int, Any]) -> Any:
    if id(shape) in made:
        if made[id(shape)] is None:
            raise _NoStruct
        return made[id(shape)]
    if shape.element is not None:
        raise _NoStruct
    made[id(shape)] = None
    # A closed field is dropped: the walk does that.
    names = {f"field_{number}": name for number, name in enumerate(shape.fields) if name not in shape.closed}
    fields = []
    for field, name in names.items():
        inner = shape.fields[name]
        kind = _type(inner, made)
        if name not in shape.required and (inner.form is Form.LIST or decoding.is_map(inner)):
            kind = Annotated[kind, msgspec.Meta(min_length=1)]
        fields.append((field, Union[kind, msgspec.UnsetType], msgspec.UNSET))  # noqa: UP007
    made[id(shape)] = msgspec.defstruct(
        shape.name.rpartition(".")[2] or "Part", fields, rename=names, forbid_unknown_fields=True, gc=False
    )
    return made[id(shape)]


def _spell(value: Any, shape: Shape) -> Any:
    """`value` with every quantity in it spelled canonically, in place."""
    if shape.form is Form.QUANTITY:
        return decoding.spelled_quantity(value)
    for name, inner in shape.fields_with_quantities:
        if name in value:
            value[name] = _spell(value[name], inner)
    element = shape.element
    if element is not None and element.holds_quantities:
        if isinstance(value, dict):
            return {name: _spell(child, element) for name, child in value.items()}
        return [_spell(child, element) for child in value]
    return value
