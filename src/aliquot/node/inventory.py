"""What the driver says is there, read at one moment. Decides nothing.

One GPU that fails to answer must not hide the others: each is read on its own and carries its own failure.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aliquot.gpu.driver import (
    ComputeInstance,
    Driver,
    DriverError,
    DriverVersion,
    Gpu,
    GpuInstance,
    InstanceProfile,
    Link,
    LostGpu,
    MigState,
    Process,
    ReturnCode,
)

MIG_ON = frozenset({MigState.ENABLED, MigState.PENDING_DISABLE})
"""States in which MIG is in effect now, whatever the next reset brings."""


@dataclass(frozen=True, slots=True)
class ObservedGpu:
    gpu: Gpu
    profiles: tuple[InstanceProfile, ...] = ()
    """Empty on a board without MIG, and from drivers that list none while MIG is off."""
    instances: tuple[GpuInstance, ...] = ()
    links: tuple[Link, ...] = ()
    processes: tuple[Process, ...] = ()
    failure: DriverError | None = None
    """The call that failed; what was not read because of it is empty."""

    @property
    def mig_on(self) -> bool:
        return self.gpu.mig in MIG_ON

    def profile(self, profile_id: int) -> InstanceProfile | None:
        return next((profile for profile in self.profiles if profile.profile_id == profile_id), None)

    def mig_devices(self) -> tuple[tuple[GpuInstance, ComputeInstance], ...]:
        """Every compute instance with its GPU instance, by slot, then by CI id."""
        return tuple(
            (instance, compute)
            for instance in sorted(self.instances, key=lambda i: (i.placement.start, i.gi_id))
            for compute in sorted(instance.compute_instances, key=lambda c: c.ci_id)
        )

    def mig_devices_by_id(self) -> tuple[tuple[GpuInstance, ComputeInstance], ...]:
        """The order in which NVML numbers them: the one at 1 is `0:1` of GPU 0."""
        return tuple(sorted(self.mig_devices(), key=lambda pair: (pair[0].gi_id, pair[1].ci_id)))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The machine at one moment, GPUs by index."""

    version: DriverVersion | None = None
    gpus: tuple[ObservedGpu, ...] = ()
    failure: DriverError | None = None
    """The driver as a whole did not answer."""
    lost: tuple[LostGpu, ...] = ()
    """GPUs that are in the machine and not among `gpus`: lost before anybody here saw them."""
    by_uuid: Mapping[str, ObservedGpu] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_uuid", {observed.gpu.uuid: observed for observed in self.gpus})


def observe(driver: Driver, before: Snapshot | None = None) -> Snapshot:
    """Blocks, as driver calls do. Never raises DriverError: failures are part of what is observed."""
    try:
        version, gpus, lost = roll_call(driver)
    except DriverError as error:
        return Snapshot(failure=error)
    known = still_known(gpus, before)
    seen = tuple(observe_gpu(driver, gpu, known.get(gpu.uuid)) for gpu in gpus)
    return Snapshot(version, seen, lost=lost)


def roll_call(driver: Driver) -> tuple[DriverVersion, tuple[Gpu, ...], tuple[LostGpu, ...]]:
    """Which GPUs there are, and which of them cannot be reached, by index. Raises DriverError."""
    gpus = tuple(sorted(driver.gpus(), key=lambda gpu: gpu.index))
    return driver.version(), gpus, tuple(driver.lost_gpus())


def still_known(gpus: Sequence[Gpu], before: Snapshot | None) -> Mapping[str, ObservedGpu]:
    """Of what was seen before, that which `observe_gpu` may build on.

    Profiles and links of a GPU do not change by themselves as long as it and its neighbours are the same, and asking
    for them is most of the cost.
    """
    if before is None or list(before.by_uuid) != [gpu.uuid for gpu in gpus]:
        return {}
    return before.by_uuid


def observe_gpu(
    driver: Driver, gpu: Gpu, before: ObservedGpu | None = None, *, with_links: bool = True
) -> ObservedGpu:
    """`with_links` False: for who does not choose between GPUs; to ask for links takes longer than all the rest."""
    profiles: tuple[InstanceProfile, ...] = ()
    instances: tuple[GpuInstance, ...] = ()
    links: tuple[Link, ...] = ()
    try:
        if before is not None and before.gpu == gpu and before.failure is None:
            profiles, links = before.profiles, before.links
        else:
            if gpu.mig is not MigState.UNSUPPORTED:
                profiles = tuple(driver.instance_profiles(gpu.uuid))
            links = _links(driver, gpu.uuid) if with_links else ()
        if gpu.mig in MIG_ON:
            instances = tuple(driver.instances(gpu.uuid))
            untold = {profile.profile_id for profile in profiles if not profile.compute_profiles}
            if any(instance.profile_id in untold for instance in instances):
                # NVML tells compute profiles of instances that exist, and not before.
                profiles = tuple(driver.instance_profiles(gpu.uuid))
        return ObservedGpu(gpu, profiles, instances, links, tuple(driver.processes(gpu.uuid)))
    except DriverError as error:
        return ObservedGpu(gpu, profiles, instances, links, failure=error)


def _links(driver: Driver, gpu_uuid: str) -> tuple[Link, ...]:
    """Without links a choice is worse, not wrong; a peer that is gone must not make this GPU look broken."""
    try:
        return tuple(driver.links(gpu_uuid))
    except DriverError as error:
        if error.code is ReturnCode.GPU_IS_LOST:
            raise
        return ()


def remember(before: Snapshot, now: Snapshot) -> Snapshot:
    """`now`, with what could not be read filled in from `before`.

    A GPU that stopped answering keeps its last known instances, one that is gone stays listed: both carry their
    failure, so that their devices are shown unhealthy instead of vanishing without a word. A GPU is forgotten when
    another sits in its PCI slot.
    """
    if now.failure is not None:
        return Snapshot(
            before.version,
            tuple(replace(old, failure=now.failure) for old in before.gpus),
            failure=now.failure,
            lost=before.lost,
        )
    slots = {observed.gpu.pci_bus_id for observed in now.gpus}
    gone = DriverError(ReturnCode.GPU_IS_LOST, "the driver no longer lists this GPU")
    gpus = [_filled(before.by_uuid.get(observed.gpu.uuid), observed) for observed in now.gpus]
    gpus += [
        replace(old, processes=(), failure=gone)
        for old in before.gpus
        if old.gpu.uuid not in now.by_uuid and old.gpu.pci_bus_id not in slots
    ]
    shown = {observed.gpu.index for observed in gpus}
    lost = tuple(one for one in now.lost if one.index not in shown)
    return Snapshot(now.version, tuple(sorted(gpus, key=lambda o: (o.gpu.index, o.gpu.uuid))), lost=lost)


def _filled(before: ObservedGpu | None, now: ObservedGpu) -> ObservedGpu:
    if before is None or now.failure is None:
        return now
    return replace(
        now,
        profiles=now.profiles or before.profiles,
        instances=now.instances or before.instances,
        links=now.links or before.links,
    )


def without(snapshot: Snapshot, pids: Collection[int]) -> Snapshot:
    """As if these processes were not there."""
    if not pids:
        return snapshot
    gpus = (
        replace(observed, processes=tuple(p for p in observed.processes if p.pid not in pids))
        for observed in snapshot.gpus
    )
    return replace(snapshot, gpus=tuple(gpus))
