"""How many more of a GPUClass could be had now. Pure.

Only GPUs are looked at, not what else a pod would need of a node; and they are counted one after the other for one class,
as if nobody asked for another meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aliquot.gpu.layout import Slice
from aliquot.gpu.profiles import of_gpu_instance
from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.gpuclass import GPUClassSpec, resource_of
from aliquot.kube.api.gpunode import GPUInstance, GPUNode, GPUStatus, Sharing
from aliquot.partition.controller.claims import Claim, open_claims
from aliquot.partition.demand import ways
from aliquot.partition.gpus import GpuFacts, gpus_of
from aliquot.partition.making import GpuNow, Piece, after, best
from aliquot.partition.served import BoardHere, with_boards
from aliquot.partition.ways import WayOn

_MOST_ALIKE = 10_000


@dataclass(frozen=True, slots=True)
class NodeNow:
    """The GPUs of a node that could be given, and what is held of all."""

    gpus: tuple[tuple[BoardHere, GpuNow], ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    """By resource: by pods, or about to be."""

    @property
    def boards(self) -> Iterable[BoardHere]:
        return {board for board, _ in self.gpus}


class ClassCount:
    """How many more of a class each node could give. GPUs that are alike are counted once."""

    def __init__(self, name: str, spec: GPUClassSpec) -> None:
        self.spec = spec
        self._classes = {name: spec}
        self._resource = resource_of(name)
        self._ways: dict[BoardHere, tuple[WayOn, ...]] = {}
        self._alike: dict[
            tuple[BoardHere, bool, bool, bool, frozenset[int | None], tuple[Piece, ...]], int
        ] = {}

    def on(self, node: NodeNow) -> int:
        return sum(self._more(board, gpu) for board, gpu in node.gpus)

    def _more(self, board: BoardHere, gpu: GpuNow) -> int:
        gpu = replace(gpu, pieces=tuple(self._as_it_matters(piece) for piece in gpu.pieces))
        key = board, gpu.mig_on, gpu.may_cut, gpu.may_change_mode, gpu.going, gpu.pieces
        if key not in self._alike:
            if len(self._alike) >= _MOST_ALIKE:
                self._alike.clear()
            self._alike[key] = _taken(gpu, self._ways_on(board), self._resource)
        return self._alike[key]

    def _as_it_matters(self, piece: Piece) -> Piece:
        """What other name it has does not; so more are alike."""
        return piece if piece.resource in (self._resource, "") else replace(piece, resource="")

    def _ways_on(self, board: BoardHere) -> tuple[WayOn, ...]:
        if board not in self._ways:
            self._ways[board] = ways(
                self._resource, self._classes, board.key, board.profiles, board.memory_mib
            )
        return self._ways[board]


def _taken(gpu: GpuNow, its_ways: tuple[WayOn, ...], resource: str) -> int:
    """One after the other, until nothing more can be made of the GPU."""
    count = 0
    while (found := best([gpu], [its_ways], resource)) is not None:
        making = found[1]
        taken = making.piece.room if making.piece.replicas > 1 else 1
        gpu = after(gpu, making, taken)
        count += taken
    return count


def node_now(
    gpu_node: GPUNode, labels: Mapping[str, str], claims: Sequence[Claim], *, takes_pods: bool
) -> NodeNow:
    """`claims` on the node. One that takes no more pods has nothing to give."""
    to_come = open_claims(claims, gpu_node.status)
    # An init container has what the others of its pod get.
    devices = {(claim.pod, claim.device.gpu, claim.device.start): claim.device for claim in to_come}.values()
    held: dict[str, int] = {}
    for gpu in gpu_node.status.gpus:
        there: list[GPUStatus | GPUInstance] = [gpu, *gpu.instances]
        for device in there:
            held[device.resource] = held.get(device.resource, 0) + _holders(device)
    for claimed in devices:
        held[claimed.resource] = held.get(claimed.resource, 0) + max(claimed.shares, 1)
    held.pop("", None)
    if not takes_pods:
        return NodeNow((), held)
    statuses = {gpu.uuid: gpu for gpu in gpu_node.status.gpus}
    return NodeNow(
        tuple(
            (board, _gpu_now(facts, statuses[facts.uuid], [one for one in devices if one.gpu == facts.uuid]))
            for board, facts in with_boards(gpus_of(gpu_node, labels))
        ),
        held,
    )


def _holders(device: GPUStatus | GPUInstance) -> int:
    return len(device.pods) if device.shares is None else sum(held.shares for held in device.shares.held)


def _gpu_now(facts: GpuFacts, status: GPUStatus, claimed: Iterable[AssignedDevice]) -> GpuNow:
    pieces: dict[int | None, Piece] = {}
    if status.resource:
        pieces[None] = _piece(status)
    for instance in status.instances:
        if instance.resource:
            pieces.setdefault(instance.start, _piece(instance, instance.profile, instance.start))
    gpu = GpuNow(
        facts.uuid, facts.profiles, facts.mig_on, (), facts.may_cut, facts.may_change_mode, facts.going
    )
    for device in claimed:
        _claim(pieces, gpu, device)
    for profile, start in facts.wanted:
        # For whoever wrote the spec.
        if start not in pieces:
            _put(pieces, gpu, Piece("", profile, start, held=1))
    mig_on = all(start is not None for start in pieces) if pieces else facts.mig_on
    return replace(gpu, mig_on=mig_on, pieces=tuple(pieces.values()))


def _piece(device: GPUStatus | GPUInstance, profile: str = "", start: int | None = None) -> Piece:
    if profile and (whole := of_gpu_instance(profile)) != profile:
        # One part of a GPU instance stands for all of them.
        return Piece("", whole, start, held=1)
    shares = device.shares
    strategy, replicas = (shares.strategy, shares.replicas) if shares is not None else (Sharing.NONE, 1)
    return Piece(device.resource, profile, start, _holders(device), strategy, replicas)


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
    new = gpu.slice_of(piece)
    for start, other in list(pieces.items()):
        found = gpu.slice_of(other)
        if new is None or found is None or not _fit(gpu, new, found):
            del pieces[start]
    pieces[piece.start] = piece


def _fit(gpu: GpuNow, one: Slice, other: Slice) -> bool:
    return gpu.geometry.fits(one, (other,))
