"""The GPUs of a node as what devices can be made of, read from its GPUNode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from aliquot.gpu.boards import boards
from aliquot.gpu.driver import InstanceProfile, Placement
from aliquot.gpu.mps import MOST_CLIENTS, most_clients
from aliquot.gpu.profiles import ProfileName, of_gpu_instance
from aliquot.kube.api.gpunode import (
    SOMEBODY_ELSES,
    GPUNode,
    GPUStatus,
    Health,
    MigMode,
    MigProfile,
    Partitioning,
    WantedGPU,
)

MIG_CONFIG_LABEL = "nvidia.com/mig.config"
_COMPUTE_MAJOR_LABEL = "nvidia.com/gpu.compute.major"
_MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class GpuFacts:
    uuid: str
    board: str = ""
    """Key in the catalogue; empty when it is not known there."""
    memory_mib: int | None = None
    profiles: tuple[InstanceProfile, ...] = ()
    """As its driver reports them; empty where slices have no names of their own."""
    mps_clients: int = MOST_CLIENTS
    """How many an MPS server takes there; 0: its node's agent cannot share it so. As far as is known."""
    mig_on: bool = False
    may_cut: bool = False
    """Whether the partitioner cuts and shares it as pods need it; else only the names of what is there change."""
    may_change_mode: bool = False
    """Whether MIG can be switched without a reset."""
    wanted: tuple[tuple[str, int], ...] = ()
    """(profile, start) of the slices that are to be, and are not there yet."""
    going: frozenset[int | None] = frozenset()
    """Where others decide: starts of the slices that are not to be any more; None: the GPU as a whole."""


def partitioning_of(gpu_node: GPUNode, labels: Mapping[str, str]) -> Partitioning:
    """`labels`: the Node's."""
    if labels.get(MIG_CONFIG_LABEL):
        return Partitioning.STATIC
    return gpu_node.spec.partitioning or Partitioning.STATIC


def gpus_of(gpu_node: GPUNode, labels: Mapping[str, str]) -> tuple[GpuFacts, ...]:
    """Those that are healthy and this agent's to hand out, in the order of their indexes."""
    may_cut = partitioning_of(gpu_node, labels) is not Partitioning.STATIC
    wanted = {gpu.uuid: gpu for gpu in gpu_node.spec.gpus}
    mps_clients = _mps_clients(labels) if gpu_node.status.mps is not False else 0
    profiles = _by_product(gpu_node.status.mig_profiles) if gpu_node.status.mig_strategy == _MIXED else {}
    return tuple(
        GpuFacts(
            uuid=gpu.uuid,
            board=gpu.board,
            memory_mib=gpu.memory_mib,
            profiles=profiles.get(gpu.product, ()),
            mps_clients=mps_clients,
            mig_on=gpu.mig_mode in (MigMode.ENABLED, MigMode.PENDING_DISABLE),
            may_cut=may_cut,
            may_change_mode=_needs_no_reset(gpu.board),
            wanted=_to_come(gpu, wanted.get(gpu.uuid)),
            going=frozenset() if may_cut else _to_go(gpu, wanted.get(gpu.uuid)),
        )
        for gpu in sorted(gpu_node.status.gpus, key=lambda gpu: gpu.index)
        if gpu.health is Health.HEALTHY and gpu.reason not in SOMEBODY_ELSES
    )


def _mps_clients(labels: Mapping[str, str]) -> int:
    major = labels.get(_COMPUTE_MAJOR_LABEL, "")
    return most_clients(int(major)) if major.isdecimal() else MOST_CLIENTS


def _to_come(gpu: GPUStatus, wanted: WantedGPU | None) -> tuple[tuple[str, int], ...]:
    there = {(of_gpu_instance(instance.profile), instance.start) for instance in gpu.instances}
    asked = [(one.profile, one.start) for one in (wanted.instances or ())] if wanted is not None else []
    return tuple(one for one in asked if one not in there)


def _to_go(gpu: GPUStatus, wanted: WantedGPU | None) -> frozenset[int | None]:
    if wanted is None:
        return frozenset()
    if wanted.mig is True and gpu.mig_mode is MigMode.DISABLED:
        return frozenset({None})
    asked = {(one.profile, one.start) for one in wanted.instances or ()}
    all_stay = wanted.mig is not False and wanted.instances is None
    return frozenset(
        instance.start
        for instance in gpu.instances
        if not all_stay and (of_gpu_instance(instance.profile), instance.start) not in asked
    )


def _by_product(reported: Sequence[MigProfile]) -> Mapping[str, tuple[InstanceProfile, ...]]:
    found: dict[str, list[MigProfile]] = {}
    for profile in reported:
        found.setdefault(profile.product, []).append(profile)
    return {product: _profiles(tuple(map(_key, listed))) for product, listed in found.items()}


_Key = tuple[int, str, int, int, int | None, int | None, int, tuple[int, ...]]


def _key(profile: MigProfile) -> _Key:
    return (
        profile.id,
        profile.name,
        profile.compute_slices,
        profile.memory_slots,
        profile.memory_mib,
        profile.multiprocessors,
        profile.max_instances,
        tuple(profile.starts),
    )


@lru_cache(maxsize=256)
def _profiles(keys: tuple[_Key, ...]) -> tuple[InstanceProfile, ...]:
    """The same object for nodes that report the same: who compares or keeps tables does so by identity."""
    return tuple(
        InstanceProfile(
            profile_id=profile_id,
            name=name,
            compute_slices=compute_slices,
            memory_slots=memory_slots,
            memory_mib=memory_mib,
            multiprocessors=multiprocessors,
            max_instances=max_instances,
            placements=tuple(Placement(start, memory_slots) for start in starts),
            compute_profiles=(),
            attributes=ProfileName.parse(name).attributes,
        )
        for (
            profile_id,
            name,
            compute_slices,
            memory_slots,
            memory_mib,
            multiprocessors,
            max_instances,
            starts,
        ) in keys
    )


@lru_cache(maxsize=256)
def _needs_no_reset(board_key: str) -> bool:
    """Unknown counts as needing one."""
    found = next((board for board in boards() if board.key == board_key), None)
    return found is not None and found.mig is not None and found.mig.mode_change_needs_reset is False
