"""The slices that there are, as a configuration: as few entries as say it, by mig-parted's rules.

GPUs that are cut alike share an entry. It says `all` where it covers every GPU that its filters match, and has no
filter where there is one kind of GPU, or one entry.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from aliquot.gpu.driver import Gpu, GpuInstance, InstanceProfile, MigState
from aliquot.gpu.layout import compute_slices
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


def device_name(profile: InstanceProfile, slices: int) -> str:
    """`3g.40gb`, and `1c.3g.40gb` for a part of it."""
    return str(replace(ProfileName.parse(profile.name), compute_slices=slices))


def export(cuts: Iterable[Cut], name: str = DEFAULT_NAME) -> MigConfigFile:
    known = list(cuts)
    by_filter: dict[str, set[int]] = {}
    for one in known:
        by_filter.setdefault(_filter(one.gpu), set()).add(one.gpu.index)
    groups: list[list[Cut]] = []
    for one in known:
        for group in groups:
            if (group[0].mig_enabled, group[0].counts) == (one.mig_enabled, one.counts):
                group.append(one)
                break
        else:
            groups.append([one])
    alone = len(by_filter) == 1 or len(groups) == 1
    entries = []
    for group in groups:
        filters = tuple(sorted({_filter(one.gpu) for one in group}))
        devices = tuple(sorted(one.gpu.index for one in group))
        matched = {index for text in filters for index in by_filter[text]}
        entries.append(
            Entry(
                group[0].mig_enabled,
                None if set(devices) == matched else devices,
                () if alone else filters,
                dict(sorted(group[0].counts.items())),
            )
        )
    return MigConfigFile({name: tuple(entries)} if entries else {})


def _filter(gpu: Gpu) -> str:
    """As mig-parted writes it; a GPU whose device id nobody knows is told apart by its product."""
    return f"0x{gpu.pci_device_id:08X}" if gpu.pci_device_id is not None else gpu.product
