"""What GPUNode.spec is to say of one GPU: what pods hold and are to get, and of the rest what is not idle or in the way."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from aliquot.gpu.layout import Slice, geometry_of
from aliquot.gpu.profiles import ProfileName, of_gpu_instance
from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.gpuclass import CLASS_PREFIX
from aliquot.kube.api.gpunode import (
    GPUInstance,
    GPUStatus,
    MigMode,
    Sharing,
    SliceClass,
    WantedGPU,
    WantedInstance,
    WantedSharing,
)
from aliquot.partition.gpus import GpuFacts

Idle = Collection[int | None]
"""Starts of the slices that nobody has needed for long enough; None: the GPU as a whole."""


@dataclass(frozen=True, slots=True)
class Wish:
    gpu: WantedGPU
    refused: tuple[AssignedDevice, ...] = ()
    """Claims that cannot be: something that is held, or claimed before, is in their way."""


def wish(
    status: GPUStatus,
    facts: GpuFacts,
    before: WantedGPU | None,
    claims: Sequence[AssignedDevice],
    idle: Idle = (),
    outdated: Collection[int | None] = (),
) -> Wish | None:
    """`claims` on this GPU, the oldest first: of pods that wait for it, and of bound pods. `outdated`: starts of what is not
    what the GPUClass asks for whose name it has; it loses the name once nobody has it. None: the spec need say nothing of
    it."""
    whole = [claim for claim in claims if claim.start is None]
    sliced = [claim for claim in claims if claim.start is not None]
    if not facts.may_cut or _is_anothers(status, facts, whole):
        return _names_alone(status, before, claims, {*idle, *outdated})
    if _as_slices(status, facts, before, claims):
        found, others = _cut(status, facts, sliced, idle, outdated), whole
    else:
        found, others = _whole(status, before, whole, {*idle, *outdated}), sliced
    found = Wish(found.gpu, (*found.refused, *others))
    if before is None and not found.refused and _is_so(found.gpu, status):
        return None
    return found


def _is_anothers(status: GPUStatus, facts: GpuFacts, whole: Sequence[AssignedDevice]) -> bool:
    """What cannot be judged here stays as somebody else made it: a mode that waits for a reset, and slices where they have
    no names of their own or nobody tells what the board can be cut into."""
    if status.mig_mode in (MigMode.PENDING_ENABLE, MigMode.PENDING_DISABLE):
        return True
    held = any(instance.pods for instance in status.instances)
    return status.mig_mode is MigMode.ENABLED and not facts.profiles and (held or not whole)


def _as_slices(
    status: GPUStatus, facts: GpuFacts, before: WantedGPU | None, claims: Sequence[AssignedDevice]
) -> bool:
    """As it is held; else as the first claim has it, where the mode can change for that; else as it is."""
    if any(instance.pods for instance in status.instances):
        return True
    if status.pods:
        return False
    if claims and facts.may_change_mode:
        return claims[0].start is not None
    return status.mig_mode is MigMode.ENABLED or (before is not None and before.mig is True)


def _differs(claim: AssignedDevice, status: GPUStatus) -> bool:
    return claim.resource != status.resource


# --- as slices ---


def _cut(
    status: GPUStatus,
    facts: GpuFacts,
    claims: Sequence[AssignedDevice],
    idle: Idle,
    outdated: Collection[int | None],
) -> Wish:
    geometry = geometry_of(facts.profiles)
    ids = {profile.name: profile.profile_id for profile in facts.profiles}

    def fits(profile: str, start: int) -> bool:
        beside = [Slice(ids[one.profile], one.start) for one in placed.values() if one.profile in ids]
        return profile in ids and geometry.fits(Slice(ids[profile], start), beside)

    placed: dict[int, WantedInstance] = {}
    classes: dict[int, str] = {}
    """By start; empty: the driver's name."""
    refused: list[AssignedDevice] = []
    claimed = {(claim.profile, claim.start) for claim in claims}
    there, free = _instances(status), list[_There]()
    for one in there:
        if one.held or (one.wanted.profile, one.wanted.start) in claimed:
            placed[one.wanted.start] = one.wanted
            if one.held:
                classes[one.wanted.start] = one.class_name
        else:
            free.append(one)
    for claim in claims:
        assert claim.start is not None
        found = placed.get(claim.start)
        if found is None and fits(claim.profile, claim.start):
            found = placed[claim.start] = WantedInstance(start=claim.start, profile=claim.profile)
        name = _class_of(claim.resource)
        if found is None or found.profile != claim.profile or classes.get(claim.start, name) != name:
            refused.append(claim)
        else:
            classes[claim.start] = name
    for one in free:
        start = one.wanted.start
        if start not in idle and start not in placed and fits(one.wanted.profile, start):
            placed[start] = one.wanted
            if one.class_name and start not in outdated:
                classes[start] = one.class_name
    return Wish(
        WantedGPU(
            uuid=status.uuid,
            mig=True,
            instances=[placed[start] for start in sorted(placed)],
            slice_classes=[
                SliceClass(start=start, class_name=classes[start])
                for start in sorted(classes)
                if start in placed and classes[start]
            ],
        ),
        tuple(refused),
    )


