"""JSON from outside, without what readers differ about: a key that is given twice, NaN, text that is not UTF-8."""

import json
from typing import Any, NoReturn

from aliquot.kube.quoted import quoted


def read_object(body: bytes) -> dict[str, Any]:
    """Raises ValueError, in one line."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=_without_repeats, parse_constant=_no_number)
        # Halves of a character can be written as escapes, and by nobody else ever again.
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        again = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"it has the field {quoted(again)} twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
