"""Which releases of GPU AMIs AWS recommends: what is in them decides which driver a group would get. Ten parameters for each call."""

from aliquot.eks.aws.api import Api
from aliquot.eks.estate.estate import Nodegroup, Recommended
from aliquot.eks.versions import amis, calendar
from aliquot.eks.versions.ami_parameters import parameter
from aliquot.eks.versions.minor import Minor

_MOST_AT_ONCE = 10


async def recommended(api: Api, groups: tuple[Nodegroup, ...], now: Minor) -> tuple[Recommended, ...]:
    """Of AMI types with GPU software that some group has, for the minor of the cluster and those after it. Raises Failure."""
    minors = [row.minor for row in calendar.shipped().rows if row.minor >= now]
    ami_types = sorted({one.ami_type for one in groups if amis.has_gpu_software(one.ami_type)})
    wanted = {
        name: (ami_type, minor)
        for ami_type in ami_types
        for minor in minors
        if (name := parameter(ami_type, minor)) is not None
    }
    names = list(wanted)
    found = []
    for first in range(0, len(names), _MOST_AT_ONCE):
        answer = await api.call("ssm", "GetParameters", Names=names[first : first + _MOST_AT_ONCE])
        # Minors that are not out yet are among its InvalidParameters.
        for one in answer.get("Parameters", ()):
            ami_type, minor = wanted[one["Name"]]
            found.append(Recommended(ami_type=ami_type, minor=minor, release=one["Value"]))
    return tuple(found)
