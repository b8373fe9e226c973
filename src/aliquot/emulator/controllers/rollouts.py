"""How a Deployment moves its replicas from old ReplicaSets to the new one. Pure arithmetic.

A rolling update never has more than `replicas + maxSurge` pods wanted, and never takes away an available pod that
would leave fewer than `replicas - maxUnavailable`. `Recreate` ends the old before the new begins. A change of
`replicas` in the middle is shared out in proportion.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aliquot.emulator.controllers import amounts, revisions
from aliquot.emulator.controllers.types import Deployment, ReplicaSet

RECREATE = "Recreate"


@dataclass(frozen=True, slots=True)
class Limits:
    """In pods, resolved from numbers or percentages."""

    surge: int
    unavailable: int


def limits(deployment: Deployment) -> Limits:
    """A percentage of surge rounds up, of unavailability down; were both nothing, nothing could move: then one."""
    replicas, strategy = deployment.spec.replicas, deployment.spec.strategy
    if strategy.type == RECREATE:
        return Limits(0, 0)
    rolling = strategy.rolling_update
    surge = _amount(rolling.max_surge if rolling else None, replicas, up=True)
    unavailable = _amount(rolling.max_unavailable if rolling else None, replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Limits(surge, min(unavailable, replicas))


_DEFAULT = "25%"


def _amount(value: int | str | None, total: int, *, up: bool) -> int:
    return amounts.of(_DEFAULT if value is None else value, total, up=up)


def maximum(deployment: Deployment) -> int:
    """The most replicas that may be wanted of all ReplicaSets together."""
    return deployment.spec.replicas + limits(deployment).surge


def wanted_sizes(
    deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet], *, old_pods_remain: bool
) -> Mapping[str, int]:
    """The next size of each ReplicaSet that is to be resized, by name; one step at a time.

    `new` None: it is not made yet. `old_pods_remain`: pods of old ReplicaSets have not ended (for Recreate).
    """
    everything = [*old, *([new] if new is not None else [])]
    if deployment.spec.paused or is_scaling(deployment, everything):
        return _scale(deployment, new, old)
    if deployment.spec.strategy.type == RECREATE:
        running = {found.metadata.name: 0 for found in old if found.spec.replicas > 0}
        if running or old_pods_remain or new is None:
            return running
        return _resized({new.metadata.name: deployment.spec.replicas}, [new])
    if new is not None:
        grown = {new.metadata.name: size_of_new(deployment, new, old)}
        if resized := _resized(grown, [new]):
            return resized
    return _shrink_old(deployment, new, old)


def size_of_new(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> int:
    """How large the new ReplicaSet may be now; of one that is not made yet, how large it may begin."""
    held = new.spec.replicas if new is not None else 0
    replicas = deployment.spec.replicas
    if deployment.spec.strategy.type == RECREATE:
        return 0 if any(found.spec.replicas for found in old) else replicas
    if held >= replicas:
        return replicas
    room = maximum(deployment) - held - sum(found.spec.replicas for found in old)
    return held + max(0, min(room, replicas - held))


def is_scaling(deployment: Deployment, replica_sets: Sequence[ReplicaSet]) -> bool:
    """`replicas` changed since the ReplicaSets were last sized."""
    noted = (
        revisions.annotated(found, revisions.DESIRED) for found in replica_sets if found.spec.replicas > 0
    )
    return any(size is not None and size != deployment.spec.replicas for size in noted)


def _resized(sizes: Mapping[str, int], replica_sets: Sequence[ReplicaSet]) -> dict[str, int]:
    held = {found.metadata.name: found.spec.replicas for found in replica_sets}
    return {name: size for name, size in sizes.items() if held.get(name) != size}


def _shrink_old(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> dict[str, int]:
    total_old = sum(found.spec.replicas for found in old)
    if total_old == 0:
        return {}
    sizes = {found.metadata.name: found.spec.replicas for found in old}
    least = deployment.spec.replicas - limits(deployment).unavailable
    new_size = new.spec.replicas if new is not None else 0
    new_unavailable = new_size - new.status.available_replicas if new is not None else 0
    spare = total_old + new_size - least - new_unavailable
    if spare <= 0:
        return {}
    # First what does not work anyway.
    for found in revisions.by_age(old):
        broken = max(0, found.spec.replicas - found.status.available_replicas)
        taken = min(spare, broken, sizes[found.metadata.name])
        sizes[found.metadata.name] -= taken
        spare -= taken
    available = sum(found.status.available_replicas for found in [*old, *([new] if new is not None else [])])
    spare = available - least
    for found in revisions.by_age(old):
        taken = min(max(0, spare), sizes[found.metadata.name])
        sizes[found.metadata.name] -= taken
        spare -= taken
    return _resized(sizes, old)


def _scale(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> dict[str, int]:
    everything = [*old, *([new] if new is not None else [])]
    active = [found for found in everything if found.spec.replicas > 0]
    replicas = deployment.spec.replicas
    if len(active) <= 1:
        only = active[0] if active else new or next(iter(reversed(revisions.by_age(old))), None)
        return _resized({only.metadata.name: replicas}, [only]) if only is not None else {}
    if new is not None and _saturated(deployment, new):
        return {found.metadata.name: 0 for found in old if found.spec.replicas > 0}
    if deployment.spec.strategy.type == RECREATE:
        return {}
    return _resized(_in_proportion(deployment, active), active)


def _saturated(deployment: Deployment, new: ReplicaSet) -> bool:
    replicas = deployment.spec.replicas
    return (
        new.spec.replicas == replicas
        and revisions.annotated(new, revisions.DESIRED) == replicas
        and new.status.available_replicas == replicas
    )


def _in_proportion(deployment: Deployment, active: Sequence[ReplicaSet]) -> dict[str, int]:
    """The change shared out by size, the rounding's rest to the largest."""
    replicas = deployment.spec.replicas
    allowed = maximum(deployment) if replicas > 0 else 0
    to_add = allowed - sum(found.spec.replicas for found in active)
    by_age = revisions.by_age(active)
    if to_add > 0:
        by_age.reverse()
    ordered = sorted(by_age, key=lambda found: -found.spec.replicas)
    sizes: dict[str, int] = {}
    added = 0
    for found in ordered:
        size = found.spec.replicas
        share = 0
        if to_add:
            left = to_add - added
            share = _share(deployment, found, allowed)
            share = min(share, left) if to_add > 0 else max(share, left)
        sizes[found.metadata.name] = size + share
        added += share
    first = ordered[0].metadata.name
    sizes[first] = max(0, sizes[first] + to_add - added)
    return sizes


def _share(deployment: Deployment, found: ReplicaSet, allowed: int) -> int:
    size = found.spec.replicas
    if deployment.spec.replicas == 0:
        return -size
    before = (
        revisions.annotated(found, revisions.MAXIMUM) or found.status.replicas or deployment.status.replicas
    )
    if not before:
        return 0
    return math.floor(size * allowed / before + 0.5) - size
