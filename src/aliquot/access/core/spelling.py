"""Records as the log, digests and the API write them: moments in RFC 3339, durations in whole seconds, names in camelCase.

Inside, moments are floats and durations are ints, and both are named `_s`: `end_s` is written `end`, and `duration_s`
`durationSeconds`. Moments have milliseconds and no more, so that what is read back is what was written.
"""

from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from aliquot import canonical_json
from aliquot.clock import parse_rfc3339, rfc3339_milli

_T = TypeVar("_T", bound=Struct)
_SECONDS = "Seconds"


def to_ms(moment_s: float) -> float:
    """To the nearest millisecond."""
    return round(moment_s * 1000) / 1000


def spell(record: Struct) -> dict[str, Any]:
    """With everything that is not set as well: a field that is new changes what is written of no other."""
    names = zip(record.__struct_fields__, record.__struct_encode_fields__, strict=True)
    return dict(_spelled(encoded, getattr(record, name)) for name, encoded in names)


def canonical(record: Struct) -> bytes:
    """RFC 8785."""
    return canonical_json.dumps(spell(record))


def read(spelled: dict[str, Any], kind: type[_T]) -> _T:
    """Raises ValueError (msgspec.ValidationError is one): `spell` did not write it."""
    return msgspec.convert(_read(spelled, kind), kind)


def _spelled(name: str, value: Any) -> tuple[str, Any]:
    if name.endswith("S"):
        if isinstance(value, int):
            return name[:-1] + _SECONDS, value
        return name[:-1], None if value is None else rfc3339_milli(value)
    return name, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return spell(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return msgspec.to_builtins(value)


def _read(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is tuple:
        return [_read(one, get_args(kind)[0]) for one in value]
    if isinstance(kind, type) and issubclass(kind, Struct):
        return dict(_read_field(value, field) for field in _fields(kind))
    return value


@cache
def _fields(kind: type[Struct]) -> tuple[FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def _read_field(spelled: dict[str, Any], field: FieldInfo) -> tuple[str, Any]:
    name = field.encode_name
    if not name.endswith("S"):
        return name, _read(spelled.get(name), field.type)
    if (seconds := spelled.get(name[:-1] + _SECONDS)) is not None:
        return name, seconds
    moment = spelled.get(name[:-1])
    return name, None if moment is None else parse_rfc3339(moment)
