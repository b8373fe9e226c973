"""Rankings under rules between pods, kept from change to change, answer as a look at every pod and node would."""

import math
from collections.abc import Iterable
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aliquot.kube.api.core import Pod
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import PlacedPod, PodRequest, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.ranking import Ranking
from aliquot.scheduler.core.reasons import Kind
from aliquot.scheduler.core.rules import PodSelector, Spread
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.pods import PodReader
from aliquot.scheduler.testing import node, placed
from tests.scheduler.placing import Json, even, pod, term

POLICIES = Policies()
thorough = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NODES = ("a", "b", "c", "d")
LABELS = ("", "app=x", "app=y", "app=x v=1", "app=x v=2")

keys = st.sampled_from(("zone", "rack", "kubernetes.io/hostname"))
terms = st.builds(
    lambda labels, by, more: term(labels, by, **more),
    st.sampled_from((None, "", "app=x", "app=y", "v=1")),
    keys,
    st.sampled_from(
        ({}, {}, {"namespaces": ["other"]}, {"namespaceSelector": {}}, {"matchLabelKeys": ["v"]})
    ),
)
constraints = st.builds(
    lambda labels, by, skew, more: even(labels, by, skew, **more),
    st.sampled_from(("", "app=x", "app=y")),
    keys,
    st.integers(1, 2),
    st.fixed_dictionaries(
        {},
        optional={
            "minDomains": st.integers(1, 3),
            "nodeAffinityPolicy": st.sampled_from(("Honor", "Ignore")),
            "nodeTaintsPolicy": st.sampled_from(("Honor", "Ignore")),
            "whenUnsatisfiable": st.sampled_from(("DoNotSchedule", "ScheduleAnyway")),
        },
    ),
)


def few(of: st.SearchStrategy[Json], most: int = 2) -> st.SearchStrategy[list[Json]]:
    return st.lists(of, max_size=most)


@st.composite
def pods(draw: st.DrawFn, name: str) -> Pod:
    weighted = st.tuples(st.integers(1, 3), terms)
    has: dict[str, Any] = {}
    for field, strategy in (
        ("near", few(terms)),
        ("apart", few(terms)),
        ("likes", st.lists(weighted, max_size=1)),
        ("dislikes", st.lists(weighted, max_size=1)),
        ("spread", few(constraints)),
    ):
        if draw(st.booleans()):
            has[field] = draw(strategy)
    return pod(
        name,
        draw(st.sampled_from(LABELS)),
        namespace=draw(st.sampled_from(("default", "default", "other"))),
        leaves=draw(st.sampled_from((False, False, True))),
        nodeSelector=draw(st.sampled_from(({}, {}, {"zone": "1"}))),
        **has,
    )


@st.composite
def facts(draw: st.DrawFn, name: str) -> Any:
    labels = draw(
        st.fixed_dictionaries({}, optional={"zone": st.sampled_from("12"), "rack": st.sampled_from("34")})
    )
    taints = draw(st.sampled_from(((), (), ("t:NoSchedule",), ("t:PreferNoSchedule",))))
    return node(name, labels=labels, taints=taints, pods=draw(st.sampled_from((6, 6, 1))))


