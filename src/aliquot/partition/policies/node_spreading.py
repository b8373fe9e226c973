"""Nodes first, the emptiest one: InstaSlice and what became of it, the Dynamic Accelerator Slicer for OpenShift.

As its source has it (April 2026): the scheduler plugin scores a node by its free slots, more is better; on the node the
first GPU where the profile fits, at the first start that NVML lists.
"""

from bisect import insort
from collections.abc import Iterable

from aliquot.partition.board_states import BoardStates
from aliquot.partition.divisions import Division
from aliquot.partition.index_set import NOTHING, IndexSet
from aliquot.partition.occupancies import Occupancies
from aliquot.partition.placer import Choice, Gpu

GPUS_PER_NODE = 10


class NodeSpreading(Occupancies):
    """A `Placer`. Of nodes with equally many free slots it takes the lowest.

    Nodes that are alike, in what fits there and in free slots, are kept together: a decision looks at kinds of nodes and
    at the GPUs of one node, however many nodes there are.
    """

    def __init__(
        self, states: BoardStates, gpus: Iterable[Gpu] = (), gpus_per_node: int = GPUS_PER_NODE
    ) -> None:
        super().__init__(states)
        self._gpus_per_node = gpus_per_node
        self._gpus_of: dict[int, list[Gpu]] = {}
        self._fits = [
            sum(1 << profile for profile in range(len(states.profiles)) if states.fitting(profile, occupancy))
            for occupancy in self.divisions.occupancies
        ]
        """By division: a bit for each profile that fits."""
        self._free = [states.memory_slots - occupancy.bit_count() for occupancy in self.divisions.occupancies]
        """By division: slots."""
        self._kind: dict[int, tuple[int, int]] = {}
        """By node: what fits on some GPU of it, and its free slots."""
        self._nodes_of: dict[tuple[int, int], IndexSet] = {}
        """By kind."""
        self._levels: dict[int, int] = {}
        """By what fits: a bit for each number of free slots that a node has."""
        self.add_all(gpus)

    def choose(self, profile: int) -> Choice | None:
        wanted = 1 << profile
        best, most = NOTHING, -1
        for fits, levels in self._levels.items():
            if fits & wanted and levels:
                free = levels.bit_length() - 1
                node = self._nodes_of[fits, free].lowest
                if free > most or (free == most and node < best):
                    best, most = node, free
        if best == NOTHING:
            return None
        gpu = next(gpu for gpu in self._gpus_of[best] if self._fits[self._division[gpu]] & wanted)
        return gpu, self.states.fitting(profile, self.occupancy(gpu))[0]

    def _enter(self, gpu: Gpu, division: Division) -> None:
        node = gpu // self._gpus_per_node
        gpus = self._gpus_of.setdefault(node, [])
        if gpu not in gpus:
            insort(gpus, gpu)
        self._file(node)

    def _leave(self, gpu: Gpu, division: Division) -> None:
        if gpu not in self._division:
            node = gpu // self._gpus_per_node
            self._gpus_of[node].remove(gpu)
            self._file(node)

    def _file(self, node: int) -> None:
        """Under the kind that it now is."""
        fits = free = 0
        for gpu in self._gpus_of[node]:
            division = self._division[gpu]
            fits |= self._fits[division]
            free += self._free[division]
        before, after = self._kind.get(node), (fits, free)
        if before == after:
            return
        if before is not None:
            nodes = self._nodes_of[before]
            nodes.remove(node)
            if nodes.lowest == NOTHING:
                self._levels[before[0]] ^= 1 << before[1]
        self._kind[node] = after
        nodes = self._nodes_of.setdefault(after, IndexSet())
        nodes.add(node)
        self._levels[fits] = self._levels.get(fits, 0) | 1 << free
