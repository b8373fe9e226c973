"""JSON values as YAML text, as Kubernetes writes it: keys in order, lists not indented.

Texts that YAML could take for something else are quoted as JSON quotes them, which is YAML too. Many times faster
than a YAML library, of which a list of pods would need seconds.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN = re.compile(r"[A-Za-z/](?:[A-Za-z0-9_./:-]*[A-Za-z0-9_./-])?")
_WORDS = frozenset(["true", "false", "null", "yes", "no", "on", "off", "y", "n"])
"""Not texts, to one version of YAML or another."""
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON may quote as it is, and YAML not."""


def encode(value: Any) -> bytes:
    return ("\n".join(_lines(value, "")) + "\n").encode()


def _lines(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key in sorted(value):
            name, child = _text(key), value[key]
            if isinstance(child, dict | list) and child:
                yield f"{indent}{name}:"
                yield from _lines(child, indent if isinstance(child, list) else f"{indent}  ")
            else:
                yield f"{indent}{name}: {_scalar(child)}"
    elif isinstance(value, list) and value:
        for item in value:
            first, *rest = _lines(item, f"{indent}  ")
            yield f"{indent}- {first[len(indent) + 2 :]}"
            yield from rest
    else:
        yield f"{indent}{_scalar(value)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    text = json.dumps(value)
    # YAML knows a number with an exponent by its point.
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
