"""Plans against every way of doing it, on a few GPUs; never beyond limits; and what a plan makes is what it promised."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import product

import pytest

from aliquot.gpu.boards import board
from aliquot.partition.board_states import BoardStates, ordinary, states_of
from aliquot.partition.cluster import (
    NODE_NAME,
    Cluster,
    Instance,
    Node,
    Operator,
    PendingPod,
    PlannedGpu,
    Requirement,
    RunningPod,
    Where,
)
from aliquot.partition.replanning.limits import Limit, Limits, Rule
from aliquot.partition.replanning.network import worth
from aliquot.partition.replanning.plan import Create, Evict, Plan, StaleSnapshot, apply, check_basis
from aliquot.partition.replanning.planning import Contradiction, Request, replan


def states(key: str) -> BoardStates:
    mig = board(key).mig
    assert mig is not None
    return states_of(ordinary(mig.instance_profiles()))


A30 = states("a30-24gb")
H100 = states("h100-80gb")
SIZES = {p.name: p.memory_slots for tables in (A30, H100) for p in tables.profiles}


def still() -> float:
    return 0.0


def gpu(number: int, tables: BoardStates, *held: tuple[str, int, str], node: str = "n0") -> PlannedGpu:
    """`held`: (profile, start, pod); an empty pod: the slice is idle."""
    instances = tuple(Instance(p, s, SIZES[p], (pod,) if pod else ()) for p, s, pod in held)
    return PlannedGpu(f"GPU-{number}", node, "board", tables, instances)


def cluster(
    gpus: list[PlannedGpu],
    pending: Mapping[str, str | tuple[tuple[str, int], ...]],
    budgets: Mapping[str, int] | None = None,
    **pods: RunningPod,
) -> Cluster:
    """Pods that run are of priority 0 and may be moved, unless `pods` says otherwise."""
    running = {
        pod: pods.get(pod, RunningPod(pod, started_s=0.0))
        for one in gpus
        for instance in one.instances
        for pod in instance.pods
    }
    waiting = tuple(
        PendingPod(key, ((needs, 1),) if isinstance(needs, str) else needs) for key, needs in pending.items()
    )
    nodes = tuple(Node(name) for name in sorted({one.node for one in gpus}))
    return Cluster(nodes, tuple(gpus), running, waiting, budgets or {})


def plan(of: Cluster, limits: Limits | None = None, within_s: float = 60.0, now_s: float = 0.0) -> Plan:
    return replan(of, Request(limits or Limits(), now_s, within_s), still)


def values(found: Plan) -> dict[str, float]:
    return {reached.aim: reached.value for reached in found.reached}


def held(one: PlannedGpu) -> int:
    return sum(instance.mask for instance in one.instances if instance.pods)


# --- every way of doing it ---

Outcome = tuple[int, int, int, int]
"""(- memory admitted, evictions, operations, loss): less is better, from the left."""


def best_by_trying(of: Cluster) -> Outcome:
    """Every set of pods that stay, and every state that the GPUs could be in then."""
    tables = of.gpus[0].states
    names = [profile.name for profile in tables.profiles]
    pending = Counter(names.index(pod.needs[0][0]) for pod in of.pending)
    movable = [(n, i) for n, one in enumerate(of.gpus) for i in one.instances if i.pods]

    @cache
    def additions(occupancy: int, idle: frozenset[tuple[int, int]]) -> dict[tuple[int, ...], tuple[int, int]]:
        """Slices more, by profile -> the least (operations, loss) that they cost on one GPU."""
        found: dict[tuple[int, ...], tuple[int, int]] = {}
        for state in tables.states:
            mask = sum(placing.mask for placing in state)
            if mask & occupancy:
                continue
            new = {(placing.profile, placing.start): placing.mask for placing in state}
            made = [mask for key, mask in new.items() if key not in idle]
            gone = sum(
                1
                for profile, start in idle - new.keys()
                if any(
                    p.mask & mask
                    for p in tables.placings
                    if (p.profile, p.start) == (profile, start)
                    for mask in made
                )
            )
            counts = tuple(sum(1 for p in state if p.profile == n) for n in range(len(names)))
            cost = len(made) + gone, -worth(tables, occupancy | mask)
            found[counts] = min(found.get(counts, cost), cost)
        return found

    best: Outcome | None = None
    before = sum(worth(tables, held(one)) for one in of.gpus)
    for stay in product((True, False), repeat=len(movable)):
        gone = [one for one, stays in zip(movable, stay, strict=True) if not stays]
        again = Counter(names.index(instance.profile) for _, instance in gone)
        rows = []
        for n, one in enumerate(of.gpus):
            occupancy = held(one) & ~sum(instance.mask for at, instance in gone if at == n)
            idle = frozenset((names.index(i.profile), i.start) for i in one.instances if not i.pods)
            rows.append(additions(occupancy, idle).items())
        for ways in product(*rows):
            total = [sum(counts[n] for counts, _ in ways) for n in range(len(names))]
            admitted = [total[n] - again[n] for n in range(len(names))]
            if any(not 0 <= admitted[n] <= pending[n] for n in range(len(names))):
                continue
            memory = sum(
                count * round(profile.memory_slots * 64 / tables.memory_slots)
                for count, profile in zip(admitted, tables.profiles, strict=True)
            )
            operations = len(gone) + sum(cost[0] for _, cost in ways)
            outcome = -memory, len(gone), operations, before + sum(cost[1] for _, cost in ways)
            best = min(best or outcome, outcome)
    assert best is not None
    return best


def reached_by(found: Plan) -> Outcome:
    got = values(found)
    assert all(reached.proven for reached in found.reached)
    return -int(got["admitted 0"]), int(got["evictions"]), int(got["operations"]), int(got["loss"])


def random_cluster(rng: random.Random, tables: BoardStates, gpus: int, pending: int) -> Cluster:
    """Half of what runs may be idle; the rest is movable."""
    made = []
    for number in range(gpus):
        state = tables.states[rng.randrange(len(tables.states))]
        slices = [
            (tables.profiles[p.profile].name, p.start, f"r{number}-{p.start}" if rng.random() < 0.8 else "")
            for p in state
        ]
        made.append(gpu(number, tables, *slices))
    waits = {f"w{n}": rng.choice(tables.profiles).name for n in range(pending)}
    return cluster(made, waits)


PAIRS = list(product(range(0, len(A30.states), 2), range(1, len(A30.states), 5)))


@pytest.mark.parametrize("pair", PAIRS)
def test_two_a30s_against_every_way(pair: tuple[int, int]) -> None:
    rng = random.Random(f"{pair}")
    made = []
    for number, at in enumerate(pair):
        slices = [
            (A30.profiles[p.profile].name, p.start, f"r{number}-{p.start}" if rng.random() < 0.8 else "")
            for p in A30.states[at]
        ]
        made.append(gpu(number, A30, *slices))
    of = cluster(made, {f"w{n}": rng.choice(A30.profiles).name for n in range(3)})
    assert reached_by(plan(of)) == best_by_trying(of)


@pytest.mark.parametrize("seed", range(12))
def test_h100s_against_every_way(seed: int) -> None:
    rng = random.Random(seed)
    of = random_cluster(rng, H100, 1 + seed % 2, 3)
    if sum(len(one.instances) for one in of.gpus) > 7:
        of = replace(of, gpus=of.gpus[:1])
    assert reached_by(plan(of)) == best_by_trying(of)


# --- a plan does what it says ---


@pytest.mark.parametrize("seed", range(30))
def test_what_a_plan_makes_is_what_it_promised(seed: int) -> None:
    rng = random.Random(seed)
    of = limited(rng)
    limits = Limits(moves=rng.choice([None, 0, 1, 3]), minimum_run_s=rng.choice([0.0, 50.0]))
    found = plan(of, limits, now_s=60.0)
    after = apply(found, of)
    places = {i.pods[0]: (one.uuid, one.node) for one in after.gpus for i in one.instances if i.pods}
    assert {pod.key for pod in after.pending} == set(found.waiting)
    assert set(of.running) | set(found.admitted) == set(places)
    for key, needs in ((pod.key, pod) for pod in of.pending if pod.key in found.admitted):
        slices = Counter(i.profile for one in after.gpus for i in one.instances if key in i.pods)
        assert slices == dict(needs.needs)
        assert len({one.node for one in after.gpus for i in one.instances if key in i.pods}) == 1
        assert needs.where.allows(after.node[places[key][1]].has())
    got = values(found)
    assert got["evictions"] == len(found.evicted) and got["operations"] == found.instance_operations
    loss = sum(worth(one.states, held(one)) for one in of.gpus) - sum(
        worth(one.states, held(one)) for one in after.gpus
    )
    assert got["loss"] == loss
    _within(of, limits, found, now_s=60.0)


def limited(rng: random.Random) -> Cluster:
    """Three nodes of two GPUs with all sorts of pods."""
    of = random_cluster(rng, H100, 6, 7)
    gpus = tuple(replace(one, node=f"n{number // 2}") for number, one in enumerate(of.gpus))
    zone = {f"n{n}": {"zone": rng.choice("ab")} for n in range(3)}
    in_a = Where(((Requirement("zone", Operator.IN, ("a",)),),))
    running = {
        key: RunningPod(
            key,
            priority=rng.choice([0, 0, 5, 10]),
            started_s=rng.choice([0.0, 30.0]),
            budget=rng.choice(["", "b0", "b1"]),
            do_not_disrupt=rng.random() < 0.1,
        )
        for key in of.running
    }
    pending = tuple(
        replace(
            pod,
            priority=rng.choice([0, 5]),
            where=rng.choice([Where(), in_a]),
            needs=rng.choice([pod.needs, (("1g.10gb", 2), ("2g.20gb", 1))]),
        )
        for pod in of.pending
    )
    nodes = tuple(Node(name, labels) for name, labels in zone.items())
    return Cluster(nodes, gpus, running, pending, {"b0": 1, "b1": 2})


def _within(of: Cluster, limits: Limits, found: Plan, now_s: float) -> None:
    evicted = [of.running[pod] for pod in found.evicted]
    assert limits.moves is None or len(evicted) <= limits.moves
    by_budget = Counter(pod.budget for pod in evicted if pod.budget)
    assert all(count <= of.budgets[budget] for budget, count in by_budget.items())
    highest = max(pod.priority for pod in of.pending)
    for pod in evicted:
        assert not pod.do_not_disrupt and pod.priority <= highest
        assert not limits.minimum_run_s or (pod.started_s or 0) + limits.minimum_run_s <= now_s


# --- examples ---


def whats_done(found: Plan) -> list[str]:
    return [type(op).__name__ for op in found.operations]


def test_a_move_makes_before_it_breaks() -> None:
    of = cluster(
        [gpu(0, H100, ("1g.10gb", 0, "small")), gpu(1, H100, ("3g.40gb", 0, "big"))],
        {"all": "7g.80gb"},
        big=RunningPod("big", fixed="it stays"),
    )
    found = plan(of)
    assert found.evicted == ("small",) and found.admitted == ("all",)
    assert whats_done(found) == ["Create", "Evict", "Destroy", "Place", "Create", "Place"]
    first, eviction = found.operations[:2]
    assert isinstance(first, Create) and first.spot.uuid == "GPU-1" and first.why == "for small"
    assert isinstance(eviction, Evict) and not eviction.gap and eviction.why == "for all"
    assert found.room["7g.80gb"] == (0, 0)


def test_pods_in_each_others_way_leave_a_gap() -> None:
    """The 3g has to make way for the 4g, and its own new place is where the 1g is."""
    of = cluster(
        [gpu(0, H100, ("3g.40gb", 0, "a"), ("1g.10gb", 4, "b"))],
        {"w": "4g.40gb"},
        a=RunningPod("a"),
        b=RunningPod("b"),
    )
    found = plan(of)
    assert found.admitted == () and found.waiting["w"] == (
        "no room for 1 x 4g.40gb, not even by moving what may be moved"
    )
    of = cluster([gpu(0, H100, ("3g.40gb", 0, "a"), ("1g.20gb", 6, ""))], {"w": "4g.40gb"})
    found = plan(of)
    assert whats_done(found) == ["Destroy", "Create", "Evict", "Destroy", "Place", "Create", "Place"]


def test_an_idle_slice_is_taken_as_it_is() -> None:
    of = cluster([gpu(0, H100, ("1g.10gb", 6, ""), ("2g.20gb", 0, "x"))], {"w": "1g.10gb"})
    assert whats_done(plan(of)) == ["Place"]


def test_one_of_higher_priority_outweighs_many() -> None:
    of = cluster([gpu(0, H100)], {f"w{n}": "1g.10gb" for n in range(7)})
    high = PendingPod("high", (("7g.80gb", 1),), priority=1)
    found = plan(replace(of, pending=(*of.pending, high)))
    assert found.admitted == ("high",)


def test_a_pod_is_moved_only_for_those_of_its_priority() -> None:
    important = RunningPod("run", priority=5, started_s=0.0)
    gpus = [gpu(0, H100, ("1g.10gb", 0, "run")), gpu(1, H100, ("3g.40gb", 0, "big"))]
    of = cluster(gpus, {"w": "7g.80gb"}, run=important, big=RunningPod("big", fixed="it is of no controller"))
    found = plan(of)
    assert found.admitted == () and found.fixed == {
        "run": "its priority 5 is above that of all that waits",
        "big": "it is of no controller",
    }
    # A pod that waits with the same priority changes nothing for the one below it.
    also = PendingPod("also", (("1g.10gb", 1),), priority=5)
    assert plan(replace(of, pending=(*of.pending, also))).admitted == ("also",)
    up = tuple(replace(pod, priority=5) for pod in of.pending)
    assert plan(replace(of, pending=up)).evicted == ("run",)


def test_a_pod_of_several_slices_gets_them_on_one_node_or_not_at_all() -> None:
    full = ("4g.40gb", 0)
    gpus = [gpu(0, H100, (*full, "a")), gpu(1, H100, (*full, "b"), node="n1")]
    a, b = (RunningPod(pod, fixed="it stays") for pod in "ab")
    of = cluster(gpus, {"gang": (("3g.40gb", 2),)}, a=a, b=b)
    assert plan(of).waiting == {"gang": "no room for 2 x 3g.40gb, not even by moving what may be moved"}
    together = cluster([gpus[0], replace(gpus[1], node="n0")], {"gang": (("3g.40gb", 2),)}, a=a, b=b)
    assert plan(together).admitted == ("gang",)


def test_a_pod_on_several_gpus_leaves_all_of_them() -> None:
    gpus = [
        gpu(0, H100, ("1g.10gb", 0, "gang")),
        gpu(1, H100, ("1g.10gb", 0, "gang")),
        gpu(2, H100, ("2g.20gb", 0, "other"), node="n1"),
    ]
    found = plan(cluster(gpus, {"w0": "7g.80gb", "w1": "7g.80gb"}))
    assert set(found.admitted) == {"w0", "w1"} and found.evicted == ("gang",)


def test_closed_gpus_and_nodes_are_left_alone() -> None:
    of = cluster([gpu(0, H100, ("1g.10gb", 0, "x")), gpu(1, H100, node="n1")], {"w": "7g.80gb"})
    closed = replace(of, nodes=(Node("n0"), Node("n1", closed="it is cordoned")))
    found = plan(closed)
    assert found.admitted == () and found.room["7g.80gb"] == (0, 0)


# --- limits that contradict each other ---


def contradiction(of: Cluster, limits: Limits | None = None) -> Contradiction:
    with pytest.raises(Contradiction) as error:
        plan(
            replace(of, pending=tuple(replace(pod, required=True) for pod in of.pending)), limits, now_s=10.0
        )
    return error.value


def spread(**pods: RunningPod) -> Cluster:
    gpus = [gpu(0, H100, ("1g.10gb", 0, "x")), gpu(1, H100, ("1g.10gb", 0, "y"))]
    return cluster(gpus, {"w": "7g.80gb"}, {"web": 0}, **pods)


@pytest.mark.parametrize(
    ("of", "limits", "message"),
    [
        (
            spread(
                x=RunningPod("x", started_s=0.0, budget="web"), y=RunningPod("y", started_s=0.0, budget="web")
            ),
            Limits(),
            "w: PodDisruptionBudget web forbids it; lift one of them",
        ),
        (
            spread(
                x=RunningPod("x", started_s=0.0, budget="web"),
                y=RunningPod("y", started_s=0.0, do_not_disrupt=True),
            ),
            Limits(),
            "w: PodDisruptionBudget web and pods marked do-not-disrupt together forbid it; lift one of them",
        ),
        (spread(), Limits(moves=0), "w: the budget of moves forbids it; lift one of them"),
        (spread(), Limits(moves=1, minimum_run_s=60), "w: the minimum run time forbids it; lift one of them"),
        (
            spread(x=RunningPod("x", fixed="no"), y=RunningPod("y", fixed="no")),
            Limits(moves=0),
            "w: there is no room, even if all that can be moved were moved",
        ),
    ],
)
def test_the_smallest_set_of_limits_is_named(of: Cluster, limits: Limits, message: str) -> None:
    assert str(contradiction(of, limits)) == message


def test_where_pods_may_be_is_a_limit_that_can_be_named() -> None:
    of = spread()
    nowhere = Where(((Requirement(NODE_NAME, Operator.IN, ("n9",)),),))
    of = replace(of, pending=tuple(replace(pod, where=nowhere) for pod in of.pending))
    assert contradiction(of).limits == (Limit(Rule.PLACES),)
    assert plan(of).waiting == {"w": "no node with an open GPU in MIG mode is one of those it asks for"}


# --- time, and what changes meanwhile ---


def test_no_time_changes_nothing() -> None:
    found = plan(spread(), within_s=0.0)
    assert found.operations == () and not found.reached[0].proven
    # What waits, since more is free.
    assert (found.reached[0].value, found.reached[0].bound) == (0, 64)


def test_what_is_free_bounds_what_could_be_admitted_even_in_no_time() -> None:
    of = cluster([gpu(0, H100, ("4g.40gb", 0, "x"), ("1g.10gb", 4, ""))], {"w": "7g.80gb", "v": "3g.40gb"})
    more = PendingPod("more", (("1g.10gb", 1),), priority=1)
    found = plan(replace(of, pending=(*of.pending, more)), within_s=0.0)
    bounds = {one.aim: one.bound for one in found.reached}
    assert bounds["admitted 1"] == 8 and bounds["admitted 0"] == 32


def test_a_plan_is_refused_once_its_nodes_changed() -> None:
    of = spread()
    found = plan(of)
    assert set(found.basis) == {"n0"}
    check_basis(found, of)
    moved = replace(of, gpus=(of.gpus[0], replace(of.gpus[1], instances=())))
    with pytest.raises(StaleSnapshot, match=r"^the plan is stale: the GPUs of n0 changed; plan again$"):
        apply(found, moved)
    with pytest.raises(StaleSnapshot, match=r"^the plan is stale: node n0 is gone; plan again$"):
        apply(found, replace(of, nodes=()))
    cordoned = replace(of, nodes=(Node("n0", closed="it is cordoned"),))
    with pytest.raises(
        StaleSnapshot, match=r"^the plan is stale: node n0 is closed: it is cordoned; plan again$"
    ):
        apply(found, cordoned)
    beside = replace(of, nodes=(*of.nodes, Node("n1")), gpus=(*of.gpus, gpu(7, H100, node="n1")))
    assert apply(found, beside).pending == ()
    assert of.state_hash != moved.state_hash
