"""How the GPUs of well-known machines are wired, for choosing between them.

NVLinks as `nvidia-smi topo -m` counts them, and where PCIe joins two GPUs: at a switch, at their CPU, or between CPUs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from aliquot.gpu.driver import Link, LinkKind
from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.inventory import ObservedGpu, observe


@dataclass(frozen=True)
class LinkTable:
    name: str
    nvlinks: Mapping[tuple[int, int], int]
    """(lower, higher index) -> links between the two."""
    switches: Sequence[Sequence[int]]
    cpus: Sequence[Sequence[int]]
    at_switch: LinkKind = LinkKind.SINGLE_SWITCH
    at_cpu: LinkKind = LinkKind.HOST_BRIDGE

    @property
    def count(self) -> int:
        return sum(len(gpus) for gpus in self.cpus)

    def gpus(self) -> tuple[ObservedGpu, ...]:
        seen = observe(SimulatedDriver(parse_gpus(f"l4:{self.count}"), node="wired")).gpus
        return tuple(replace(one, links=self._links(one, seen)) for one in seen)

    def _links(self, one: ObservedGpu, seen: Sequence[ObservedGpu]) -> tuple[Link, ...]:
        found: list[Link] = []
        for other in seen:
            a, b = sorted((one.gpu.index, other.gpu.index))
            if a == b:
                continue
            if lanes := self.nvlinks.get((a, b), 0):
                found.append(Link(other.gpu.uuid, LinkKind.NVLINK, lanes))
            found.append(Link(other.gpu.uuid, self._pcie(a, b), 0))
        return tuple(found)

    def _pcie(self, a: int, b: int) -> LinkKind:
        if any(a in group and b in group for group in self.switches):
            return self.at_switch
        if any(a in group and b in group for group in self.cpus):
            return self.at_cpu
        return LinkKind.CROSS_CPU


def _all_pairs(count: int, lanes: int) -> dict[tuple[int, int], int]:
    return dict.fromkeys(combinations(range(count), 2), lanes)


def _halves(count: int) -> tuple[range, range]:
    return range(count // 2), range(count // 2, count)


def _in_groups(count: int, size: int) -> list[range]:
    return [range(first, first + size) for first in range(0, count, size)]


_CUBE_WITH_P100 = dict.fromkeys(
    [*combinations(range(4), 2), *combinations(range(4, 8), 2), (0, 4), (1, 5), (2, 6), (3, 7)], 1
)
_CUBE_WITH_V100 = _CUBE_WITH_P100 | dict.fromkeys(
    [(0, 3), (1, 2), (2, 3), (4, 7), (5, 6), (6, 7), (0, 4), (1, 5)], 2
)

RTX8000 = LinkTable("4 x RTX 8000", {(0, 3): 2, (1, 2): 2}, (), ((0, 1), (2, 3)), at_cpu=LinkKind.SAME_CPU)
DGX1_PASCAL = LinkTable("DGX-1 P100", _CUBE_WITH_P100, ((0, 2), (1, 3), (4, 6), (5, 7)), _halves(8))
DGX1_VOLTA = LinkTable("DGX-1 V100", _CUBE_WITH_V100, _in_groups(8, 2), _halves(8))
DGX_A100 = LinkTable(
    "DGX A100", _all_pairs(8, 12), _in_groups(8, 2), _halves(8), LinkKind.MULTI_SWITCH, LinkKind.SAME_CPU
)
DGX2 = LinkTable("DGX-2", _all_pairs(16, 6), _in_groups(16, 4), _halves(16), LinkKind.MULTI_SWITCH)
TWO_CUBES = LinkTable(
    "2 x 8, cube meshes",
    _CUBE_WITH_V100 | {(a + 8, b + 8): lanes for (a, b), lanes in _CUBE_WITH_V100.items()},
    _in_groups(16, 2),
    _halves(16),
)
TWO_PCIE_TREES = LinkTable("2 x 8, PCIe alone", {}, _in_groups(16, 4), _halves(16))

OF_EIGHT = (RTX8000, DGX1_PASCAL, DGX1_VOLTA, DGX_A100)
"""Up to eight GPUs."""
OF_SIXTEEN = (DGX2, TWO_CUBES, TWO_PCIE_TREES)
