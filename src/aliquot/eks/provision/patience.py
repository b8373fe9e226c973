"""A door to AWS that asks again where AWS has no time, or its answer was lost: for what only reads."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from aliquot.eks.aws.api import THROTTLED, UNKNOWN_OUTCOME, Api, Failure

T = TypeVar("T")
Pause = Callable[[float], Awaitable[object]]

_READS = ("Describe", "List", "Get")
FIRST, WHILE_AT_IT = 3, 12
"""Times that something is asked: before anything has begun somebody waits for an answer, afterwards for the end."""
_MOST_PAUSE_S = 30.0


class Patient:
    """An `Api`."""

    def __init__(self, api: Api, pause: Pause, attempts: int = WHILE_AT_IT) -> None:
        self._api = api
        self._attempts = attempts
        self._pause = pause

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if not operation.startswith(_READS):
            return await self._api.call(service, operation, **parameters)
        return await self._again(lambda: self._api.call(service, operation, **parameters))

    async def pages(
        self, service: str, operation: str, result: str, **parameters: Any
    ) -> AsyncIterator[dict[str, Any] | str]:
        async def whole() -> list[dict[str, Any] | str]:
            return [item async for item in self._api.pages(service, operation, result, **parameters)]

        for item in await self._again(whole):
            yield item

    async def _again(self, read: Callable[[], Awaitable[T]]) -> T:
        for attempt in range(1, self._attempts):
            try:
                return await read()
            except Failure as failure:
                if failure.code not in THROTTLED | UNKNOWN_OUTCOME:
                    raise
            await self._pause(min(1.5**attempt, _MOST_PAUSE_S))
        return await read()
