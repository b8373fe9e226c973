"""A GPU as it is and as it will be, read from its GPUNode and from what pods are to get of it: the ground of every search."""

from collections.abc import Collection
from dataclasses import replace

from aliquot.gpu.layout import Slice
from aliquot.gpu.profiles import of_gpu_instance, resource_name
from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.gpunode import GPUInstance, GPUStatus, Sharing
from aliquot.partition.gpus import GpuFacts
from aliquot.partition.making import GpuNow, Piece


def gpu_now(
    facts: GpuFacts,
    status: GPUStatus,
    claimed: Collection[AssignedDevice],
    *,
    awaited: Collection[str] = (),
    to_come_is_free: bool = False,
) -> GpuNow:
    """`claimed`: what is spoken for, of any GPU. `awaited`: resources of which a bound pod is still to get one, whichever kubelet
    takes. `to_come_is_free`: slices that the spec asks for and that are not there yet are for whoever needs them; else they are
    somebody's."""
    pieces: dict[int | None, Piece] = {}
    if status.resource:
        pieces[None] = _piece(status, awaited)
    for instance in status.instances:
        if instance.resource:
            pieces.setdefault(instance.start, _piece(instance, awaited, instance.profile, instance.start))
    gpu = GpuNow(
        facts.uuid, facts.profiles, facts.mig_on, (), facts.may_cut, facts.may_change_mode, facts.going
    )
    if to_come_is_free:
        for profile, start in facts.wanted:
            piece = Piece(resource_name(profile), profile, start)
            if not any(other.held for other in _in_the_way(pieces, gpu, piece)):
                _put(pieces, gpu, piece)
    for device in claimed:
        if device.gpu == facts.uuid:
            _claim(pieces, gpu, device)
    for profile, start in facts.wanted:
        if start not in pieces and not to_come_is_free:
            _put(pieces, gpu, Piece("", profile, start, held=1))
    mig_on = all(start is not None for start in pieces) if pieces else facts.mig_on
    return replace(gpu, mig_on=mig_on, pieces=tuple(pieces.values()))


def holders(device: GPUStatus | GPUInstance) -> int:
    """How many have it, or how many of its shares are had."""
    return len(device.pods) if device.shares is None else sum(held.shares for held in device.shares.held)


def _piece(
    device: GPUStatus | GPUInstance, awaited: Collection[str], profile: str = "", start: int | None = None
) -> Piece:
    if profile and (whole := of_gpu_instance(profile)) != profile:
        # One part of a GPU instance stands for all of them.
        return Piece("", whole, start, held=1)
    shares = device.shares
    strategy, replicas = (shares.strategy, shares.replicas) if shares is not None else (Sharing.NONE, 1)
    held = replicas if device.resource in awaited else holders(device)
    return Piece(device.resource, profile, start, held, strategy, replicas)


def _claim(pieces: dict[int | None, Piece], gpu: GpuNow, device: AssignedDevice) -> None:
    there = pieces.get(device.start)
    shares = max(device.shares, 1)
    if there is not None and (there.resource, there.profile) == (device.resource, device.profile):
        pieces[device.start] = replace(there, held=there.held + shares)
        return
    piece = Piece(
        device.resource, device.profile, device.start, shares, device.sharing, max(device.replicas, 1)
    )
    _put(pieces, gpu, piece)


def _put(pieces: dict[int | None, Piece], gpu: GpuNow, piece: Piece) -> None:
    """In the place of what is in its way."""
    for other in _in_the_way(pieces, gpu, piece):
        del pieces[other.start]
    pieces[piece.start] = piece


def _in_the_way(pieces: dict[int | None, Piece], gpu: GpuNow, piece: Piece) -> list[Piece]:
    new = gpu.slice_of(piece)
    return [
        other
        for other in pieces.values()
        if new is None or (found := gpu.slice_of(other)) is None or not _fit(gpu, new, found)
    ]


def _fit(gpu: GpuNow, one: Slice, other: Slice) -> bool:
    return gpu.geometry.fits(one, (other,))
