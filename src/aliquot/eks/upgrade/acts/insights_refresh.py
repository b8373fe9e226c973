"""EKS looks anew at its insights, which else are a day old."""

from msgspec import Struct

from aliquot.eks.aws.api import Failure
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.verdicts import Call, Done, Hold, Verdict, Wait

_POLL_S = 15.0
_LONGEST_S = 15 * 60.0


class InsightsRefresh(Struct, frozen=True, tag="insights-refresh"):
    cluster: str


class Seen(Struct, frozen=True, kw_only=True):
    status: str
    """`IN_PROGRESS`, `COMPLETED`, `FAILED`; empty: there never was one."""
    began: str = ""
    message: str = ""


def call_of(act: InsightsRefresh, _token: str) -> Call:
    """EKS takes no token for it."""
    return Call("eks", "StartInsightsRefresh", {"clusterName": act.cluster})


async def look(act: InsightsRefresh, doors: Doors) -> Seen:
    try:
        told = await doors.api.call("eks", "DescribeInsightsRefresh", clusterName=act.cluster)
    except Failure as error:
        if error.code != "ResourceNotFoundException":
            raise
        return Seen(status="")
    began = told.get("startedAt")
    return Seen(
        status=told.get("status", ""),
        began=began.isoformat() if began is not None else "",
        message=told.get("message", ""),
    )


def judged(act: InsightsRefresh, seen: Seen, attempt: Attempt) -> Verdict:
    """Whose refresh it is does not matter, if only it ended after this attempt began."""
    if seen.status == "IN_PROGRESS":
        if attempt.now_s - attempt.began_s > _LONGEST_S:
            return Hold(
                f"insights of {act.cluster} are being looked at for 15 minutes",
                "look at them in EKS, then retry",
            )
        return Wait(_POLL_S, f"EKS looks at {act.cluster} anew")
    if seen.began and seen.began not in attempt.before:
        if seen.status == "FAILED":
            return Hold(
                f"EKS could not look at {act.cluster}: {seen.message or 'it does not say why'}", "retry"
            )
        return Done(f"EKS has looked at {act.cluster} anew")
    if attempt.now_s - attempt.began_s > _LONGEST_S:
        return Hold(f"EKS has not looked at {act.cluster} anew in 15 minutes", "retry")
    return call_of(act, attempt.token)


def _ended(seen: Seen) -> tuple[str, ...]:
    return (seen.began,) if seen.began and seen.status != "IN_PROGRESS" else ()


DOING = Doing(look=look, judge=judged, mark=_ended)
