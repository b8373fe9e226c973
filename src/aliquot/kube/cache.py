"""A live copy of one kind of object, shared by everything in the process that reads it.

A snapshot first (a streamed one where the server can, else a list), then a watch from there, resumed for as long as
the server remembers where it was. When it no longer does (410), a new snapshot is compared with what is held, so
that what was deleted in between is seen to be deleted. Subscribers see each change once, in order, as (old, new).

The copy trails the server. It is never wrong about the past: at each moment it is what the server held at some
moment, and that moment never moves back while the watch lives. Decide on it, then write with preconditions.
"""

import asyncio
import gc
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar

import structlog

from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.decoding import Unreadable
from aliquot.kube.resources import Resource, key
from aliquot.kube.retry import Backoff
from aliquot.kube.watching import Bookmark, EventType, WatchEvent, version_of

T = TypeVar("T")

_log = structlog.get_logger()

_SNAPSHOT_SILENCE_S = 30.0
"""A streamed snapshot that pauses for longer is taken for a server that does not know how to end one."""
_SHORT_WATCH_S = 1.0
"""A watch that ends sooner and brings nothing is a failure, though the server calls it an end."""
_ABSENT_S = 300.0
"""Between two questions for a kind that the server never had."""
_MISSED_S = 30.0
"""For one that it had, or does not show: it is likely to be back soon."""
_DOUBT_S = 5.0
"""A server that has just started shows nothing to anybody until it has read its roles: a refusal counts when it lasts for longer."""
_STAYS_EMPTY = "cache stays empty"


