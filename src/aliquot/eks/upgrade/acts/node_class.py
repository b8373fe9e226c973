"""Whether the class of a NodePool gives nodes of the minor.

Asked before gangs are suspended for it, for nobody stands still while a person names AMIs; and before Karpenter goes on after a control
plane has gone back, for what an alias selected until then is newer than that.
"""

from msgspec import Struct

from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.pool_scene import PoolScene, against_class, pool_scene
from aliquot.eks.upgrade.verdicts import Done, Verdict
from aliquot.eks.versions.minor import Minor


class NodeClassReady(Struct, frozen=True, kw_only=True, tag="node-class"):
    pool: str
    minor: Minor
    afterwards: bool = False
    """The control plane has gone back, and an alias follows: that is waited for, whether a node is to go or not."""


async def look(act: NodeClassReady, doors: Doors) -> PoolScene:
    return await pool_scene(doors.kube, act.pool)


def judged(act: NodeClassReady, seen: PoolScene, attempt: Attempt) -> Verdict:
    against = against_class(seen, act.minor, attempt.now_s - attempt.began_s, afterwards=act.afterwards)
    return against or Done(f"NodePool {act.pool}: new nodes will be of {act.minor}")


DOING = Doing(look=look, judge=judged)
