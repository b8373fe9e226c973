"""MIG slice, MPS share, time slice or whole GPU: which of them serves a need on a board, and at what price.

The price is what the container gets beyond its need, and nobody else can have meanwhile. Less waste goes first; of equal
waste, the way that keeps its users further apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.mps import MOST_CLIENTS
from aliquot.kube import quantity
from aliquot.kube.api.gpuclass import GPUClassSpec, Isolation
from aliquot.kube.api.gpunode import Sharing
from aliquot.partition.ways import GpuWay, SliceWay, WayOn, in_words

NO_MPS = "the agent of its node has no mpsRoot"
_MIB = 1 << 20
_STRENGTH = (Isolation.NONE, Isolation.LIMITS, Isolation.HARDWARE)
_ISOLATION = {
    Sharing.NONE: Isolation.HARDWARE,
    Sharing.MPS: Isolation.LIMITS,
    Sharing.TIME_SLICING: Isolation.NONE,
}


@dataclass(frozen=True, slots=True)
class Needs:
    memory_mib: int = 0
    compute_percent: int = 0
    isolation: Isolation = Isolation.NONE

    @classmethod
    def of(cls, spec: GPUClassSpec) -> "Needs":
        """Raises QuantityError."""
        memory_bytes = quantity.whole(spec.memory) if spec.memory else 0
        return cls(-(-memory_bytes // _MIB), spec.compute_percent, spec.isolation)


@dataclass(frozen=True, slots=True)
class Priced:
    """A way that serves, with what it gives and what of that is wasted."""

    way: WayOn
    memory_mib: int | None
    compute_percent: float
    isolation: Isolation
    wasted_memory_mib: int | None
    wasted_compute_percent: float
    waste: float
    """Of a GPU: the mean of the parts of its memory and its compute that are wasted."""

    def __str__(self) -> str:
        memory = "" if self.wasted_memory_mib is None else f"{self.wasted_memory_mib / 1024:.1f} GiB and "
        return f"{self.way}: wastes {memory}{self.wasted_compute_percent:.0f} % of the compute"


@dataclass(frozen=True, slots=True)
class Unfit:
    """A way that does not serve, and why."""

    what: str
    reason: str


def choose(
    needs: Needs,
    profiles: Sequence[InstanceProfile],
    memory_mib: int | None,
    *,
    mps_clients: int = MOST_CLIENTS,
) -> tuple[tuple[Priced, ...], tuple[Unfit, ...]]:
    """The ways that serve on a board of these profiles and this memory, best first; and those that do not.
    `mps_clients`: how many an MPS server takes there; 0: its node has no MPS."""
    found: list[Priced] = []
    unfit: list[Unfit] = []
    of_turns = _replicas(needs, memory_mib)
    of_mps = min(of_turns, mps_clients or MOST_CLIENTS)
    ways: list[WayOn] = [SliceWay(profile) for profile in profiles if not profile.attributes]
    for sharing, replicas in ((Sharing.MPS, of_mps), (Sharing.TIME_SLICING, of_turns)):
        if replicas < 2:
            unfit.append(Unfit(in_words(sharing), "the need leaves no room for a second one on the GPU"))
        else:
            ways.append(GpuWay(sharing, replicas))
    for way in (*ways, GpuWay()):
        judged = judge(needs, way, profiles, memory_mib, mps_clients=mps_clients)
        found.append(judged) if isinstance(judged, Priced) else unfit.append(judged)
    found.sort(key=lambda one: (round(one.waste, 6), -_STRENGTH.index(one.isolation)))
    return tuple(found), tuple(unfit)


def _replicas(needs: Needs, memory_mib: int | None) -> int:
    by_memory = (
        memory_mib // needs.memory_mib if needs.memory_mib and memory_mib is not None else MOST_CLIENTS
    )
    by_compute = 100 // needs.compute_percent if needs.compute_percent else MOST_CLIENTS
    # As many take turns at most, too.
    return min(by_memory, by_compute, MOST_CLIENTS)


def judge(
    needs: Needs,
    way: WayOn,
    profiles: Sequence[InstanceProfile],
    board_memory_mib: int | None,
    *,
    mps_clients: int = MOST_CLIENTS,
) -> Priced | Unfit:
    """One way, as `choose` does."""
    memory_mib, compute_percent, isolation = _given(way, profiles, board_memory_mib)
    reason = ""
    of_mps = way.replicas if isinstance(way, GpuWay) and way.sharing is Sharing.MPS else 0
    most_of_mps = mps_clients or MOST_CLIENTS
    if of_mps > most_of_mps:
        reason = f"{of_mps} shares, and an MPS server takes {most_of_mps} clients"
    elif needs.memory_mib and memory_mib is None:
        reason = "how much memory it has is not known"
    elif memory_mib is not None and memory_mib < needs.memory_mib:
        reason = f"it has {memory_mib / 1024:.1f} GiB, {needs.memory_mib / 1024:.1f} are needed"
    elif round(compute_percent, 6) < needs.compute_percent:
        reason = f"it has {compute_percent:.0f} % of the compute, {needs.compute_percent} are needed"
    elif _STRENGTH.index(isolation) < _STRENGTH.index(needs.isolation):
        reason = f"its isolation is {isolation}, {needs.isolation} is needed"
    elif of_mps and not mps_clients:
        reason = NO_MPS
    if reason:
        return Unfit(str(way), reason)
    wasted_memory = memory_mib - needs.memory_mib if memory_mib is not None else None
    wasted_compute = compute_percent - needs.compute_percent
    part = (wasted_memory or 0) / board_memory_mib if board_memory_mib else 0.0
    waste = (part + wasted_compute / 100) / 2
    return Priced(way, memory_mib, compute_percent, isolation, wasted_memory, wasted_compute, waste)


def _given(
    way: WayOn, profiles: Sequence[InstanceProfile], board_memory_mib: int | None
) -> tuple[int | None, float, Isolation]:
    """Memory, percent of the compute, isolation."""
    if isinstance(way, SliceWay):
        most_compute = max(profile.compute_slices for profile in profiles)
        return way.profile.memory_mib, 100 * way.profile.compute_slices / most_compute, Isolation.HARDWARE
    part = board_memory_mib // way.replicas if board_memory_mib is not None else None
    return part, 100 / way.replicas, _ISOLATION[way.sharing]
