"""Every object of the API, at one global revision: what etcd and the watch cache are to a kube-apiserver.

Objects are kept as the JSON bytes that clients get, so that a get, a list and any number of watchers share one
copy; dicts are made when somebody looks inside. Each resource has a bounded log of its changes. From it watchers
read, at their own pace and each with nothing but a position, and from it a past revision is rebuilt (paged lists).
Who falls behind the log's end is told so (`Compacted`, HTTP 410) and lists anew: a slow reader costs no memory.

Writes are committed in groups. A write is checked and takes its revision at once, against what earlier writes will
have made of the object; at the loop's next turn everything that gathered becomes one SQLite transaction, and only
then do readers and watchers see it and writers get their answer. When the transaction fails, all of the group fails
and nothing has changed. The commit runs on the loop: it costs microseconds, since with `Durability.PROCESS` (the
default) no write waits for the disk. That survives kill -9 at any instant with nothing acknowledged lost, and a
power cut with at most the last moments lost; `Durability.POWER` waits for the disk, on the loop.

Without a path everything is in memory alone, by the same steps: no threads, no files, deterministic.
The store knows nothing of kinds, validation or HTTP.
"""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from aliquot.emulator.storage.persistence import Durability, Row, StoreFile, WriteRefused

HISTORY_EVENTS = 50_000
"""The longest log of one resource."""
HISTORY_BYTES = 96 << 20
"""The most that all logs hold together, counted in bodies of superseded objects."""

_DECODED = 512

Json = dict[str, Any]


class AlreadyStored(Exception):
    """A create for a name that is taken."""


class Changed(Exception):
    """The object is no longer the one that the writer looked at."""


class Compacted(Exception):
    """The log no longer reaches back to the revision asked for."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"{asked} ({oldest})")
        self.asked = asked
        self.oldest = oldest


class Record(msgspec.Struct, frozen=True, gc=False, eq=False):
    """One object at one revision. `body` is its JSON, resourceVersion included."""

    resource: str
    namespace: str
    name: str
    id: int
    """The revision that created the object: the same for all of its life, never reused."""
    revision: int
    body: bytes

    def decode(self) -> Json:
        """A new dict, the caller's to change."""
        decoded: Json = msgspec.json.decode(self.body)
        return decoded


