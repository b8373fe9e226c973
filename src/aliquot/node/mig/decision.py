"""What to do about one GPU's MIG mode and slices: wanted against found, with the rule that nothing in use is touched.

Pure. Each look at the machine gives one decision: all is well, or this is in the way, or these devices have to leave
kubelet's hands first, or these steps may be taken now. Taking a slice away goes through all of that: its device is
marked unhealthy, and only when kubelet no longer lists it as allocatable, and it is still unused, is it destroyed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from aliquot.gpu import layout
from aliquot.gpu.driver import GpuInstance, InstanceProfile, MigState
from aliquot.gpu.profiles import UnknownProfile, resolve
from aliquot.kube.api.gpunode import WantedGPU
from aliquot.node.advertise import Device, catalogue_profiles, known_profiles
from aliquot.node.inventory import ObservedGpu
from aliquot.node.mig.steps import ApplyPendingMode, SetMode, Step

_MOST_NAMED = 3
"""Users of a GPU in one sentence; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Settled:
    """As wanted."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Cannot be had now, or at all; the reason is CamelCase, the message a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take these devices out of kubelet's hands, then look again."""

    device_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evict:
    """Take these devices out of kubelet's hands, and evict the pods that hold some of them."""

    device_ids: tuple[str, ...]
    pods: tuple[str, ...]
    """`namespace/name`"""


@dataclass(frozen=True, slots=True)
class Act:
    """Take these steps now. `device_ids` cease to exist as they are; nobody uses them."""

    steps: tuple[Step, ...]
    device_ids: tuple[str, ...] = ()


Decision: TypeAlias = Settled | Blocked | Withdraw | Evict | Act


