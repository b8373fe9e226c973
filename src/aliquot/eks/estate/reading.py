"""A cluster, read whole: AWS first, then its API server."""

from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from aliquot.clock import Clock
from aliquot.eks.aws.api import Api
from aliquot.eks.estate import reading_aws as aws
from aliquot.eks.estate.estate import RESERVATIONS, Cluster, Estate
from aliquot.eks.estate.reading_aws import told
from aliquot.eks.estate.reading_kubernetes import Reading
from aliquot.eks.estate.reading_quotas import quotas
from aliquot.eks.estate.updates import updates_of
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.versions import calendar, live
from aliquot.eks.versions.calendar import Calendar
from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.removals import Removals
from aliquot.kube.client import Client


async def from_aws(api: Api, name: str, *, clock: Clock) -> Estate:
    """Without its objects. Raises Failure; what may not be read is `unchecked`."""
    unchecked: list[Unchecked] = []
    cluster = await aws.cluster(api, name)
    groups = await told("node groups", unchecked, aws.nodegroups(api, name), ())
    addons = await told("add-ons", unchecked, aws.addons(api, name), ())
    names = tuple(one.name for one in addons)
    templates = await told("launch templates", unchecked, aws.templates(api, groups), ())
    today = datetime.fromtimestamp(clock.now(), UTC).date()
    asked: Calendar | None = None
    return Estate(
        read_s=clock.now(),
        cluster=cluster,
        calendar=await told(
            "minors that EKS has", unchecked, live.read(api, calendar.shipped(), today), asked
        ),
        nodegroups=groups,
        addons=addons,
        builds=await told("builds of add-ons", unchecked, aws.builds(api, names), ()),
        subnets=await told("subnets", unchecked, aws.subnets(api, cluster.vpc), ()),
        templates=templates,
        instance_types=await told(
            "instance types", unchecked, aws.instance_types(api, groups, templates), ()
        ),
        quotas=await told("quotas", unchecked, quotas(api, groups), ()),
        reservations=await told(RESERVATIONS, unchecked, aws.reservations(api, groups, templates), ()),
        security_groups=await told(
            "security groups", unchecked, aws.security_groups(api, cluster, templates), ()
        ),
        insights=await told("EKS insights", unchecked, aws.insights(api, name, "UPGRADE_READINESS"), ()),
        updates=await told("updates", unchecked, updates_of(api, name, {}), ()),
        unchecked=tuple(unchecked),
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
