"""What holds for every cluster, whoever waits, in whatever order it is told."""

import random
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.attempts import Fitting, Shortfall
from aliquot.scheduler.core.facts import DeviceState, NodeFacts, device_id
from aliquot.scheduler.core.jobs import Group, JobSpec, TopologyWish
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import ContainerKind, DeviceChoice, PlacedPod, PodRequest, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.ranking import Ranking
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.reasons import Reason
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.topology import Topology
from aliquot.scheduler.testing import by_usual, container, linked, mig, node, placed, pod, term

POLICIES = Policies()
thorough = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""No test may depend on how fast the machine is."""
NAMES = ("a", "b", "c", "d")
TWENTY = frozenset(f"n{number}" for number in range(20))

layouts = st.sampled_from(
    (
        "whole",
        "whole!unadvertised",
        "whole!unhealthy",
        "whole=default/p1",
        "1g.10gb@0 1g.10gb@1 2g.20gb@2",
        "1g.10gb@0=default/p2 1g.10gb@3!recut 3g.40gb@4",
        "3g.40gb@0=other/x 3g.40gb@4",
        "4g.40gb@0 3g.40gb@4=default/p3",
        "whole*3",
        "whole*2=default/p1+other/y",
        "whole*2!unhealthy=default/p2",
        "3g.40gb@0*2 3g.40gb@4",
    )
)


@st.composite
def node_facts(draw: st.DrawFn, names: st.SearchStrategy[str] = st.sampled_from(NAMES)) -> NodeFacts:  # noqa: B008
    name = draw(names)
    gpus = draw(st.lists(layouts, max_size=4))
    links = linked([[0, 2], [1, 3]]) if len(gpus) == 4 and draw(st.booleans()) else None
    return node(
        name,
        *gpus,
        cpu=draw(st.integers(0, 8)),
        memory_gib=4,
        pods=draw(st.integers(1, 6)),
        gpus=0 if gpus else draw(st.integers(0, 4)),
        labels={"zone": draw(st.sampled_from("12"))},
        taints=draw(st.sampled_from(((), ("t=1:NoSchedule",), ("t=1:PreferNoSchedule",)))),
        cordoned=draw(st.booleans()) and draw(st.booleans()),
        links=links,
    )


containers = st.builds(
    lambda kind, cpu, gpu, small, large: container(
        "main", kind=kind, cpu=cpu, gpu=gpu, _1g_10gb=small, _3g_40gb=large
    ),
    st.sampled_from(tuple(ContainerKind)),
    st.integers(0, 3),
    st.sampled_from((0, 0, 1, 2)),
    st.sampled_from((0, 0, 1, 2)),
    st.sampled_from((0, 0, 0, 1)),
)


@st.composite
def pods(draw: st.DrawFn, name: str) -> PodRequest:
    drawn = draw(st.lists(containers, min_size=1, max_size=3))
    # Init containers and sidecars come first, as the API has them.
    ordered = sorted(drawn, key=lambda c: c.kind is ContainerKind.APP)
    return pod(
        name,
        *(replace(one, name=f"c{index}") for index, one in enumerate(ordered)),
        selector=draw(st.sampled_from(({}, {}, {"zone": "1"}))),
        required=draw(st.sampled_from((None, None, [term("@name in a,b")]))),
        preferred=draw(st.sampled_from(((), ((5, term("zone in 2")),)))),
        tolerates=draw(st.sampled_from(((), ("t",)))),
        ports=draw(st.sampled_from(((), (), (80,)))),
        priority=draw(st.integers(0, 2)),
        created_s=draw(st.integers(0, 2)),
    )


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[NodeFacts], list[PodRequest]]:
    facts = [draw(node_facts(st.just(name))) for name in draw(st.sampled_from((NAMES[:1], NAMES[:2], NAMES)))]
    return facts, [draw(pods(f"q{index}")) for index in range(draw(st.integers(1, 8)))]


def decided(
    facts: list[NodeFacts], waiting: list[PodRequest]
) -> tuple[Snapshot, Pending, Rankings, cycle.Outcome]:
    snapshot, pending, rankings = Snapshot(), Pending(POLICIES.order), Rankings(POLICIES)
    for one in facts:
        snapshot.set_facts(one)
    for request in waiting:
        pending.put(request)
    return snapshot, pending, rankings, cycle.run(snapshot, pending, rankings)


@given(clusters())
@thorough
def test_nothing_is_over_committed(cluster: tuple[list[NodeFacts], list[PodRequest]]) -> None:
    snapshot, *_ = decided(*cluster)
    for state in snapshot.nodes.values():
        assert all(left >= 0 for resource, left in state.unasked.items() if resource not in state.free)
        assert all(free >= 0 for free in state.free.values())


@given(clusters())
@thorough
def test_no_device_is_given_too_often_and_every_pod_has_its_devices(
    cluster: tuple[list[NodeFacts], list[PodRequest]],
) -> None:
    snapshot, _, _, outcome = decided(*cluster)
    given_to: Counter[DeviceState] = Counter()
    for bind in outcome.binds:
        facts = snapshot.nodes[bind.placed.node].facts
        beside: Counter[DeviceState] = Counter()
        passing: Counter[DeviceState] = Counter()
        for one in bind.pod.shape.containers:
            got: Counter[str] = Counter()
            for choice in bind.placed.devices:
                device = facts.devices.by_id[device_id(choice.gpu, choice.start)]
                assert (device.resource, device.profile) == (choice.resource, choice.profile)
                assert bool(device.shares) == bool(choice.shares)
                if choice.container == one.name:
                    count = choice.shares or 1
                    got[choice.resource] += count
                    if one.kind is ContainerKind.INIT:
                        passing[device] = max(passing[device], count)
                    else:
                        beside[device] += count
            assert got == {r: n for r, n in one.requests.items() if r in facts.devices.by_resource}
        given_to += beside | passing
    assert all(count <= device.free(len(device.holders)) for device, count in given_to.items())


@given(clusters())
@thorough
def test_a_container_s_shares_are_of_one_device(cluster: tuple[list[NodeFacts], list[PodRequest]]) -> None:
    _, _, _, outcome = decided(*cluster)
    for bind in outcome.binds:
        shared = [(c.container, c.resource) for c in bind.placed.devices if c.shares]
        assert len(shared) == len(set(shared))


@given(clusters(), st.randoms(use_true_random=False))
@thorough
def test_the_outcome_does_not_depend_on_the_order_of_arrival(
    cluster: tuple[list[NodeFacts], list[PodRequest]], rng: random.Random
) -> None:
    facts, waiting = cluster
    _, _, _, outcome = decided(facts, waiting)
    _, _, _, again = decided(rng.sample(facts, len(facts)), rng.sample(waiting, len(waiting)))
    assert outcome.binds == again.binds
    assert {one.alike for one in outcome.blocked} == {one.alike for one in again.blocked}


@given(clusters(), st.integers(2, 12), st.booleans())
@thorough
def test_a_gang_is_turned_down_at_a_look_only_where_an_attempt_would_fail(
    cluster: tuple[list[NodeFacts], list[PodRequest]], more: int, in_one_zone: bool
) -> None:
    facts, waiting = cluster
    snapshot, pending, rankings = Snapshot(), Pending(POLICIES.order), Rankings(POLICIES)
    for one in facts:
        snapshot.set_facts(one)
    alike = [replace(waiting[0], key=f"{waiting[0].key}-{number:02}") for number in range(more)]
    members = [*waiting[1:], *alike]
    wish = TopologyWish("net", required="zone") if in_one_zone else None
    spec = JobSpec("default/gang", Group(minimum=len(members), topology=wish))
    for member in members:
        pending.put(member, spec)
    job = pending.jobs[spec.key]
    found = []
    for telling in (False, True):
        # Who tells what is in the way tries in any case.
        session = Session(snapshot)
        topologies = {"net": Topology("net", ("zone",))}
        fitting = Fitting(session, rankings, topologies)
        found.append(fitting.place_job(job, job.lacks() or {}, telling=telling))
        session.undo()
    looked, tried = found
    assert isinstance(looked, Shortfall) == isinstance(tried, Shortfall)
    assert isinstance(looked, Shortfall) or looked == tried


@given(clusters())
@thorough
def test_whoever_waits_is_told_why(cluster: tuple[list[NodeFacts], list[PodRequest]]) -> None:
    snapshot, pending, rankings, outcome = decided(*cluster)
    assert {one.alike for one in outcome.blocked} == set(pending.lines)
    for one in outcome.blocked:
        told = cycle.why(snapshot, pending, one, rankings)
        assert told.message
        assert told.detail.startswith(f"0/{len(snapshot.nodes)} nodes are available")


def usual() -> Policies:
    """By worth, and with nothing kept from before."""
    known = [
        pod("whole", gpu=1, cpu=2, memory_gib=1),
        pod("small", wants={mig("1g.10gb"): 1}, cpu=1),
        pod("large", wants={mig("3g.40gb"): 1}, cpu=1),
    ]
    return by_usual(known, [node("n", "whole", "1g.10gb@0 3g.40gb@4")])


def scan(
    shape: PodShape, snapshot: Snapshot, policies: Policies, within: Collection[str] = NAMES
) -> str | None:
    """The plain way to find the best node."""
    fits = [
        (-policies.score(shape, state), name)
        for name, state in snapshot.nodes.items()
        if name in within and policies.reject(shape, state) is None
    ]
    return min(fits)[1] if fits else None


class History:
    """Random things that happen to a cluster, told to a snapshot one by one, and remembered as they are in the end."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.snapshot = Snapshot()
        self.facts: dict[str, NodeFacts] = {}
        self.live: dict[str, PlacedPod] = {}
        self.ended: dict[str, str] = {}

    def step(self) -> None:
        key = f"default/{self.draw(st.sampled_from(('p1', 'p2', 'p3', 'p4', 'p5')))}"
        where = self.draw(st.sampled_from(NAMES))
        match self.draw(
            st.sampled_from(("facts", "facts", "gone", "pod", "pod", "pod", "swap", "end", "remove"))
        ):
            case "facts":
                self._set_facts(self.draw(node_facts(st.just(where))))
            case "gone":
                self.facts.pop(where, None)
                self.snapshot.remove_facts(where)
            case "pod":
                self._set_pod(self._placed(key, where))
            case "swap":
                # Kubelet gave p1 what was meant for p2, and the list names p1 alone so far.
                for index, name in enumerate(("p1", "p2")):
                    admitted = self.draw(st.booleans())
                    self._set_pod(placed(pod(name, gpu=1), f"{where} gpu{index}", admitted=admitted))
                self._set_facts(node(where, "whole", "whole=default/p1"))
            case "end":
                self.live.pop(key, None)
                self.ended[key] = where
                self.snapshot.end_pod(key, where)
            case "remove":
                self.live.pop(key, None)
                self.ended.pop(key, None)
                self.snapshot.remove_pod(key)

    def _set_facts(self, facts: NodeFacts) -> None:
        self.facts[facts.name] = facts
        self.snapshot.set_facts(facts)

    def _set_pod(self, one: PlacedPod) -> None:
        self.live[one.key] = one
        self.ended.pop(one.key, None)
        self.snapshot.set_pod(one)

    def _placed(self, key: str, where: str) -> PlacedPod:
        request = self.draw(pods(key.removeprefix("default/")))
        facts = self.facts.get(where)
        devices: tuple[DeviceChoice, ...] = ()
        if facts is not None and facts.devices.all:
            # Any device at all, also one that another pod holds: the truth need not make sense.
            chosen = self.draw(st.lists(st.sampled_from(facts.devices.all), max_size=3, unique_by=id))
            devices = tuple(DeviceChoice("c0", d.resource, d.gpu, d.profile, d.start) for d in chosen)
        return PlacedPod(
            key,
            "uid",
            where,
            request.shape.request,
            devices,
            request.shape.host_ports,
            self.draw(st.booleans()),
        )

    def rebuilt(self) -> Snapshot:
        snapshot = Snapshot()
        for key, where in self.ended.items():
            snapshot.end_pod(key, where)
        for one in reversed(self.live.values()):
            snapshot.set_pod(one)
        for facts in self.facts.values():
            snapshot.set_facts(facts)
        return snapshot


