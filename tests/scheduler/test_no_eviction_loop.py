"""Without new input evictions come to an end: whoever is evicted waits again, as its controller would have it."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.jobs import JobSpec, lacking
from aliquot.scheduler.core.landings import Landings
from aliquot.scheduler.core.movable import AT_REST_S
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.queues.history import History
from aliquot.scheduler.core.queues.line import Line as JobOrder
from aliquot.scheduler.core.queues.terms import GPU, QueueSpec
from aliquot.scheduler.core.victims import Guards
from tests.scheduler.worlds import Cluster, Line, queue

MOST_ROUNDS = 60
HALF_LIFE_S = 20.0

queues = st.sampled_from(
    (
        (),
        (queue("a"), queue("b")),
        (queue("a", 2), queue("b", 4)),
        (queue("a", 4), queue("b", 0, weight=3), queue("c", 2)),
        (queue("top", 4), queue("a", 2, parent="top"), queue("b", 1, parent="top"), queue("c", weight=2)),
        (queue("a", 2, 4), queue("b", 1, priority=200), queue("c")),
    )
)


@st.composite
def jobs(draw: st.DrawFn, name: str, names: tuple[str, ...]) -> str:
    size = draw(st.sampled_from(("", "", "*2", "*3", "*4/2", "*3/1", "*6")))
    where = f" in {draw(st.sampled_from(names))}" if names else ""
    kept = " kept" if draw(st.integers(0, 5)) == 0 else ""
    gpu = draw(st.sampled_from((1, 1, 2))) if size in ("", "*2") else 1
    whose = draw(st.sampled_from(("", " by ann", " by bob")))
    return f"{name}{size}{where}{whose} at {draw(st.integers(0, 2))} gpu {gpu}{kept}"


class World:
    def __init__(
        self,
        nodes: Mapping[str, int],
        declared: Sequence[QueueSpec],
        *,
        history: History | None = None,
        ageing_s: float | None = None,
        landings: Landings | None = None,
        round_s: float = 1.0,
    ) -> None:
        """`landings`: others are moved too, and are made anew at once. `round_s`: until it is decided again."""
        self.history = history
        self.landings = landings
        self.round_s = round_s
        self.cluster = Cluster(nodes, declared, history=history, order=JobOrder(ageing_s))
        self.members: dict[str, tuple[PodRequest, JobSpec]] = {}
        self.now_s = 1000.0
        self.evicted = 0

    def come(self, text: str, age: int) -> None:
        line = Line.of(text)
        for request in line.requests(age):
            self.members[request.key] = request, line.spec(age)
            self.cluster.pending.put(request, line.spec(age))

    def run(self, text: str) -> None:
        line = Line.of(text)
        self.cluster.run(text)
        for request in line.requests():
            self.members[request.key] = request, line.spec()

    def round(self) -> bool:
        """Whether anything was decided. Who was placed a moment ago is not evicted before the next one."""
        cluster = self.cluster
        outcome = cycle.run(
            cluster.snapshot,
            cluster.pending,
            cluster.rankings,
            guards=Guards(anew=lambda name: self.members[name][0], loses_work=lambda name: False),
            landings=self.landings,
            now_s=self.now_s,
        )
        for decision in outcome.decisions:
            for bind in decision.binds:
                self.now_s += 1
                cluster.snapshot.set_pod(structs.replace(bind.placed, assumed=False, since_s=self.now_s))
        gone = [pod for decision in outcome.decisions for pod in decision.after]
        for pod in gone:
            cluster.pending.discard(pod.key)
            cluster.snapshot.remove_pod(pod.key)
        for pod in gone:
            request, spec = self.members[pod.key]
            cluster.pending.put(request, spec)
        self.pass_time(self.round_s)
        self.evicted += len(gone)
        return bool(outcome.decisions)

    def pass_time(self, seconds: float) -> None:
        """What was had weighs less, and what is held now more."""
        self.now_s += seconds
        if self.history is not None:
            self.history.advance(self.now_s)
            self.history.look()


@given(st.data())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_evictions_come_to_an_end_and_break_nothing(data: st.DataObject) -> None:
    declared = data.draw(queues)
    parents = {one.parent for one in declared}
    leaves = tuple(one.name for one in declared if one.name not in parents)
    world = World(
        {"x": 4, "y": data.draw(st.integers(1, 4))},
        declared,
        history=History(HALF_LIFE_S, 1000.0) if data.draw(st.booleans()) else None,
        ageing_s=data.draw(st.sampled_from((None, 1.0, 10.0))),
    )
    lines = [data.draw(jobs(f"j{n}", leaves)) for n in range(data.draw(st.integers(2, 9)))]
    cluster = world.cluster
    rounds = 0
    for age, text in enumerate(lines):
        world.come(text, age)
        if data.draw(st.booleans()):
            world.round()
    while world.round():
        rounds += 1
        assert rounds < MOST_ROUNDS, lines
    for seconds in data.draw(st.lists(st.sampled_from((5.0, HALF_LIFE_S, 30 * HALF_LIFE_S)), max_size=12)):
        # Whose turn it is changes with time alone. Who may have whose place does not.
        world.pass_time(seconds)
        assert not world.round(), lines
    breaks_nothing(cluster)


def breaks_nothing(cluster: Cluster) -> None:
    for state in cluster.snapshot.nodes.values():
        assert all(left >= 0 for left in state.unasked.values())
    for job in cluster.pending.jobs.values():
        # Whole, or not at all.
        if job.placed and job.spec.root is not None:
            assert lacking(job.spec.root, job.there, {}) == {}, job.spec.key
    for node in cluster.accounts.tree.nodes:
        for resource, terms in node.spec.terms.items():
            assert cluster.accounts.ledger.held(node.index).get(resource, 0) <= terms.limit


@given(st.data())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_moves_and_evictions_come_to_an_end(data: st.DataObject) -> None:
    declared = data.draw(queues)
    parents = {one.parent for one in declared}
    leaves = tuple(one.name for one in declared if one.name not in parents)
    # Whom only time keeps in his place is free to be moved again in each round.
    world = World(dict.fromkeys("wxyz", 4), declared, landings=Landings(), round_s=2 * AT_REST_S)
    free = dict.fromkeys("wxyz", 4)
    for number in range(data.draw(st.integers(3, 8))):
        there = data.draw(jobs(f"r{number}", leaves))
        line = Line.of(there)
        if world.cluster.accounts.refusal(line.spec(), {GPU: 1000 * line.pods * line.gpu}) is not None:
            continue
        where: list[str] = []
        for _ in range(line.pods):
            fits = [name for name, gpus in free.items() if gpus - line.gpu * where.count(name) >= line.gpu]
            if fits:
                where.append(data.draw(st.sampled_from(fits)))
        if len(where) == line.pods:
            world.run(f"{there} since {number} on {' '.join(where)}")
            for name in where:
                free[name] -= line.gpu
    for age in range(data.draw(st.integers(1, 4))):
        in_queue = f" in {data.draw(st.sampled_from(leaves))}" if leaves else ""
        size, gpus = data.draw(st.sampled_from((("", 3), ("", 4), ("", 4), ("*2", 3), ("*2", 4))))
        world.come(f"big{age}{size}{in_queue} at {data.draw(st.integers(0, 2))} gpu {gpus}", age)
    rounds = 0
    while world.round():
        rounds += 1
        assert rounds < MOST_ROUNDS
    breaks_nothing(world.cluster)


@pytest.mark.parametrize(
    ("declared", "waits"),
    [
        # What the one is due by its past goes up while the other runs, and would come down again with all that it took.
        ((queue("a"), queue("b")), ["j in a"] * 8 + ["j in b"] * 8),
        ((queue("a", 2), queue("b", 0, weight=3)), ["j in a"] * 8 + ["j in b"] * 8),
        ((queue("a"), queue("b"), queue("c")), ["j*2 in a"] * 4 + ["j*3 in b"] * 3 + ["j in c"] * 8),
        (
            (queue("top"), queue("x", parent="top"), queue("y", parent="top"), queue("b")),
            ["j in x"] * 8 + ["j in y"] * 8 + ["j in b"] * 8,
        ),
        # Within one queue: who waits grows older, and who runs has had more.
        ((queue("a"),), ["j in a by ann at 1"] * 8 + ["j in a by bob"] * 8),
    ],
)
def test_time_alone_evicts_nobody(declared: Sequence[QueueSpec], waits: Sequence[str]) -> None:
    history = History(HALF_LIFE_S, 1000.0)
    world = World({"x": 8}, declared, history=history, ageing_s=HALF_LIFE_S)
    for age, text in enumerate(waits):
        world.come(text.replace("j", f"j{age}", 1), age)
        world.round()
    while world.round():
        pass
    before, evicted = history.past.used, world.evicted
    for _ in range(60):
        world.pass_time(HALF_LIFE_S)
        world.round()
    assert world.evicted == evicted
    # It did pass.
    assert history.past.used != before
