"""What placement is compared with, by name: the ways of others, and the rules made by hand."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from aliquot.partition.board_states import BoardStates
from aliquot.partition.fleet import Fleet
from aliquot.partition.placer import Gpu, Placer
from aliquot.partition.policies.capability import MOST_CAPABILITY, MOST_SLOT_CAPABILITY
from aliquot.partition.policies.count_batching import CountBatching
from aliquot.partition.policies.fit import BEST_FIT, FIRST_FIT, HAMI, WORST_FIT
from aliquot.partition.policies.fragmentation import least_fragmentation
from aliquot.partition.policies.node_spreading import NodeSpreading
from aliquot.partition.policies.policy import Policy
from aliquot.partition.policies.static_geometry import StaticGeometry, balanced

Maker: TypeAlias = Callable[[BoardStates, Iterable[Gpu], Sequence[float]], Placer]
"""From a board, the GPUs of a class, and the mix of requests where that is known: a share for each profile."""


def _by(policy: Policy) -> Maker:
    return lambda states, gpus, mix: Fleet(states, policy, gpus)


BASELINES: Mapping[str, Maker] = {
    **{
        policy.name: _by(policy)
        for policy in (FIRST_FIT, HAMI, BEST_FIT, WORST_FIT, MOST_CAPABILITY, MOST_SLOT_CAPABILITY)
    },
    "fragmentation-gradient": lambda states, gpus, mix: Fleet(states, least_fragmentation(mix), gpus),
    "node-spreading": lambda states, gpus, mix: NodeSpreading(states, gpus),
    "count-batching": lambda states, gpus, mix: CountBatching(states, gpus),
    "static-balanced": lambda states, gpus, mix: StaticGeometry(states, balanced(states), gpus),
}