class EventType(Enum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


class Event(msgspec.Struct, frozen=True, gc=False, eq=False):
    """One change. `previous` is what was there before; a deletion's `record` is the last state at a revision of
    its own."""

    type: EventType
    record: Record
    previous: Record | None

    @property
    def revision(self) -> int:
        return self.record.revision

    @property
    def cost(self) -> int:
        """Bytes that are kept for this event alone."""
        superseded = len(self.previous.body) if self.previous is not None else 0
        return superseded + (len(self.record.body) if self.type is EventType.DELETED else 0)


@dataclass(frozen=True, slots=True)
class Listing:
    """`remaining` counts what comes after the last record."""

    records: Sequence[Record]
    revision: int
    remaining: int


class Store:
    def __init__(
        self,
        path: Path | None = None,
        *,
        durability: Durability = Durability.PROCESS,
        history_events: int = HISTORY_EVENTS,
        history_bytes: int = HISTORY_BYTES,
    ) -> None:
        """Opens and loads `path`; None keeps everything in memory. Raises StoreError."""
        self.path = path
        self._file = StoreFile(path, durability) if path is not None else None
        self._stamp = self._file.stamp() if self._file is not None else 0
        self._history_events = history_events
        self._history_bytes = history_bytes
        self._history_used = 0
        self._resources: dict[str, _Resource] = {}
        self._decoded: OrderedDict[int, Json] = OrderedDict()
        self._staged: dict[tuple[str, str, str], Record | None] = {}
        self._batch: list[tuple[Event, asyncio.Future[Record]]] = []
        self._closed = False
        self._refused_because = ""
        self._revision, rows = self._file.load() if self._file is not None else (0, iter(()))
        self._next = self._revision
        # What happened before this process is not in the logs.
        self._floor = self._revision
        for row in rows:
            self._resource(row.resource).put(
                Record(row.resource, row.namespace, row.name, row.id, row.revision, row.body)
            )

    # ---- reading -----------------------------------------------------------------------------------------

    @property
    def stamp(self) -> int:
        """A number of the owner's, kept with the objects: in what form they are. 0 as long as it was not set."""
        return self._stamp

    def set_stamp(self, stamp: int) -> None:
        """Raises StoreError."""
        if stamp != self._stamp and self._file is not None:
            self._file.set_stamp(stamp)
        self._stamp = stamp

    @property
    def revision(self) -> int:
        """Of the last committed write."""
        return self._revision

    def get(self, resource: str, namespace: str, name: str) -> Record | None:
        """As readers see it: committed."""
        return self._resource(resource).get(namespace, name)

    def latest(self, resource: str, namespace: str, name: str) -> Record | None:
        """As the next writer must see it: with the writes that are not committed yet."""
        key = (resource, namespace, name)
        if key in self._staged:
            return self._staged[key]
        return self._resource(resource).get(namespace, name)

    def view(self, record: Record) -> Json:
        """The object for looking at: shared, never to be changed."""
        found = self._decoded.get(record.revision)
        if found is None:
            found = record.decode()
            self._decoded[record.revision] = found
            if len(self._decoded) > _DECODED:
                self._decoded.popitem(last=False)
        else:
            self._decoded.move_to_end(record.revision)
        return found

    def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        at: int | None = None,
        after: tuple[str, str] | None = None,
        limit: int = 0,
    ) -> Listing:
        """Objects by namespace and name; `after` and `limit` cut a page, `at` is the revision to see them at.

        Raises Compacted when the log does not reach back to `at`.
        """
        found = self._resource(resource)
        if at is None or at >= self._revision:
            undone: dict[tuple[str, str], Record | None] = {}
            revision = self._revision
        else:
            undone = found.log.undone(at)
            revision = at
        if not undone:
            records, remaining = found.page(namespace, after, limit)
            return Listing(records, revision, remaining)
        state = {(record.namespace, record.name): record for record in found.page(namespace, None, 0)[0]}
        for key, record in undone.items():
            if namespace is not None and key[0] != namespace:
                continue
            if record is None:
                state.pop(key, None)
            else:
                state[key] = record
        keys = sorted(key for key in state if after is None or key > after)
        chosen = keys[:limit] if limit else keys
        return Listing([state[key] for key in chosen], revision, len(keys) - len(chosen))

    def changed(self, resource: str) -> int:
        """The revision of the last change to a resource, as far as this process knows."""
        log = self._resource(resource).log
        return log.events[-1].revision if log.events else log.floor

    def count(self, resource: str) -> int:
        return sum(len(bucket.records) for bucket in self._resource(resource).buckets.values())

    def resources(self) -> Sequence[str]:
        """Those with objects."""
        return sorted(name for name in self._resources if self.count(name))

    def changes(self, resource: str, after: int) -> Sequence[Event]:
        """The committed changes later than revision `after`. Raises Compacted when some of them are forgotten."""
        log = self._resource(resource).log
        return log.events[log.position(after) - log.first :]

    def staged(self, resource: str) -> Sequence[Event]:
        """The changes that are not committed yet."""
        return [event for event, _ in self._batch if event.record.resource == resource]

    def watch(self, resource: str, after: int) -> "Watcher":
        """Reads the changes later than revision `after`. Raises Compacted when some of them are forgotten."""
        return Watcher(self._resource(resource).log, after)

    # ---- writing -----------------------------------------------------------------------------------------

    async def create(self, resource: str, namespace: str, name: str, obj: Json) -> Record:
        """Raises AlreadyStored, WriteRefused."""
        if self.latest(resource, namespace, name) is not None:
            raise AlreadyStored
        revision = self._take_revision()
        record = self._record(resource, namespace, name, revision, revision, obj)
        return await self._stage(Event(EventType.ADDED, record, None))

    async def replace(self, old: Record, obj: Json) -> Record:
        """`old` must be the latest. Raises Changed, WriteRefused."""
        self._check(old)
        record = self._record(old.resource, old.namespace, old.name, old.id, self._take_revision(), obj)
        return await self._stage(Event(EventType.MODIFIED, record, old))

    async def delete(self, old: Record, obj: Json | None = None) -> Record:
        """`obj` is the last state that watchers see, `old` itself by default. Raises Changed, WriteRefused."""
        self._check(old)
        last = old.decode() if obj is None else obj
        record = self._record(old.resource, old.namespace, old.name, old.id, self._take_revision(), last)
        return await self._stage(Event(EventType.DELETED, record, old))

    def refuse_writes(self, why: str) -> None:
        """Every commit from now on fails with WriteRefused, as on a disk that is full; an empty text ends it."""
        self._refused_because = why

    def forget_history(self) -> None:
        """The logs begin anew: no revision before the present can be watched from or listed at any more."""
        for resource in self._resources.values():
            self._history_used -= resource.log.forget(len(resource.log.events))
            resource.log.floor = self._revision
            resource.log.wake()
        self._floor = self._revision

    def _check(self, old: Record) -> None:
        latest = self.latest(old.resource, old.namespace, old.name)
        if latest is None or latest.revision != old.revision:
            raise Changed

    def _take_revision(self) -> int:
        if self._closed:
            raise WriteRefused("the store is closed")
        self._next += 1
        return self._next

    def _record(self, resource: str, namespace: str, name: str, id_: int, revision: int, obj: Json) -> Record:
        stamped = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}
        return Record(resource, namespace, name, id_, revision, msgspec.json.encode(stamped))

    async def _stage(self, event: Event) -> Record:
        loop = asyncio.get_running_loop()
        record = event.record
        key = (record.resource, record.namespace, record.name)
        self._staged[key] = None if event.type is EventType.DELETED else record
        done: asyncio.Future[Record] = loop.create_future()
        if not self._batch:
            loop.call_soon(self._commit)
        self._batch.append((event, done))
        return await done

    def _commit(self) -> None:
        batch, self._batch = self._batch, []
        self._staged = {}
        if not batch:
            return
        try:
            if self._refused_because:
                raise WriteRefused(self._refused_because)
            if self._file is not None:
                self._file.commit(self._next, _final(event for event, _ in batch))
        except Exception as error:
            self._next = self._revision
            for _, done in batch:
                if not done.done():
                    # One exception object for each waiter: a shared one would gather all their tracebacks.
                    done.set_exception(WriteRefused(str(error)))
            if not isinstance(error, WriteRefused):
                raise
            return
        self._revision = self._next
        touched: dict[str, _Resource] = {}
        for event, _ in batch:
            resource = touched.setdefault(event.record.resource, self._resource(event.record.resource))
            resource.apply(event)
            self._history_used += event.cost
        for resource in touched.values():
            self._trim(resource.log)
            resource.log.wake()
        for event, done in batch:
            if not done.done():
                done.set_result(event.record)

    def _trim(self, log: "_Log") -> None:
        if len(log.events) > self._history_events:
            self._history_used -= log.forget(
                len(log.events) - self._history_events + self._history_events // 8
            )
        while self._history_used > self._history_bytes:
            longest = max((found.log for found in self._resources.values()), key=lambda found: found.bytes)
            if not longest.bytes:
                return
            self._history_used -= longest.forget(len(longest.events) // 8 + 1)

    def _resource(self, name: str) -> "_Resource":
        found = self._resources.get(name)
        if found is None:
            found = self._resources[name] = _Resource(self._floor)
        return found

    # ---- ending ------------------------------------------------------------------------------------------

    def end_watches(self, resource: str | None = None) -> None:
        """Watchers read what is there and are then told that it is over; of one resource, or of all."""
        for name, found in self._resources.items():
            if resource is None or name == resource:
                found.log.end()

    def close(self) -> None:
        """Commit what is staged, end the watches, let go of the file. Safe to repeat."""
        if self._closed:
            return
        self._commit()
        self._closed = True
        self.end_watches()
        if self._file is not None:
            self._file.close()


def _final(events: Iterator[Event]) -> Mapping[int, Row | None]:
    """What a group makes of each object it touches."""
    final: dict[int, Row | None] = {}
    for event in events:
        record = event.record
        final[record.id] = (
            None
            if event.type is EventType.DELETED
            else Row(record.id, record.resource, record.namespace, record.name, record.revision, record.body)
        )
    return final


class _Bucket:
    """The objects of one namespace. The order of names is kept only once somebody has listed them."""

    __slots__ = ("_names", "records")

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self._names: list[str] | None = None

    @property
    def names(self) -> list[str]:
        if self._names is None:
            self._names = sorted(self.records)
        return self._names

    def put(self, record: Record) -> None:
        if self._names is not None and record.name not in self.records:
            insort(self._names, record.name)
        self.records[record.name] = record

    def drop(self, name: str) -> None:
        if self._names is not None:
            del self._names[bisect_left(self._names, name)]
        del self.records[name]


class _Resource:
    __slots__ = ("buckets", "log")

    def __init__(self, floor: int) -> None:
        self.buckets: dict[str, _Bucket] = {}
        self.log = _Log(floor)

    def get(self, namespace: str, name: str) -> Record | None:
        bucket = self.buckets.get(namespace)
        return bucket.records.get(name) if bucket is not None else None

    def put(self, record: Record) -> None:
        bucket = self.buckets.get(record.namespace)
        if bucket is None:
            bucket = self.buckets[record.namespace] = _Bucket()
        bucket.put(record)

    def apply(self, event: Event) -> None:
        if event.type is EventType.DELETED:
            bucket = self.buckets[event.record.namespace]
            bucket.drop(event.record.name)
            if not bucket.records:
                del self.buckets[event.record.namespace]
        else:
            self.put(event.record)
        self.log.append(event)

    def page(
        self, namespace: str | None, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[Record], int]:
        """Up to `limit` (0: all) records behind the key `after`, and how many come behind those."""
        spaces = sorted(self.buckets) if namespace is None else [namespace]
        records: list[Record] = []
        remaining = 0
        for space in spaces:
            bucket = self.buckets.get(space)
            if bucket is None or (after is not None and space < after[0]):
                continue
            names = bucket.names
            start = bisect_right(names, after[1]) if after is not None and space == after[0] else 0
            end = len(names) if not limit else min(len(names), start + limit - len(records))
            records += [bucket.records[name] for name in names[start:end]]
            remaining += len(names) - end
        return records, remaining


class _Log:
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

    def __init__(self, log: _Log, after: int) -> None:
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
