"""How many more of a GPUClass could be had now. Pure.

Only GPUs are looked at, not what else a pod would need of a node; and they are counted one after the other for one class,
as if nobody asked for another meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aliquot.kube.api.gpuclass import GPUClassSpec, resource_of
from aliquot.kube.api.gpunode import GPUInstance, GPUNode, GPUStatus
from aliquot.partition.controller.claims import Claim, open_claims
from aliquot.partition.controller.present import gpu_now, holders
from aliquot.partition.demand import ways
from aliquot.partition.gpus import gpus_of
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
            self._ways[board] = ways(self._resource, self._classes, board)
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
    devices = [claim.device for claim in open_claims(claims, gpu_node.status)]
    held: dict[str, int] = {}
    for gpu in gpu_node.status.gpus:
        there: list[GPUStatus | GPUInstance] = [gpu, *gpu.instances]
        for device in there:
            held[device.resource] = held.get(device.resource, 0) + holders(device)
    for claimed in devices:
        held[claimed.resource] = held.get(claimed.resource, 0) + max(claimed.shares, 1)
    held.pop("", None)
    if not takes_pods:
        return NodeNow((), held)
    statuses = {gpu.uuid: gpu for gpu in gpu_node.status.gpus}
    return NodeNow(
        tuple(
            (board, gpu_now(facts, statuses[facts.uuid], devices))
            for board, facts in with_boards(gpus_of(gpu_node, labels))
        ),
        held,
    )
