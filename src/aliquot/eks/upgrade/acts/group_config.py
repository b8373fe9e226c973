"""How many nodes of a managed node group are away at once while it is rolled, and whether new ones come before old ones go.

Before a gang's nodes are rolled this lets more of them go at once, for nothing runs there any more; afterwards it puts back what was so.
"""

from enum import StrEnum

from msgspec import Struct

from aliquot.eks.estate.estate import Nodegroup
from aliquot.eks.estate.updates import SeenUpdate, over, updates_of
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.updates import Subject, judge
from aliquot.eks.upgrade.verdicts import Call, Verdict

_SETTLED = frozenset({"ACTIVE", "DEGRADED"})
MOST_AT_ONCE = 100
"""EKS' own limit."""


class Strategy(StrEnum):
    DEFAULT = "DEFAULT"
    """New nodes first, some more than there were; then old ones go."""
    MINIMAL = "MINIMAL"
    """Old nodes go first, and there are never more than there were: for capacity that is reserved or scarce."""


class GroupConfig(Struct, frozen=True, kw_only=True, tag="nodegroup-config"):
    cluster: str
    name: str
    most_unavailable: int | None = None
    most_unavailable_percentage: int | None = None
    """Of the two exactly one is given."""
    strategy: Strategy = Strategy.DEFAULT

    def __post_init__(self) -> None:
        given = [one for one in (self.most_unavailable, self.most_unavailable_percentage) if one is not None]
        if len(given) != 1 or not 1 <= given[0] <= MOST_AT_ONCE:
            raise ValueError(
                f"node group {self.name}: give most_unavailable or most_unavailable_percentage, from 1 to {MOST_AT_ONCE}"
            )

    @property
    def wanted(self) -> dict[str, str | int]:
        """As EKS has it."""
        number: dict[str, str | int] = (
            {"maxUnavailablePercentage": self.most_unavailable_percentage}
            if self.most_unavailable_percentage is not None
            else {"maxUnavailable": self.most_unavailable or 1}
        )
        return {**number, "updateStrategy": str(self.strategy)}


class Seen(Struct, frozen=True, kw_only=True):
    status: str
    config: dict[str, str | int]
    updates: tuple[SeenUpdate, ...] = ()


def as_it_is(cluster: str, group: Nodegroup) -> GroupConfig:
    """The act that puts back what is so when it is planned."""
    percentage = group.most_unavailable_percentage or None
    return GroupConfig(
        cluster=cluster,
        name=group.name,
        most_unavailable=None if percentage else group.most_unavailable,
        most_unavailable_percentage=percentage,
        strategy=Strategy(group.strategy),
    )


def all_at_once(cluster: str, group: Nodegroup) -> GroupConfig:
    """With old nodes first: else EKS would want as many on top. By its share: so it stays true when the group grows in between."""
    return GroupConfig(
        cluster=cluster, name=group.name, most_unavailable_percentage=100, strategy=Strategy.MINIMAL
    )


def call_of(act: GroupConfig, token: str) -> Call:
    return Call(
        "eks",
        "UpdateNodegroupConfig",
        {
            "clusterName": act.cluster,
            "nodegroupName": act.name,
            "updateConfig": act.wanted,
            "clientRequestToken": token,
        },
    )


async def look(act: GroupConfig, doors: Doors) -> Seen:
    whose = {"nodegroupName": act.name}
    group = (await doors.api.call("eks", "DescribeNodegroup", clusterName=act.cluster, **whose))["nodegroup"]
    return Seen(
        status=group["status"],
        config=group.get("updateConfig", {}),
        updates=await updates_of(doors.api, act.cluster, whose),
    )


def judged(act: GroupConfig, seen: Seen, attempt: Attempt) -> Verdict:
    config = {
        "updateStrategy": str(Strategy.DEFAULT),
        **{key: one for key, one in seen.config.items() if one},
    }
    subject = Subject(
        what=f"updates of node group {act.name} of {act.cluster}",
        reached=config == act.wanted,
        settled=seen.status in _SETTLED,
        status=seen.status,
        updates=seen.updates,
    )
    return judge(subject, call_of(act, attempt.token), before=attempt.before)


DOING = Doing(look=look, judge=judged, mark=lambda seen: over(seen.updates))
