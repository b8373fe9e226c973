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
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from aliquot.emulator.storage.log import Log, Watcher
from aliquot.emulator.storage.persistence import Durability, Row, StoreFile, WriteRefused
from aliquot.emulator.storage.records import Event, EventType, Json, Record
from aliquot.emulator.storage.resource_objects import ResourceObjects

HISTORY_EVENTS = 50_000
"""The longest log of one resource."""
HISTORY_BYTES = 96 << 20
"""The most that all logs hold together, counted in bodies of superseded objects."""

_DECODED = 512


class AlreadyStored(Exception):
    """A create for a name that is taken."""


class Changed(Exception):
    """The object is no longer the one that the writer looked at."""


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
        self._resources: dict[str, ResourceObjects] = {}
        self._changed: dict[str, int] = {}
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

    def having(self, resource: str, read: Callable[[Record], str], value: str) -> Sequence[Record]:
        """The objects for which `read` gives `value`, by namespace and name, without a look at all others.

        `value` is not empty, and `read` one function for each field: by it what was found is kept.
        """
        return self._resource(resource).having(read, value)

    def changed(self, resource: str) -> int:
        """The revision of the last change to a resource, as far as this process knows."""
        return self._changed.get(resource, self._floor)

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

    def watch(self, resource: str, after: int) -> Watcher:
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
        touched: dict[str, ResourceObjects] = {}
        for event, _ in batch:
            resource = touched.setdefault(event.record.resource, self._resource(event.record.resource))
            resource.apply(event)
            self._changed[event.record.resource] = event.revision
            self._history_used += event.cost
        for resource in touched.values():
            self._trim(resource.log)
            resource.log.wake()
        for event, done in batch:
            if not done.done():
                done.set_result(event.record)

    def _trim(self, log: Log) -> None:
        if len(log.events) > self._history_events:
            self._history_used -= log.forget(
                len(log.events) - self._history_events + self._history_events // 8
            )
        while self._history_used > self._history_bytes:
            longest = max((found.log for found in self._resources.values()), key=lambda found: found.bytes)
            if not longest.bytes:
                return
            self._history_used -= longest.forget(len(longest.events) // 8 + 1)

    def _resource(self, name: str) -> ResourceObjects:
        found = self._resources.get(name)
        if found is None:
            found = self._resources[name] = ResourceObjects(self._floor)
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
