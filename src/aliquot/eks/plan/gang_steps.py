"""The steps around a roll of nodes on which gangs run: they stand still before it, and go on after it."""

from aliquot.eks.estate.places import is_pool, told
from aliquot.eks.plan.rolling import MINUTE_S
from aliquot.eks.plan.times import duration
from aliquot.eks.plan.way import Way
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.versions.minor import Minor


def suspend(way: Way, state: State, names: tuple[str, ...], rolled_s: float, to: Minor) -> Step:
    """`names`: of places. `rolled_s`: so long their nodes take."""
    act = SuspendGangs(
        cluster=way.cluster,
        places=names,
        minor=to if any(map(is_pool, names)) else None,
        deadline_s=way.options.checkpoint_s,
        may_scale=way.options.scale_gangs,
        may_evict=way.options.evict_gangs,
    )
    gangs = tuple(dict.fromkeys(gang for name in names for gang in way.placement.gangs.get(name, ())))
    stand = f"until their nodes are replaced, about {duration(rolled_s)}"
    if not way.placement.known:
        who = f"gangs that run there by then stand still {stand}; which ones was not read"
    elif gangs:
        who = f"{', '.join(gangs)}, and gangs that run there by then, stand still {stand}"
    else:
        who = f"no gang that runs there now; one that does by then stands still {stand}"
    return way.step(
        state,
        f"gangs on {told(names)} save what they have done and are suspended, and nodes are cordoned",
        act,
        f"suspend/{'+'.join(names)}",
        minutes=(5, (act.deadline_s + act.leave_s) / MINUTE_S),
        disrupts=who,
        back="uncordon the nodes, and resume what the annotation of this run is on",
    )


def resume(way: Way, state: State, names: tuple[str, ...]) -> Step:
    return way.step(
        state,
        f"gangs that were suspended for {told(names)} go on",
        ResumeGangs(places=names),
        f"resume/{'+'.join(names)}",
        minutes=(3, 10),
    )
