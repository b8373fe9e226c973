"""Steps that look at nodes which are new, whatever brought them."""

from aliquot.eks.estate.estate import Nodegroup
from aliquot.eks.plan.way import Way
from aliquot.eks.upgrade.acts.group_health import GroupHealth
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.versions import amis
from aliquot.eks.versions.minor import Minor


def drivers(groups: tuple[Nodegroup, ...], rolls: dict[str, GroupRoll]) -> dict[str, str]:
    """Branches. Of a release that is newer than the table it is not known."""
    told = {
        one.name: amis.of_release(one.ami_type, rolls[one.name].minor, rolls[one.name].release)
        for one in groups
    }
    return {
        name: str(contents.driver[0])
        for name, contents in told.items()
        if contents is not None and not contents.assumed
    }


def health(way: Way, state: State, name: str, to: Minor) -> Step:
    return way.step(
        state,
        f"node group {name} is well: its nodes are there, Ready and at {to}, and nobody waits for room",
        GroupHealth(cluster=way.cluster, group=name, minor=to),
        f"health/{name}",
        minutes=(2, 15),
    )
