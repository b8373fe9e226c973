"""Who may be evicted for whom: claim by claim; and that it ends, whoever decides."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.scheduler.core.pod import CPU, Amounts
from aliquot.scheduler.core.queues.fair_share import fair_shares
from aliquot.scheduler.core.queues.ledger import Ledger
from aliquot.scheduler.core.queues.reclaim import (
    Claim,
    Holding,
    Party,
    claims,
    may_preempt,
    may_reclaim,
    safe_until_s,
)
from aliquot.scheduler.core.queues.terms import GPU, QueueSpec, Terms, of_model, together
from aliquot.scheduler.core.queues.tree import QueueTree
from tests.scheduler.queues.trees import thorough

BORROWED, SHARE, QUOTA = Claim


def queue(name: str, quota: int | None = None, parent: str = "", **more: int) -> QueueSpec:
    return QueueSpec(name, parent, terms={GPU: Terms(quota=quota, weight_milli=more.get("weight", 1000))})


def held(*sizes: int, **changes: int) -> list[Holding]:
    """GPUs, in the order in which they were placed."""
    return [
        Holding(f"j{n}", f"j{n}", {GPU: size}, since_s=n, priority=changes.get(f"p{n}", 0))
        for n, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("quota", "due", "holdings", "expected"),
    [
        (4, 8, held(4, 4, 4), [QUOTA, SHARE, BORROWED]),
        # What does not fit is passed over.
        (4, 4, held(6, 3), [BORROWED, QUOTA]),
        (4, 8, held(6, 3, 1), [SHARE, QUOTA, QUOTA]),
        # The higher priority claims first, however late it came.
        (4, 4, held(4, 4, p1=1), [BORROWED, QUOTA]),
        (None, 4, held(4, 4), [SHARE, BORROWED]),
        # Who cannot be preempted, before all.
        (4, 4, [*held(4, p0=9), Holding("kept", "kept", {GPU: 4}, preemptible=False)], [BORROWED, QUOTA]),
        # What a job has beyond its minimum, after it and with it alone.
        (
            4,
            6,
            [
                Holding("core", "elastic", {GPU: 5}),
                Holding("more", "elastic", {GPU: 1}, since_s=1, extra=True),
                Holding("other", "other", {GPU: 2}, since_s=2),
                Holding("much", "other", {GPU: 1}, since_s=3, extra=True),
            ],
            [SHARE, SHARE, QUOTA, QUOTA],
        ),
    ],
)
def test_who_has_what_claim(
    quota: int | None, due: int, holdings: Sequence[Holding], expected: Sequence[Claim]
) -> None:
    tree = QueueTree([queue("a", quota)])
    shares = fair_shares(tree, {"a": {GPU: 99}}, {GPU: due})
    found = claims(shares, "a", random.Random(1).sample(holdings, len(holdings)))
    assert [found[holding.key] for holding in holdings] == expected


@pytest.mark.parametrize(
    ("terms", "amounts", "expected"),
    [
        # A quota of GPUs is not lost for want of one of CPU.
        ({GPU: Terms(quota=4)}, {GPU: 4, CPU: 64}, QUOTA),
        ({GPU: Terms(quota=4), CPU: Terms(quota=32)}, {GPU: 4, CPU: 64}, BORROWED),
        # But a job without GPUs is judged by CPU.
        ({GPU: Terms(quota=4)}, {CPU: 32}, SHARE),
        ({CPU: Terms(quota=32)}, {CPU: 32}, QUOTA),
        # Of a model as of all GPUs.
        ({GPU: Terms(quota=4), of_model("H100"): Terms(quota=2)}, {GPU: 2, of_model("H100"): 2}, QUOTA),
        ({GPU: Terms(quota=4), of_model("H100"): Terms(quota=1)}, {GPU: 2, of_model("H100"): 2}, SHARE),
        ({GPU: Terms(quota=4), of_model("H100"): Terms(quota=1)}, {GPU: 2, of_model("L4"): 2}, QUOTA),
    ],
)
def test_each_resource_has_to_fit_of_which_the_queue_says_anything(
    terms: dict[str, Terms], amounts: Amounts, expected: Claim
) -> None:
    tree = QueueTree([QueueSpec("a", terms=terms)])
    shares = fair_shares(
        tree, {"a": {GPU: 8, CPU: 99, of_model("H100"): 8}}, {GPU: 8, CPU: 48, of_model("H100"): 8}
    )
    assert claims(shares, "a", [Holding("j", "j", amounts)]) == {"j": expected}


ORG = [
    queue("x", 4),
    queue("y", 4),
    queue("x1", 2, "x"),
    queue("x2", 2, "x"),
    queue("y1", 4, "y"),
]


@dataclass
class Case:
    """All want everything of 12 GPUs: x and y are due 6 each, x1 and x2 3 each."""

    holds: dict[str, int]
    reclaimer: tuple[str, int, Claim]
    victim: tuple[str, int, Claim]
    expected: bool
    preemptible: bool = True
    wants: str = GPU
    queues: list[QueueSpec] = field(default_factory=lambda: ORG)


@pytest.mark.parametrize(
    "case",
    [
        # By the quota, from above the quota, even where that takes the victim's queue below it.
        Case({"y1": 8}, ("x1", 2, QUOTA), ("y1", 4, BORROWED), True),
        Case({"y1": 8}, ("x1", 2, QUOTA), ("y1", 8, BORROWED), True),
        Case({"y1": 8}, ("x1", 2, QUOTA), ("y1", 2, SHARE), True),
        Case({"y1": 8}, ("x1", 2, QUOTA), ("y1", 4, QUOTA), False),
        Case({"y1": 4}, ("x1", 2, QUOTA), ("y1", 4, BORROWED), False),
        # Each queue on the way has to be within its quota: x is not.
        Case({"y1": 8, "x2": 3}, ("x1", 2, QUOTA), ("y1", 4, BORROWED), False),
        # By the share, as long as the victim's queue keeps its own.
        Case({"y1": 8, "x1": 2}, ("x1", 1, SHARE), ("y1", 2, BORROWED), True),
        Case({"y1": 8, "x1": 2}, ("x1", 1, SHARE), ("y1", 3, BORROWED), False),
        Case({"y1": 8, "x1": 2}, ("x1", 2, SHARE), ("y1", 2, BORROWED), False),
        Case({"y1": 8, "x1": 2}, ("x1", 1, SHARE), ("y1", 2, SHARE), False),
        # It is the department that keeps its share; in it, whoever is above its own gives.
        Case({"x1": 4, "x2": 5, "y1": 4}, ("y1", 1, SHARE), ("x1", 2, BORROWED), True),
        Case({"x1": 3, "x2": 6, "y1": 4}, ("y1", 1, SHARE), ("x1", 2, BORROWED), False),
        Case({"x1": 4, "x2": 3, "y1": 4}, ("y1", 1, SHARE), ("x1", 2, BORROWED), False),
        # Never for borrowed room.
        Case({"y1": 8}, ("x1", 1, BORROWED), ("y1", 1, BORROWED), False),
        # Between sisters, their department has no part in it.
        Case({"x2": 6}, ("x1", 2, QUOTA), ("x2", 2, BORROWED), True),
        Case({"x2": 6, "y1": 6}, ("x1", 3, SHARE), ("x2", 3, BORROWED), True),
        # What cannot be preempted stays.
        Case({"y1": 8}, ("x1", 2, QUOTA), ("y1", 4, BORROWED), False, preemptible=False),
        # Nor what gives nothing that is needed.
        Case({"y1": 8}, ("x1", 2, QUOTA), ("y1", 4, BORROWED), False, wants=CPU),
        # Not from itself, nor from a queue that is gone.
        Case({"x1": 8}, ("x1", 2, QUOTA), ("x1", 4, BORROWED), False),
        Case({"y1": 8}, ("x1", 2, QUOTA), ("gone", 4, BORROWED), False),
    ],
)
def test_who_may_take_from_whom(case: Case) -> None:
    tree = QueueTree(case.queues)
    ledger = Ledger(tree)
    for name, count in case.holds.items():
        ledger.add(name, {GPU: count}, preemptible=True)
    shares = fair_shares(tree, {leaf: {GPU: 99} for leaf in ("x1", "x2", "y1")}, {GPU: 12})
    reclaimer, size, claim = case.reclaimer
    victim, given_, claimed = case.victim
    assert (
        may_reclaim(
            ledger,
            shares,
            Party(reclaimer, {case.wants: size}, claim),
            Party(victim, {GPU: given_}, claimed, preemptible=case.preemptible),
        )
        is case.expected
    )


@pytest.mark.parametrize(
    ("preemptor", "victim", "expected"),
    [
        (Party("a", {GPU: 1}, SHARE, 2), Party("a", {GPU: 1}, SHARE, 1), True),
        (Party("a", {GPU: 1}, QUOTA, 2), Party("a", {GPU: 1}, QUOTA, 1), True),
        (Party("a", {GPU: 1}, BORROWED, 2), Party("a", {GPU: 1}, BORROWED, 1), True),
        (Party("a", {GPU: 1}, SHARE, 2), Party("a", {GPU: 1}, QUOTA, 1), False),
        (Party("a", {GPU: 1}, QUOTA, 1), Party("a", {GPU: 1}, BORROWED, 1), False),
        (Party("a", {GPU: 1}, QUOTA, 2), Party("b", {GPU: 1}, BORROWED, 1), False),
        (Party("a", {GPU: 1}, QUOTA, 2), Party("a", {GPU: 1}, BORROWED, 1, preemptible=False), False),
        (Party("a", {GPU: 1}, QUOTA, 2), Party("a", {CPU: 1}, BORROWED, 1), False),
    ],
)
def test_who_may_go_before_whom_in_one_queue(preemptor: Party, victim: Party, expected: bool) -> None:
    assert may_preempt(preemptor, victim) is expected


def test_what_came_last_has_the_worst_claim() -> None:
    holdings = [
        *held(6, 3, 1, 2, p2=5),
        Holding("more", "j3", {GPU: 1}, since_s=9, extra=True),
        Holding("kept", "kept", {GPU: 1}, preemptible=False),
    ]
    tree = QueueTree([queue("a", 5)])
    found = claims(fair_shares(tree, {"a": {GPU: 99}}, {GPU: 8}), "a", holdings)
    assert found == {
        "kept": QUOTA, "j2": QUOTA, "j1": QUOTA, "j0": SHARE, "j3": BORROWED, "more": BORROWED,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("own_s", "by_another", "expected"),
    [(None, True, 700), (None, False, 160), (5.0, True, 105), (0.0, False, 100)],
)
def test_a_job_is_safe_for_its_minimum_run_time(
    own_s: float | None, by_another: bool, expected: float
) -> None:
    tree = QueueTree([QueueSpec("a", preempt_min_runtime_s=60, reclaim_min_runtime_s=600)])
    assert safe_until_s(tree, "a", 100, own_s, by_another_queue=by_another) == expected


@dataclass(frozen=True)
class Job:
    key: str
    queue: str
    sizes: tuple[int, ...]
    """GPUs of each pod that it needs."""
    cores: int
    priority: int
    preemptible: bool
    extras: int
    """Pods of one GPU that it could have beyond."""

    def units(self) -> list[tuple[str, tuple[int, ...], bool]]:
        return [(self.key, self.sizes, False)] + [(f"{self.key}+{n}", (1,), True) for n in range(self.extras)]


class Cluster:
    """Nodes with GPUs and cores, jobs on them, and whoever decides: any step that is permitted, in any order."""

    def __init__(self, specs: list[QueueSpec], nodes: list[tuple[int, int]], jobs: list[Job]) -> None:
        self.tree = QueueTree(specs)
        self.ledger = Ledger(self.tree)
        self.jobs = {job.key: job for job in jobs}
        self.free = [list(node) for node in nodes]
        self.pods = {key: sizes for job in jobs for key, sizes, _ in job.units()}
        self.owner = {key: job for job in jobs for key, _, _ in job.units()}
        self.placed: dict[str, tuple[Holding, list[int]]] = {}
        self.now = 0
        wanted: dict[str, Amounts] = {}
        for key, job in self.owner.items():
            wanted[job.queue] = together(wanted.get(job.queue, {}), self.amounts(key))
        capacity = {GPU: sum(gpus for gpus, _ in nodes), CPU: sum(cores for _, cores in nodes)}
        self.shares = fair_shares(self.tree, wanted, capacity)

    def amounts(self, key: str) -> Amounts:
        sizes, cores = self.pods[key], self.owner[key].cores
        counted = {GPU: sum(sizes), CPU: cores * len(sizes)}
        return {resource: amount for resource, amount in counted.items() if amount}

    def holding(self, key: str) -> Holding:
        job = self.owner[key]
        return Holding(
            key, job.key, self.amounts(key), job.priority, job.preemptible, self.now, extra=key != job.key
        )

    def in_queue(self, queue: str) -> list[Holding]:
        return [holding for holding, _ in self.placed.values() if self.owner[holding.key].queue == queue]

    def waiting(self) -> list[str]:
        return [
            key
            for key, job in self.owner.items()
            if key not in self.placed and (key == job.key or job.key in self.placed)
        ]

    def room(self, key: str) -> list[int] | None:
        """First fit."""
        free = [list(node) for node in self.free]
        found = []
        for size in self.pods[key]:
            fits = (
                n for n, (gpus, cores) in enumerate(free) if gpus >= size and cores >= self.owner[key].cores
            )
            node = next(fits, None)
            if node is None:
                return None
            free[node][0] -= size
            free[node][1] -= self.owner[key].cores
            found.append(node)
        return found

    def move(self, key: str, nodes: list[int], sign: int) -> None:
        job = self.owner[key]
        for node, size in zip(nodes, self.pods[key], strict=True):
            self.free[node][0] += sign * size
            self.free[node][1] += sign * job.cores
        change = self.ledger.remove if sign > 0 else self.ledger.add
        change(job.queue, self.amounts(key), preemptible=job.preemptible)

    def place(self, key: str) -> bool:
        job = self.owner[key]
        nodes = self.room(key)
        if nodes is None or self.ledger.refusal(job.queue, self.amounts(key), preemptible=job.preemptible):
            return False
        self.now += 1
        self.placed[key] = self.holding(key), nodes
        self.move(key, nodes, -1)
        return True

    def evict(self, key: str) -> list[tuple[str, tuple[Holding, list[int]]]]:
        """With what its job has beyond its minimum."""
        gone = [key]
        if key == self.owner[key].key:
            gone += [other for other in self.placed if self.owner[other].key == key and other != key]
        taken = [(one, self.placed.pop(one)) for one in gone]
        for one, (_, nodes) in taken:
            self.move(one, nodes, +1)
        return taken

    def claims(self, queue: str, *more: Holding) -> dict[str, Claim]:
        return dict(claims(self.shares, queue, [*self.in_queue(queue), *more]))

    def party(self, key: str, claim: Claim) -> Party:
        job = self.owner[key]
        return Party(job.queue, self.amounts(key), claim, job.priority, job.preemptible)

    def make_room(self, key: str, candidates: list[str]) -> bool:
        """Evict what is permitted of the candidates, until there is room; or nothing."""
        self.now += 1
        mine = self.owner[key].queue
        claimed = {queue: self.claims(queue) for queue in self.tree.leaves}
        newcomer = self.party(key, self.claims(mine, self.holding(key))[key])
        taken: list[tuple[str, tuple[Holding, list[int]]]] = []
        for victim in candidates:
            # Who belongs to the job that waits is no victim of it.
            if victim not in self.placed or self.owner[victim].key == self.owner[key].key:
                continue
            queue = self.owner[victim].queue
            other = self.party(victim, claimed[queue][victim])
            if may_preempt(newcomer, other) or may_reclaim(self.ledger, self.shares, newcomer, other):
                taken += self.evict(victim)
                if self.place(key):
                    return True
        for one, (holding, nodes) in reversed(taken):
            self.placed[one] = holding, nodes
            self.move(one, nodes, -1)
        return False

    def standing(self) -> tuple[list[int], list[int], list[int]]:
        """What the proof says that grows: within quotas, within shares, placed; by class from the highest."""
        by_class = sorted({(job.preemptible, -job.priority) for job in self.jobs.values()})
        counts = []
        for most in (self.shares.guaranteed, self.shares.fair, None):
            fitting = []
            for queue in self.tree.leaves:
                index, used, whole = self.tree.node(queue).index, dict[str, int](), set[str]()
                for holding in sorted(self.in_queue(queue), key=lambda one: one.rank):
                    after = together(used, holding.amounts)
                    # The quotas of this test are of GPUs alone.
                    judged = (
                        [GPU] if most is self.shares.guaranteed and GPU in holding.amounts else [GPU, CPU]
                    )
                    fits = most is None or all(
                        after.get(r, 0) <= most[r][index] for r in judged if r in holding.amounts
                    )
                    if fits and (not holding.extra or holding.job in whole):
                        used = dict(after)
                        whole.add(holding.job)
                        fitting.append((holding.preemptible, -holding.priority))
            counts.append([fitting.count(one) for one in by_class])
        return counts[0], counts[1], counts[2]


def drawn(rng: random.Random) -> Cluster:
    """Small and full: more is wanted than there is, and most of it does not fit evenly."""
    flat = [queue(name, rng.choice((None, 0, 2, 4))) for name in ("a", "b", "c")]
    nested = [queue("x", 4), *(queue(spec.name, spec.terms[GPU].quota, "x") for spec in flat[:2]), flat[2]]
    jobs = []
    for number in range(rng.randrange(4, 12)):
        sizes = rng.choice(((1,), (1,), (2,), (3,), (4,), (6,), (2, 2), (1, 1, 1), (0,)))
        jobs.append(
            Job(
                f"j{number}",
                rng.choice("aaabbc"),
                sizes,
                rng.choice((0, 1, 2)) or int(sizes == (0,)),
                rng.choice((0, 0, 1)),
                rng.random() < 0.85,
                rng.choice((0, 0, 2)),
            )
        )
    nodes = [(rng.choice((2, 4, 8)), rng.choice((4, 8))) for _ in range(rng.randrange(1, 4))]
    return Cluster(rng.choice((flat, nested)), nodes, jobs)


@given(st.integers(0, 2**32))
@settings(thorough, max_examples=100)
def test_whoever_decides_comes_to_an_end(seed: int) -> None:
    rng = random.Random(seed)
    cluster = drawn(rng)
    standing = cluster.standing()
    for _ in range(500):
        keys = rng.sample(waiting := cluster.waiting(), len(waiting))
        # Now and then one evicts though there would be room for it.
        for key in keys:
            candidates = rng.sample(list(cluster.placed), len(cluster.placed))
            first_evicts = rng.random() < 0.5
            if (
                (first_evicts and cluster.make_room(key, candidates))
                or cluster.place(key)
                or (not first_evicts and cluster.make_room(key, candidates))
            ):
                break
        else:
            return
        before, standing = standing, cluster.standing()
        assert standing > before
    raise AssertionError("it goes on")
