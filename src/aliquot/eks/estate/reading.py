"""A cluster, read whole: AWS first, then its API server."""

from asyncio import Task, TaskGroup

import msgspec
from msgspec.structs import replace

from aliquot.clock import Clock
from aliquot.eks.aws.api import Api
from aliquot.eks.estate import reading_aws as aws
from aliquot.eks.estate.estate import BUILDS, RESERVATIONS, SUBNETS, AddonBuild, Cluster, Estate
from aliquot.eks.estate.reading_aws import told
from aliquot.eks.estate.reading_kubernetes import Reading
from aliquot.eks.estate.reading_quotas import quotas
from aliquot.eks.estate.reading_releases import recommended
from aliquot.eks.estate.updates import updates_of
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.versions import calendar, live
from aliquot.eks.versions.calendar import Calendar
from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.removals import Removals
from aliquot.kube.client import Client


async def from_aws(api: Api, name: str, *, clock: Clock) -> Estate:
    """Without its objects. Raises Failure; what may not be read is `unchecked`."""
    try:
        return await _from_aws(api, name, clock)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _from_aws(api: Api, name: str, clock: Clock) -> Estate:
    """What needs nothing of one another is asked for at the same time; the door bounds how much at once."""
    unchecked: list[Unchecked] = []
    asked: Calendar | None = None
    cluster = await aws.cluster(api, name)
    async with TaskGroup() as asking:
        ask = asking.create_task
        groups = ask(told("node groups", unchecked, aws.nodegroups(api, name), ()))
        addons = ask(told("add-ons", unchecked, aws.addons(api, name), ()))
        minors = ask(told("minors that EKS has", unchecked, live.read(api, calendar.shipped(), clock), asked))
        subnets = ask(told(SUBNETS, unchecked, aws.subnets(api, cluster.vpc), ()))
        insights = ask(told("EKS insights", unchecked, aws.insights(api, name, "UPGRADE_READINESS"), ()))
        updates = ask(told("updates", unchecked, updates_of(api, name, {}), ()))
    names = tuple(one.name for one in addons.result())
    async with TaskGroup() as asking:
        ask = asking.create_task
        builds: Task[tuple[AddonBuild, ...]] = ask(told(BUILDS, unchecked, aws.builds(api, names), ()))
        releases = ask(
            told(
                "releases of GPU AMIs that AWS recommends",
                unchecked,
                recommended(api, groups.result(), cluster.minor),
                (),
            )
        )
        limits = ask(told("quotas", unchecked, quotas(api, groups.result()), ()))
        templates = ask(told("launch templates", unchecked, aws.templates(api, groups.result()), ()))
    of_groups = groups.result(), templates.result()
    async with TaskGroup() as asking:
        ask = asking.create_task
        types = ask(told("instance types", unchecked, aws.instance_types(api, *of_groups), ()))
        reservations = ask(told(RESERVATIONS, unchecked, aws.reservations(api, *of_groups), ()))
        security = ask(
            told("security groups", unchecked, aws.security_groups(api, cluster, templates.result()), ())
        )
    return Estate(
        read_s=clock.now(),
        cluster=cluster,
        calendar=minors.result(),
        nodegroups=groups.result(),
        addons=addons.result(),
        builds=builds.result(),
        subnets=subnets.result(),
        templates=templates.result(),
        instance_types=types.result(),
        quotas=limits.result(),
        reservations=reservations.result(),
        security_groups=security.result(),
        insights=insights.result(),
        recommended=releases.result(),
        updates=updates.result(),
        # Whoever answers first.
        unchecked=tuple(sorted(unchecked, key=lambda one: one.what)),
    )


async def with_objects(estate: Estate, client: Client, removals: Removals, *, helm: bool) -> Estate:
    """The same with what its API server says. Raises ApiError where that does not answer."""
    reading = Reading(client, removals)
    objects = await reading.read()
    await reading.requests()
    if helm:
        await reading.releases()
    return replace(
        estate,
        objects=replace(objects, counters=reading.counters),
        sightings=tuple(reading.sightings),
        unchecked=(*estate.unchecked, *reading.unchecked),
        calls={**estate.calls, **reading.calls},
    )


async def of_kubernetes(client: Client, name: str, removals: Removals, *, helm: bool, clock: Clock) -> Estate:
    """Of any Kubernetes cluster. Raises ApiError, and ValueError where its version cannot be read."""
    version = await server_minor(client)
    bare = Estate(read_s=clock.now(), cluster=Cluster(name=name, minor=version))
    return await with_objects(bare, client, removals, helm=helm)


async def server_minor(client: Client) -> Minor:
    told_version = msgspec.json.decode(await client.get_raw("/version"))
    return Minor.parse(str(told_version.get("gitVersion", "")))