@given(st.data())
@thorough
def test_a_snapshot_kept_in_step_equals_one_built_anew(data: st.DataObject) -> None:
    history = History(data)
    for _ in range(data.draw(st.integers(1, 10))):
        history.step()
        assert history.snapshot.nodes == history.rebuilt().nodes


@pytest.mark.parametrize("policies", [Policies, usual], ids=["packed", "by worth"])
@given(data=st.data())
@thorough
def test_a_ranking_answers_as_a_scan_of_all_nodes_would(
    policies: Callable[[], Policies], data: st.DataObject
) -> None:
    history = History(data)
    shapes = [data.draw(pods(f"q{index}")).shape for index in range(2)]
    # Cleared away never, or before every look.
    spare = data.draw(st.sampled_from((1000, -1000)))
    kept = policies()
    rankings = [Ranking(shape, kept, spare=spare) for shape in shapes]
    pair = ["b", "c"]
    for _ in range(data.draw(st.integers(1, 10))):
        history.step()
        for ranking in rankings:
            if data.draw(st.booleans()):
                assert ranking.best(history.snapshot) == scan(ranking.shape, history.snapshot, policies())
                within = data.draw(st.sampled_from((["a", "c"], NAMES, (), ["d"], pair, pair)))
                expected = scan(ranking.shape, history.snapshot, policies(), within)
                assert ranking.best(history.snapshot, within) == expected
            if data.draw(st.booleans()):
                rejected = ranking.rejections(history.snapshot)
                assert rejected == {
                    name: reason
                    for name, state in history.snapshot.nodes.items()
                    if (reason := POLICIES.reject(ranking.shape, state)) is not None
                }


