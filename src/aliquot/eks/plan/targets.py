"""Where each hop leads: releases of AMIs that AWS recommends, minors, prices. Read once for a whole fleet."""

from collections.abc import Iterable

from msgspec import Struct

from aliquot.eks.aws.api import Api, Failure
from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.reading_aws import told
from aliquot.eks.plan import prices
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.versions.ami_parameters import parameter
from aliquot.eks.versions.minor import Minor

CUSTOM = "CUSTOM"


class Release(Struct, frozen=True, kw_only=True):
    ami_type: str
    minor: Minor
    release: str


class Targets(Struct, frozen=True, kw_only=True):
    releases: tuple[Release, ...] = ()
    usd_per_hour: dict[str, float] = {}
    """By instance type, on demand; one that is not there has no price that could be read."""
    unchecked: tuple[Unchecked, ...] = ()

    def release(self, ami_type: str, minor: Minor) -> str | None:
        return next(
            (one.release for one in self.releases if (one.ami_type, one.minor) == (ami_type, minor)), None
        )


def minors(now: Minor, to: Minor) -> tuple[Minor, ...]:
    """From where it stands to where it leads, both of them."""
    found = [now]
    while found[-1] < to:
        found.append(found[-1].next)
    return tuple(found)


async def read(api: Api, estate: Estate, to: Minor, *, region: str) -> Targets:
    """Raises Failure; what may not be read is `unchecked`."""
    unchecked: list[Unchecked] = []
    releases = await told(
        "releases of AMIs",
        unchecked,
        _releases(
            api, {one.ami_type for one in estate.nodegroups}, minors(estate.cluster.minor, to), unchecked
        ),
        (),
    )
    types = sorted({name for group in estate.nodegroups for name in estate.types_of(group)[:1]})
    priced = await told("prices of instances", unchecked, prices.read(api, types, region), {})
    return Targets(releases=releases, usd_per_hour=priced, unchecked=tuple(unchecked))


async def _releases(
    api: Api, ami_types: Iterable[str], wanted: tuple[Minor, ...], unchecked: list[Unchecked]
) -> tuple[Release, ...]:
    found = []
    for ami_type in sorted(ami_types):
        for minor in wanted:
            name = parameter(ami_type, minor)
            if name is None:
                continue
            release = await told(f"release of {ami_type} {minor}", unchecked, _value(api, name), "")
            if release:
                found.append(Release(ami_type=ami_type, minor=minor, release=release))
    return tuple(found)


async def _value(api: Api, name: str) -> str:
    """Empty: there is no such parameter."""
    try:
        return str((await api.call("ssm", "GetParameter", Name=name))["Parameter"]["Value"])
    except Failure as error:
        if error.code == "ParameterNotFound":
            return ""
        raise
