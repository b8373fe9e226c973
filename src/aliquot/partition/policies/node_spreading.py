"""Nodes first, the emptiest one: InstaSlice and what became of it, the Dynamic Accelerator Slicer for OpenShift.

As its source has it (April 2026): the scheduler plugin scores a node by its free slots, more is better; on the node the
first GPU where the profile fits, at the first start that NVML lists.
"""

from collections.abc import Iterable

from aliquot.partition.board_states import BoardStates, Placing
from aliquot.partition.divisions import Division
from aliquot.partition.index_set import IndexSet
from aliquot.partition.occupancies import Occupancies
from aliquot.partition.placer import Choice, Gpu

GPUS_PER_NODE = 10


class NodeSpreading(Occupancies):
    """A `Placer`. Of nodes with equally many free slots it takes the lowest."""

    def __init__(
        self, states: BoardStates, gpus: Iterable[Gpu] = (), gpus_per_node: int = GPUS_PER_NODE
    ) -> None:
        super().__init__(states)
        self._gpus_per_node = gpus_per_node
        self._gpus_of: dict[int, list[Gpu]] = {}
        self._free: dict[int, int] = {}
        """By node: slots."""
        self._nodes_of = [IndexSet() for _ in range(2 * gpus_per_node * states.memory_slots + 1)]
        """By free slots; a GPU that changes counts twice for a moment."""
        self.add_all(gpus)

    def choose(self, profile: int) -> Choice | None:
        for nodes in reversed(self._nodes_of):
            for node in nodes:
                for gpu in self._gpus_of[node]:
                    if fitting := self.states.fitting(profile, self.occupancy(gpu)):
                        return gpu, fitting[0]
        return None

    def add(self, gpu: Gpu, held: Iterable[Placing] = ()) -> None:
        super().add(gpu, held)
        gpus = self._gpus_of.setdefault(gpu // self._gpus_per_node, [])
        gpus.append(gpu)
        gpus.sort()

    def remove(self, gpu: Gpu) -> None:
        super().remove(gpu)
        self._gpus_of[gpu // self._gpus_per_node].remove(gpu)

    def _enter(self, gpu: Gpu, division: Division) -> None:
        self._change(gpu // self._gpus_per_node, self._free_slots(division))

    def _leave(self, gpu: Gpu, division: Division) -> None:
        self._change(gpu // self._gpus_per_node, -self._free_slots(division))

    def _free_slots(self, division: Division) -> int:
        return self.states.memory_slots - self.divisions.occupancies[division].bit_count()

    def _change(self, node: int, slots: int) -> None:
        before = self._free.get(node)
        if before is not None:
            self._nodes_of[before].remove(node)
        after = self._free[node] = (before or 0) + slots
        self._nodes_of[after].add(node)
