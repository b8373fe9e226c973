"""All checks once more, on the cluster as it is just before it is changed."""

from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.reading import from_aws, with_objects
from aliquot.eks.preflight.checks.table import CHECKS
from aliquot.eks.preflight.judging import judge
from aliquot.eks.preflight.subject import Need, Subject
from aliquot.eks.preflight.verdict import Code, FailOn
from aliquot.eks.preflight.waivers import Waiver
from aliquot.eks.upgrade.acts.group_config import Strategy
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.verdicts import Done, Hold, Verdict, Wait
from aliquot.eks.versions import removals
from aliquot.eks.versions.minor import Minor

_PASSES_S = 1800.0
_AGAIN_S = 60.0
_NAMED = 5
"""Findings that a hold names; the rest is counted."""


class Preflight(Struct, frozen=True, tag="preflight"):
    cluster: str
    now: Minor
    to: Minor
    waivers: tuple[Waiver, ...] = ()
    unchecked_passes: bool = False
    helm: bool = False
    minimal: tuple[str, ...] = ()
    """Node groups that the plan rolls with the strategy MINIMAL, however they are configured now."""
    copied: tuple[str, ...] = ()
    """Those that another one takes the place of."""


async def look(act: Preflight, doors: Doors) -> Estate:
    estate = await from_aws(doors.api, act.cluster, clock=doors.aws_time)
    return await with_objects(estate, doors.kube, removals.shipped(), helm=act.helm)


def judged(act: Preflight, seen: Estate, attempt: Attempt) -> Verdict:
    subject = Subject(
        name=act.cluster,
        now=act.now,
        to=act.to,
        today=datetime.fromtimestamp(seen.read_s, UTC).date(),
        has=frozenset(Need),
        sightings=seen.sightings,
        estate=_as_rolled(seen, act),
        unchecked=seen.unchecked,
    )
    result = judge(subject, CHECKS, act.waivers)
    code = result.code(FailOn.BLOCK, unchecked_passes=act.unchecked_passes)
    if code is Code.PASSED:
        return Done(result.summary)
    if code is Code.UNCHECKED:
        busy = [f"{one.what}: {one.why}" for one in seen.unchecked if one.passes]
        if busy and attempt.now_s - attempt.began_s < _PASSES_S:
            return Wait(_AGAIN_S, f"not everything could be read now: {busy[0]}")
        named = [f"{one.what}: {one.why}" for one in result.unchecked]
        todo = "give the rights to read it, or plan with --allow-unchecked; then retry"
    else:
        named = [f"{one.what}: {one.why} (to do: {one.fix})" for one in result.findings if one.blocks]
        todo = f"aliquot eks preflight {act.cluster} --to {act.to} shows all; mend or waive them, then retry"
    more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return Hold(f"{result.summary}: {'; '.join(named[:_NAMED])}{more}", todo)


def _as_rolled(estate: Estate, act: Preflight) -> Estate:
    groups = (
        replace(
            one,
            strategy=Strategy.MINIMAL if one.name in act.minimal else one.strategy,
            copied=one.name in act.copied,
        )
        for one in estate.nodegroups
    )
    return replace(estate, nodegroups=tuple(groups))


DOING = Doing(look=look, judge=judged)