class Cache(Generic[T]):
    """Objects of `resource`, decoded into `into`, by key (`namespace/name`, or `name`).

    `indexes` maps a name to a pure function from an object to the values it is found under. `watch_list` False
    takes snapshots by paged lists only. Objects are shared: never change one.

    `older` are earlier versions of the resource, newest first, for servers that do not have it. `optional`: a server
    may do without the kind, or not show it to us; the copy is empty then, or as it was, and it is asked for rarely.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        into: type[T],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, Callable[[T], Iterable[str]]] | None = None,
        watch_list: bool = True,
        watch_timeout_s: float = 300.0,
        page_size: int = 500,
        older: Sequence[Resource] = (),
        optional: bool = False,
    ) -> None:
        self.resource = resource
        self._versions = (resource, *older)
        self._missing: set[Resource] = set()
        """Versions that the server was just found not to have."""
        self._optional = optional
        self._is_absent = False
        self._was_shown = False
        self._said = ""
        """Of what it does without the kind."""
        self._client = client
        self._into = into
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._index_functions = dict(indexes or {})
        self._watch_list = watch_list
        self._watch_timeout_s = watch_timeout_s
        self._page_size = page_size

        self._objects: dict[str, T] = {}
        self._indexes: dict[str, dict[str, dict[str, T]]] = {name: {} for name in self._index_functions}
        self._subscribers: list[Callable[[T | None, T | None], None]] = []
        self._served_subscribers: list[Callable[[], None]] = []
        self._synced = asyncio.Event()
        # Where the watch is to go on; empty: nowhere, take a snapshot.
        self._version = ""
        self._progress = False

    async def synced(self) -> None:
        """Wait for the first snapshot, or, of an optional kind, for the server's word that there is none to be had.

        How long is the caller's to limit.
        """
        await self._synced.wait()

    @property
    def is_synced(self) -> bool:
        return self._synced.is_set()

    @property
    def is_served(self) -> bool:
        """False from when the server was found not to have an optional kind, or not to show it, until it does."""
        return not self._is_absent

    def get(self, key: str) -> T | None:
        return self._objects.get(key)

    def values(self) -> Collection[T]:
        """All objects, in the order of their arrival. A live view: do not await while iterating."""
        return self._objects.values()

    def indexed(self, index: str, value: str) -> Sequence[T]:
        """The objects for which the function of `index` names `value`, in the order of their arrival there."""
        return tuple(self._indexes[index].get(value, {}).values())

    def index_by(self, index: str, function: Callable[[T], Iterable[str]]) -> None:
        """One more index, for whoever was handed a cache; where there is one of that name it stays."""
        if index in self._index_functions:
            return
        self._index_functions[index] = function
        self._indexes[index] = {}
        for name, obj in self._objects.items():
            self._reindex(self._indexes[index], name, (), obj, function)

    def __len__(self) -> int:
        return len(self._objects)

    def subscribe(self, handler: Callable[[T | None, T | None], None]) -> Callable[[], None]:
        """Call `handler(old, new)` for each change; for what is held already, at once, as (None, object).

        Returns the function that ends it. A handler that raises is logged and called again for the next change.
        """
        self._subscribers.append(handler)
        for obj in tuple(self._objects.values()):
            self._tell(handler, None, obj)

        def unsubscribe() -> None:
            if handler in self._subscribers:
                self._subscribers.remove(handler)

        return unsubscribe

    def subscribe_served(self, handler: Callable[[], None]) -> Callable[[], None]:
        """Call `handler` whenever `is_served` is another. Returns the function that ends it."""
        self._served_subscribers.append(handler)

        def unsubscribe() -> None:
            if handler in self._served_subscribers:
                self._served_subscribers.remove(handler)

        return unsubscribe

    async def run(self) -> None:
        """Follow the server until cancelled. Ends only by cancellation, or by an index function that raises."""
        backoff = Backoff(self._client.rng)
        loop = asyncio.get_running_loop()
        failing = False
        hidden_since: float | None = None
        while True:
            began = loop.time()
            self._progress = False
            failure, retry_after_s = "", 0.0
            hidden_before, hidden_since = hidden_since, None
            try:
                await self._follow()
                if not self._progress and loop.time() - began < _SHORT_WATCH_S:
                    failure = "the watch ends as soon as it begins"
            except errors.Gone as error:
                self._version = ""
                failure = "" if self._progress else error.message
            except errors.NotFound as error:
                if self._take_older():
                    continue
                if self._optional:
                    self._replace({}, "")
                    what = "cache is empty now" if self._was_shown else _STAYS_EMPTY
                    await self._absent(what, error, _MISSED_S if self._was_shown else _ABSENT_S)
                    continue
                failure = error.message
            except errors.Forbidden as error:
                hidden_since = loop.time() if hidden_before is None else hidden_before
                if self._optional and loop.time() >= hidden_since + _DOUBT_S:
                    what = "cache stays as it was" if self._objects else _STAYS_EMPTY
                    await self._absent(what, error, _MISSED_S)
                    continue
                failure = error.message
            except errors.ApiError as error:
                failure, retry_after_s = error.message, error.retry_after_s or 0.0
            if self._progress:
                backoff.reset()
                if failing:
                    _log.info("cache follows again", resource=self.resource.name)
                failing = False
            if failure:
                delay_s = max(backoff.delay_s(), retry_after_s)
                # One warning for each outage, however often it is tried.
                log = _log.debug if failing else _log.warning
                log("cache lags", resource=self.resource.name, error=failure, retry_in_s=round(delay_s, 3))
                failing = True
                await asyncio.sleep(delay_s)

    def _take_older(self) -> bool:
        """Turn to a version that was not tried yet. False when the server has none of them."""
        self._version = ""
        self._missing.add(self.resource)
        untried = [version for version in self._versions if version not in self._missing]
        if not untried:
            self._missing.clear()
        self.resource = untried[0] if untried else self._versions[0]
        return bool(untried)

    async def _absent(self, what: str, error: errors.ApiError, pause_s: float) -> None:
        """Does without the kind for a while. `what` that means is said once."""
        self._version = ""
        self._synced.set()
        if what != self._said:
            self._said = what
            objects = {"objects": len(self)} if self._objects else {}
            _log.info(what, resource=self.resource.name, **objects, error=error.message)
        self._set_absent(True)
        await asyncio.sleep(pause_s * (1.0 + self._client.rng.random()))

    def _set_absent(self, is_absent: bool) -> None:
        if is_absent is self._is_absent:
            return
        self._is_absent = is_absent
        if not is_absent:
            self._said = ""
        for handler in tuple(self._served_subscribers):
            try:
                handler()
            except Exception:
                _log.exception("subscriber failed", resource=self.resource.name)

    async def _follow(self) -> None:
        """One watch to its end, after a snapshot where one is needed. Raises ApiError."""
        if not self._version and self._watch_list:
            try:
                return await self._watch(with_snapshot=True)
            except (errors.Invalid, TimeoutError) as error:
                _log.debug("no streamed snapshots here", resource=self.resource.name, error=str(error))
                self._watch_list = False
        if not self._version:
            await self._list()
        return await self._watch()

    async def _list(self) -> None:
        snapshot: dict[str, T] = {}
        version = ""
        pages = self._client.pages(
            self.resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            into=self._into,
            page_size=self._page_size,
        )
        async with aclosing(pages):
            async for page in pages:
                for obj in page.items:
                    snapshot[key(obj)] = obj
                for unreadable in page.unreadable:
                    self._leave_out(unreadable)
                version = page.resource_version
        self._replace(snapshot, version)

    async def _watch(self, *, with_snapshot: bool = False) -> None:
        """`with_snapshot`: the server first sends all there is as ADDED, then a bookmark that says so, then changes.

        Raises TimeoutError when that snapshot pauses for too long.
        """
        loop = asyncio.get_running_loop()
        snapshot: dict[str, T] | None = {} if with_snapshot else None
        stream = self._client.watch(
            self.resource,
            self._namespace,
            resource_version=self._version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            into=self._into,
            timeout_s=self._watch_timeout_s,
            send_initial_events=with_snapshot,
        )
        async with (
            asyncio.timeout(_SNAPSHOT_SILENCE_S if with_snapshot else None) as silence,
            aclosing(stream),
        ):
            async for event in stream:
                if snapshot is None:
                    self._take(event)
                elif isinstance(event, Bookmark) and event.initial_events_end:
                    self._replace(snapshot, event.resource_version)
                    snapshot = None
                    silence.reschedule(None)
                else:
                    self._collect(snapshot, event)
                    silence.reschedule(loop.time() + _SNAPSHOT_SILENCE_S)

    def _collect(self, snapshot: dict[str, T], event: WatchEvent[T] | Bookmark | Unreadable) -> None:
        if isinstance(event, Unreadable):
            self._leave_out(event)
            snapshot.pop(event.key, None)
        elif isinstance(event, WatchEvent):
            if event.type is EventType.DELETED:
                snapshot.pop(key(event.object), None)
            else:
                snapshot[key(event.object)] = event.object

    def _take(self, event: WatchEvent[T] | Bookmark | Unreadable) -> None:
        if isinstance(event, WatchEvent):
            self._change(key(event.object), None if event.type is EventType.DELETED else event.object)
        elif isinstance(event, Unreadable):
            self._leave_out(event)
            self._change(event.key, None)
        if event.resource_version:
            self._version = event.resource_version
        self._progress = True

    def _replace(self, snapshot: dict[str, T], version: str) -> None:
        """Become `snapshot`, telling subscribers the differences."""
        for name in [name for name in self._objects if name not in snapshot]:
            self._change(name, None)
        for name, obj in snapshot.items():
            self._change(name, obj)
        self._version = version
        if version:
            self._missing.clear()
            self._was_shown = True
            self._set_absent(False)
        self._synced.set()

    def _change(self, name: str, new: T | None) -> None:
        old = self._objects.get(name)
        if old is not None and new is not None:
            if _uid(old) != _uid(new):
                # Deleted and made anew while nobody looked: two different things of one name.
                self._change(name, None)
                old = None
            elif version_of(old) == version_of(new) != "":
                return
        if new is not None:
            self._objects[name] = new
        elif old is not None:
            del self._objects[name]
        else:
            return
        for index, function in self._index_functions.items():
            self._reindex(self._indexes[index], name, function(old) if old is not None else (), new, function)
        for handler in tuple(self._subscribers):
            self._tell(handler, old, new)

    @staticmethod
    def _reindex(
        index: dict[str, dict[str, T]],
        name: str,
        before: Iterable[str],
        new: T | None,
        function: Callable[[T], Iterable[str]],
    ) -> None:
        after = dict.fromkeys(function(new)) if new is not None else {}
        for value in before:
            if value not in after and value in index:
                index[value].pop(name, None)
                if not index[value]:
                    del index[value]
        if new is not None:
            for value in after:
                index.setdefault(value, {})[name] = new

    def _tell(self, handler: Callable[[T | None, T | None], None], old: T | None, new: T | None) -> None:
        try:
            handler(old, new)
        except Exception:
            _log.exception("subscriber failed", resource=self.resource.name)

    def _leave_out(self, unreadable: Unreadable) -> None:
        _log.error(
            "object left out: it is not of the type expected",
            resource=self.resource.name,
            key=unreadable.key,
            error=unreadable.reason,
        )


def _uid(obj: object) -> str:
    if isinstance(obj, dict):
        uid: str = obj["metadata"].get("uid", "")
        return uid
    return getattr(obj.metadata, "uid", "")  # type: ignore[attr-defined]


def settle_gc() -> None:
    """Take what is in memory now out of the garbage collector's sight. For the process' shell, once its caches have
    synced: a full collection over large caches stops the process for tenths of a second, and finds nothing there.

    Cached objects that are replaced later are still freed, by reference count.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
