"""Nodes of a NodePool of Karpenter, to another minor: their NodeClaims are deleted, so many at a time, and Karpenter empties and ends each.

It stands still meanwhile (`freeze`), for drift makes a new node before it ends an old one, which never comes to an end where capacity is
reserved, and cuts gangs. New nodes come as pods need them, by the AMIs of the pool's class: before those are of the minor nothing goes,
and a node that comes behind again is not deleted again.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from aliquot.counting import counted
from aliquot.eks.estate import karpenter
from aliquot.eks.estate.karpenter import DO_NOT_DISRUPT, NODECLAIMS, Claim
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.gpu_roll.restoring import is_of
from aliquot.eks.upgrade.pool_scene import PoolScene, against_class, pool_scene
from aliquot.eks.upgrade.verdicts import Done, Hold, Keep, Verb, Verdict, Wait, Write, Writes
from aliquot.eks.versions.minor import Minor

T = TypeVar("T")
_LOOK_S = 10.0
_BUDGET_LOOK_S = 60.0
_GRACE_MORE_S = 600.0
_NAMED = 5


class PoolRoll(Struct, frozen=True, kw_only=True, tag="nodepool"):
    name: str
    minor: Minor
    at_once: bool = False
    """All of its nodes together: nobody runs there any more. Otherwise as many as its budgets let drift."""
    leave_s: float = 1800.0
    """For nodes to be gone, and as long again for pods to have found room."""


class Begun(Struct, frozen=True, kw_only=True):
    """How it was when an attempt began."""

    at_s: float
    claims: tuple[str, ...]
    """That are, or may be, of another minor."""
    waiting: int
    """Pods, for a node."""
    gpus: bool
    """Some node of it offers them."""


class Batch(Struct, frozen=True, kw_only=True):
    at_s: float
    claims: tuple[str, ...]


async def look(act: PoolRoll, doors: Doors) -> PoolScene:
    return await pool_scene(doors.kube, act.name)


def judged(act: PoolRoll, seen: PoolScene, attempt: Attempt) -> Verdict:
    against = against_class(seen, act.minor, attempt.now_s - attempt.began_s)
    if against is not None:
        return against
    begun = _kept(attempt, act.name, "begun", Begun)
    now = [one for one in begun if one.at_s >= attempt.began_s]
    if not now:
        return Keep(
            _key(attempt, act.name, "begun", len(begun)), msgspec.to_builtins(_begun(act, seen, attempt))
        )
    due, known = seen.due(act.minor), now[-1].claims
    again = [one for one in due if one.name not in known]
    if again:
        return Hold(
            f"NodePool {act.name}: node {again[0].node} came with another minor than {act.minor}, too",
            f"see which AMIs {seen.class_named} selects: it has to be those of {act.minor}; then retry",
        )
    batches = [one for one in _kept(attempt, act.name, "batch", Batch) if one.at_s >= attempt.began_s]
    since_s = batches[-1].at_s if batches else attempt.began_s
    going = [one for one in seen.claims if one.leaving and one.name in known]
    if going:
        return _leaving(act, seen, going, since_s, attempt)
    if len(seen.waiting) > begun[0].waiting:
        return _without_room(act, seen, begun[0].waiting, since_s, attempt)
    if due:
        return _next(act, seen, due, batches, attempt)
    coming = [one for one in seen.claims if one.name in known and not one.kubelet]
    if coming:
        return Wait(_LOOK_S, f"NodeClaim {coming[0].name} has no node yet")
    return _ended(act, seen, now[-1])


def _begun(act: PoolRoll, seen: PoolScene, attempt: Attempt) -> Begun:
    return Begun(
        at_s=attempt.now_s,
        claims=tuple(one.name for one in seen.claims if not is_of(one.kubelet, act.minor)),
        waiting=len(seen.waiting),
        gpus=any(one.resources for one in seen.nodes),
    )


def _leaving(
    act: PoolRoll, seen: PoolScene, going: Sequence[Claim], since_s: float, attempt: Attempt
) -> Wait | Hold:
    names = ", ".join(one.node or one.name for one in going[:_NAMED])
    more = f" and {len(going) - _NAMED} more" if len(going) > _NAMED else ""
    told = f"NodePool {act.name}: {names}{more}"
    longest_s = max(one.grace_s for one in going)
    limit_s = max(act.leave_s, longest_s + _GRACE_MORE_S if longest_s else 0.0)
    if attempt.now_s - since_s < limit_s:
        return Wait(_LOOK_S, f"{told}: Karpenter empties and ends them")
    stay = f"; there stay {'; '.join(seen.staying)}" if seen.staying else ""
    return Hold(
        f"{told}: not gone after {limit_s / 60:.0f} min{stay}",
        "let these pods go (another replica, another budget, the end of a job), or see Karpenter's log; then retry",
    )


def _without_room(
    act: PoolRoll, seen: PoolScene, before: int, since_s: float, attempt: Attempt
) -> Wait | Hold:
    what = f"NodePool {act.name}: {counted(len(seen.waiting), 'pod waits', 'pods wait')} for a node, {before} did before (one is {seen.waiting[0]})"
    if attempt.now_s - since_s < 2 * act.leave_s:
        return Wait(_LOOK_S, what)
    return Hold(what, "see why Karpenter makes no node for it (`kubectl describe pod`), then retry")


def _next(
    act: PoolRoll, seen: PoolScene, due: Sequence[Claim], batches: Sequence[Batch], attempt: Attempt
) -> Verdict:
    assert seen.pool is not None
    many = len(due) if act.at_once else karpenter.at_once(seen.pool, len(seen.claims), attempt.now_s)
    if not many:
        return Wait(_BUDGET_LOOK_S, f"NodePool {act.name}: its budgets let no node go now")
    names = tuple(one.name for one in due[:many])
    if not batches or not set(names) <= set(batches[-1].claims):
        number = len(_kept(attempt, act.name, "batch", Batch))
        batch = Batch(at_s=attempt.now_s, claims=names)
        return Keep(_key(attempt, act.name, "batch", number), msgspec.to_builtins(batch))
    return Writes(tuple(Write(verb=Verb.DELETE, resource=NODECLAIMS, name=name) for name in names))


def _ended(act: PoolRoll, seen: PoolScene, begun: Begun) -> Done | Hold:
    behind = seen.behind(act.minor)
    if behind:
        return Hold(
            f"NodePool {act.name}: {DO_NOT_DISRUPT} is set on {', '.join(one.node for one in behind[:_NAMED])}",
            "take it off once they may go, then retry",
        )
    claimed = {one.node for one in seen.claims}
    alone = [
        one.name
        for one in seen.nodes
        if one.name not in claimed and one.kubelet and not is_of(one.kubelet, act.minor)
    ]
    if alone:
        return Hold(
            f"NodePool {act.name}: node {alone[0]} is of another minor, and has no NodeClaim",
            "delete the node yourself, then retry",
        )
    gone = len(set(begun.claims) - {one.name for one in seen.claims})
    return Done(
        f"NodePool {act.name}: {counted(gone, 'node is', 'nodes are')} replaced, nothing is of another minor than {act.minor}"
    )


def _key(attempt: Attempt, pool: str, what: str, number: int) -> str:
    return f"{attempt.step}/pool/{pool}/{what}/{number}"


def _kept(attempt: Attempt, pool: str, what: str, kind: type[T]) -> list[T]:
    """Of this step, in the order in which it was kept."""
    prefix = f"{attempt.step}/pool/{pool}/{what}/"
    numbers = [int(name.removeprefix(prefix)) for name in attempt.kept if name.startswith(prefix)]
    return [msgspec.convert(attempt.kept[f"{prefix}{number}"], kind) for number in sorted(numbers)]


def begun_of(attempt: Attempt, pool: str) -> Begun | None:
    """How the pool was before its newest roll in this run."""
    found = [
        msgspec.convert(value, Begun)
        for name, value in attempt.kept.items()
        if name.endswith(f"/pool/{pool}/begun/0")
    ]
    return max(found, key=lambda one: one.at_s, default=None)


DOING = Doing(look=look, judge=judged)