@dataclass(frozen=True, slots=True)
class _There:
    """A GPU instance with its compute instances, as the spec would ask for it."""

    wanted: WantedInstance
    held: bool
    class_name: str


def _instances(status: GPUStatus) -> list[_There]:
    """The status lists each compute instance."""
    by_gi: dict[int, list[GPUInstance]] = {}
    for instance in status.instances:
        by_gi.setdefault(instance.gi_id, []).append(instance)
    found = []
    for parts in by_gi.values():
        names = [part.profile for part in sorted(parts, key=lambda part: part.ci_id)]
        whole = of_gpu_instance(parts[0].profile)
        compute = [] if names == [whole] else [ProfileName.parse(name).compute_slices for name in names]
        found.append(
            _There(
                WantedInstance(start=parts[0].start, profile=whole, compute=compute),
                any(part.pods for part in parts),
                _class_of(parts[0].resource),
            )
        )
    return found


# --- as a whole, or in shares ---


def _whole(status: GPUStatus, before: WantedGPU | None, claims: Sequence[AssignedDevice], idle: Idle) -> Wish:
    found = WantedGPU(uuid=status.uuid, mig=False if status.mig_mode is not MigMode.UNSUPPORTED else None)
    if status.mig_mode is not MigMode.UNSUPPORTED:
        found.instances = []
    refused: list[AssignedDevice] = []
    if status.pods:
        _as_it_is(found, status)
        refused = [claim for claim in claims if _differs(claim, status)]
    elif claims:
        first = claims[0]
        if not first.replicas and status.resource == first.resource:
            # Chosen as it is.
            _as_it_is(found, status)
        elif first.replicas or _class_of(first.resource):
            found.class_name = _class_of(first.resource)
            found.sharing = WantedSharing(strategy=first.sharing, replicas=max(first.replicas, 1))
        refused = [claim for claim in claims if not _alike(claim, first, found.sharing)]
    elif None not in idle and before is not None and before.mig is not True:
        found.class_name, found.sharing = before.class_name, before.sharing
    return Wish(found, tuple(refused))


def _alike(claim: AssignedDevice, first: AssignedDevice, sharing: WantedSharing | None) -> bool:
    """Whether the GPU can be both at the same time. `sharing`: the form that it gets for the first."""
    same_form = sharing is None or (claim.sharing, claim.replicas) == (sharing.strategy, sharing.replicas)
    return claim.resource == first.resource and (not claim.replicas or same_form)


def _as_it_is(found: WantedGPU, status: GPUStatus) -> None:
    """Also where the shares are the configuration's: they are to stay while somebody has them."""
    found.class_name = _class_of(status.resource)
    if found.class_name:
        shares = status.shares
        strategy, replicas = (shares.strategy, shares.replicas) if shares is not None else (Sharing.NONE, 1)
        found.sharing = WantedSharing(strategy=strategy, replicas=replicas)


# --- names alone ---


def _names_alone(
    status: GPUStatus, before: WantedGPU | None, claims: Sequence[AssignedDevice], idle: Idle
) -> Wish | None:
    """Somebody else decides how it is cut."""
    names: dict[int | None, str] = {
        instance.start: _class_of(instance.resource) for instance in status.instances
    }
    there: set[tuple[int | None, str]] = {
        (instance.start, of_gpu_instance(instance.profile)) for instance in status.instances
    }
    if status.mig_mode is not MigMode.ENABLED:
        there.add((None, ""))
    held: set[int | None] = {instance.start for instance in status.instances if instance.pods}
    names[None] = _class_of(status.resource)
    if status.pods:
        held.add(None)
    names = {start: name for start, name in names.items() if start in held or start not in idle}
    refused = []
    for claim in claims:
        name = _class_of(claim.resource)
        exists = (claim.start, of_gpu_instance(claim.profile) if claim.profile else "") in there
        if not exists or (claim.start in held and names[claim.start] != name):
            refused.append(claim)
            continue
        names[claim.start] = name
        held.add(claim.start)
    found = WantedGPU(
        uuid=status.uuid,
        class_name=names.pop(None, ""),
        slice_classes=[
            SliceClass(start=start, class_name=name)
            for start, name in sorted((start, name) for start, name in names.items() if start is not None)
            if name
        ],
    )
    if before is None and not refused and not found.class_name and not found.slice_classes:
        return None
    return Wish(found, tuple(refused))


def _class_of(resource: str) -> str:
    return resource.removeprefix(CLASS_PREFIX) if resource.startswith(CLASS_PREFIX) else ""


def _is_so(wanted: WantedGPU, status: GPUStatus) -> bool:
    """Whether the GPU is that way already, so that nobody has to ask for it."""
    if wanted.class_name or wanted.slice_classes or (wanted.sharing and wanted.sharing.replicas > 1):
        return False
    if wanted.mig is True:
        there = {(one.wanted.profile, one.wanted.start) for one in _instances(status)}
        return status.mig_mode is MigMode.ENABLED and there == {
            (one.profile, one.start) for one in wanted.instances or ()
        }
    return status.mig_mode in (MigMode.DISABLED, MigMode.UNSUPPORTED)
