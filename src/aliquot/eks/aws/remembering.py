"""A door that asks once for what is the same for every cluster of an account: minors, builds, AMIs, instance types, prices, quotas."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from aliquot.eks.aws.api import Api

T = TypeVar("T")

OF_ALL = frozenset(
    {
        ("eks", "DescribeAddonVersions"),
        ("eks", "DescribeClusterVersions"),
        ("ec2", "DescribeInstanceTypes"),
        ("ec2", "DescribeInstances"),
        ("ec2", "DescribeVolumes"),
        ("pricing", "GetProducts"),
        ("service-quotas", "ListServiceQuotas"),
        ("ssm", "GetParameter"),
        ("ssm", "GetParameters"),
    }
)


class Remembering:
    """An `Api`, for as long as one answer lasts: the making of plans for a fleet. What failed is asked for again."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._asked: dict[str, asyncio.Future[Any]] = {}

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if (service, operation) not in OF_ALL:
            return await self._api.call(service, operation, **parameters)
        key = _key(service, operation, parameters)
        return await self._once(key, lambda: self._api.call(service, operation, **parameters))

    async def pages(
        self, service: str, operation: str, result: str, **parameters: Any
    ) -> AsyncIterator[dict[str, Any] | str]:
        if (service, operation) not in OF_ALL:
            async for item in self._api.pages(service, operation, result, **parameters):
                yield item
            return

        async def walked() -> list[dict[str, Any] | str]:
            return [item async for item in self._api.pages(service, operation, result, **parameters)]

        for item in await self._once(_key(service, operation, parameters, result), walked):
            yield item

    async def _once(self, key: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Whoever comes while it is asked waits for the same answer."""
        while (asked := self._asked.get(key)) is not None:
            found: T | None = await asyncio.shield(asked)
            if found is not None:
                return found
        asking: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self._asked[key] = asking
        answer: T | None = None
        try:
            answer = await ask()
            return answer
        finally:
            if answer is None:
                # The others ask for themselves: it may have been this one's own end.
                del self._asked[key]
            asking.set_result(answer)


def _key(service: str, operation: str, parameters: dict[str, Any], result: str = "") -> str:
    return json.dumps([service, operation, result, parameters], sort_keys=True)
