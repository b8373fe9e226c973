"""What a goal for each GPU comes to on machines: an outcome for each, and the whole of it for people and programs.

Fleets are alike: GPUs in the same state with the same goal are planned once and shown once.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import click

from aliquot.cli.mig.drawing import draw
from aliquot.cli.mig.machines import Machine
from aliquot.cli.mig.outcomes import MigError, of_refusals
from aliquot.cli.output import counted
from aliquot.gpu.driver import Gpu
from aliquot.gpu.layout import CreateInstance, DestroyInstance
from aliquot.node.advertise import known_profiles
from aliquot.node.inventory import ObservedGpu
from aliquot.node.mig.reconfiguration import Change, Goal, Outcome, Refused, in_use, reconfigure
from aliquot.node.mig.steps import Step, describe

Goals: TypeAlias = Mapping[str, Goal | Refused]
"""By UUID of a GPU; GPUs that are not in it are left alone. Refused: the goal itself cannot be for this GPU."""


@dataclass(frozen=True, slots=True)
class Planned:
    machine: Machine
    observed: ObservedGpu
    goal: Goal | Refused
    outcome: Outcome

    @property
    def key(self) -> object:
        """What GPUs have in common that are shown as one."""
        outcome = self.outcome
        if isinstance(outcome, Change):
            outcome = replace(outcome, gpu=_nobody(outcome))
        return _state(self.observed), outcome, tuple(in_use(self.observed, self.machine.users).items())

    @property
    def steps(self) -> Sequence[Step]:
        return self.outcome.steps if isinstance(self.outcome, Change) else ()


Released: TypeAlias = Collection[tuple[str, int]]
"""(UUID of a GPU, GI id) of instances that may go though they are in use."""


def plan(
    machines: Iterable[Machine], goals: Callable[[Machine], Goals], released: Released = ()
) -> list[Planned]:
    known: dict[object, Outcome] = {}
    return [
        Planned(machine, observed, goal, _outcome(machine, observed, goal, released, known))
        for machine in machines
        for observed, goal in _with_goals(machine, goals(machine))
    ]


def _with_goals(machine: Machine, goals: Goals) -> Iterator[tuple[ObservedGpu, Goal | Refused]]:
    for observed in machine.gpus:
        if (goal := goals.get(observed.gpu.uuid)) is not None:
            yield observed, goal


def _outcome(
    machine: Machine,
    observed: ObservedGpu,
    goal: Goal | Refused,
    released: Released,
    known: dict[object, Outcome],
) -> Outcome:
    if isinstance(goal, Refused):
        return goal
    free = [gi_id for uuid, gi_id in released if uuid == observed.gpu.uuid]
    if observed.processes or machine.users or free or observed.failure is not None:
        return reconfigure(observed, goal, machine.users, free)
    key = _state(observed), goal.mig, goal.demands
    if key not in known:
        known[key] = reconfigure(observed, goal, {})
    outcome = known[key]
    return replace(outcome, gpu=observed.gpu) if isinstance(outcome, Change) else outcome


def _state(observed: ObservedGpu) -> object:
    return (
        observed.gpu.board,
        observed.gpu.product,
        observed.gpu.mig,
        tuple(
            (i.gi_id, i.profile_id, i.placement.start, tuple(c.name for c in i.compute_instances))
            for i in observed.instances
        ),
    )


def _nobody(change: Change) -> Gpu:
    return replace(change.gpu, uuid="", index=0, minor=0, pci_bus_id="", numa_node=None)


# --- for people ---


def show(planned: Sequence[Planned]) -> None:
    for group in _groups(planned):
        first = group[0]
        if isinstance(first.outcome, Refused):
            continue
        click.echo(f"{_titles(group)}  {first.observed.gpu.product}")
        for line in draw(first.observed, first.outcome, in_use(first.observed, first.machine.users)):
            click.echo(f"  {line}".rstrip())
        click.echo()
    click.echo(summary(planned))


def refusals(planned: Sequence[Planned]) -> list[str]:
    """A line for each kind."""
    return [
        f"{_titles(group)}: {group[0].outcome.message}"
        for group in _groups(planned)
        if isinstance(group[0].outcome, Refused)
    ]


def refuse(planned: Sequence[Planned]) -> None:
    """Raises MigError with what is in the way, if anything is."""
    refused = [one.outcome for one in planned if isinstance(one.outcome, Refused)]
    if refused:
        raise MigError(of_refusals(refused), refusals(planned))


def differences(planned: Sequence[Planned]) -> list[str]:
    """Of GPUs that are not as they are wanted, a line for each kind; first steps say what is different."""
    found = refusals(planned)
    for group in _groups(planned):
        steps = group[0].steps
        if steps:
            more = f", and {len(steps) - 1} more" if len(steps) > 1 else ""
            names = {p.profile_id: p.name for p in known_profiles(group[0].observed)}
            found.append(f"{_titles(group)}: needs {describe(steps[0], names)}{more}")
    return found


def summary(planned: Sequence[Planned]) -> str:
    changed = [one for one in planned if one.steps]
    refused = sum(1 for one in planned if isinstance(one.outcome, Refused))
    steps = [step for one in changed for step in one.steps]
    destroyed = sum(1 for step in steps if isinstance(step, DestroyInstance))
    made = sum(1 for step in steps if isinstance(step, CreateInstance))
    kept = sum(len(one.outcome.kept) for one in planned if isinstance(one.outcome, Change))
    parts = [f"{counted(len(planned), 'GPU')}: {len(changed)} to change"]
    if refused:
        parts.append(f"{refused} refused")
    return ", ".join(parts) + f"; {counted(made, 'instance')} to make, {destroyed} to destroy, {kept} kept"


def _groups(planned: Sequence[Planned]) -> list[list[Planned]]:
    groups: dict[object, list[Planned]] = {}
    for one in planned:
        groups.setdefault(one.key, []).append(one)
    return list(groups.values())


def _titles(group: Sequence[Planned]) -> str:
    """`GPU 0-3,5` of this machine; `node-0/0-7, node-1/0-7 and 1248 nodes more (10000 GPUs)` of a fleet."""
    by_machine: dict[str, list[int]] = {}
    for one in group:
        by_machine.setdefault(one.machine.name, []).append(one.observed.gpu.index)
    parts = [
        f"{name}/{_runs(indexes)}" if name else f"GPU {_runs(indexes)}"
        for name, indexes in by_machine.items()
    ]
    if len(parts) <= _MOST_NAMED:
        return ", ".join(parts)
    rest = counted(len(parts) - _MOST_NAMED, "node")
    return f"{', '.join(parts[:_MOST_NAMED])} and {rest} more ({counted(len(group), 'GPU')})"


_MOST_NAMED = 3


def _runs(indexes: Sequence[int]) -> str:
    """`0-3,5`"""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


# --- for programs ---


def documents(planned: Sequence[Planned]) -> Iterator[dict[str, object]]:
    for one in planned:
        gpu, outcome = one.observed.gpu, one.outcome
        names = {profile.profile_id: profile.name for profile in known_profiles(one.observed)}
        found: dict[str, object] = {
            "node": one.machine.name,
            "gpu": gpu.index,
            "uuid": gpu.uuid,
            "product": gpu.product,
        }
        if isinstance(outcome, Refused):
            found |= {"refused": {"reason": outcome.reason, "message": outcome.message}}
        else:
            found |= {
                "mig": outcome.mig_after,
                "slices": [
                    {
                        "profile": names[wanted.slice.profile_id],
                        "start": wanted.slice.start,
                        "compute": None if wanted.compute is None else list(wanted.compute),
                    }
                    for wanted in outcome.slices
                ],
                "keptInstances": list(outcome.kept),
                "destroyedInstances": list(outcome.destroyed),
                "steps": [describe(step, names) for step in outcome.steps],
            }
        yield found
