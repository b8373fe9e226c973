"""Watches: the changes of a resource as a stream of JSON lines.

A watch begins with the objects that there are (no resourceVersion, or `sendInitialEvents`) or after a revision. A
selector turns changes into comings and goings: what ceases to match is DELETED, what begins to match is ADDED. A
watch that cannot begin or go on because its revision is forgotten ends with an ERROR event, 410 Expired, as a
client expects of it. Bookmarks tell the revision that was reached while nothing happened.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from aliquot.clock import Clock
from aliquot.emulator import statuses
from aliquot.emulator.objects import Json, with_metadata
from aliquot.emulator.registry import Served
from aliquot.emulator.schema.errors import forbidden
from aliquot.emulator.storage.conversion import from_stored
from aliquot.emulator.storage.log import Compacted, Watcher
from aliquot.emulator.storage.records import Event, EventType, Record
from aliquot.emulator.storage.store import Store
from aliquot.emulator.tables import Form, IncludeObject, Rendering, partial_metadata
from aliquot.emulator.verbs.call import Call
from aliquot.emulator.verbs.reading import MATCH, bad_list_option, revision_asked, selection

BOOKMARK_EVERY_S = 60.0
_SHORTEST_DEFAULT_S = 1800
_INITIAL_AT_ONCE = 500
_PREFIXES = {kind: b'{"type":"%s","object":' % kind.value.encode() for kind in EventType}
_SUFFIX = b"}\n"
_INITIAL_END = {"k8s.io/initial-events-end": "true"}


@dataclass(frozen=True, slots=True)
class WatchOptions:
    after: int | None
    """None: from the present."""
    initial: bool
    """Begin with the objects that there are."""
    initial_end: bool
    """Say with a bookmark where they end."""
    bookmarks: bool
    timeout_s: float


def read_options(call: Call, store: Store, rng: Random) -> WatchOptions:
    """Raises StatusError 400 and 422, and 504 for a revision that has not been reached."""
    query = call.request.query
    asked = revision_asked(query)
    match, bookmarks = query.text(MATCH), query.flag("allowWatchBookmarks")
    timeout_s = query.number("timeoutSeconds")
    # Spread out, so that all watches that began together do not end together.
    limit_s = timeout_s if timeout_s else _SHORTEST_DEFAULT_S * (1 + rng.random())
    if not query.has("sendInitialEvents"):
        if match:
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            raise bad_list_option(forbidden(MATCH, why))
        return WatchOptions(asked or None, not asked, False, bookmarks, limit_s)
    if match != "NotOlderThan":
        why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise bad_list_option(forbidden(MATCH, why))
    if asked is not None and asked > store.revision:
        raise statuses.not_there_yet(asked, store.revision)
    initial = query.flag("sendInitialEvents")
    return WatchOptions(
        None if initial else asked or None, initial, initial and bookmarks, bookmarks, limit_s
    )


class Feed:
    """One watch, as the bytes to send. `wake` ends a wait early, to look whether the client is still there."""

    def __init__(self, store: Store, call: Call, rendering: Rendering, *, clock: Clock, rng: Random) -> None:
        """Raises StatusError for options that cannot be read."""
        self._store = store
        self._served = call.served
        self._selection = selection(call)
        self._options = read_options(call, store, rng)
        self._form = _Form(store, call.served, rendering, call.request.query.text("includeObject"), clock)
        self._watcher: Watcher | None = None

    def wake(self) -> None:
        if self._watcher is not None:
            self._watcher.wake()

    async def chunks(self, gone: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
        """Until the watch is over or the client is `gone`."""
        options = self._options
        revision = self._store.revision if options.after is None else options.after
        try:
            self._watcher = self._store.watch(self._served.storage, revision)
        except Compacted as compacted:
            yield self._form.error(compacted)
            return
        if revision > self._store.revision:
            # Of a state that is no more; what comes next is not what came after it.
            yield self._form.error(Compacted(revision, self._store.revision))
            self._watcher.close()
            return
        try:
            if options.initial:
                # Taken now, at `revision`; sent as the client reads.
                for chunk in self._initial(self._selection.candidates(self._store)):
                    yield chunk
            if options.initial_end:
                yield self._form.bookmark(revision, _INITIAL_END)
            async with aclosing(self._changes(self._watcher, gone)) as changes:
                async for chunk in changes:
                    yield chunk
        finally:
            self._watcher.close()

    def _initial(self, records: Sequence[Record]) -> Iterator[bytes]:
        for start in range(0, len(records), _INITIAL_AT_ONCE):
            chosen = (
                record
                for record in records[start : start + _INITIAL_AT_ONCE]
                if self._selection.matches(self._store, record)
            )
            if chunk := b"".join(self._form.event(EventType.ADDED, record) for record in chosen):
                yield chunk

    async def _changes(self, watcher: Watcher, gone: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._options.timeout_s
        due = min(end, loop.time() + BOOKMARK_EVERY_S) if self._options.bookmarks else end
        # One timer for many waits: most end by an event, and with a thousand watches a timeout for each wait shows.
        alarm = loop.call_at(due, watcher.wake)
        try:
            while not gone():
                try:
                    events = watcher.take()
                except Compacted as compacted:
                    yield self._form.error(compacted)
                    return
                if events:
                    if chunk := b"".join(line for event in events if (line := self._line(event))):
                        yield chunk
                    else:
                        # A long stretch of other people's events must not stop the loop.
                        await asyncio.sleep(0)
                elif watcher.ended:
                    return
                if loop.time() >= due:
                    if self._options.bookmarks:
                        # With nothing left to take, all up to the store's revision was seen.
                        reached = watcher.revision if events else max(self._store.revision, watcher.revision)
                        yield self._form.bookmark(reached)
                    if due == end:
                        return
                    due = min(end, loop.time() + BOOKMARK_EVERY_S)
                    alarm = loop.call_at(due, watcher.wake)
                if not events:
                    await watcher.wait()
        finally:
            alarm.cancel()

    def _line(self, event: Event) -> bytes:
        """The event as this watch sees it; empty when it does not."""
        chosen, record, previous = self._selection, event.record, event.previous
        if chosen.namespace is not None and record.namespace != chosen.namespace:
            return b""
        if chosen.name is not None and record.name != chosen.name:
            return b""
        if not chosen.by_content:
            return self._form.event(event.type, record) if chosen.matches(self._store, record) else b""
        after = event.type is not EventType.DELETED and chosen.matches(self._store, record)
        before = previous is not None and chosen.matches(self._store, previous)
        if after:
            return self._form.event(EventType.MODIFIED if before else EventType.ADDED, record)
        if not before or previous is None:
            return b""
        if event.type is EventType.DELETED:
            return self._form.event(EventType.DELETED, record)
        return self._form.left(previous, record.revision)


class _Form:
    """How a watch writes its lines."""

    def __init__(
        self, store: Store, served: Served, rendering: Rendering, include: str, clock: Clock
    ) -> None:
        self._store = store
        self._served = served
        self._rendering = rendering
        self._clock = clock
        self._plain = rendering.form is Form.OBJECT and served.native
        try:
            self._include = IncludeObject(include) if include else IncludeObject.METADATA
        except ValueError:
            raise statuses.bad_request(f'includeObject: Invalid value: "{include}"') from None

    def event(self, kind: EventType, record: Record) -> bytes:
        if self._plain:
            # The bytes that all watchers share.
            return _PREFIXES[kind] + record.body + _SUFFIX
        return self._encoded(kind.value, from_stored(self._served, self._store.view(record)))

    def left(self, previous: Record, revision: int) -> bytes:
        """An object that ceased to match: as it last matched, at the revision of its leaving."""
        last = with_metadata(previous.decode(), resourceVersion=str(revision))
        return self._encoded(EventType.DELETED.value, from_stored(self._served, last))

    def bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> bytes:
        metadata: Json = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        resource = self._served.resource
        obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        return self._encoded("BOOKMARK", obj)

    def error(self, compacted: Compacted) -> bytes:
        status = statuses.too_old(compacted.asked, compacted.oldest).status
        return msgspec.json.encode({"type": "ERROR", "object": status}) + b"\n"

    def _encoded(self, kind: str, obj: Json) -> bytes:
        return msgspec.json.encode({"type": kind, "object": self._rendered(kind, obj)}) + b"\n"

    def _rendered(self, kind: str, obj: Json) -> dict[str, Any]:
        version = self._rendering.version
        match self._rendering.form:
            case Form.TABLE:
                if kind == "BOOKMARK":
                    return self._bookmark_table(obj, version)
                return self._served.printer.table(
                    [obj],
                    now=self._clock.now(),
                    include=self._include,
                    list_metadata={"resourceVersion": obj["metadata"]["resourceVersion"]},
                    version=version,
                )
            case Form.METADATA:
                return partial_metadata(obj, version)
            case _:
                return obj

    def _bookmark_table(self, obj: Json, version: str) -> dict[str, Any]:
        """A bookmark is no object that could be shown: its row has no cells."""
        metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        table = self._served.printer.table([], now=0.0, list_metadata=metadata, version=version)
        return {**table, "rows": [{"cells": [], "object": partial_metadata(obj, version)}]}