@pytest.mark.parametrize(
    ("shape", "looked_at"),
    [
        (pod("q", required=[term("@name in n7")]).shape, {"n7"}),
        (pod("q", required=[term("@name in n7"), term("@name in n8,n9")]).shape, {"n7", "n8", "n9"}),
        (pod("q", on_node="n7").shape, {"n7"}),
        (pod("q", required=[term("@name notin n7")]).shape, TWENTY),
        (pod("q", required=[term("@name in n7"), term("zone in 1")]).shape, TWENTY),
    ],
)
def test_of_a_pod_that_names_its_nodes_those_alone_are_looked_at(
    shape: PodShape, looked_at: Collection[str]
) -> None:
    looks: list[str] = []

    def counting(_shape: PodShape, state: NodeState) -> Reason | None:
        looks.append(state.name)
        return None

    snapshot = Snapshot()
    for name in TWENTY:
        snapshot.set_facts(node(name, gpus=1))
    policies = Policies()
    ranking = Ranking(shape, replace(policies, filters=(counting, *policies.filters)))
    assert ranking.best(snapshot) in looked_at
    assert set(looks) == looked_at
    assert len(ranking.rejections(snapshot)) == 20 - len(ranking.fitting(snapshot))


@given(st.data())
@thorough
def test_what_a_session_undoes_never_happened(data: st.DataObject) -> None:
    history = History(data)
    for _ in range(data.draw(st.integers(1, 8))):
        history.step()
    before = dict(history.snapshot.nodes)
    session = Session(history.snapshot)
    marks = []
    for index in range(data.draw(st.integers(1, 4))):
        marks.append((session.checkpoint(), dict(history.snapshot.nodes)))
        session.place(data.draw(pods(f"q{index // 2}")), data.draw(st.sampled_from(NAMES)))
    mark, then = data.draw(st.sampled_from(marks))
    session.undo(mark)
    assert history.snapshot.nodes == then
    session.undo()
    assert history.snapshot.nodes == before


