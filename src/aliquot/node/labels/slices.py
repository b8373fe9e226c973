"""What the labels say of slices: of all that have one profile."""

from collections.abc import Mapping, Sequence

from aliquot.gpu.driver import ComputeInstance, InstanceProfile
from aliquot.gpu.profiles import ProfileName
from aliquot.node.advertise import Device
from aliquot.node.inventory import ObservedGpu
from aliquot.node.labels.kinds import by_kind


def by_profile(devices: Sequence[Device]) -> Mapping[str, Sequence[Device]]:
    """By the profile's name, also those that are not handed out."""
    cut = [(device.slice.profile, device) for device in devices if device.slice is not None]
    return {
        profile: [device for _, device in pairs]
        for profile, pairs in sorted(by_kind(cut, lambda pair: pair[0]).items())
    }


def lead(devices: Sequence[Device], gpus: Mapping[str, ObservedGpu]) -> tuple[str, Device]:
    """The product that most of the slices are on, among equals by name, and the first of them."""
    products = by_kind(devices, lambda device: gpus[device.gpu_uuid].gpu.product)
    product = min(products, key=lambda name: (-len(products[name]), name))
    return product, products[product][0]


def figures(device: Device, observed: ObservedGpu) -> Mapping[str, int | None]:
    """By the end of the label's key; None where the driver does not say."""
    part = device.slice
    if part is None:
        return {}
    found = next(
        (
            (profile, compute)
            for instance, compute in observed.mig_devices()
            if (instance.gi_id, compute.ci_id) == (part.gi_id, part.ci_id)
            and (profile := observed.profile(instance.profile_id)) is not None
        ),
        None,
    )
    if found is None:
        return {}
    profile, compute = found
    slices, multiprocessors = _compute(profile, compute)
    engines = profile.engines
    told = {
        "memory": profile.memory_mib,
        "multiprocessors": multiprocessors,
        "slices.gi": profile.compute_slices,
        "slices.ci": slices,
    }
    if engines is not None:
        told |= {
            "engines.copy": engines.copy,
            "engines.decoder": engines.decoder,
            "engines.encoder": engines.encoder,
            "engines.jpeg": engines.jpeg,
            "engines.ofa": engines.ofa,
        }
    return told


def _compute(profile: InstanceProfile, compute: ComputeInstance) -> tuple[int, int | None]:
    """Compute slices and multiprocessors of a compute instance. NVML tells compute profiles late."""
    if compute.name == profile.name:
        return profile.compute_slices, profile.multiprocessors
    for known in profile.compute_profiles:
        if known.profile_id == compute.profile_id:
            return known.compute_slices, known.multiprocessors
    return ProfileName.parse(compute.name).compute_slices, None
