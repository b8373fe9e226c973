"""What EKS does at the end of a minor's standard support: on, at the dearer price (EXTENDED), or up by itself (STANDARD)."""

from msgspec import Struct

from aliquot.eks.estate.updates import SeenUpdate, over, updates_of
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.updates import Subject, judge
from aliquot.eks.upgrade.verdicts import Call, Verdict


class SupportPolicy(Struct, frozen=True, tag="support-policy"):
    cluster: str
    support: str
    """`EXTENDED` or `STANDARD`."""


class Seen(Struct, frozen=True, kw_only=True):
    status: str
    support: str
    updates: tuple[SeenUpdate, ...] = ()


def call_of(act: SupportPolicy, token: str) -> Call:
    parameters = {
        "name": act.cluster,
        "upgradePolicy": {"supportType": act.support},
        "clientRequestToken": token,
    }
    return Call("eks", "UpdateClusterConfig", parameters)


async def look(act: SupportPolicy, doors: Doors) -> Seen:
    cluster = (await doors.api.call("eks", "DescribeCluster", name=act.cluster))["cluster"]
    return Seen(
        status=cluster["status"],
        support=cluster.get("upgradePolicy", {}).get("supportType", "EXTENDED"),
        updates=await updates_of(doors.api, act.cluster, {}),
    )


def judged(act: SupportPolicy, seen: Seen, attempt: Attempt) -> Verdict:
    subject = Subject(
        what=f"support policy of {act.cluster} to {act.support}",
        reached=seen.support == act.support,
        settled=seen.status == "ACTIVE",
        status=seen.status,
        updates=seen.updates,
    )
    return judge(subject, call_of(act, attempt.token), before=attempt.before)


DOING = Doing(look=look, judge=judged, mark=lambda seen: over(seen.updates))
