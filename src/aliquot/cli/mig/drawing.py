"""A change of one GPU, drawn as its memory slots before and after. Pure text.

before ┃1g.10gb  ┃         ┃2g.20gb            ┃3g.40gb                                ┃
       ┃destroy  ┃         ┃keep               ┃keep (pod a/b)                         ┃
after  ┃2g.20gb            ┃2g.20gb            ┃3g.40gb                                ┃
       ┃new                ┃                   ┃                                       ┃
"""

from collections.abc import Mapping, Sequence

from aliquot.cli.slots import rows
from aliquot.gpu.driver import GpuInstance, InstanceProfile
from aliquot.gpu.layout import Compute, CreateCompute, CreateInstance, DestroyCompute, Wanted, geometry_of
from aliquot.gpu.profiles import ProfileName
from aliquot.node.advertise import known_profiles
from aliquot.node.inventory import ObservedGpu
from aliquot.node.mig.reconfiguration import Change
from aliquot.node.mig.steps import ApplyPendingMode, SetMode, Step, describe

_OFF = "MIG off"


def draw(observed: ObservedGpu, change: Change, users: Mapping[int, str]) -> list[str]:
    """Before and after; lines that say nothing are left out. What no slot shows, a mode that waits for a reset or an
    instance that is divided anew, is said below. `users`: GI id -> who uses it."""
    profiles = known_profiles(observed)
    if not profiles:
        return []
    slots = geometry_of(profiles).memory_slots
    names = {profile.profile_id: profile for profile in profiles}
    before = _before(observed, change, users, slots, names)
    after = _after(observed, change, slots, names)
    lines = zip(("before", "", "after", ""), (*rows(before), *rows(after)), strict=True)
    drawn = [f"{head:7}{line}" for head, line in lines if head or line.strip("┃ ")]
    return [*drawn, *(f"{'':7}{describe(step)}" for step in change.steps if _is_unseen(step, change))]


def _is_unseen(step: Step, change: Change) -> bool:
    match step:
        case SetMode() | ApplyPendingMode():
            return True
        case DestroyCompute(gi_id, _):
            return gi_id in change.kept
        case CreateCompute(start, _, _):
            made = {one.slice.start for one in change.steps if isinstance(one, CreateInstance)}
            return start not in made
    return False


def _before(
    observed: ObservedGpu,
    change: Change,
    users: Mapping[int, str],
    slots: int,
    names: Mapping[int, InstanceProfile],
) -> Sequence[tuple[str, str, int]]:
    if not observed.mig_on:
        return [(_OFF, "", slots)]
    runs = []
    for instance in observed.instances:
        fate = "destroy" if instance.gi_id in change.destroyed else "keep"
        if user := users.get(instance.gi_id):
            fate += f" ({user})"
        runs.append((instance.placement.start, _spelled(instance, names), fate, instance.placement.size))
    return _filled(runs, slots)


def _after(
    observed: ObservedGpu, change: Change, slots: int, names: Mapping[int, InstanceProfile]
) -> Sequence[tuple[str, str, int]]:
    if not change.mig_after:
        return [(_OFF, "", slots)]
    there = {instance.placement.start: instance.gi_id for instance in observed.instances}
    runs = []
    for wanted in change.slices:
        start, profile = wanted.slice.start, names[wanted.slice.profile_id]
        stays = start in there and there[start] in change.kept
        runs.append((start, spell_wanted(wanted, profile), "" if stays else "new", profile.memory_slots))
    return _filled(runs, slots)


def spell_wanted(wanted: Wanted, profile: InstanceProfile) -> str:
    """`3g.40gb`, or its parts: `1c+2c of 3g.40gb`."""
    return _with_parts(profile.name, wanted.compute)


def _spelled(instance: GpuInstance, names: Mapping[int, InstanceProfile]) -> str:
    profile = names.get(instance.profile_id)
    if profile is None:
        return f"profile {instance.profile_id}"
    parts = [ProfileName.parse(compute.name).compute_slices for compute in instance.compute_instances]
    return _with_parts(profile.name, () if parts == [profile.compute_slices] else tuple(parts) or None)


def _with_parts(name: str, parts: Compute) -> str:
    if parts is None:
        return f"{name}, empty"
    return f"{'+'.join(f'{part}c' for part in parts)} of {name}" if parts else name


def _filled(runs: Sequence[tuple[int, str, str, int]], slots: int) -> Sequence[tuple[str, str, int]]:
    """With the free slots between them, one by one."""
    cells: list[tuple[str, str, int]] = []
    at = 0
    for start, what, who, size in sorted(runs):
        cells += [("", "", 1)] * (start - at)
        cells.append((what, who, size))
        at = start + size
    return [*cells, *[("", "", 1)] * (slots - at)]