def test_a_policy_that_raises_leaves_everything_as_it_was() -> None:
    calls = []

    def failing(shape: PodShape, state: object) -> tuple[()]:
        calls.append(shape)
        if len(calls) > 1:
            raise RuntimeError("broken policy")
        return ()

    policies = Policies(choose=failing)
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    snapshot.set_facts(node("a", gpus=2))
    before = dict(snapshot.nodes)
    for name in ("p", "q"):
        pending.put(pod(name, gpu=1))
    with pytest.raises(RuntimeError, match="broken policy"):
        cycle.run(snapshot, pending, rankings)
    assert snapshot.nodes == before
    assert set(pending.pods) == {"default/p", "default/q"}


def test_a_change_log_that_was_cut_makes_rankings_look_at_all_nodes() -> None:
    snapshot = Snapshot()
    snapshot.set_facts(node("a", gpus=1))
    snapshot.set_facts(node("b", gpus=1))
    ranking = Ranking(pod("p", wants={mig("1g.10gb"): 1}).shape, POLICIES)
    assert ranking.best(snapshot) is None
    version = snapshot.version
    snapshot.set_facts(node("b", "1g.10gb@0"))
    for turn in range(5000):
        snapshot.set_facts(node("a", gpus=1 + turn % 2))
    assert snapshot.changed_since(version) is None
    assert ranking.best(snapshot) == "b"


@pytest.mark.parametrize("spare", [1000, -1000])
@pytest.mark.parametrize(
    "shape",
    [
        pod("q", gpu=1).shape,
        pod("q", gpu=2, gpus_in="numa").shape,
        pod("q", gpu=2, gpus_rather_in="numa").shape,
    ],
    ids=["any", "in one NUMA node", "rather in one NUMA node"],
)
@pytest.mark.parametrize("seed", range(10))
def test_a_ranking_that_is_asked_for_long_answers_as_a_scan_would(
    seed: int, shape: PodShape, spare: int
) -> None:
    rng = random.Random(seed)
    snapshot = Snapshot()
    for name in NAMES:
        snapshot.set_facts(node(name, *["whole"] * 4, numa=[[0, 1], [2, 3]]))
    ranking = Ranking(shape, POLICIES, spare=spare)
    some = (["a", "c"], ["b", "c", "d"])
    for _ in range(300):
        request = pod(f"p{rng.randrange(12)}", gpu=1)
        if rng.random() < 0.6:
            snapshot.set_pod(placed(request, f"{rng.choice(NAMES)} gpu{rng.randrange(4)}"))
        else:
            snapshot.remove_pod(request.key)
        within = rng.choice((NAMES, some[0], some[0], some[0], some[1]))
        assert ranking.best(snapshot, within) == scan(ranking.shape, snapshot, POLICIES, within)
        assert ranking.best(snapshot) == scan(ranking.shape, snapshot, POLICIES)
