"""Which devices exist under which resource name: the whole of a MIG strategy, as a function.

Names and ids are NVIDIA's own (`nvidia.com/gpu`, `nvidia.com/mig-1g.10gb`, GPU and MIG UUIDs), so that manifests
written for their device plugin work unchanged. Health and use are other modules' business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aliquot.gpu import boards
from aliquot.gpu.driver import InstanceProfile, MigState, Placement
from aliquot.kube.api.gpunode import Sharing
from aliquot.node.inventory import ObservedGpu
from aliquot.node.plugin_config.file import MigStrategy
from aliquot.node.plugin_config.names import MAX_LENGTH, Naming


@dataclass(frozen=True, slots=True)
class Slice:
    """The MIG side of a device."""

    profile: str
    """As the driver names the MIG device: `1g.10gb`; `1c.3g.40gb` for a part of a GPU instance."""
    placement: Placement
    gi_id: int
    ci_id: int
    mig_index: int = 0
    """Its number among the MIG devices of its GPU."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How a device is divided among containers that use it at the same time."""

    strategy: Sharing
    replicas: int
    fails_above_one: bool
    """Whether a container may have only one of them."""


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU or a MIG device: what kubelet can hand to one container, or share by share to several."""

    id: str
    """GPU UUID or MIG UUID."""
    resource: str
    """Empty: not advertised."""
    gpu_uuid: str
    gpu_index: int
    gpu_minor: int
    numa_node: int | None = None
    memory_mib: int | None = None
    slice: Slice | None = None
    shares: Shares | None = None
    unusable: str = ""
    """Why nobody can use it however healthy it is; empty when it can be used."""

    @property
    def kubelet_ids(self) -> tuple[str, ...]:
        """What kubelet hands out: the device, or each of its shares."""
        if self.shares is None:
            return (self.id,)
        return tuple(f"{self.id}{_SHARE}{number}" for number in range(self.shares.replicas))

    @property
    def index_name(self) -> str:
        """`0` for a GPU, `0:1` for a MIG device on it."""
        return f"{self.gpu_index}" + (f":{self.slice.mig_index}" if self.slice is not None else "")

    @property
    def order(self) -> tuple[int, int, int]:
        """By GPU, then slot: the order people read."""
        if self.slice is None:
            return self.gpu_index, -1, -1
        return self.gpu_index, self.slice.placement.start, self.slice.ci_id


_SHARE = "::"


def device_of(kubelet_id: str) -> str:
    """Id of the device of which `kubelet_id` is a share, or which it is."""
    return kubelet_id.partition(_SHARE)[0]


@dataclass(frozen=True, slots=True)
class Advertisement:
    resources: Mapping[str, tuple[Device, ...]]
    """Resource name -> its devices in `Device.order`. Every name that could appear is a key, often with none."""
    withheld: Mapping[str, str]
    """GPU UUID -> why something on it is not advertised."""
    devices: tuple[Device, ...]
    """Everything that could be held, in `Device.order`, what is not advertised included: pods may hold that still."""


def advertise(
    gpus: Sequence[ObservedGpu],
    strategy: MigStrategy,
    naming: Naming | None = None,
    left_alone: Mapping[str, str] | None = None,
) -> Advertisement:
    """No device appears twice, whatever the strategy. `naming` None: NVIDIA's names.

    `left_alone`: UUIDs of GPUs of which nothing is to be advertised, and why.
    """
    naming, left_alone = naming or Naming(), left_alone or {}
    resources: dict[str, list[Device]] = {name: [] for name in possible_names(gpus, strategy, naming)}
    withheld: dict[str, str] = {}
    ours = [observed for observed in gpus if observed.gpu.uuid not in left_alone]
    if strategy is MigStrategy.NONE:
        found = [_whole(observed, naming, _no_mig_reason(observed)) for observed in ours]
    elif strategy is MigStrategy.SINGLE:
        found, withheld = _single(ours, naming)
    else:
        found = [device for observed in ours for device in _mixed(observed, naming)]
    withheld |= left_alone
    for device in found:
        if len(device.resource) > MAX_LENGTH:
            withheld[device.gpu_uuid] = (
                f"{device.resource} has {len(device.resource)} characters, resource names at most {MAX_LENGTH}"
            )
            continue
        resources.setdefault(device.resource, []).append(device)
    for observed in gpus:
        empty = [instance.gi_id for instance in observed.instances if not instance.compute_instances]
        if empty and observed.gpu.uuid not in withheld and strategy is not MigStrategy.NONE:
            withheld[observed.gpu.uuid] = (
                f"GPU instance {', '.join(map(str, empty))} has no compute instance, so it is no device"
            )
    offered = {device.id for devices in resources.values() for device in devices}
    unoffered = [device for device in map(_unnamed, _physical(gpus, naming)) if device.id not in offered]
    offers = {name: tuple(sorted(devices, key=_order)) for name, devices in sorted(resources.items())}
    everything = (device for devices in (*offers.values(), unoffered) for device in devices)
    return Advertisement(offers, withheld, tuple(sorted(everything, key=_order)))


def possible_names(gpus: Sequence[ObservedGpu], strategy: MigStrategy, naming: Naming) -> tuple[str, ...]:
    """Every name these boards could bring without a hand-made compute instance.

    Kubelet ignores an extended resource that no plugin has registered: a pod bound too early would run without its
    device. So all names are registered from the start.
    """
    names = {naming.of_gpu(observed.gpu.product) for observed in gpus} or {naming.of_gpu("")}
    if strategy is MigStrategy.MIXED:
        names.update(
            naming.of_profile(profile.name) for observed in gpus for profile in known_profiles(observed)
        )
    return tuple(sorted(name for name in names if len(name) <= MAX_LENGTH))


def _physical(gpus: Sequence[ObservedGpu], naming: Naming) -> list[Device]:
    return [device for observed in gpus for device in _mixed(observed, naming)]


def _unnamed(device: Device) -> Device:
    return replace(device, resource="")


def _order(device: Device) -> tuple[int, int, int]:
    return device.order


def known_profiles(observed: ObservedGpu) -> tuple[InstanceProfile, ...]:
    """The board's own; the catalogue's where an old driver lists none while MIG is off."""
    if observed.profiles or observed.gpu.mig is MigState.UNSUPPORTED:
        return observed.profiles
    return catalogue_profiles(observed)


def catalogue_profiles(observed: ObservedGpu) -> tuple[InstanceProfile, ...]:
    """As the shipped catalogue knows the board; empty where it does not."""
    mig = boards.board(observed.gpu.board).mig if observed.gpu.board else None
    return mig.instance_profiles() if mig else ()


def _whole(observed: ObservedGpu, naming: Naming, unusable: str = "") -> Device:
    gpu = observed.gpu
    return Device(
        gpu.uuid,
        naming.of_gpu(gpu.product),
        gpu.uuid,
        gpu.index,
        gpu.minor,
        numa_node=gpu.numa_node,
        memory_mib=gpu.memory_mib,
        unusable=unusable,
    )


def _no_mig_reason(observed: ObservedGpu) -> str:
    return (
        "MIG mode is on while the MIG strategy is none: CUDA cannot use it as a whole"
        if observed.mig_on
        else ""
    )


def _mixed(observed: ObservedGpu, naming: Naming) -> list[Device]:
    return _slices(observed, naming) if observed.mig_on else [_whole(observed, naming)]


def _slices(observed: ObservedGpu, naming: Naming) -> list[Device]:
    """Each under the name of its profile."""
    gpu = observed.gpu
    found = []
    for index, (instance, compute) in enumerate(observed.mig_devices_by_id()):
        profile = observed.profile(instance.profile_id)
        found.append(
            Device(
                compute.uuid,
                naming.of_profile(compute.name),
                gpu.uuid,
                gpu.index,
                gpu.minor,
                numa_node=gpu.numa_node,
                memory_mib=profile.memory_mib if profile is not None else None,
                slice=Slice(compute.name, instance.placement, instance.gi_id, compute.ci_id, index),
            )
        )
    return sorted(found, key=_order)


def _single(gpus: Sequence[ObservedGpu], naming: Naming) -> tuple[list[Device], dict[str, str]]:
    if not any(observed.mig_on for observed in gpus):
        return [_whole(observed, naming) for observed in gpus], {}
    reason = single_fault(gpus)
    if reason:
        return [], dict.fromkeys((observed.gpu.uuid for observed in gpus), reason)
    return [
        replace(device, resource=naming.of_gpu(observed.gpu.product))
        for observed in gpus
        for device in _slices(observed, naming)
    ], {}


def single_fault(gpus: Sequence[ObservedGpu]) -> str:
    """Why the GPUs do not look alike enough for one resource name; empty when they do."""
    gpus = [observed for observed in gpus if observed.failure is None]  # a dead GPU condemns no other
    off = [str(observed.gpu.index) for observed in gpus if not observed.mig_on]
    if off:
        return f"MIG strategy single needs MIG on every GPU or on none: it is off on GPU {', '.join(off)}"
    empty = [str(observed.gpu.index) for observed in gpus if not observed.mig_devices()]
    if empty:
        return f"MIG strategy single needs slices on every GPU: GPU {', '.join(empty)} has none"
    profiles = sorted({compute.name for observed in gpus for _, compute in observed.mig_devices()})
    if len(profiles) > 1:
        return f"MIG strategy single needs one profile on all GPUs: found {', '.join(profiles)}"
    return ""
