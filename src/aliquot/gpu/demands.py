"""From profile names with counts, as configurations have them, to the GPU instances that they ask for.

A name of a part (`1c.3g.40gb`) asks for a compute instance in a GPU instance that it may share with others: as few
GPU instances are made as the parts fit in.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from aliquot.gpu.arrangement import Demand
from aliquot.gpu.driver import GpuInstance, InstanceProfile
from aliquot.gpu.layout import compute_slices
from aliquot.gpu.profiles import ProfileName, resolve

Counts = Mapping[tuple[int, int], int]
"""(profile id, compute slices) of a MIG device -> how many."""


def counted(
    counts: Mapping[str, int], profiles: Sequence[InstanceProfile], known: Iterable[InstanceProfile] = ()
) -> Counts:
    """What the names stand for on a board that reports `profiles`; `known` as in `profiles.resolve`.

    Raises UnknownProfile and BadProfileName.
    """
    found: Counter[tuple[int, int]] = Counter()
    for name, count in counts.items():
        parsed = ProfileName.parse(name)
        whole = ProfileName(parsed.gpu_slices, parsed.gpu_slices, parsed.memory_gb, parsed.attributes)
        profile = resolve(str(whole), profiles, known)
        part = parsed.compute_slices if parsed != whole else profile.compute_slices
        found[profile.profile_id, part] += count
    return +found


def present(instances: Iterable[GpuInstance], profiles: Sequence[InstanceProfile]) -> Counts:
    """The MIG devices that there are, counted likewise."""
    by_id = {profile.profile_id: profile for profile in profiles}
    found: Counter[tuple[int, int]] = Counter()
    for instance in instances:
        for compute in instance.compute_instances:
            profile = by_id.get(instance.profile_id)
            slices = compute_slices(compute, profile) if profile is not None else 0
            found[instance.profile_id, slices] += 1
    return found


def demands(counts: Counts, profiles: Sequence[InstanceProfile]) -> list[Demand]:
    found: list[Demand] = []
    for profile in profiles:
        whole = counts.get((profile.profile_id, profile.compute_slices), 0)
        found += [Demand(profile.profile_id)] * whole
        parts = [
            slices
            for (profile_id, slices), count in counts.items()
            if profile_id == profile.profile_id and slices != profile.compute_slices
            for _ in range(count)
        ]
        packed = _packed(sorted(parts, reverse=True), profile.compute_slices)
        found += [Demand(profile.profile_id, tuple(compute)) for compute in packed]
    return found


def _packed(parts: Sequence[int], room: int) -> list[list[int]]:
    """First fit, larger ones first: with at most seven slices nothing packs better."""
    bins: list[list[int]] = []
    for part in parts:
        fitting = next((one for one in bins if sum(one) + part <= room), None)
        if fitting is None:
            bins.append([part])
        else:
            fitting.append(part)
    return bins
