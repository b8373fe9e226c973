"""Without new input evictions come to an end: whoever is evicted waits again, as its controller would have it."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from aliquot.scheduler.core.jobs import JobSpec, lacking
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.victims import Guards
from tests.scheduler.worlds import Cluster, Line, queue

MOST_ROUNDS = 60

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
    return f"{name}{size}{where} at {draw(st.integers(0, 2))} gpu {gpu}{kept}"


class World:
    def __init__(self, data: st.DataObject) -> None:
        declared = data.draw(queues)
        parents = {one.parent for one in declared}
        leaves = tuple(one.name for one in declared if one.name not in parents)
        self.cluster = Cluster({"x": 4, "y": data.draw(st.integers(1, 4))}, declared)
        self.members: dict[str, tuple[PodRequest, JobSpec]] = {}
        self.lines = [data.draw(jobs(f"j{n}", leaves)) for n in range(data.draw(st.integers(2, 9)))]
        self.now_s = 1000.0

    def come(self, text: str, age: int) -> None:
        line = Line.of(text)
        for request in line.requests(age):
            self.members[request.key] = request, line.spec(age)
            self.cluster.pending.put(request, line.spec(age))

    def round(self) -> int:
        """How many were evicted."""
        cluster = self.cluster
        outcome = cluster.decide(Guards(), self.now_s)
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
        self.now_s += 1
        return len(gone)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_evictions_come_to_an_end_and_break_nothing(data: st.DataObject) -> None:
    world = World(data)
    cluster = world.cluster
    rounds = 0
    for age, text in enumerate(world.lines):
        world.come(text, age)
        if data.draw(st.booleans()):
            world.round()
    while world.round():
        rounds += 1
        assert rounds < MOST_ROUNDS, world.lines
    for state in cluster.snapshot.nodes.values():
        for resource, used in state.used.items():
            assert used <= state.facts.allocatable.get(resource, 0)
    for job in cluster.pending.jobs.values():
        # Whole, or not at all.
        if job.placed and job.spec.root is not None:
            assert lacking(job.spec.root, job.there, {}) == {}, job.spec.key
    for node in cluster.accounts.tree.nodes:
        for resource, terms in node.spec.terms.items():
            assert cluster.accounts.ledger.held(node.index).get(resource, 0) <= terms.limit
