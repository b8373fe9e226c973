"""Specs that were read before are not read again: pods of one template come by the hundred, and all say the same."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

_LONGEST_BYTES = 1 << 14
_REMEMBERED = 256

Read: TypeAlias = tuple[dict[str, Any], list[str]]
"""(an object decoded and with its defaults, its strict-decoding errors)."""


class KnownSpecs:
    """Of a kind whose spec is read the same whatever else an object says: the latest that had no errors.

    Both forms are kept as JSON, so that nobody shares what somebody may change. Servers in several threads may ask.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, bytes] = OrderedDict()

    def read(self, obj: dict[str, Any], read: Callable[[dict[str, Any]], Read]) -> Read:
        """What `read` makes of `obj`, which has a spec. Raises what it raises."""
        sent = msgspec.json.encode(obj["spec"])
        known = self._known.pop(sent, None)
        if known is not None:
            self._known[sent] = known
            rest, errors = read({key: value for key, value in obj.items() if key != "spec"})
            return rest | {"spec": msgspec.json.decode(known)}, errors
        whole, errors = read(obj)
        if not errors and len(sent) <= _LONGEST_BYTES:
            self._known[sent] = msgspec.json.encode(whole["spec"])
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return whole, errors
