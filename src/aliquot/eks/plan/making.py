"""Reads a cluster and where its hops lead, and plans; of a fleet several at once. Nothing is written."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from msgspec import Struct

from aliquot.clock import Clock
from aliquot.eks.aws.api import Api, Failure
from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.reading import from_aws
from aliquot.eks.plan import checking, planning, targets
from aliquot.eks.plan.plan import CannotPlan, NothingToDo, Options, Plan
from aliquot.eks.versions.minor import Minor
from aliquot.kube.errors import ApiError

_AT_ONCE = 8
"""Clusters. The door to AWS bounds the calls of all of them together."""

WithObjects = Callable[[Estate], Awaitable[Estate]]
"""Asks the cluster's API server, or does not. Raises ApiError, Failure."""


class Outcome(Struct, frozen=True, kw_only=True):
    """Of one cluster of a fleet: a plan, or why there is none."""

    cluster: str
    plan: Plan | None = None
    is_there: bool = False
    """There is nothing to do."""
    why: str = ""


async def make(
    api: Api, name: str, to: Minor, options: Options, *, region: str, clock: Clock, with_objects: WithObjects
) -> Plan:
    """Raises CannotPlan, Failure, ApiError."""
    estate = await from_aws(api, name, clock=clock)
    planning.check(estate, to)
    estate = await with_objects(estate)
    lead = await targets.read(api, estate, to, options, region=region)
    plan = planning.plan(estate, to, lead, options)
    wrong = checking.wrong(plan.id, plan.steps)
    if wrong:
        raise CannotPlan(
            f"AWS would not take a call of this plan, which is a defect of aliquot's: {wrong[0]}"
        )
    return plan


async def make_all(
    api: Api,
    names: Sequence[str],
    to: Minor,
    options: Options,
    *,
    region: str,
    clock: Clock,
    with_objects: WithObjects,
) -> tuple[Outcome, ...]:
    """In the order of the names. What goes wrong with one cluster is told of that one."""
    bound = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> Outcome:
        async with bound:
            try:
                plan = await make(
                    api, name, to, options, region=region, clock=clock, with_objects=with_objects
                )
            except NothingToDo as error:
                return Outcome(cluster=name, is_there=True, why=str(error))
            except (CannotPlan, Failure, ApiError) as error:
                return Outcome(cluster=name, why=str(error))
            return Outcome(cluster=name, plan=plan)

    return tuple(await asyncio.gather(*(one(name) for name in names)))


async def names(api: Api, tags: Mapping[str, str]) -> tuple[str, ...]:
    """Of the clusters of the account and region that have all these tags. Raises Failure."""
    found = [str(one) async for one in api.pages("eks", "ListClusters", "clusters")]
    if not tags:
        return tuple(found)
    bound = asyncio.Semaphore(_AT_ONCE)

    async def fits(name: str) -> bool:
        async with bound:
            told = (await api.call("eks", "DescribeCluster", name=name))["cluster"].get("tags", {})
        return all(told.get(key) == value for key, value in tags.items())

    fitting = await asyncio.gather(*(fits(name) for name in found))
    return tuple(name for name, fit in zip(found, fitting, strict=True) if fit)
