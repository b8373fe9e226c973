"""From an entry of a configuration to what it means for one GPU, whose board decides what names stand for."""

from collections.abc import Sequence
from dataclasses import replace

from aliquot.gpu.arrangement import Demand
from aliquot.gpu.demands import Counts, counted, demands
from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.layout import geometry_of
from aliquot.gpu.mig_config.file import Entry, ExplicitInstance
from aliquot.gpu.profiles import BadProfileName, ProfileName, UnknownProfile, resolve
from aliquot.node.advertise import catalogue_profiles, known_profiles
from aliquot.node.inventory import ObservedGpu
from aliquot.node.mig.reconfiguration import Goal, Refused


def goal(entry: Entry, observed: ObservedGpu, *, mode_only: bool = False) -> Goal | Refused:
    """`mode_only`: the slices may be as they are."""
    if not entry.mig_enabled:
        return Goal(False)
    if mode_only:
        return Goal(True, None)
    profiles, from_catalogue = known_profiles(observed), catalogue_profiles(observed)
    try:
        if entry.instances is not None:
            most = geometry_of(profiles).memory_slots
            if len(entry.instances) > most:
                return Refused("TooMany", f"{len(entry.instances)} slices, and the board has {most} slots")
            return Goal(True, tuple(_demand(one, profiles, from_catalogue) for one in entry.instances))
        devices = counted(entry.counts, profiles, from_catalogue)
    except (UnknownProfile, BadProfileName) as error:
        return Refused("UnknownProfile", str(error))
    # Before anything is made of each: a count may have any number of digits.
    return _too_many(devices, profiles) or Goal(True, tuple(demands(devices, profiles)), devices)


def _too_many(devices: Counts, profiles: Sequence[InstanceProfile]) -> Refused | None:
    for profile in profiles:
        for (profile_id, slices), count in devices.items():
            most = profile.max_instances * (profile.compute_slices // max(1, slices))
            if profile_id == profile.profile_id and count > most:
                name = replace(ProfileName.parse(profile.name), compute_slices=slices)
                return Refused(
                    "TooMany", f"{count} x {name} do not fit on one GPU: at most {most} {name} fit"
                )
    return None


def _demand(
    wanted: ExplicitInstance,
    profiles: Sequence[InstanceProfile],
    from_catalogue: Sequence[InstanceProfile],
) -> Demand:
    profile = resolve(wanted.profile, profiles, from_catalogue)
    compute = tuple(ProfileName.parse(part).compute_slices for part in wanted.compute)
    return Demand(profile.profile_id, () if compute == (profile.compute_slices,) else compute, wanted.start)
