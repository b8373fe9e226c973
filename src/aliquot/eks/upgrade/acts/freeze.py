"""While nodes are replaced nobody else does so: GitOps, Karpenter, the autoscaler and the GPU operator stand still, and go on afterwards."""

from msgspec import Struct

from aliquot.eks.upgrade import frozen
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.frozen import WAYS, Thing
from aliquot.eks.upgrade.verdicts import Done, Verdict, Writes
from aliquot.kube.client import Client
from aliquot.kube.errors import NotFound
from aliquot.kube.resources import DEPLOYMENTS, NODES


class Freeze(Struct, frozen=True, tag="freeze"):
    pass


class Unfreeze(Struct, frozen=True, tag="unfreeze"):
    pass


async def look(act: Freeze | Unfreeze, doors: Doors) -> list[Thing]:
    """Raises Forbidden where such a kind is there and may not be listed: it would not stand still, and nobody would know."""
    things: list[Thing] = []
    for number, way in enumerate(WAYS):
        try:
            listed = await doors.kube.list(way.resource)
        except NotFound:
            continue
        found = [frozen.thing(number, one) for one in listed.items]
        if way.resource == NODES and not await _autoscaled(doors.kube):
            found = [one for one in found if one.by]
        things += found
    return things


async def _autoscaled(kube: Client) -> bool:
    listed = await kube.list(DEPLOYMENTS)
    return any(one["metadata"]["name"].endswith("cluster-autoscaler") for one in listed.items)


def judged_freeze(act: Freeze, seen: list[Thing], attempt: Attempt) -> Verdict:
    to_do = frozen.writes(seen, attempt.run, frozen.freeze)
    if to_do:
        return Writes(to_do)
    ours = sum(1 for one in seen if one.by == attempt.run)
    return Done(f"{ours} objects stand still")


def judged_unfreeze(act: Unfreeze, seen: list[Thing], attempt: Attempt) -> Verdict:
    to_do = frozen.writes(seen, attempt.run, frozen.thaw, backwards=True)
    return Writes(to_do) if to_do else Done("nothing stands still because of this run")


FREEZE = Doing(look=look, judge=judged_freeze)
UNFREEZE = Doing(look=look, judge=judged_unfreeze)
