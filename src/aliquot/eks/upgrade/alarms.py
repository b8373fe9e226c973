"""What EKS says of the health of a cluster, its groups and add-ons; and what of it is new."""

from collections.abc import Sequence

from msgspec import Struct

from aliquot.eks.aws.api import Api
from aliquot.eks.estate import reading_aws as aws
from aliquot.eks.estate.estate import Issue


class Alarm(Struct, frozen=True):
    of: str
    issue: Issue

    def __str__(self) -> str:
        return f"{self.of}: {self.issue.code}: {self.issue.message}"


async def alarms(api: Api, name: str) -> tuple[Alarm, ...]:
    """Raises Failure."""
    cluster = await aws.cluster(api, name)
    found = [Alarm(name, issue) for issue in cluster.issues]
    for group in await aws.nodegroups(api, name):
        found += [Alarm(f"node group {group.name}", issue) for issue in group.issues]
    for addon in await aws.addons(api, name):
        found += [Alarm(f"add-on {addon.name}", issue) for issue in addon.issues]
    return tuple(found)


def new(before: Sequence[Alarm], now: Sequence[Alarm]) -> tuple[Alarm, ...]:
    """What the same part did not have before. Its words and instances may be others by now: nodes were replaced."""
    known = {(one.of, one.issue.code) for one in before}
    return tuple(one for one in now if (one.of, one.issue.code) not in known)
