import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aliquot.eks.aws.api import Failure
from aliquot.eks.aws.remembering import Remembering


class Counted:
    """Answers with how often it was asked, once it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails = 0
        self.open = asyncio.Event()
        self.open.set()

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self.asked.append(f"{operation} {parameters}")
        await self.open.wait()
        if self.fails:
            self.fails -= 1
            raise Failure(service, operation, "Throttling", "slowly")
        return {"times": len(self.asked)}

    async def pages(
        self, service: str, operation: str, result: str, **parameters: Any
    ) -> AsyncIterator[dict[str, Any] | str]:
        yield await self.call(service, operation, **parameters)


async def pages(door: Remembering, operation: str) -> list[Any]:
    return [one async for one in door.pages("eks", operation, "things", addonName="coredns")]


async def test_what_is_of_all_clusters_is_asked_for_once_however_many_ask() -> None:
    api = Counted()
    door = Remembering(api)
    api.open.clear()
    asking = [asyncio.create_task(door.call("ssm", "GetParameter", Name="/a")) for _ in range(9)]
    asking += [asyncio.create_task(door.call("ssm", "GetParameter", Name="/b")) for _ in range(9)]
    await asyncio.sleep(0)
    api.open.set()
    await asyncio.gather(*asking)
    assert api.asked == ["GetParameter {'Name': '/a'}", "GetParameter {'Name': '/b'}"]
    assert await pages(door, "DescribeAddonVersions") == await pages(door, "DescribeAddonVersions")
    assert len(api.asked) == 3


async def test_what_is_of_one_cluster_is_asked_for_each_time() -> None:
    api = Counted()
    door = Remembering(api)
    for _ in range(2):
        await door.call("eks", "DescribeCluster", name="prod")
        await pages(door, "ListUpdates")
    assert len(api.asked) == 4


async def test_a_failure_is_only_of_whoever_asked() -> None:
    api = Counted()
    door = Remembering(api)
    api.fails = 1
    api.open.clear()
    first = asyncio.create_task(door.call("ssm", "GetParameter", Name="/a"))
    second = asyncio.create_task(door.call("ssm", "GetParameter", Name="/a"))
    await asyncio.sleep(0)
    api.open.set()
    with pytest.raises(Failure):
        await first
    assert (await second)["times"] == 2


async def test_whoever_is_cancelled_takes_nobody_along() -> None:
    api = Counted()
    door = Remembering(api)
    api.open.clear()
    first = asyncio.create_task(door.call("ssm", "GetParameter", Name="/a"))
    await asyncio.sleep(0)
    second = asyncio.create_task(door.call("ssm", "GetParameter", Name="/a"))
    await asyncio.sleep(0)
    first.cancel()
    api.open.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second)["times"] == 2
