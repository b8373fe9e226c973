"""find and findAll."""

from aliquot.emulator.cel import patterns
from aliquot.emulator.cel.library.overload import member
from aliquot.emulator.cel.types import INT, STRING, list_of


def _find(text: str, pattern: str) -> str:
    return next(iter(patterns.find_all(pattern, text, 1)), "")


OVERLOADS = (
    member("find", "string_find_string", (STRING, STRING), STRING, _find),
    member(
        "findAll",
        "string_find_all_string",
        (STRING, STRING),
        list_of(STRING),
        lambda text, pattern: patterns.find_all(pattern, text),
    ),
    member(
        "findAll",
        "string_find_all_string_int",
        (STRING, STRING, INT),
        list_of(STRING),
        lambda text, pattern, limit: patterns.find_all(pattern, text, limit),
    ),
)
