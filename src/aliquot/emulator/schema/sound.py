"""Values that were looked at and found sound are not looked at again.

Controllers write one pod spec by the hundred, and every status of a Job or a ReplicaSet comes with the whole template.
What is said of such a spec depends on the spec alone, and of most there is nothing to say. That is remembered; what
there is to say of the others is worked out each time.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import msgspec

_LONGEST_BYTES = 1 << 14
_REMEMBERED = 256

_Finding = TypeVar("_Finding")


class Sound:
    """The values of which one check had nothing to say: the latest used of those that are not too long."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, None] = OrderedDict()

    def findings(self, value: Any, also: Hashable, check: Callable[[], list[_Finding]]) -> list[_Finding]:
        """What `check` says. It must look at nothing but `value`, which is JSON, and `also`, and say something of the
        same ones always; how it says it is free."""
        key = (msgspec.json.encode(value), also)
        if key in self._known:
            self._known.move_to_end(key)
            return []
        found = check()
        if not found and len(key[0]) <= _LONGEST_BYTES:
            self._known[key] = None
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found
