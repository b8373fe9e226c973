"""Since when nobody has needed a device. In memory alone: a restarted partitioner waits the whole time again."""

from collections.abc import Collection

Place = tuple[str, int | None]
"""GPU UUID and start slot; None for the GPU as a whole."""


class IdleSince:
    """Of one node. Times are Unix seconds."""

    def __init__(self) -> None:
        self._since: dict[Place, float] = {}

    def look(self, free: Collection[Place], now: float) -> None:
        """Exactly these are free now."""
        self._since = {place: self._since.get(place, now) for place in free}

    def longer_than(self, patience_s: float, now: float) -> frozenset[Place]:
        return frozenset(place for place, since in self._since.items() if now - since >= patience_s)

    def next_in_s(self, patience_s: float, now: float) -> float | None:
        """When the next of them will have been free for so long; None when none will."""
        waits = [since + patience_s - now for since in self._since.values() if now - since < patience_s]
        return min(waits, default=None)
