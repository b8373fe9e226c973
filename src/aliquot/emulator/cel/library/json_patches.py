"""jsonpatch.escapeKey, for the paths of mutating policies."""

from aliquot.emulator.cel.library.overload import free
from aliquot.emulator.cel.types import STRING


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


OVERLOADS = (free("jsonpatch.escapeKey", "string_jsonpatch_escapeKey_string", (STRING,), STRING, _escaped),)
FUNCTIONS = tuple(one.function for one in OVERLOADS)