class Plain:
    """The same by looking at everything."""

    def __init__(self, shape: PodShape, snapshot: Snapshot) -> None:
        self.shape = shape
        self.rules = shape.rules
        self.nodes = snapshot.nodes
        self.pods = [one for one in snapshot.pods.values() if one.node in snapshot.nodes]

    def labels(self, name: str) -> Any:
        return self.nodes[name].facts.labels

    def near(self, name: str, key: str) -> list[PlacedPod]:
        """The pods in the node's domain."""
        value = self.labels(name).get(key)
        return [p for p in self.pods if value is not None and self.labels(p.node).get(key) == value]

    def reject(self, name: str) -> Kind | None:
        for spread in self.rules.spread:
            if spread.topology_key not in self.labels(name):
                return Kind.SPREAD_LABEL
            counts = self.counts(spread, self.rules.spread)
            fewest = min(counts.values(), default=0) if len(counts) >= spread.min_domains else 0
            here = counts.get(self.labels(name)[spread.topology_key], 0)
            if here + spread.selects_itself - fewest > spread.max_skew:
                return Kind.SPREAD
        if self.lonely(name):
            return Kind.POD_AFFINITY
        for one in self.rules.anti_affinity:
            if any(selects(one.selector, p) for p in self.near(name, one.topology_key)):
                return Kind.POD_ANTI_AFFINITY
        for one in self.rules.kept_out_by:
            if any(one in p.kin.repels for p in self.near(name, one.topology_key)):
                return Kind.KEPT_OUT
        return None

    def lonely(self, name: str) -> bool:
        affinity = self.rules.affinity
        if any(one.topology_key not in self.labels(name) for one in affinity):
            return True
        wanted = [p for p in self.pods if all(selects(one.selector, p) for one in affinity)]
        anywhere = any(one.topology_key in self.labels(p.node) for one in affinity for p in wanted)
        if not anywhere and self.rules.selects_itself:
            return False
        return not all(any(p in wanted for p in self.near(name, one.topology_key)) for one in affinity)

    def counts(self, spread: Spread, together: Iterable[Spread]) -> dict[str, int]:
        found: dict[str, int] = {}
        for name, state in self.nodes.items():
            if self.counts_for(spread, together, state):
                value = state.facts.labels[spread.topology_key]
                there = [p for p in self.pods if p.node == name and not p.terminating]
                found[value] = found.get(value, 0) + sum(selects(spread.selector, p) for p in there)
        return found

    def counts_for(self, spread: Spread, together: Iterable[Spread], state: NodeState) -> bool:
        labels = state.facts.labels
        matches = all(labels.get(key) == value for key, value in self.shape.node_selector)
        hard = [taint for taint in state.facts.taints if taint.effect != "PreferNoSchedule"]
        return (
            all(one.topology_key in labels for one in together)
            and (matches or not spread.honors_affinity)
            and not (hard and spread.honors_taints)
        )

    def preference(self, name: str) -> tuple[float, float]:
        pulled = sum(
            pull.weight * sum(selects(pull.term.selector, p) for p in self.near(name, pull.term.topology_key))
            for pull in self.rules.pulls
        ) + sum(
            pull.weight * sum(pull in p.kin.pulls for p in self.near(name, pull.term.topology_key))
            for pull in self.rules.pulled_by
        )
        soft = self.rules.soft_spread
        if any(one.topology_key not in self.labels(name) for one in soft):
            return pulled, -math.inf
        counts = [(one, self.counts(one, soft)) for one in soft]
        crowded = sum(
            math.log(len(found) + 2) * found.get(self.labels(name)[one.topology_key], 0)
            for one, found in counts
        )
        return pulled, -round(crowded)

    def judged(self) -> tuple[str | None, dict[str, Kind]]:
        """The best node, and why each of the others will not do."""
        fits, kinds = [], {}
        for name, state in self.nodes.items():
            alone = POLICIES.reject(self.shape, state)
            kind = alone.kind if alone is not None else self.reject(name)
            if kind is not None:
                kinds[name] = kind
                continue
            weight = POLICIES.weigh(POLICIES.score(self.shape, state), self.preference(name))
            fits.append((tuple(-part for part in weight), name))
        return (min(fits)[1] if fits else None), kinds


def selects(selector: PodSelector, one: PlacedPod) -> bool:
    return selector.selects(one.kin.namespace, one.kin.labels)