@dataclass(frozen=True, slots=True)
class Situation:
    """One GPU as it is."""

    observed: ObservedGpu
    devices: tuple[Device, ...]
    """All of it: the GPU or its slices, advertised or not."""
    uses: Mapping[str, str]
    """Device id -> who uses it; see `usage.uses`."""
    released: Collection[str]
    """Device ids that kubelet surely hands out no more."""
    pods: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Device id -> the pods that hold it, as kubelet lists them."""
    evicts: bool = False
    """Whether pods in the way may be evicted."""


def decide(wanted: WantedGPU, now: Situation) -> Decision:
    gpu = now.observed.gpu
    if now.observed.failure is not None:
        return Blocked("NotAnswering", str(now.observed.failure))
    if wanted.mig is False and wanted.instances:
        return Blocked("Contradiction", "slices are wanted with MIG off")
    if gpu.mig is MigState.UNSUPPORTED:
        if wanted.mig or wanted.instances:
            return Blocked("MIGUnsupported", f"{gpu.product} has no MIG")
        return Settled()
    if wanted.mig is True and gpu.mig is not MigState.ENABLED:
        return _impossible(wanted, now) or _enable(now)
    if wanted.mig is False and gpu.mig is not MigState.DISABLED:
        return _disable(now)
    if wanted.instances is not None:
        if now.observed.mig_on:
            decision = _shape(wanted, now)
            if not isinstance(decision, Settled):
                return decision
        elif wanted.instances:
            return Blocked(
                "MIGOff", "slices are wanted, but MIG is off and the spec does not ask to switch it on"
            )
    if gpu.mig in (MigState.PENDING_ENABLE, MigState.PENDING_DISABLE):
        return Blocked(
            "ResetPending", "a change of MIG mode waits for a reset, and the spec asks for neither mode"
        )
    return Settled()


def _impossible(wanted: WantedGPU, now: Situation) -> Blocked | None:
    """Slices that not even an empty GPU could have: for them it is not taken out of service."""
    profiles = known_profiles(now.observed)
    if not profiles:
        return None
    try:
        plan = layout.plan(profiles, (), _resolve(wanted, profiles, now.observed))
    except UnknownProfile as error:
        return Blocked("UnknownProfile", str(error))
    return Blocked(plan.reason.value, plan.message) if isinstance(plan, layout.Refusal) else None


def _enable(now: Situation) -> Decision:
    if now.observed.gpu.mig is MigState.PENDING_DISABLE:
        return Act((SetMode(True),))
    step = ApplyPendingMode() if now.observed.gpu.mig is MigState.PENDING_ENABLE else SetMode(True)
    return _when_idle(now, (step,))


def _disable(now: Situation) -> Decision:
    if now.observed.gpu.mig is MigState.PENDING_ENABLE:
        return Act((SetMode(False),))
    destroy = tuple(step for instance in now.observed.instances for step in _destruction(instance))
    mode = ApplyPendingMode() if now.observed.gpu.mig is MigState.PENDING_DISABLE else SetMode(False)
    return _when_idle(now, (*destroy, mode))


def _when_idle(now: Situation, steps: tuple[Step, ...]) -> Decision:
    """A change of mode takes the whole GPU from everybody."""
    in_use = [
        f"{_named(device)} is in use by {now.uses[device.id]}"
        for device in now.devices
        if device.id in now.uses
    ]
    if in_use and (evict := _evict(now, tuple(device.id for device in now.devices))):
        return evict
    if in_use:
        more = f"; and {len(in_use) - _MOST_NAMED} more" if len(in_use) > _MOST_NAMED else ""
        return Blocked("InUse", "; ".join(in_use[:_MOST_NAMED]) + more)
    if now.observed.processes:
        pids = ", ".join(str(process.pid) for process in now.observed.processes)
        return Blocked("InUse", f"the GPU is in use by process {pids}")
    return _once_released(now, tuple(device.id for device in now.devices), steps)


def _named(device: Device) -> str:
    return f"{device.slice.profile} at slot {device.slice.placement.start}" if device.slice else "the GPU"


def _destruction(instance: GpuInstance) -> tuple[Step, ...]:
    parts = (layout.DestroyCompute(instance.gi_id, c.ci_id) for c in instance.compute_instances)
    return (*parts, layout.DestroyInstance(instance.gi_id))


def _shape(wanted: WantedGPU, now: Situation) -> Decision:
    profiles = known_profiles(now.observed)
    try:
        slices = _resolve(wanted, profiles, now.observed)
    except UnknownProfile as error:
        return Blocked("UnknownProfile", str(error))
    held = [layout.Held(instance, _used_by(instance, now)) for instance in now.observed.instances]
    plan = layout.plan(profiles, held, slices)
    if isinstance(plan, layout.Refusal):
        without = layout.plan(profiles, held, slices, plan.blocking)
        if isinstance(without, layout.Plan) and (evict := _evict(now, _leaving(now, without))):
            return evict
        return Blocked(plan.reason.value, plan.message)
    if not plan.steps:
        return Settled()
    return _once_released(now, _leaving(now, plan), plan.steps)


def _leaving(now: Situation, plan: layout.Plan) -> tuple[str, ...]:
    return tuple(d.id for d in now.devices if d.slice is not None and d.slice.gi_id in plan.destroyed)


def _evict(now: Situation, device_ids: tuple[str, ...]) -> Evict | None:
    """None where it may not be, or where somebody else than pods is in the way."""
    if not now.evicts:
        return None
    used = [device_id for device_id in device_ids if device_id in now.uses]
    pods = {pod for device_id in used for pod in now.pods.get(device_id, ())}
    if not used or not all(now.pods.get(device_id) for device_id in used):
        return None
    return Evict(device_ids, tuple(sorted(pods)))


def _resolve(
    wanted: WantedGPU, profiles: Sequence[InstanceProfile], observed: ObservedGpu
) -> list[layout.Wanted]:
    """Names as the catalogue prints them are understood too, whatever the driver calls the profile."""
    from_catalogue = catalogue_profiles(observed)
    return [
        layout.Wanted(
            layout.Slice(resolve(instance.profile, profiles, from_catalogue).profile_id, instance.start),
            tuple(instance.compute),
        )
        for instance in wanted.instances or ()
    ]


def _used_by(instance: GpuInstance, now: Situation) -> str:
    users = [
        now.uses[device.id]
        for device in now.devices
        if device.slice is not None and device.slice.gi_id == instance.gi_id and device.id in now.uses
    ]
    strays = [str(p.pid) for p in now.observed.processes if p.gi_id == instance.gi_id]
    return "; ".join(users) or (f"process {', '.join(strays)}" if strays else "")


def _once_released(now: Situation, device_ids: tuple[str, ...], steps: tuple[Step, ...]) -> Decision:
    if all(device_id in now.released for device_id in device_ids):
        return Act(steps, device_ids)
    return Withdraw(device_ids)
