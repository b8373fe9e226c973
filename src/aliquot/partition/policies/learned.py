"""Policies that are learned: a value of occupancies, looked ahead, that is linear in what can be read from them.

The features are those from which the hand-made values are put together, apart for each profile: starts that are left
(capability), whether it fits, how often it fits (the usable slots of the fragmentation gradient), each in slots; and
whether the GPU is empty, the square of its free slots, how many runs they are in, and how many instances there are. Which
weights serve a mix is found
by playing (`training`); the weights that stand for `max-slot-capability` are where that begins.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from statistics import fmean, pstdev
from typing import TypeAlias

from aliquot.gpu.driver import InstanceProfile
from aliquot.partition.board_states import BoardStates, Occupancy
from aliquot.partition.divisions import Divisions
from aliquot.partition.policies.fragmentation import most_instances
from aliquot.partition.policies.look_ahead import expected
from aliquot.partition.policies.policy import Policy, Score, by_gain, small_ones_high

Weights: TypeAlias = Mapping[str, float]
"""By feature; those that are not named weigh nothing."""

Feature: TypeAlias = Mapping[Occupancy, float]

INSTANCES = "instances"
"""The one feature that an occupancy does not tell, in single instances."""


def shape(profile: InstanceProfile) -> str:
    """`3/4`: compute slices and memory slots. Boards with equal shapes have equal tables, whatever their profiles' names."""
    return f"{profile.compute_slices}/{profile.memory_slots}"


_OF_PROFILE = ("starts", "fits", "usable")
_OF_GPU = ("empty", "free squared", "free runs")


def feature_names(shapes: Iterable[str]) -> frozenset[str]:
    """All that there are on a board with profiles of these shapes."""
    return frozenset((*(f"{kind} {one}" for one in shapes for kind in _OF_PROFILE), *_OF_GPU, INSTANCES))


@lru_cache(maxsize=16)
def features(states: BoardStates) -> Mapping[str, Feature]:
    """Those of occupancies, by name, each scaled to a deviation of 1 over the occupancies, so that weights can be compared."""
    most = most_instances(states)
    found: dict[str, Feature] = {}
    for number, profile in enumerate(states.profiles):
        slots = profile.memory_slots
        starts = {o: float(len(states.fitting(number, o)) * slots) for o in states.occupancies}
        found[f"starts {shape(profile)}"] = starts
        found[f"fits {shape(profile)}"] = {o: float(slots) if starts[o] else 0.0 for o in starts}
        found[f"usable {shape(profile)}"] = {o: float(most[number][o] * slots) for o in starts}
    free = {o: states.memory_slots - o.bit_count() for o in states.occupancies}
    found["empty"] = {o: float(not o) for o in states.occupancies}
    found["free squared"] = {o: float(free[o] ** 2) for o in states.occupancies}
    found["free runs"] = {o: float(_free_runs(o, states.memory_slots)) for o in states.occupancies}
    return {name: _scaled(values) for name, values in found.items()}


def slot_capability_weights(states: BoardStates) -> dict[str, float]:
    """Those with which the value is that of `max-slot-capability`, the largest of them 1."""
    weights = {}
    for number, profile in enumerate(states.profiles):
        values = [len(states.fitting(number, o)) * profile.memory_slots for o in states.occupancies]
        weights[f"starts {shape(profile)}"] = pstdev(values)
    largest = max(weights.values())
    return {name: weight / largest for name, weight in weights.items()}


def learned(name: str, weights: Weights) -> Policy:
    def value(states: BoardStates) -> Callable[[Occupancy], float]:
        known = features(states)
        weighed = [(known[feature], weight) for feature, weight in weights.items() if feature in known]
        return lambda occupancy: sum(weight * feature[occupancy] for feature, weight in weighed)

    def scores(divisions: Divisions) -> Score:
        per_instance = weights.get(INSTANCES, 0.0)
        ahead = expected(divisions, value(divisions.states))
        values = [
            worth + per_instance * len(instances)
            for worth, instances in zip(ahead, divisions.instances, strict=True)
        ]
        return by_gain(values, divisions)

    return Policy(name, scores, small_ones_high)


def _free_runs(occupancy: Occupancy, slots: int) -> int:
    """A run begins at each free slot that has none before it."""
    free = ~occupancy & (1 << slots) - 1
    return (free & ~(free << 1)).bit_count()


def _scaled(values: Mapping[Occupancy, float]) -> Feature:
    deviation = pstdev(values.values()) or 1.0
    mean = fmean(values.values())
    return {occupancy: (value - mean) / deviation for occupancy, value in values.items()}
