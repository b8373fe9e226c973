"""A scheduler that looks and never leads: all that the one in the cluster knows, for whoever asks what it would do."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from aliquot.clock import Clock
from aliquot.kube import errors
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.queue import Queue
from aliquot.kube.client import Client
from aliquot.kube.resources import NODES, PODS, QUEUES, Resource
from aliquot.scheduler.controller import Scheduler
from aliquot.scheduler.settings import Settings
from aliquot.scheduler.usage import half_life_s

_KNOWN_WITHIN_S = 30.0

_Seen = TypeVar("_Seen")


async def looked(
    client: Client,
    look: Callable[[Scheduler], _Seen],
    *,
    clock: Clock,
    names: Iterable[str],
    ageing_s: float | None = None,
) -> _Seen:
    """What `look` makes of it, once all is known. Raises ApiError, what `look` raises in a group, and TimeoutError if the cluster
    does not answer all that is asked of it."""
    await _may_read(client)
    ours = frozenset(names)
    scheduler = Scheduler(
        client,
        clock=clock,
        rng=client.rng,
        names=ours,
        settings=Settings(usage_half_life_s=await _half_life_s(client), ageing_s=ageing_s),
    )
    found: list[_Seen] = []

    async def then() -> None:
        scheduler.recall_usage()
        await _members_known(scheduler, ours)
        found.append(look(scheduler))

    async with asyncio.timeout(_KNOWN_WITHIN_S):
        await scheduler.follow(then)
    return found[0]


async def _may_read(client: Client) -> None:
    """Caches try for ever; who asks wants to hear of it."""
    kinds: tuple[tuple[Resource, type[Pod] | type[Node]], ...] = ((PODS, Pod), (NODES, Node))
    for resource, into in kinds:
        async for _ in client.pages(resource, into=into, page_size=1):
            break


async def _half_life_s(client: Client) -> float | None:
    """With which the scheduler that runs remembers what queues had: it is written on them."""
    try:
        async for page in client.pages(QUEUES, into=Queue):
            found = half_life_s(page.items)
            if found is not None:
                return found
    except errors.NotFound:
        pass
    return None


async def _members_known(scheduler: Scheduler, names: frozenset[str]) -> None:
    """The jobs of all pods: their owners are being read."""
    changed = asyncio.Event()

    def is_ours(pod: Pod) -> bool:
        return pod.spec.scheduler_name in names and not pod.status.has_ended

    stop = scheduler.groups.subscribe(lambda names: changed.set())
    try:
        while any(
            is_ours(pod) and scheduler.groups.membership(pod) is None for pod in scheduler.pods.values()
        ):
            await changed.wait()
            changed.clear()
    finally:
        stop()
