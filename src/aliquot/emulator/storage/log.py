"""The changes of one resource, and those who read them at their own pace."""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence

from aliquot.emulator.storage.records import Event, Record


class Compacted(Exception):
    """The log no longer reaches back to the revision asked for."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"{asked} ({oldest})")
        self.asked = asked
        self.oldest = oldest


class Log:
    """The changes of one resource, oldest first. `first` is the position of `events[0]` since the store opened."""

    __slots__ = ("bytes", "events", "first", "floor", "watchers")

    def __init__(self, floor: int) -> None:
        self.events: list[Event] = []
        self.first = 0
        self.floor = floor
        """Changes up to this revision are forgotten."""
        self.bytes = 0
        # A dict, for its order: who is woken first must not depend on hashes.
        self.watchers: dict[Watcher, None] = {}

    def append(self, event: Event) -> None:
        self.events.append(event)
        self.bytes += event.cost

    def forget(self, count: int) -> int:
        """Drops the oldest `count` events; answers the bytes that they held."""
        dropped = self.events[:count]
        if not dropped:
            return 0
        del self.events[:count]
        self.first += len(dropped)
        self.floor = dropped[-1].revision
        freed = sum(event.cost for event in dropped)
        self.bytes -= freed
        return freed

    def position(self, revision: int) -> int:
        """Of the first event after `revision`. Raises Compacted."""
        if revision < self.floor:
            raise Compacted(revision, self.floor)
        return self.first + bisect_right(self.events, revision, key=lambda event: event.revision)

    def undone(self, revision: int) -> dict[tuple[str, str], Record | None]:
        """What each object changed since `revision` was then; None where it did not exist. Raises Compacted."""
        start = self.position(revision) - self.first
        past: dict[tuple[str, str], Record | None] = {}
        for event in reversed(self.events[start:]):
            past[event.record.namespace, event.record.name] = event.previous
        return past

    def wake(self) -> None:
        for watcher in self.watchers:
            watcher.wake()

    def end(self) -> None:
        for watcher in self.watchers:
            watcher.ended = True
            watcher.wake()


class Watcher:
    """A place in a log. `take` until it is empty, then `wait`; close it when done."""

    def __init__(self, log: Log, after: int) -> None:
        self._log = log
        self._position = log.position(after)
        self._waiter: asyncio.Future[None] | None = None
        self._woken = False
        self.revision = after
        """Every event up to it was taken."""
        self.ended = False
        """Nothing comes after the events that `take` still gives."""
        log.watchers[self] = None

    def take(self, limit: int = 256) -> Sequence[Event]:
        """The next events, none when there are none yet. Raises Compacted when the log went past this watcher."""
        log = self._log
        if self._position < log.first:
            raise Compacted(self.revision, log.floor)
        start = self._position - log.first
        events = log.events[start : start + limit]
        self._position += len(events)
        if events:
            self.revision = events[-1].revision
        return events

    async def wait(self) -> None:
        """Until something happened: events, the watch's end, or `wake`."""
        if self._woken:
            self._woken = False
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._woken = False

    def wake(self) -> None:
        self._woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        self._log.watchers.pop(self, None)
