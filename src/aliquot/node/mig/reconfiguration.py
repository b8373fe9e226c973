"""From what one GPU is to what a configuration wants it to be: all of its steps, planned at once. Pure.

Nothing in use is touched unless it was released by name; what already is as wanted stays.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from aliquot.gpu import layout
from aliquot.gpu.arrangement import Demand, arrange
from aliquot.gpu.demands import Counts, present
from aliquot.gpu.driver import Gpu, GpuInstance, InstanceProfile, MigState
from aliquot.gpu.layout import Held, Refusal, Wanted
from aliquot.node.advertise import known_profiles
from aliquot.node.inventory import ObservedGpu
from aliquot.node.mig.steps import ApplyPendingMode, SetMode, Step


@dataclass(frozen=True, slots=True)
class Goal:
    """`demands` None: the mode alone matters. `devices`: which MIG devices the demands give, where it does not matter
    how GPU instances share them out."""

    mig: bool
    demands: tuple[Demand, ...] | None = ()
    devices: Counts | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """`mig_after` and `slices`, by start: what there is in the end. `kept` and `destroyed` are today's GI ids.

    `released`: those that may go though they are in use.
    """

    gpu: Gpu
    mig_after: bool
    steps: tuple[Step, ...]
    slices: tuple[Wanted, ...] = ()
    kept: tuple[int, ...] = ()
    destroyed: tuple[int, ...] = ()
    released: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """`reason` in CamelCase, `message` one line. `blocking`: GI ids of what is in use and in the way."""

    reason: str
    message: str
    blocking: tuple[int, ...] = ()


Outcome: TypeAlias = Change | Refused


def reconfigure(
    observed: ObservedGpu, goal: Goal, users: Mapping[str, str], released: Collection[int] = ()
) -> Outcome:
    """`users`: UUID of a MIG device, or of the GPU, -> who uses it, beside the processes that the driver sees.

    `released`: GI ids of instances that may go though they are in use.
    """
    gpu = observed.gpu
    if observed.failure is not None:
        return Refused("NotAnswering", str(observed.failure))
    if gpu.mig is MigState.UNSUPPORTED:
        return Refused("MIGUnsupported", f"{gpu.product} has no MIG") if goal.mig else Change(gpu, False, ())
    current = [_held(observed, instance, users) for instance in observed.instances]
    if not goal.mig:
        return _off(observed, current, users, released)
    if gpu.mig in (MigState.DISABLED, MigState.PENDING_ENABLE):
        return _on(observed, goal, users)
    return _cut(observed, goal, current, released)


def _off(
    observed: ObservedGpu, current: Sequence[Held], users: Mapping[str, str], released: Collection[int]
) -> Outcome:
    gpu = observed.gpu
    match gpu.mig:
        case MigState.DISABLED:
            return Change(gpu, False, ())
        case MigState.PENDING_ENABLE:
            return Change(gpu, False, (SetMode(False),))
    mode = ApplyPendingMode() if gpu.mig is MigState.PENDING_DISABLE else SetMode(False)
    emptied = layout.plan(known_profiles(observed), current, (), released)
    if isinstance(emptied, Refusal):
        return _refused(emptied)
    if not current and (busy := _used_as_a_whole(observed, users)):
        return Refused("InUse", busy)
    return Change(gpu, False, (*emptied.steps, mode), destroyed=emptied.destroyed, released=tuple(released))


def _on(observed: ObservedGpu, goal: Goal, users: Mapping[str, str]) -> Outcome:
    if busy := _used_as_a_whole(observed, users):
        return Refused("InUse", busy)
    mode = ApplyPendingMode() if observed.gpu.mig is MigState.PENDING_ENABLE else SetMode(True)
    within = _within(observed, goal, (), ())
    if isinstance(within, Refused):
        return within
    return Change(observed.gpu, True, (mode, *within.steps), within.slices)


def _cut(observed: ObservedGpu, goal: Goal, current: Sequence[Held], released: Collection[int]) -> Outcome:
    mode = (SetMode(True),) if observed.gpu.mig is MigState.PENDING_DISABLE else ()
    within = _within(observed, goal, current, released)
    if isinstance(within, Refused):
        return within
    return Change(
        observed.gpu,
        True,
        (*mode, *within.steps),
        within.slices,
        within.kept,
        within.destroyed,
        tuple(released),
    )


@dataclass(frozen=True, slots=True)
class _Within:
    steps: tuple[layout.Step, ...]
    slices: tuple[Wanted, ...]
    kept: tuple[int, ...]
    destroyed: tuple[int, ...]


def _within(
    observed: ObservedGpu, goal: Goal, current: Sequence[Held], released: Collection[int]
) -> _Within | Refused:
    """The steps in MIG mode."""
    profiles = known_profiles(observed)
    if goal.demands is None or (
        goal.devices is not None
        and goal.devices == present(_instances(current), profiles)
        and all(held.instance.compute_instances for held in current)
    ):
        return _Within(
            (), as_they_are(_instances(current), profiles), tuple(held.instance.gi_id for held in current), ()
        )
    slices = arrange(profiles, current, goal.demands, released)
    if isinstance(slices, Refusal):
        return _refused(slices)
    plan = layout.difference(profiles, current, slices, released)
    if isinstance(plan, Refusal):
        return _refused(plan)
    return _Within(plan.steps, slices, plan.kept, plan.destroyed)


def _refused(refusal: Refusal) -> Refused:
    return Refused(refusal.reason.value, refusal.message, refusal.blocking)


def _instances(current: Sequence[Held]) -> list[GpuInstance]:
    return [held.instance for held in current]


def as_they_are(instances: Iterable[GpuInstance], profiles: Sequence[InstanceProfile]) -> tuple[Wanted, ...]:
    """By start."""
    by_id = {profile.profile_id: profile for profile in profiles}
    found = []
    for instance in sorted(instances, key=lambda one: one.placement.start):
        profile = by_id.get(instance.profile_id)
        parts = tuple(
            layout.compute_slices(compute, profile)
            for compute in instance.compute_instances
            if profile is not None
        )
        whole = profile is not None and parts == (profile.compute_slices,)
        slice_ = layout.Slice(instance.profile_id, instance.placement.start)
        found.append(Wanted(slice_, () if whole else parts or None))
    return tuple(found)


def _held(observed: ObservedGpu, instance: GpuInstance, users: Mapping[str, str]) -> Held:
    if not users and not observed.processes:
        return Held(instance)
    processes = [process for process in observed.processes if process.gi_id == instance.gi_id]
    named = [users[c.uuid] for c in instance.compute_instances if c.uuid in users]
    pids = ", ".join(str(process.pid) for process in processes)
    used_by = "; ".join([*named, *([f"process {pids}"] if pids else [])])
    if any(process.ci_id is None for process in processes):
        return Held(instance, used_by)
    busy = {process.ci_id for process in processes}
    idle = {c.ci_id for c in instance.compute_instances if c.uuid not in users and c.ci_id not in busy}
    return Held(instance, used_by, frozenset(idle))


def in_use(observed: ObservedGpu, users: Mapping[str, str]) -> dict[int, str]:
    """GI id -> who uses the instance, of those in use; `users` as in `reconfigure`."""
    held = [_held(observed, instance, users) for instance in observed.instances]
    return {one.instance.gi_id: one.used_by for one in held if one.used_by}


def _used_as_a_whole(observed: ObservedGpu, users: Mapping[str, str]) -> str:
    """Who stands in the way of a change of mode of a GPU without instances; empty when nobody does."""
    if observed.gpu.uuid in users:
        return f"the GPU is in use by {users[observed.gpu.uuid]}"
    pids = ", ".join(str(process.pid) for process in observed.processes)
    return f"the GPU is in use by process {pids}" if pids else ""
