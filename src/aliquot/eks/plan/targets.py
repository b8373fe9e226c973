"""Where each hop leads: releases of AMIs that AWS recommends, minors, prices. Read once for a whole fleet."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from aliquot.eks.aws import prices
from aliquot.eks.aws.api import NO_CREDENTIALS, UNREACHABLE, Api, Failure
from aliquot.eks.estate import reading_aws
from aliquot.eks.estate.estate import Estate, Template
from aliquot.eks.plan.plan import Options
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
    templates: tuple[Template, ...] = ()
    """Versions of launch templates that were said (`Options.pins`)."""
    usd_per_hour: dict[str, float] = {}
    """By instance type, on demand; one that is not there has no price that could be read."""
    unchecked: tuple[Unchecked, ...] = ()

    def release(self, ami_type: str, minor: Minor) -> str | None:
        return next(
            (one.release for one in self.releases if (one.ami_type, one.minor) == (ami_type, minor)), None
        )


def minors(one: Minor, other: Minor) -> tuple[Minor, ...]:
    """From the older to the newer, both of them: an upgrade's way, and the way back."""
    found = [min(one, other)]
    while found[-1] < max(one, other):
        found.append(found[-1].next)
    return tuple(found)


async def read(api: Api, estate: Estate, to: Minor, options: Options, *, region: str) -> Targets:
    """Raises Failure where nobody is signed in; else what cannot be read is `unchecked`, for it can be said (`Options.pins`)."""
    unchecked: list[Unchecked] = []
    wanted = {
        (group.ami_type, minor)
        for group in estate.nodegroups
        for minor in minors(estate.cluster.minor, to)
        if (pin := options.pin(group.name, minor)) is None or not pin.release
    }
    releases = await _releases(api, sorted(wanted), unchecked)
    types = sorted({name for group in estate.nodegroups for name in estate.types_of(group)[:1]})
    try:
        priced = await prices.read(api, types, region)
    except Failure as error:
        priced = {}
        unchecked.append(_unread("prices of instances", error))
    return Targets(
        releases=releases,
        templates=await _templates(api, sorted(set(_said(estate, to, options))), unchecked),
        usd_per_hour=priced,
        unchecked=tuple(unchecked),
    )


def _said(estate: Estate, to: Minor, options: Options) -> Iterator[tuple[str, str]]:
    """Launch templates with the versions that groups are to have."""
    for group in estate.nodegroups:
        for minor in minors(estate.cluster.minor, to):
            pin = options.pin(group.name, minor)
            if group.template and pin is not None and pin.template_version:
                yield group.template, pin.template_version


async def _templates(
    api: Api, wanted: Iterable[tuple[str, str]], unchecked: list[Unchecked]
) -> tuple[Template, ...]:
    found = []
    for id_, version in wanted:
        try:
            found.append(await reading_aws.template(api, id_, version))
        except Failure as error:
            unchecked.append(_unread(f"version {version} of launch template {id_}", error))
    return tuple(found)


async def _releases(
    api: Api, wanted: Iterable[tuple[str, Minor]], unchecked: list[Unchecked]
) -> tuple[Release, ...]:
    found = []
    away: Failure | None = None
    for ami_type, minor in wanted:
        name = parameter(ami_type, minor)
        if name is None:
            continue
        try:
            if away is not None:
                # It takes a minute each time to find that out.
                raise away
            release = await _value(api, name)
        except Failure as error:
            away = error if error.code == UNREACHABLE else None
            unchecked.append(_unread(f"release of {ami_type} {minor}", error))
            continue
        if release:
            found.append(Release(ami_type=ami_type, minor=minor, release=release))
    return tuple(found)


def _unread(what: str, error: Failure) -> Unchecked:
    """Raises the error where nothing else can be read either."""
    if error.code == NO_CREDENTIALS:
        raise error
    return Unchecked(what=what, why=error.message)


async def _value(api: Api, name: str) -> str:
    """Empty: there is no such parameter."""
    try:
        return str((await api.call("ssm", "GetParameter", Name=name))["Parameter"]["Value"])
    except Failure as error:
        if error.code == "ParameterNotFound":
            return ""
        raise
