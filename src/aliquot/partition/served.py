"""Whether any board that the nodes have could provide a GPUClass; where none could, why, in a sentence. Pure."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from aliquot.document import nearest
from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.mps import MOST_CLIENTS
from aliquot.kube.api.gpuclass import GPUClassSpec
from aliquot.kube.quantity import QuantityError
from aliquot.partition.demand import Classes, judged, may_be_on
from aliquot.partition.gpus import GpuFacts
from aliquot.partition.mechanism import NO_MPS, Unfit

SERVED = "Served"
NO_CLASS = "NoClass"
NO_BOARD = "NoBoard"
NO_SUCH_PROFILE = "NoSuchProfile"
NO_WAY = "NoWay"
BAD_QUANTITY = "BadQuantity"
_SHOWN = 3


@dataclass(frozen=True, slots=True, eq=False)
class BoardHere:
    """A kind of GPU that some node has. One object for each: compared and kept in tables by identity."""

    board: str
    profiles: tuple[InstanceProfile, ...]
    memory_mib: int | None
    mps_clients: int

    def __str__(self) -> str:
        return self.board or "a board that is not in the catalogue"


@lru_cache(maxsize=1024)
def board_here(
    board: str,
    profiles: tuple[InstanceProfile, ...],
    memory_mib: int | None,
    mps_clients: int = MOST_CLIENTS,
) -> BoardHere:
    return BoardHere(board, profiles, memory_mib, mps_clients)


def with_boards(gpus: Iterable[GpuFacts]) -> Iterator[tuple[BoardHere, GpuFacts]]:
    # GPUs of one product share their profiles, and to compare those takes longer than all else here.
    known: dict[tuple[str, int, int | None, int], BoardHere] = {}
    for gpu in gpus:
        key = gpu.board, id(gpu.profiles), gpu.memory_mib, gpu.mps_clients
        if key not in known:
            known[key] = board_here(gpu.board, gpu.profiles, gpu.memory_mib, gpu.mps_clients)
        yield known[key], gpu


@dataclass(frozen=True, slots=True)
class Verdict:
    ready: bool
    reason: str
    message: str


def class_verdict(name: str, classes: Classes, boards: Collection[BoardHere]) -> Verdict:
    """Of a class that may not even be there."""
    if name not in classes:
        return Verdict(False, NO_CLASS, f"there is no GPUClass {name}{nearest(name, classes)}")
    found = verdict(classes[name], boards)
    return replace(found, message=f"GPUClass {name}: {found.message}")


def verdict(spec: GPUClassSpec, boards: Collection[BoardHere]) -> Verdict:
    """`boards`: those that the nodes have."""
    if not boards:
        return Verdict(False, NO_BOARD, "no node that takes pods has a GPU that is healthy and ours to give")
    listed = sorted(boards, key=lambda board: (board.board, board.memory_mib or 0, -board.mps_clients))
    meant = [board for board in listed if may_be_on(spec, board.board)]
    if not meant:
        return Verdict(False, NO_BOARD, _no_board(spec, [board.board for board in listed]))
    served: list[str] = []
    unfit: list[tuple[BoardHere, Unfit]] = []
    for board in meant:
        try:
            found, not_found = judged(spec, board)
        except QuantityError as error:
            return Verdict(False, BAD_QUANTITY, f"memory: {error}")
        if found:
            without = " without MPS" if any(one.reason == NO_MPS for one in not_found) else ""
            served.append(f"on {board}{without}: {_some([str(one.way) for one in found], ', else ')}")
        unfit += [(board, one) for one in not_found]
    if served:
        return Verdict(True, SERVED, _some(list(dict.fromkeys(served)), "; "))
    reason = NO_SUCH_PROFILE if _no_profile(spec, meant) else NO_WAY
    told = dict.fromkeys(f"{one.what} on {board}: {one.reason}" for board, one in unfit)
    return Verdict(False, reason, _some(list(told), "; "))


def _no_board(spec: GPUClassSpec, keys: Sequence[str]) -> str:
    known = [key for key in dict.fromkeys(keys) if key]
    near = next((text for wanted in spec.boards if (text := nearest(wanted, known))), "")
    there = f"there are {', '.join(known)}" if known else "those that there are, the catalogue does not know"
    return f"no node has a GPU of {_some(spec.boards, ' or ')}: {there}{near}"


def _no_profile(spec: GPUClassSpec, boards: Iterable[BoardHere]) -> bool:
    known = {profile.name for board in boards for profile in board.profiles}
    return bool(spec.ways) and all(way.mig is not None and way.mig.profile not in known for way in spec.ways)


def _some(texts: Sequence[str], between: str) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return between.join(texts[:_SHOWN]) + more
