"""Where each hop leads: releases of AMIs that AWS recommends, minors, prices. Read once for a whole fleet."""

from collections.abc import Iterable

from msgspec import Struct

from aliquot.eks.aws.api import Api, Failure
from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.reading_aws import told
from aliquot.eks.plan import prices
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.versions.minor import Minor

_AL2023 = "/aws/service/eks/optimized-ami/{minor}/amazon-linux-2023/{what}/recommended/release_version"
_AL2 = "/aws/service/eks/optimized-ami/{minor}/amazon-linux-2{what}/recommended/release_version"
_BOTTLEROCKET = "/aws/service/bottlerocket/aws-k8s-{minor}{what}/latest/image_version"
PARAMETERS = {
    "AL2_x86_64": (_AL2, ""),
    "AL2_x86_64_GPU": (_AL2, "-gpu"),
    "AL2_ARM_64": (_AL2, "-arm64"),
    "AL2023_x86_64_STANDARD": (_AL2023, "x86_64/standard"),
    "AL2023_ARM_64_STANDARD": (_AL2023, "arm64/standard"),
    "AL2023_x86_64_NEURON": (_AL2023, "x86_64/neuron"),
    "AL2023_x86_64_NVIDIA": (_AL2023, "x86_64/nvidia"),
    "AL2023_ARM_64_NVIDIA": (_AL2023, "arm64/nvidia"),
    "BOTTLEROCKET_x86_64": (_BOTTLEROCKET, "/x86_64"),
    "BOTTLEROCKET_ARM_64": (_BOTTLEROCKET, "/arm64"),
    "BOTTLEROCKET_x86_64_FIPS": (_BOTTLEROCKET, "-fips/x86_64"),
    "BOTTLEROCKET_ARM_64_FIPS": (_BOTTLEROCKET, "-fips/arm64"),
    "BOTTLEROCKET_x86_64_NVIDIA": (_BOTTLEROCKET, "-nvidia/x86_64"),
    "BOTTLEROCKET_ARM_64_NVIDIA": (_BOTTLEROCKET, "-nvidia/arm64"),
    "BOTTLEROCKET_x86_64_NVIDIA_FIPS": (_BOTTLEROCKET, "-nvidia-fips/x86_64"),
    "BOTTLEROCKET_ARM_64_NVIDIA_FIPS": (_BOTTLEROCKET, "-nvidia-fips/arm64"),
}
"""The public parameter in which AWS keeps the newest release of an AMI type. Of Windows none is known here."""
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


def parameter(ami_type: str, minor: Minor) -> str | None:
    """Its name; None: none is known."""
    found = PARAMETERS.get(ami_type)
    return found[0].format(minor=minor, what=found[1]) if found else None


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
