"""RFC 8785: JSON that is written the same way by everybody, so that it can be hashed."""

from typing import Any

import msgspec
import rfc8785

MOST = 2**53 - 1
"""Beyond it whole numbers are not the same for everybody."""
_encoder = msgspec.json.Encoder(order="sorted")


def dumps(document: Any) -> bytes:
    """Raises ValueError: it cannot be written so."""
    plain = dumps_plain(document)
    return rfc8785.dumps(document) if plain is None else plain


def dumps_plain(document: Any) -> bytes | None:
    """None: there is something in it that libraries differ about, floats or names that are not ASCII. What is left any encoder writes
    the same way if only it sorts names, and this one is forty times as fast. Raises ValueError."""
    parts = [document]
    while parts:
        part = parts.pop()
        kind = type(part)
        if kind is str or part is None or kind is bool:
            continue
        if kind is dict:
            for name in part:
                if type(name) is not str or not name.isascii():
                    return None
            parts += part.values()
        elif kind is list or kind is tuple:
            parts += part
        elif kind is not int or not -MOST <= part <= MOST:
            return None
    return _encoder.encode(document)
