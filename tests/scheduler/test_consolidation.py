"""Who is moved so that another fits: each row is a cluster, what runs, who waits, and who goes where.

Lines are as in `worlds`. Whoever runs is made anew when it is evicted, and loses what it has done, unless the row says otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from msgspec import structs

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.backfill.stage import Backfill
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.landings import KEPT_S, Landings, stand_in_key
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.queues.terms import QueueSpec
from aliquot.scheduler.core.victims import Guards
from tests.scheduler.worlds import Cluster, Line, queue

NOW_S = 7200.0


def short(name: str) -> str:
    return name.removeprefix("default/")


class World:
    """Pods of a line have one owner, named after it."""

    def __init__(
        self,
        nodes: Sequence[NodeFacts] | Mapping[str, int],
        queues: Sequence[QueueSpec] = (),
        *,
        bare: Sequence[str] = (),
        servers: Sequence[str] = (),
        kept: Sequence[str] = (),
        allowed: int | None = None,
    ) -> None:
        self.cluster = Cluster(nodes, queues)
        self.landings = Landings()
        self.made: dict[str, PodRequest] = {}
        self.now_s = NOW_S
        self.guards = Guards(
            kept=lambda name: "it is kept" * (short(name) in kept),
            budgets_of=lambda name: () if allowed is None else ("budget",),
            allowed={"budget": allowed or 0},
            anew=lambda name: self.made.get(name) if short(name) not in bare else None,
            loses_work=lambda name: short(name) not in servers,
        )

    def run(self, text: str) -> None:
        line = Line.of(text)
        self.cluster.run(text)
        for request in line.requests():
            self.made[request.key] = replace(request, owner=line.name)

    def wait(self, text: str, age: float = 0.0, owner: str = "") -> None:
        line = Line.of(text)
        for request in line.requests(age):
            self.cluster.pending.put(replace(request, owner=owner or line.name), line.spec(age))

    def decide(self, backfill: Backfill | None = None) -> cycle.Outcome:
        cluster = self.cluster
        outcome = cycle.run(
            cluster.snapshot,
            cluster.pending,
            cluster.rankings,
            guards=self.guards,
            landings=self.landings,
            backfill=backfill,
            now_s=self.now_s,
        )
        for state in cluster.snapshot.nodes.values():
            assert all(left >= 0 for left in state.unasked.values())
        return outcome

    def gone(self, *names: str) -> None:
        for name in names:
            self.cluster.pending.discard(f"default/{name}")
            self.cluster.snapshot.remove_pod(f"default/{name}")


def told(outcome: cycle.Outcome) -> dict[str, str]:
    """By job, who goes for it and where."""
    found = {}
    for decision in outcome.decisions:
        where = {one.moved: one.node for one in decision.stand_ins}
        found[short(decision.job.key)] = " ".join(
            f"{short(pod.key)}>{where[pod.key]}" if pod.key in where else short(pod.key)
            for pod in sorted(decision.after, key=lambda pod: pod.key)
        )
    return found


@dataclass(frozen=True)
class Case:
    rule: str
    nodes: Mapping[str, int]
    runs: Sequence[str]
    waits: Sequence[str]
    starts: Mapping[str, str] = field(default_factory=dict)
    queues: Sequence[QueueSpec] = ()
    bare: Sequence[str] = ()
    servers: Sequence[str] = ()
    kept: Sequence[str] = ()
    allowed: int | None = None
    """By a budget that all are under."""


PIECES = {"a": 4, "b": 4}
HALF_HALF = ["x gpu 2 on a", "y gpu 2 since 10 on b"]


@pytest.mark.parametrize(
    "case",
    [
        Case("one moves so that another fits", PIECES, HALF_HALF, ["big gpu 4"], {"big": "y>a"}),
        Case(
            "nobody where there is not room enough in all",
            PIECES,
            HALF_HALF,
            ["big gpu 4", "more gpu 4"],
            {"big": "y>a"},
        ),
        Case(
            "nobody where one of those in the way finds no other place",
            PIECES,
            ["x gpu 2 on a", "z on a", "y gpu 2 on b"],
            ["big gpu 4"],
        ),
        Case(
            "another one, where the cheapest to go finds no other place",
            {"a": 4, "b": 4, "c": 1},
            ["x gpu 3 since 10 on a", "y on b", "z kept on c"],
            ["big gpu 4"],
            {"big": "y>a"},
        ),
        Case(
            "not who matters more",
            PIECES,
            ["x at 5 gpu 2 on a", "y at 5 gpu 2 since 10 on b"],
            ["big gpu 4"],
        ),
        Case(
            "without a claim: who matters as much",
            PIECES,
            ["x at 5 gpu 2 on a", "y at 5 gpu 2 since 10 on b"],
            ["big gpu 4 at 5"],
            {"big": "y>a"},
        ),
        Case(
            "rather than that a lower priority is evicted",
            PIECES,
            HALF_HALF,
            ["big gpu 4 at 10"],
            {"big": "y>a"},
        ),
        Case(
            "which it is where nobody can be moved",
            PIECES,
            [*HALF_HALF, "z at 20 gpu 2 on a"],
            ["big gpu 4 at 10"],
            {"big": "y"},
        ),
        Case("nobody where there is room", {**PIECES, "c": 4}, HALF_HALF, ["big gpu 4"], {"big": ""}),
        Case(
            "not who cannot be preempted", PIECES, ["x kept gpu 2 on a", "y kept gpu 2 on b"], ["big gpu 4"]
        ),
        Case(
            "not a bare pod, which would not come back",
            PIECES,
            HALF_HALF,
            ["big gpu 4"],
            {"big": "x>b"},
            bare=["y"],
        ),
        Case("not who is not to be disrupted", PIECES, HALF_HALF, ["big gpu 4"], {"big": "x>b"}, kept=["y"]),
        Case("not more than a PodDisruptionBudget allows", PIECES, HALF_HALF, ["big gpu 4"], allowed=0),
        Case(
            "not who has run for less than ten minutes",
            PIECES,
            ["x gpu 2 since 6601 on a", "y gpu 2 since 7000 on b"],
            ["big gpu 4"],
        ),
        Case(
            "nor for less than the minimum of its queue",
            PIECES,
            ["x in q gpu 2 on a", "y in q gpu 2 since 6000 on b"],
            ["big in q gpu 4"],
            {"big": "x>b"},
            [queue("q", min_runtime_s=3600)],
        ),
        Case(
            "a gang moves whole",
            {"a": 4, "b": 2, "c": 2},
            ["g*2 on a", "y on b", "z on c"],
            ["big gpu 4"],
            {"big": "g-0>b g-1>c"},
            kept=["y", "z"],
        ),
        Case(
            "or not at all",
            {"a": 4, "b": 2},
            ["g*2 on a", "y on b"],
            ["big gpu 4"],
            kept=["y"],
        ),
        Case(
            "a pod beyond its minimum moves alone",
            {"a": 2, "b": 4},
            ["g*2/1 on a b"],
            ["big gpu 4"],
            {"big": "g-1>a"},
        ),
        Case(
            "a gang has others moved on all of its nodes",
            {"a": 4, "b": 4, "c": 2, "d": 2},
            ["x gpu 2 on a", "y gpu 2 on b"],
            ["big*2 gpu 4"],
            {"big": "x>c y>d"},
        ),
        Case(
            "as many GPUs as the job asks for",
            {"a": 5, "b": 3, "c": 2},
            ["x gpu 3 on a", "y gpu 2 on a"],
            ["big gpu 5"],
            {"big": "x>b y>c"},
            servers=["x", "y"],
        ),
        Case(
            "and no more",
            {"a": 5, "b": 3, "c": 2},
            ["x gpu 3 on a", "y gpu 2 on a"],
            ["big gpu 4"],
            servers=["x", "y"],
        ),
        Case(
            "not where many hours of work are lost",
            {"a": 8, "b": 8},
            ["x gpu 5 on a", "y gpu 3 kept on b"],
            ["big gpu 8"],
        ),
        Case(
            "as they are not by a server, however long it has run",
            {"a": 8, "b": 8},
            ["x gpu 5 on a", "y gpu 3 kept on b"],
            ["big gpu 8"],
            {"big": "x>b"},
            servers=["x"],
        ),
        Case(
            "seventeen pods are too many",
            {"a": 17, "b": 17},
            [*(f"x{n} on a" for n in range(17)), "y kept on b"],
            ["big gpu 17"],
            servers=[f"x{n}" for n in range(17)],
        ),
        Case("nor for one that waits until others end", PIECES, HALF_HALF, ["big gpu 4 patient"], {}),
        Case(
            "nobody is moved within a limit of the queue",
            PIECES,
            ["x in q gpu 2 on a", "y in q gpu 2 on b"],
            ["big in q gpu 4"],
            {},
            [queue("q", limit=6)],
        ),
        Case(
            "not who would have a worse claim afterwards",
            PIECES,
            ["x in q gpu 2 on a", "y in r gpu 2 kept on b"],
            ["big in q gpu 4"],
            {},
            [queue("q", 4), queue("r", 2)],
        ),
    ],
    ids=lambda case: case.rule,
)
def test_moves(case: Case) -> None:
    world = World(
        case.nodes,
        case.queues,
        bare=case.bare,
        servers=case.servers,
        kept=case.kept,
        allowed=case.allowed,
    )
    for text in case.runs:
        world.run(text)
    for age, text in enumerate(case.waits):
        world.wait(text, age)
    assert told(world.decide()) == dict(case.starts)


def where(world: World, name: str) -> str:
    pod = world.cluster.snapshot.pods.get(f"default/{name}")
    return pod.node if pod is not None else ""


def moved() -> World:
    """`y` is on its way from b to a, for `big`."""
    world = World(PIECES)
    for text in HALF_HALF:
        world.run(text)
    world.wait("big gpu 4")
    assert told(world.decide()) == {"big": "y>a"}
    return world


def test_the_room_is_kept_for_the_pod_until_it_is_made_anew() -> None:
    world = moved()
    world.wait("thief gpu 2")
    assert told(world.decide()) == {}
    world.wait("y-2 gpu 2", age=1, owner="y")
    assert told(world.decide()) == {"y-2": ""}
    assert where(world, "y-2") == "a"
    assert world.landings.kept == {}
    assert stand_in_key("default/y") not in world.cluster.snapshot.pods


def test_a_pod_like_it_of_another_owner_does_not_take_it() -> None:
    world = moved()
    world.wait("other gpu 2", owner="x")
    assert told(world.decide()) == {}
    assert where(world, "other") == ""


def test_for_ten_minutes() -> None:
    world = moved()
    world.wait("thief gpu 2")
    world.now_s += KEPT_S - 1
    assert told(world.decide()) == {}
    world.now_s += 1
    assert told(world.decide()) == {"thief": ""}
    assert world.landings.kept == {}


def test_who_stays_after_all_needs_no_other_place() -> None:
    world = moved()
    world.landings.stays("default/y", world.cluster.snapshot)
    world.wait("thief gpu 2")
    assert told(world.decide()) == {"thief": ""}


def test_when_the_room_is_gone_the_pod_waits_with_the_others() -> None:
    world = moved()
    world.cluster.snapshot.remove_facts("a")
    world.wait("y-2 gpu 2", owner="y")
    outcome = world.decide()
    assert told(outcome) == {}
    assert [short(one.job.key) for one in outcome.blocked] == ["y-2"]
    assert world.landings.kept == {}


def gang_moved() -> World:
    world = World({"a": 4, "b": 2, "c": 2, "d": 2}, kept=["y", "z", "u"])
    for text in ("g*3/2 on a", "y on b", "z on c", "u on d"):
        world.run(text)
    world.wait("big gpu 4")
    assert told(world.decide()) == {"big": "g-0>b g-1>c g-2>d"}
    world.gone("g-0", "g-1", "g-2")
    return world


def test_a_gang_lands_once_enough_of_it_are_there_and_the_others_when_they_come() -> None:
    world = gang_moved()
    line = Line.of("g*3/2")
    pods = [replace(request, owner="g") for request in line.requests()]
    world.cluster.pending.put(pods[0], line.spec())
    assert told(world.decide()) == {}
    world.cluster.pending.put(pods[2], line.spec())
    assert told(world.decide()) == {"g": ""}
    world.wait("thief")
    assert told(world.decide()) == {}
    world.cluster.pending.put(pods[1], line.spec())
    assert told(world.decide()) == {"g": ""}
    assert sorted(where(world, f"g-{n}") for n in range(3)) == ["b", "c", "d"]


def test_who_was_moved_is_not_moved_again_for_a_while() -> None:
    world = moved()
    world.gone("y")
    world.wait("y-2 gpu 2", owner="y")
    for bind in world.decide().binds:
        world.run(f"{short(bind.pod.key)} gpu 2 since {world.now_s:.0f} on {bind.placed.node}")
    world.gone("big", "x")
    world.run("z gpu 2 since 9000 kept on b")
    world.wait("next gpu 4", age=5)
    world.now_s += 599
    assert told(world.decide()) == {}
    world.now_s += 1
    assert told(world.decide()) == {"next": "y-2>b"}


def test_nobody_is_moved_where_that_breaks_a_promise() -> None:
    world = World({"a": 4, "b": 4})
    backfill = Backfill()
    # It ends before long, and the first that waits has both nodes then.
    world.run("x gpu 2 on a")
    world.run("y gpu 2 on b")
    for name in "xy":
        spec = structs.replace(Line.of(name).spec(), max_runtime_s=NOW_S + 100)
        backfill.started(spec, [f"default/{name}"], 0.0)
    world.wait("first*2 gpu 4", age=0)
    outcome = world.decide(backfill)
    assert [promise.start_s for promise in outcome.promises] == [NOW_S + 100]
    world.wait("big gpu 4", age=1)
    assert told(world.decide(backfill)) == {}
    world.cluster.pending.discard("default/first-0")
    world.cluster.pending.discard("default/first-1")
    assert told(world.decide(backfill)) == {"big": "x>b"}


def test_what_a_failed_pass_moved_is_forgotten() -> None:
    world = moved()
    kept = dict(world.landings.kept)
    world.wait("y-2 gpu 2", owner="y")

    def counted(shape: object) -> dict[str, int]:
        raise RuntimeError("broken")

    world.cluster.accounts.counted = counted
    with pytest.raises(RuntimeError, match="broken"):
        world.decide()
    assert world.landings.kept == kept
    assert stand_in_key("default/y") in world.cluster.snapshot.pods


def test_without_landings_nobody_is_moved() -> None:
    world = World(PIECES)
    for text in HALF_HALF:
        world.run(text)
    world.wait("big gpu 4")
    outcome = world.cluster.decide(world.guards, NOW_S)
    assert told(outcome) == {}
