"""Checkpoints of MIG: the mode and the exact slices of each GPU, in mig-parted's own JSON.

    {"Version": "v1", "MigState": {"Devices": [{"UUID": "GPU-...", "MigMode": 1, "GpuInstances": [
        {"ProfileID": 2, "Placement": {"Start": 4, "Size": 4}, "ComputeInstances": [{"ProfileID": 2, "EngProfileID": 0}]}
    ]}]}}

Profiles are there under NVML's enumeration (`NVML_GPU_INSTANCE_PROFILE_*`), which is the same on all boards, and not
under the id that a board reports.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from aliquot import document
from aliquot.gpu.arrangement import Demand
from aliquot.gpu.driver import Gpu, GpuInstance, InstanceProfile, MigState
from aliquot.gpu.layout import compute_slices
from aliquot.gpu.profiles import WITHOUT_MEDIA, UnknownProfile

_VERSION = "v1"
_SLICES = {
    0: 1,
    1: 2,
    2: 3,
    3: 4,
    4: 7,
    5: 8,
    6: 6,
    7: 1,
    8: 2,
    9: 1,
    10: 1,
    11: 2,
    12: 4,
    13: 1,
    14: 2,
    15: 1,
}
_SLICES |= {16: 2, 17: 3}
"""Compute slices by NVML_GPU_INSTANCE_PROFILE_*."""
_ATTRIBUTES = {
    7: frozenset({"me"}),
    8: frozenset({"me"}),
    10: frozenset({"gfx"}),
    11: frozenset({"gfx"}),
    12: frozenset({"gfx"}),
    13: frozenset({WITHOUT_MEDIA}),
    14: frozenset({WITHOUT_MEDIA}),
    15: frozenset({"me.all"}),
    16: frozenset({"me.all"}),
    17: frozenset({"gfx"}),
}
_DOUBLE_MEMORY = 9
_COMPUTE = {0: 1, 1: 2, 2: 3, 3: 4, 4: 7, 5: 8, 6: 6, 7: 1}
"""Slices by NVML_COMPUTE_INSTANCE_PROFILE_*; 7 is the one of one slice with more SMs."""
_SHARED_ENGINES = 0


@dataclass(frozen=True, slots=True)
class GpuCheckpoint:
    uuid: str
    mig: bool
    demands: tuple[Demand, ...]


class _Placement(msgspec.Struct, rename="pascal"):
    start: int
    size: int


class _Compute(msgspec.Struct):
    profile: int = msgspec.field(name="ProfileID")
    engines: int = msgspec.field(name="EngProfileID", default=_SHARED_ENGINES)


class _Instance(msgspec.Struct):
    profile: int = msgspec.field(name="ProfileID")
    placement: _Placement = msgspec.field(name="Placement")
    compute: list[_Compute] | None = msgspec.field(name="ComputeInstances", default=None)


class _Device(msgspec.Struct):
    uuid: str = msgspec.field(name="UUID")
    mode: int = msgspec.field(name="MigMode")
    instances: list[_Instance] | None = msgspec.field(name="GpuInstances", default=None)


class _State(msgspec.Struct, rename="pascal"):
    devices: list[_Device] | None


class _File(msgspec.Struct, rename="pascal"):
    version: str
    mig_state: _State


class Checkpoint:
    """What a file says. GPUs are told apart by UUID; which profiles are meant depends on the board."""

    def __init__(self, devices: Sequence[_Device], parsed: document.Document) -> None:
        self._devices = {device.uuid: (index, device) for index, device in enumerate(devices)}
        self._parsed = parsed

    @property
    def uuids(self) -> tuple[str, ...]:
        return tuple(self._devices)

    def of(self, uuid: str, profiles: Sequence[InstanceProfile]) -> GpuCheckpoint:
        """Raises KeyError for a GPU that is not in it, and DocumentError for what the board does not have."""
        index, device = self._devices[uuid]
        demands = []
        for number, instance in enumerate(device.instances or ()):
            path = ("MigState", "Devices", index, "GpuInstances", number)
            try:
                profile = _profile(instance, profiles)
                compute = tuple(_COMPUTE[one.profile] for one in instance.compute or ())
            except UnknownProfile as error:
                raise self._parsed.error((*path, "ProfileID"), f"GPU {uuid}: {error}") from None
            except KeyError as error:
                message = f"GPU {uuid}: there is no compute instance profile {error.args[0]}"
                raise self._parsed.error(path, message) from None
            whole = compute == (profile.compute_slices,)
            parts = () if whole else compute or None
            demands.append(Demand(profile.profile_id, parts, instance.placement.start))
        return GpuCheckpoint(uuid, bool(device.mode), tuple(demands))


def parse(text: str, *, source: str) -> Checkpoint:
    """Raises DocumentError."""
    parsed = document.parse(text, source=source)
    file = parsed.into(_File)
    if file.version != _VERSION:
        raise parsed.error(
            ("Version",), f"version '{file.version}' is not '{_VERSION}', the only one there is"
        )
    devices = file.mig_state.devices or []
    for index, device in enumerate(devices):
        if device.uuid in (other.uuid for other in devices[:index]):
            raise parsed.error(("MigState", "Devices", index, "UUID"), f"GPU {device.uuid} is given twice")
        if device.mode not in (0, 1):
            raise parsed.error(
                ("MigState", "Devices", index, "MigMode"), "MigMode is 0 (disabled) or 1 (enabled)"
            )
    return Checkpoint(devices, parsed)


def spell(
    gpus: Iterable[tuple[Gpu, Sequence[InstanceProfile], Sequence[GpuInstance]]],
) -> str:
    """GPUs without MIG are left out, as they are by mig-parted."""
    devices = []
    for gpu, profiles, instances in gpus:
        if gpu.mig is MigState.UNSUPPORTED:
            continue
        on = gpu.mig in (MigState.ENABLED, MigState.PENDING_DISABLE)
        devices.append(
            _Device(gpu.uuid, int(on), [_instance(instance, profiles) for instance in instances] or None)
        )
    return msgspec.json.encode(_File(_VERSION, _State(devices))).decode() + "\n"


def _instance(instance: GpuInstance, profiles: Sequence[InstanceProfile]) -> _Instance:
    profile = next(one for one in profiles if one.profile_id == instance.profile_id)
    return _Instance(
        _number(profile, profiles),
        _Placement(instance.placement.start, instance.placement.size),
        [_Compute(_compute_number(compute_slices(one, profile))) for one in instance.compute_instances]
        or None,
    )


def _compute_number(slices: int) -> int:
    return next(number for number, known in _COMPUTE.items() if known == slices)


def _number(profile: InstanceProfile, profiles: Sequence[InstanceProfile]) -> int:
    """NVML's number of a board's profile."""
    if profile.compute_slices == 1 and not profile.attributes and profile.memory_slots > _smallest(profiles):
        return _DOUBLE_MEMORY
    for number, slices in _SLICES.items():
        if number == _DOUBLE_MEMORY:
            continue
        if slices == profile.compute_slices and _ATTRIBUTES.get(number, frozenset()) == profile.attributes:
            return number
    raise UnknownProfile(f"NVML has no number for profile '{profile.name}'")


def _profile(instance: _Instance, profiles: Sequence[InstanceProfile]) -> InstanceProfile:
    for profile in profiles:
        if _number(profile, profiles) == instance.profile:
            return profile
    raise UnknownProfile(f"the board has no GPU instance profile of NVML's number {instance.profile}")


def _smallest(profiles: Sequence[InstanceProfile]) -> int:
    """Memory slots of the plain profile of one slice."""
    return min(p.memory_slots for p in profiles if p.compute_slices == 1 and not p.attributes)