class History:
    """Nodes and pods that come, change and go; `waiting` are read when all of them are known."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.reader, self.snapshot = PodReader(), Snapshot()
        names = [f"p{number}" for number in range(5)]
        self.running = [self.draw(pods(name)) for name in names for _ in range(2)]
        waiting = [self.draw(pods(f"q{number}")) for number in range(3)]
        for one in (*self.running, *waiting):
            self.reader.rules.kin(one)
        self.waiting = [self.reader.request(one) for one in waiting]

    def step(self) -> None:
        match self.draw(st.sampled_from(("node", "node", "gone", "pod", "pod", "pod", "pod", "remove"))):
            case "node":
                self.snapshot.set_facts(self.draw(facts(self.draw(st.sampled_from(NODES)))))
            case "gone":
                self.snapshot.remove_facts(self.draw(st.sampled_from(NODES)))
            case "pod":
                one = self.draw(st.sampled_from(self.running))
                where = msgspec.structs.replace(one.spec, node_name=self.draw(st.sampled_from(NODES)))
                self.snapshot.set_pod(self.reader.placed(msgspec.structs.replace(one, spec=where)))
            case "remove":
                self.snapshot.remove_pod(f"default/p{self.draw(st.integers(0, 4))}")


def agree(ranking: Ranking, snapshot: Snapshot) -> None:
    best, kinds = Plain(ranking.shape, snapshot).judged()
    assert ranking.best(snapshot) == best
    assert {name: reason.kind for name, reason in ranking.rejections(snapshot).items()} == kinds


@given(st.data())
@thorough
def test_a_ranking_answers_as_a_look_at_everything_would(data: st.DataObject) -> None:
    history = History(data)
    # Cleared away never, or before every look.
    spare = data.draw(st.sampled_from((1000, -1000)))
    rankings = [Ranking(request.shape, POLICIES, spare=spare) for request in history.waiting]
    for name in NODES:
        history.snapshot.set_facts(data.draw(facts(name)))
    for _ in range(data.draw(st.integers(1, 12))):
        history.step()
        for ranking in rankings:
            if data.draw(st.booleans()):
                agree(ranking, history.snapshot)


@given(st.data())
@thorough
def test_what_a_session_undoes_is_undone_for_the_others_as_well(data: st.DataObject) -> None:
    history = History(data)
    for name in NODES:
        history.snapshot.set_facts(data.draw(facts(name)))
    for _ in range(data.draw(st.integers(0, 8))):
        history.step()
    rankings = [Ranking(request.shape, POLICIES) for request in history.waiting]
    before = [(r.best(history.snapshot), dict(r.rejections(history.snapshot))) for r in rankings]
    session = Session(history.snapshot)
    for request in history.waiting:
        session.place(request, data.draw(st.sampled_from(NODES)))
        for ranking in rankings:
            agree(ranking, history.snapshot)
    session.undo()
    assert [(r.best(history.snapshot), dict(r.rejections(history.snapshot))) for r in rankings] == before


def test_a_node_that_is_as_good_as_before_in_another_domain() -> None:
    snapshot = Snapshot()
    request = PodReader().request(pod("p", near=[term("app=x")]))
    for name in "ab":
        snapshot.set_facts(node(name, labels={"zone": name}))
    snapshot.set_pod(placed(PodReader().request(pod("r", "app=x")), "b"))
    snapshot.set_facts(node("b", labels={"zone": "b"}, cordoned=True))
    ranking = Ranking(request.shape, POLICIES)
    assert ranking.best(snapshot) is None
    snapshot.set_facts(node("a", labels={"zone": "b"}))
    assert ranking.best(snapshot) == "a"
    snapshot.set_facts(node("a", labels={"zone": "a"}))
    assert ranking.best(snapshot) is None


def test_tallies_end_with_those_who_hold_them() -> None:
    history = Snapshot()
    history.set_facts(node("a"))
    request = PodReader().request(pod("p", "app=x", apart=[term("app=x", "kubernetes.io/hostname")]))
    ranking = Ranking(request.shape, POLICIES)
    assert ranking.best(history) == "a"
    assert history.neighbours.tallies == 2  # of those that it avoids, and of those that would avoid it
    history.set_pod(placed(request, "a"))
    assert ranking.best(history) is None
    del ranking
    assert history.neighbours.tallies == 0


def test_pods_of_one_shape_are_those_that_the_same_rules_select() -> None:
    reader = PodReader()
    plain: list[PodRequest] = [reader.request(pod(name, f"app={name}")) for name in "xy"]
    assert len({one.shape.signature for one in plain}) == 1
    reader.placed(pod("r", apart=[term("app=x")], nodeName="a"))
    assert [str(rule) for rule in reader.rules.take_news()] == ["app in (x) by zone"]
    x, y = (reader.request(pod(name, f"app={name} controller-uid={name}")) for name in "xy")
    z = reader.request(pod("z", "app=z controller-uid=z"))
    assert x.shape.signature != y.shape.signature == z.shape.signature
    assert reader.rules.take_news() == []
