"""The slices that there are, as a configuration: as few entries as say it, by mig-parted's rules.

GPUs that are cut alike share an entry. It says `all` where it covers every GPU that its filters match, and has no
filter where there is one kind of GPU, or one entry.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from aliquot.gpu.driver import Gpu, GpuInstance, InstanceProfile, MigState
from aliquot.gpu.layout import compute_slices
from aliquot.gpu.mig_config.device_filter import DeviceFilter
from aliquot.gpu.mig_config.file import Entry, MigConfigFile
from aliquot.gpu.profiles import ProfileName

DEFAULT_NAME = "current"


@dataclass(frozen=True, slots=True)
class Cut:
    """How one GPU is cut. `counts`: MIG device's name -> how many."""

    gpu: Gpu
    mig_enabled: bool
    counts: Mapping[str, int]


def cut(gpu: Gpu, profiles: Iterable[InstanceProfile], instances: Iterable[GpuInstance]) -> Cut:
    by_id = {profile.profile_id: profile for profile in profiles}
    counts: dict[str, int] = {}
    for instance in instances:
        profile = by_id.get(instance.profile_id)
        for compute in instance.compute_instances:
            name = device_name(profile, compute_slices(compute, profile)) if profile else compute.name
            counts[name] = counts.get(name, 0) + 1
    return Cut(gpu, gpu.mig in (MigState.ENABLED, MigState.PENDING_DISABLE), counts)


def unsaid(gpu: Gpu, profiles: Iterable[InstanceProfile], instances: Iterable[GpuInstance]) -> list[str]:
    """What is so on a GPU and cannot stand in a configuration, each in a few words."""
    names = {profile.profile_id: profile.name for profile in profiles}
    found = [
        f"{names.get(instance.profile_id, f'profile {instance.profile_id}')} at slot {instance.placement.start} has "
        "no compute instances, and is left out"
        for instance in instances
        if not instance.compute_instances
    ]
    match gpu.mig:
        case MigState.PENDING_ENABLE:
            found.append("MIG is off, and goes on with the next reset")
        case MigState.PENDING_DISABLE:
            found.append("MIG is on, and goes off with the next reset")
    return found


def device_name(profile: InstanceProfile, slices: int) -> str:
    """`3g.40gb`, and `1c.3g.40gb` for a part of it."""
    return str(replace(ProfileName.parse(profile.name), compute_slices=slices))


def export(cuts: Iterable[Cut], name: str = DEFAULT_NAME) -> MigConfigFile:
    """One configuration of that name; none where there is no GPU."""
    known = sorted(cuts, key=lambda one: one.gpu.index)
    kinds: dict[int | None, set[int]] = {}
    groups: list[list[Cut]] = []
    for one in known:
        kinds.setdefault(one.gpu.pci_device_id, set()).add(one.gpu.index)
        alike = [g for g in groups if (g[0].mig_enabled, g[0].counts) == (one.mig_enabled, one.counts)]
        if alike:
            alike[0].append(one)
        else:
            groups.append([one])
    if len(groups) == 1:
        return MigConfigFile({name: (_entry(groups[0], None, ()),)})
    entries = tuple(_of_group(group, kinds) for group in groups)
    return MigConfigFile({name: entries} if entries else {})


def _of_group(group: Sequence[Cut], kinds: Mapping[int | None, set[int]]) -> Entry:
    """`kinds`: the indexes of all GPUs by device id."""
    devices = [one.gpu.index for one in group]
    ids = {one.gpu.pci_device_id for one in group}
    known = sorted(device_id for device_id in ids if device_id is not None)
    if len(kinds) == 1 or len(known) < len(ids):
        # One kind needs no filter, and for what has no id there is none.
        return _entry(group, devices, ())
    everyone = set().union(*(kinds[device_id] for device_id in ids))
    return _entry(group, None if everyone == set(devices) else devices, map(DeviceFilter, known))


def _entry(group: Sequence[Cut], devices: Iterable[int] | None, filters: Iterable[DeviceFilter]) -> Entry:
    return Entry(
        group[0].mig_enabled,
        None if devices is None else tuple(devices),
        tuple(filters),
        group[0].counts,
    )
