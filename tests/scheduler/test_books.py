"""What queues hold is what their pods got: at every moment, within their limits, and by whatever way it came to be."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.landings import Landings
from aliquot.scheduler.core.movable import AT_REST_S
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import Amounts, PodRequest
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.queues.tariff import Tariff, prices_of
from aliquot.scheduler.core.queues.terms import GPU, UNLIMITED, QueueSpec, Terms, of_model
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.reasons import Kind
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.testing import node, placed, pod, ways

SMALL = "class.aliquot.dev/small"
WHOLE = "nvidia.com/gpu"
CLASSES = {"small": ways("1g.10gb", "whole")}
PRODUCT = "nvidia.com/gpu.product"
H100, T4 = of_model("H100"), of_model("T4")


def h100(name: str, *layouts: str) -> NodeFacts:
    return node(name, *layouts, cut="h100-80gb", classes=CLASSES, labels={PRODUCT: "H100"})


def t4(name: str, gpus: int = 1) -> NodeFacts:
    """It lists none of its GPUs."""
    return replace(node(name, gpus=gpus, labels={PRODUCT: "T4"}), classes=CLASSES)


def queue(name: str, **limits: int) -> QueueSpec:
    """In thousandths, of `gpu` and of models."""
    resources = {"gpu": GPU, "h100": H100, "t4": T4}
    return QueueSpec(name, terms={resources[what]: Terms(None, most, 1000) for what, most in limits.items()})


class World:
    def __init__(self, *nodes: NodeFacts, queues: tuple[QueueSpec, ...]) -> None:
        self.nodes = {facts.name: facts for facts in nodes}
        self.tariff = Tariff(self.nodes, prices_of(self.nodes))
        self.accounts = Accounts(queues, self.tariff.asked, got=self.tariff.got)
        policies = Policies()
        self.pending = Pending(policies.order, self.accounts)
        self.snapshot, self.rankings = Snapshot(), Rankings(policies)
        self.members: dict[str, tuple[PodRequest, JobSpec]] = {}
        self.landings: Landings | None = None
        """None: nobody is moved."""
        self.now_s = 1000.0
        for facts in nodes:
            self.add(facts)

    def add(self, facts: NodeFacts) -> None:
        self.nodes[facts.name] = facts
        self.snapshot.set_facts(facts)
        self.accounts.offer(facts.name, {GPU: 1000 * (len(facts.gpus) or facts.allocatable[WHOLE])})

    def come(
        self,
        name: str,
        resource: str,
        queue: str = "a",
        priority: int = 0,
        *,
        count: int = 1,
        owner: str = "",
    ) -> None:
        request = pod(name, wants={resource: count}, priority=priority, created_s=self.now_s)
        request = replace(request, owner=owner or name)
        spec = JobSpec(request.key, None, queue, priority=priority, created_s=self.now_s)
        self.members[request.key] = request, spec
        self.pending.put(request, spec)
        self.now_s += 1

    def go(self, key: str) -> None:
        self.pending.discard(key)
        self.snapshot.remove_pod(key)
        self.members.pop(key)

    def round(self) -> cycle.Outcome:
        outcome = cycle.run(
            self.snapshot,
            self.pending,
            self.rankings,
            guards=Guards(anew=lambda key: self.members[key][0]),
            landings=self.landings,
            now_s=self.now_s,
            steady_s=self.now_s,
        )
        self.check()
        for decision in outcome.decisions:
            for bind in decision.binds:
                self.now_s += 1
                seen = structs.replace(bind.placed, assumed=False, reserved=False, since_s=self.now_s)
                self.snapshot.set_pod(seen)
            for gone in decision.after:
                request, spec = self.members[gone.key]
                self.go(gone.key)
                self.members[request.key] = request, spec
                self.pending.put(request, spec)
        self.check()
        return outcome

    def held(self, queue: str) -> Amounts:
        return dict(self.accounts.ledger.allocated(queue))

    def check(self) -> None:
        """The books are the sum of what is placed, and no queue has more than it may."""
        by_queue: dict[str, dict[str, int]] = {}
        for job in self.pending.jobs.values():
            for key in job.placed:
                # Who is told to go has left the books.
                if self.accounts.entry(key) is None:
                    continue
                request, spec = self.members[key]
                total = by_queue.setdefault(spec.queue, {})
                for resource, n in self.accounts.held(request.shape, self.snapshot.pods[key]).items():
                    total[resource] = total.get(resource, 0) + n
        for spec_ in self.accounts.specs:
            assert self.held(spec_.name) == by_queue.get(spec_.name, {})
            for resource, terms in spec_.terms.items():
                assert terms.limit == UNLIMITED or self.held(spec_.name).get(resource, 0) <= terms.limit


@pytest.mark.parametrize(
    ("nodes", "resource", "expected"),
    [
        # A slice of a GPU, or all of one: the same class.
        ([h100("x", "whole")], SMALL, {GPU: 142, H100: 142}),
        ([h100("x", "whole:small")], SMALL, {GPU: 1000, H100: 1000}),
        # Which model it is, is known with the node.
        ([h100("x"), t4("y")], WHOLE, {GPU: 1000, T4: 1000}),
        ([h100("x", "whole"), t4("y", 0)], WHOLE, {GPU: 1000, H100: 1000}),
    ],
)
def test_a_placed_pod_counts_for_what_it_got(
    nodes: list[NodeFacts], resource: str, expected: Mapping[str, int]
) -> None:
    nodes = [facts for facts in nodes if facts.gpus or facts.allocatable.get(WHOLE)]
    world = World(*nodes, queues=(queue("a", gpu=UNLIMITED, h100=UNLIMITED, t4=UNLIMITED),))
    world.come("p", resource)
    world.round()
    assert world.held("a") == expected
    # Evicted and taken back, what was in the books is there again.
    session = Session(world.snapshot, world.accounts)
    session.evict("default/p")
    assert world.held("a") == {}
    session.undo()
    assert world.held("a") == expected


def test_a_limit_on_a_model_leads_to_another_node() -> None:
    world = World(h100("x", "whole", "whole"), t4("y", 1), queues=(queue("a", gpu=UNLIMITED, h100=1000),))
    for name in "pqr":
        world.come(name, WHOLE)
    outcome = world.round()
    assert world.held("a") == {GPU: 2000, H100: 1000, T4: 1000}
    (blocked,) = outcome.blocked
    assert blocked.shortfall.reason is not None
    assert blocked.shortfall.reason.kind is Kind.OVER_LIMIT


def test_a_dear_way_waits_or_goes_elsewhere_where_the_queue_has_no_room_for_it() -> None:
    dear = h100("x", "whole:small")
    alone = World(dear, queues=(queue("a", gpu=500),))
    alone.come("p", SMALL)
    (blocked,) = alone.round().blocked
    assert blocked.shortfall.reason is not None
    # It may have a slice another time.
    assert blocked.shortfall.reason.kind is Kind.OVER_LIMIT
    both = World(dear, h100("y", "1g.10gb@6:small"), queues=(queue("a", gpu=500),))
    both.come("p", SMALL)
    both.round()
    assert both.held("a") == {GPU: 142, H100: 142}


def counted(name: str, product: str, gpus: int = 1) -> NodeFacts:
    return node(name, gpus=gpus, labels={PRODUCT: product})


def with_one_in_the_way(*queues: QueueSpec) -> World:
    """`p` of the queue `a` is on one of the two GPUs of `x`, and could go to `y`."""
    world = World(counted("x", "H100", 2), counted("y", "T4"), counted("z", "T4"), queues=queues)
    for name, at in (("p", "x"), ("q", "z")):
        world.come(name, WHOLE)
        request, spec = world.members[f"default/{name}"]
        there = structs.replace(placed(request, at, admitted=True), since_s=world.now_s)
        world.snapshot.set_pod(there)
        world.pending.hold(request, spec, placed=there)
    world.now_s += AT_REST_S
    world.landings = Landings()
    world.come("big", WHOLE, "b", count=2)
    return world


@pytest.mark.parametrize(
    ("limit", "moved"), [(UNLIMITED, {"default/p": "y"}), (2000, {"default/p": "y"}), (1000, {})]
)
def test_nobody_is_moved_to_where_its_queue_may_have_no_more(limit: int, moved: Mapping[str, str]) -> None:
    world = with_one_in_the_way(queue("a", t4=limit), queue("b"))
    outcome = world.round()
    assert {one.moved: one.node for decision in outcome.decisions for one in decision.stand_ins} == moved


def test_one_who_is_moved_goes_where_its_queue_may_have_it() -> None:
    world = with_one_in_the_way(queue("a", t4=1000), queue("b"))
    world.add(counted("y2", "H100"))
    outcome = world.round()
    assert [one.node for decision in outcome.decisions for one in decision.stand_ins] == ["y2"]


def test_room_is_not_kept_for_one_whose_queue_has_used_what_it_may_meanwhile() -> None:
    world = with_one_in_the_way(queue("a", t4=2000), queue("b"))
    world.add(counted("w", "T4"))
    world.round()
    assert world.landings is not None
    assert [one.node for one in world.landings.kept.values()] == ["w"]
    world.go("default/p")
    world.come("r", WHOLE)
    world.round()
    assert world.held("a") == {GPU: 2000, T4: 2000}
    world.come("p-2", WHOLE, owner="p")
    (blocked,) = world.round().blocked
    assert blocked.shortfall.reason is not None
    assert (blocked.job.key, blocked.shortfall.reason.kind) == ("default/p-2", Kind.OVER_LIMIT)
    assert not world.landings.kept
    world.come("other", WHOLE, "b")
    world.round()
    assert world.snapshot.pods["default/other"].node == "w"


def test_another_board_changes_what_is_booked() -> None:
    world = World(h100("x", "whole"), queues=(queue("a", gpu=UNLIMITED, h100=UNLIMITED),))
    world.come("p", SMALL)
    world.round()
    before = world.held("a")
    world.nodes["y"] = t4("y")
    again = Tariff(world.nodes, prices_of(world.nodes))
    world.accounts.price(again.asked, again.got)
    assert world.held("a") == before
    # A node that is not known any more does not tell: as it was asked for.
    del world.nodes["x"]
    world.accounts.look_again("x")
    assert world.held("a") == dict(again.asked(world.members["default/p"][0].shape))


limits = st.sampled_from((UNLIMITED, 500, 1000, 2000))


@given(st.data())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_books_are_what_is_placed_and_evictions_come_to_an_end(data: st.DataObject) -> None:
    layouts = st.sampled_from(("whole", "whole:small", "1g.10gb@6", "3g.40gb@0"))
    queues = tuple(queue(name, gpu=data.draw(limits), h100=data.draw(limits)) for name in "ab")
    nodes = (
        h100("x", *data.draw(st.lists(layouts, min_size=1, max_size=3))),
        t4("y", data.draw(st.integers(1, 3))),
    )
    world = World(*nodes, queues=queues)
    world.landings = Landings() if data.draw(st.booleans()) else None
    for number in range(data.draw(st.integers(1, 12))):
        resource = data.draw(st.sampled_from((SMALL, SMALL, WHOLE)))
        world.come(
            f"p{number}",
            resource,
            data.draw(st.sampled_from("ab")),
            data.draw(st.integers(0, 2)),
            count=data.draw(st.sampled_from((1, 1, 2))),
        )
        world.now_s += data.draw(st.sampled_from((0.0, AT_REST_S)))
        if data.draw(st.booleans()):
            world.round()
        if data.draw(st.integers(0, 5)) == 0:
            world.go(data.draw(st.sampled_from(sorted(world.members))))
            world.check()
    world.now_s += AT_REST_S
    assert any(not world.round().decisions for _ in range(60))
