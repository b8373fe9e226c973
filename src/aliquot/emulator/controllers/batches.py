"""Doing many alike things at once, carefully: one, then two, then four, and no more once something fails."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from aliquot.kube.errors import ApiError

T = TypeVar("T")


async def slow_start(items: Sequence[T], act: Callable[[T], Awaitable[None]]) -> ApiError | None:
    """`act` on each of `items`, in growing batches; a batch with a failure is the last.

    A namespace that refuses every pod so costs one request, not a hundred. Returns the first failure.
    """
    size, start = 1, 0
    while start < len(items):
        failures: list[ApiError] = []

        async def attempt(item: T, failed: list[ApiError] = failures) -> None:
            try:
                await act(item)
            except ApiError as error:
                failed.append(error)

        async with asyncio.TaskGroup() as tasks:
            for item in items[start : start + size]:
                tasks.create_task(attempt(item))
        if failures:
            return failures[0]
        start += size
        size *= 2
    return None
