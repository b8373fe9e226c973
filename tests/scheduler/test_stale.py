"""Gangs that fall below their minimum: each row is what happens to one, and when what is left of it goes.

fail NAME ...        the pod is gone
done NAME ...        it has ended well
ends NAME by T       it is being deleted, and has until then by the wall clock
again JOB-LINE       the pods of that line that are nowhere wait
node NAME GPUS       one more node
set T                the wall clock is set forward by so many seconds
anew                 another scheduler begins to look
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

import pytest
from msgspec import structs

from aliquot.scheduler.core.stale import Staleness
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.testing import node
from tests.scheduler.worlds import Cluster, Line

END_S = 400.0


@dataclass(frozen=True)
class Case:
    rule: str
    runs: Sequence[str]
    then: Mapping[float, str]
    """What happens at which time."""
    gone: Mapping[float, str] = field(default_factory=dict)
    """When pods are evicted, and which."""
    nodes: Mapping[str, int] = field(default_factory=lambda: {"a": 4})
    guards: Guards = field(default_factory=Guards)
    was_whole: bool = False
    kept: str = ""
    """Why it is kept, at the end."""


class Life:
    def __init__(self, case: Case) -> None:
        self.case = case
        self.cluster = Cluster(case.nodes)
        for text in case.runs:
            self.cluster.run(text)
        self.staleness = self._anew()
        self.wall_s = 0.0
        self.gone: dict[float, str] = {}
        self.kept = ""

    def _anew(self) -> Staleness:
        return Staleness(lambda job: self.case.was_whole)

    def happen(self, text: str) -> None:
        pending, snapshot = self.cluster.pending, self.cluster.snapshot
        what, *words = text.split()
        match what:
            case "fail" | "done":
                for key in (f"default/{name}" for name in words):
                    job = pending.job_of(key)
                    assert job is not None
                    if what == "done":
                        pending.succeed(key, job.spec, job.placed[key])
                    else:
                        pending.discard(key)
                    snapshot.remove_pod(key)
            case "ends":
                (held,) = (
                    one for one in Line.of(self.case.runs[0]).requests() if one.key == f"default/{words[0]}"
                )
                pending.hold(held, Line.of(self.case.runs[0]).spec(), leaves_by_s=float(words[2]))
            case "again":
                line = Line.of(text.removeprefix("again "))
                for one in line.requests():
                    if one.key not in snapshot.pods:
                        pending.put(one, line.spec())
            case "node":
                snapshot.set_facts(node(words[0], gpus=int(words[1])))
            case "set":
                self.wall_s += float(words[0])
            case "anew":
                self.staleness = self._anew()

    def look(self, at_s: float) -> float:
        """When it is time to look again."""
        outcome = self.cluster.decide(
            self.case.guards, self.wall_s + at_s, staleness=self.staleness, steady_s=at_s
        )
        pods = [pod.key.removeprefix("default/") for one in outcome.decisions for pod in one.after]
        if pods:
            self.gone[at_s] = " ".join(sorted(pods))
        for bind in outcome.binds:
            self.cluster.snapshot.set_pod(structs.replace(bind.placed, assumed=False))
        assert outcome.fallen is not None
        self.kept = ", ".join(one.kept for one in outcome.fallen if one.kept)
        return min((one.due_s for one in outcome.fallen if one.due_s > at_s), default=inf)

    def live(self) -> None:
        events = dict(self.case.then)
        again_s = self.look(0.0)
        while (at_s := min([again_s, *events])) <= END_S:
            if at_s in events:
                self.happen(events.pop(at_s))
            again_s = self.look(at_s)


CASES = [
    Case("one is lost for ever", ["g*3 on a"], {10: "fail g-1"}, {70: "g-0 g-2"}),
    Case("after its own time", ["g*3 stale 20 on a"], {10: "fail g-1"}, {30: "g-0 g-2"}),
    Case("never, if it says so", ["g*3 stale 0 on a"], {10: "fail g-1"}),
    Case("also one that cannot be preempted", ["g*3 kept on a"], {10: "fail g-1"}, {70: "g-0 g-2"}),
    Case("one that is replaced is whole", ["g*3 on a"], {10: "fail g-1", 50: "again g*3"}),
    Case("and has all of its time again", ["g*3 on a"], {10: "fail g-1", 50: "again g*3", 60: "fail g-0"}, {120: "g-1 g-2"}),
    Case("its successor finds no room", ["g*3 on a b b"], {10: "fail g-0", 20: "again g*3"}, {70: "g-1 g-2"}, nodes={"b": 2}),
    Case("room that comes in the last moment", ["g*3 on b"], {10: "fail g-0", 20: "again g*3", 69: "node c 1"}, nodes={"b": 2}),
    Case("with what is left of its extras", ["g*5/3 on a"], {10: "fail g-0 g-1 g-2"}, {70: "g-3 g-4"}),
    Case("extras alone are no loss", ["g*4/3 on a"], {10: "fail g-0"}),
    Case("who ended well is no loss", ["g*3 on a"], {10: "done g-0", 20: "done g-1"}),
    Case("nor when that is tidied up", ["g*3 on a"], {10: "done g-0", 20: "fail g-0"}),
    Case("who did not, beside one who did, is", ["g*3 on a"], {10: "done g-0", 20: "fail g-1"}, {80: "g-2"}),
    Case("one that is starting did not fall", ["g*1/3 on a"], {10: "again g*2/3"}),
    Case("unless somebody knows better", ["g*1/3 on a"], {}, {60: "g-0"}, was_whole=True),
    Case(
        "one that is told to end has its time",
        ["g*3 on a"],
        {10: "ends g-1 by 100", 100: "fail g-1"},
        {160: "g-0 g-2"},
    ),
    Case("one that should have ended, and does not", ["g*3 on a"], {10: "ends g-1 by 40"}, {100: "g-0 g-2"}),
    Case("one of which all end is let end", ["g*1 on a"], {10: "ends g-0 by 20"}),
    Case("a clock that is set does not hurry it", ["g*3 on a"], {10: "fail g-1", 20: "set 9999"}, {70: "g-0 g-2"}),
    Case("nor keeps it", ["g*3 on a"], {10: "fail g-1", 20: "set -9999"}, {70: "g-0 g-2"}),
    Case("who starts anew counts anew", ["g*3 on a"], {10: "fail g-1", 50: "anew"}, {110: "g-0 g-2"}),
    Case("one that is not to be disrupted keeps all of them", ["g*3 on a"], {10: "fail g-1"},
         guards=Guards(kept=lambda pod: "it is marked do-not-disrupt" * (pod == "default/g-2")),
         kept="pod default/g-2 stays: it is marked do-not-disrupt"),
    Case("so does a budget that is too small", ["g*3 on a"], {10: "fail g-1"},
         guards=Guards(budgets_of=lambda pod: ("default/pdb",), allowed={"default/pdb": 1}),
         kept="pod default/g-2 stays: PodDisruptionBudget default/pdb does not let it go"),
    Case("a budget holds for all that go at once", ["g*2 on a", "h*2 on a"], {10: "fail g-0 h-0"}, {70: "g-1"},
         guards=Guards(budgets_of=lambda pod: ("default/pdb",), allowed={"default/pdb": 1}),
         kept=" pod default/h-1 stays: PodDisruptionBudget default/pdb does not let it go".strip()),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_what_becomes_of_it(case: Case) -> None:
    life = Life(case)
    life.live()
    assert (life.gone, life.kept) == (dict(case.gone), case.kept)


def test_what_goes_has_left_its_room_and_waits_as_a_whole() -> None:
    life = Life(Case("", ["g*2 on a"], {10: "fail g-0", 30: "again g*2"}, nodes={"a": 1}))
    life.cluster.snapshot.set_facts(node("a", gpus=1))
    life.live()
    assert life.gone == {70: "g-1"}
    (job,) = life.cluster.pending.jobs.values()
    assert (job.has_begun, life.cluster.snapshot.nodes["a"].available("nvidia.com/gpu")) == (False, 1)
