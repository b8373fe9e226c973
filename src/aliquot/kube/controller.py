"""A level-triggered control loop: keys in, a reconcile call for each, again on failure, never two at once for one key.

Reconcile gets only a key and looks up the rest, so it cannot rest on an event: it makes the world right for that
key as things are now, and may be called at any time for no reason at all.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import structlog

from aliquot.kube import errors
from aliquot.kube.cache import Cache
from aliquot.kube.queue import WorkQueue
from aliquot.kube.resources import key

T = TypeVar("T")

_log = structlog.get_logger()


class Controller:
    """`reconcile(key)` returns the seconds after which to be called again, or None for: when something changes.

    It may raise: ApiErrors are the ordinary failure and are logged in one line, anything else with its traceback,
    each once per key until the message changes. A call that takes longer than `timeout_s` is cancelled and retried.
    """

    def __init__(
        self,
        name: str,
        reconcile: Callable[[str], Awaitable[float | None]],
        *,
        rng: random.Random,
        workers: int = 1,
        timeout_s: float = 60.0,
        max_retry_delay_s: float = 60.0,
    ) -> None:
        self.name = name
        self._reconcile = reconcile
        self._workers = workers
        self._timeout_s = timeout_s
        self._queue = WorkQueue(rng, max_delay_s=max_retry_delay_s)
        self._complaints: dict[str, str] = {}

    def enqueue(self, key: str) -> None:
        self._queue.add(key)

    def enqueue_after(self, key: str, delay_s: float) -> None:
        self._queue.add_after(key, delay_s)

    def watch(
        self, cache: Cache[T], keys: Callable[[T], Iterable[str]] = lambda obj: (key(obj),)
    ) -> Callable[[], None]:
        """Enqueue, for every change in `cache`, what `keys` names for the object before and after it.

        Returns the function that ends it.
        """

        def changed(old: T | None, new: T | None) -> None:
            for obj in (old, new):
                if obj is not None:
                    for name in keys(obj):
                        self._queue.add(name)

        return cache.subscribe(changed)

    async def run(self) -> None:
        """Until cancelled. Start it when the caches it reads have synced; keys enqueued before then are not lost.

        May be run again afterwards (leadership lost and won back): what was cut off or delayed is then done first.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(self._workers):
                    tasks.create_task(self._work(), name=f"{self.name}/{number}")
        finally:
            self._queue.hurry()

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._once(key)
            except asyncio.CancelledError:
                self._queue.add(key)
                raise
            finally:
                self._queue.done(key)

    async def _once(self, key: str) -> None:
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                again_s = await self._reconcile(key)
        except Exception as error:
            late = TimeoutError(f"not done within {self._timeout_s:g} s") if limit.expired() else error
            self._complain(key, late, self._queue.retry(key))
            return
        self._queue.forget(key)
        self._complaints.pop(key, None)
        if again_s is not None:
            self._queue.add_after(key, again_s)

    def _complain(self, key: str, error: Exception, delay_s: float) -> None:
        complaint = f"{type(error).__name__}: {error}"
        repeated = self._complaints.get(key) == complaint
        self._complaints[key] = complaint
        details = {"controller": self.name, "key": key, "error": complaint, "retry_in_s": round(delay_s, 3)}
        if repeated or isinstance(error, errors.Conflict):
            _log.debug("reconcile failed", **details)
        elif isinstance(error, errors.ApiError | TimeoutError):
            _log.warning("reconcile failed", **details)
        else:
            _log.error("reconcile failed", **details, exc_info=error)
