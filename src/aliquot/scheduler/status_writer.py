"""Keeps the status of objects of one kind as it should be: written when it changes, by who leads, and never twice the same.

What was written here is known better than what the cache shows, which may lag; but not for long, so that what somebody else
changes is put right.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from aliquot.kube import errors
from aliquot.kube.api.meta import Condition
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.controller import Controller
from aliquot.kube.merge_patch import difference
from aliquot.kube.resources import split_key

T = TypeVar("T")
S = TypeVar("S", bound=Struct)

BURST_S = 0.5
"""What happens within that time can be one write: pods of one group come all at once."""
_LAG_S = 10.0
_WORKERS = 4


@dataclass(frozen=True, slots=True)
class _Written(Generic[S]):
    uid: str
    status: S
    until: float
    """By then the cache shows it."""


class StatusWriter(Generic[T, S]):
    """`shown` is the status that an object has, or the part of it that is ours. `wanted` is given the object and what is known to be
    shown; it answers what should be, or None for: leave it. `written` is told of each change. Of a kind with a merge key for
    lists, patches are `strategic`: then all of what is wanted is sent, and what others wrote beside it stays."""

    def __init__(
        self,
        client: Client,
        cache: Cache[T],
        *,
        shown: Callable[[T], S],
        wanted: Callable[[T, S], S | None],
        written: Callable[[T, S, S], None] = lambda obj, before, after: None,
        rng: random.Random,
        may_write: Callable[[], bool],
        strategic: bool = False,
    ) -> None:
        self._client = client
        self._cache = cache
        self._shown = shown
        self._wanted = wanted
        self._tell_written = written
        self._may_write = may_write
        self._strategic = strategic
        self._written: dict[str, _Written[S]] = {}
        self._controller = Controller(
            f"status of {cache.resource.name}", self._reconcile, rng=rng, workers=_WORKERS
        )

    async def run(self) -> None:
        """Until cancelled. May be run again."""
        self._written.clear()
        unsubscribe = self._controller.watch(self._cache)
        try:
            await self._controller.run()
        finally:
            unsubscribe()

    def look(self, key: str, *, within_s: float = 0.0) -> None:
        """Something that its status rests on may have changed."""
        self._controller.enqueue_after(key, within_s)

    async def _reconcile(self, key: str) -> float | None:
        obj: Any = self._cache.get(key)
        if obj is None:
            self._written.pop(key, None)
            return None
        shown, uid, now = self._shown(obj), obj.metadata.uid, asyncio.get_running_loop().time()
        mine = self._written.get(key)
        if mine is not None and (mine.status == shown or mine.uid != uid or now >= mine.until):
            del self._written[key]
            mine = None
        known = shown if mine is None else mine.status
        status = self._wanted(obj, known)
        if status is None or status == known or not self._may_write():
            return None if mine is None else mine.until - now
        # With the uid, the write cannot land on another object of the same name.
        body = {"metadata": {"uid": uid}, "status": self._patch(known, status)}
        namespace, name = split_key(key)
        kind = PatchKind.STRATEGIC if self._strategic else PatchKind.MERGE
        try:
            await self._client.patch(
                self._cache.resource, name, body, namespace or None, kind=kind, subresource="status"
            )
        except (errors.NotFound, errors.Conflict):
            # Deleted, perhaps made anew: the cache will tell.
            return None
        self._written[key] = _Written(uid, status, now + _LAG_S)
        self._tell_written(obj, known, status)
        return _LAG_S

    def _patch(self, known: S, status: S) -> dict[str, Any]:
        after: dict[str, Any] = msgspec.to_builtins(status)
        return after if self._strategic else difference(msgspec.to_builtins(known), after)


def timed(condition: Condition, shown: Sequence[Condition], generation: int, now: str) -> Condition:
    """The condition with its times. `now` counts if it is not one of `shown`."""
    before = next((one for one in shown if one.type == condition.type), None)
    goes_on = before is not None and before.status == condition.status
    return Condition(
        type=condition.type,
        status=condition.status,
        reason=condition.reason,
        message=condition.message,
        last_transition_time=before.last_transition_time if before is not None and goes_on else now,
        observed_generation=generation,
    )
