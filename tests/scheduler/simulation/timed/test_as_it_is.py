"""Hours of a cluster, from how it was recorded."""

from collections.abc import Sequence
from math import inf

import pytest
from msgspec import structs

from aliquot.scheduler.core.backfill.runtimes import RuntimeHistory
from aliquot.scheduler.core.backfill.stage import Backfill, Style
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.jobs import Group, JobSpec
from aliquot.scheduler.core.queues.terms import QueueSpec
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.recording.capturing import captured
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.document import Recording, decoded, encoded
from aliquot.scheduler.simulation.timed.as_it_is import Horizon, play, unknown
from aliquot.scheduler.simulation.timed.figures import figures
from aliquot.scheduler.simulation.timed.queue_settings import SettingError, changed
from aliquot.scheduler.simulation.timed.virtual_cluster import Played
from aliquot.scheduler.testing import mig, node, placed, pod
from tests.scheduler.worlds import Cluster, queue

NOW_S = 1_000.0
HOUR = Horizon(3600.0)


class Seen:
    """A cluster, as it is recorded at 1000 s."""

    def __init__(self, nodes: Sequence[NodeFacts] | dict[str, int], queues: Sequence[QueueSpec] = ()) -> None:
        self.cluster = Cluster(nodes, queues)
        self.history = RuntimeHistory()
        self.backfill: Backfill | None = Backfill(Style.EASY, estimate=self.history.estimate)
        self.guards: Guards | None = None

    def runs(
        self,
        name: str,
        where: str,
        lasts_s: float | None = None,
        *,
        since_s: float = 0.0,
        gpu: int = 1,
        queue: str = "",
        priority: int = 0,
        **wants: int,
    ) -> None:
        asked = {mig(profile.strip("_").replace("_", ".")): count for profile, count in wants.items()}
        request = pod(name, gpu=gpu, wants=asked, priority=priority)
        spec = JobSpec(request.key, queue=queue, max_runtime_s=lasts_s, priority=priority)
        self.cluster.snapshot.set_pod(structs.replace(placed(request, where, admitted=True), since_s=since_s))
        self.cluster.pending.hold(request, spec)
        if self.backfill is not None:
            self.backfill.started(spec, [request.key], since_s)

    def waits(
        self,
        name: str,
        lasts_s: float | None = None,
        *,
        gpu: int = 1,
        pods: int = 1,
        queue: str = "",
        priority: int = 0,
    ) -> None:
        names = [name] if pods == 1 else [f"{name}-{number}" for number in range(pods)]
        root = Group(minimum=pods) if pods > 1 else None
        spec = JobSpec(
            f"default/{name}", root, queue=queue, max_runtime_s=lasts_s, priority=priority, created_s=NOW_S
        )
        for one in names:
            self.cluster.pending.put(pod(one, gpu=gpu, priority=priority, created_s=NOW_S), spec)

    def recorded(self) -> Recording:
        cluster = self.cluster
        case = Case(
            cluster.snapshot,
            cluster.pending,
            cluster.rankings,
            backfill=self.backfill,
            guards=self.guards,
            now_s=NOW_S,
        )
        return decoded(encoded(captured(case)))

    def played(self, horizon: Horizon = HOUR) -> Played:
        return play(self.recorded(), horizon, lambda: 0.0)


def times(one: Played) -> dict[str, tuple[float | None, float | None]]:
    """Start and end, in seconds from the recording on; of those that ran before the start is below 0."""
    return {
        fate.job.name.removeprefix("default/"): tuple(  # type: ignore[misc]
            None if moment is None else moment - NOW_S for moment in (fate.start_s, fate.end_s)
        )
        for fate in one.fates
    }


def test_who_runs_ends_and_who_waits_starts() -> None:
    seen = Seen({"x": 2})
    seen.runs("a", "x", 1_500, gpu=2)
    seen.waits("b", 100, gpu=2)
    seen.waits("c", 100, gpu=2)
    one = seen.played()
    assert times(one) == {"a": (-1000, 500), "b": (500, 600), "c": (600, 700)}
    assert one.used == [(1000, 2), (1700, 0)]
    found = figures(one)
    assert (found.of_all.jobs, found.unstarted) == (2, 0)
    assert found.of_all.waits is not None and found.of_all.waits.mean == 550
    assert found.allocated == pytest.approx(700 / 3600)


def test_who_has_room_starts_at_once() -> None:
    seen = Seen({"x": 2})
    seen.waits("a", 100)
    assert times(seen.played()) == {"a": (0, 100)}


def test_beyond_the_horizon_nothing_is_said() -> None:
    seen = Seen({"x": 1})
    seen.runs("a", "x", 10_000)
    seen.waits("b", 100)
    one = seen.played()
    assert times(one) == {"a": (-1000, None), "b": (None, None)}
    assert figures(one).unstarted == 1


@pytest.mark.parametrize(
    ("horizon", "then"),
    [(HOUR, (None, None)), (Horizon(3600.0, unknown_s=1_200.0), (200, 1400))],
)
def test_of_whom_nothing_is_known(horizon: Horizon, then: tuple[float | None, float | None]) -> None:
    seen = Seen({"x": 1})
    seen.runs("a", "x")
    seen.waits("b")
    one = seen.played(horizon)
    assert times(one)["b"] == then
    assert unknown(one) == (2 if horizon.unknown_s == inf else 0)


def test_others_like_it_say_how_long_it_runs() -> None:
    seen = Seen({"x": 1})
    for _ in range(3):
        seen.history.ended(JobSpec("default/train-0"), 1_300.0)
    seen.runs("train-1", "x")
    seen.waits("train-2")
    assert times(seen.played()) == {"train-1": (-1000, 300), "train-2": (300, 1600)}


def test_who_is_late_is_given_as_long_again() -> None:
    seen = Seen({"x": 1})
    seen.runs("a", "x", 800)
    assert times(seen.played())["a"] == (-1000, 200)
    seen = Seen({"x": 1})
    seen.runs("a", "x", 990)
    assert times(seen.played())["a"] == (-1000, 60)


@pytest.mark.parametrize("style", [None, Style.EASY])
def test_devices_come_free_and_are_cut_anew(style: Style | None) -> None:
    seen = Seen([node("x", "1g.10gb@0=default/a", cut="h100-80gb")])
    seen.backfill = Backfill(style) if style is not None else None
    seen.runs("a", "x gpu0@0", 1_200, gpu=0, _1g_10gb=1)
    seen.waits("whole", 100)
    assert times(seen.played()) == {"a": (-1000, 200), "whole": (200, 300)}


def test_pods_of_others_stay() -> None:
    seen = Seen({"x": 2})
    seen.cluster.snapshot.set_pod(placed(pod("theirs", gpu=1), "x", admitted=True))
    seen.waits("b", 100, gpu=2)
    seen.waits("c", 100, gpu=1)
    assert times(seen.played()) == {"b": (None, None), "c": (0, 100)}


def test_who_is_leaving_has_left() -> None:
    seen = Seen({"x": 1})
    request = pod("a", gpu=1)
    seen.cluster.snapshot.set_pod(structs.replace(placed(request, "x"), terminating=True))
    seen.cluster.pending.hold(request, leaves_by_s=NOW_S + 30)
    seen.waits("b", 100)
    assert times(seen.played()) == {"b": (0, 100)}


QUEUES = (queue("a"), queue("b", 0))


def test_a_larger_quota_takes_back_what_others_borrowed() -> None:
    seen = Seen({"x": 2}, QUEUES)
    seen.runs("b1", "x", 1_500, queue="b", since_s=NOW_S - 100)
    seen.runs("b2", "x", 1_500, queue="b", since_s=NOW_S - 500)
    seen.waits("a1", 200, gpu=2, queue="a")
    recording = seen.recorded()
    before = play(recording, HOUR, lambda: 0.0)
    assert times(before)["a1"] == (1400, 1600)
    more = structs.replace(recording, queues=tuple(changed(recording.queues, ["a.quota=2"])))
    after = play(more, HOUR, lambda: 0.0)
    assert times(after) == {"b1": (-100, 1700), "b2": (-500, 1700), "a1": (0, 200)}
    assert [fate.evictions for fate in after.fates] == [1, 1, 0]
    assert figures(after).lost_gpu_hours == 600 / 3600
    # Those that lost their place count as waiting.
    assert (figures(before).of_all.jobs, figures(after).of_all.jobs) == (1, 3)


@pytest.mark.parametrize(
    "guards",
    [
        Guards(lambda name: "it is marked" if name == "default/low" else ""),
        Guards(budgets_of=lambda name: ("all",), allowed={"all": 0}),
    ],
)
def test_what_keeps_pods_keeps_them_here_too(guards: Guards) -> None:
    seen = Seen({"x": 1})
    seen.runs("low", "x", 1_500)
    seen.waits("high", 100, priority=5)
    assert times(seen.played())["high"] == (0, 100)
    seen.guards = guards
    assert times(seen.played())["high"] == (500, 600)


def test_a_gang_that_is_evicted_starts_as_one() -> None:
    seen = Seen({"x": 2, "y": 2})
    spec = JobSpec("default/gang", Group(minimum=2), max_runtime_s=1_500)
    for number in range(2):
        request = pod(f"gang-{number}", gpu=2)
        where = structs.replace(placed(request, "xy"[number], admitted=True), since_s=0.0)
        seen.cluster.snapshot.set_pod(where)
        seen.cluster.pending.hold(request, spec)
    seen.waits("high", 100, gpu=2, priority=5)
    one = seen.played()
    assert times(one) == {"gang": (-1000, 1600), "high": (0, 100)}
    assert one.used == [(1000, 2), (1100, 4), (2600, 0)]
    assert figures(one).lost_gpu_hours == 4_000 / 3600


ASTRAY = (
    *QUEUES,
    queue("lost", parent="nowhere"),
    queue("round", parent="about"),
    queue("about", parent="round"),
)


@pytest.mark.parametrize(
    ("specs", "setting", "told"),
    [
        (QUEUES, "research.quota=3", "'research.quota=3': there is no queue 'research'"),
        ((queue("research"),), "reserch.quota=3", "...; did you mean 'research'?"),
        ((), "a.quota=3", "'a.quota=3': the cluster has no Queues"),
        (QUEUES, "a.gpus=3", "'a.gpus=3' is not NAME."),
        (QUEUES, "a.parent=top", "queue 'a' has a parent 'top' that is not there"),
        (ASTRAY, "lost.parent=top", "queue 'lost' has a parent 'top' that is not there"),
        (ASTRAY, "a.parent=a", "queue 'a': "),
    ],
)
def test_what_is_no_setting_of_these_queues(specs: Sequence[QueueSpec], setting: str, told: str) -> None:
    with pytest.raises(SettingError) as caught:
        changed(specs, [setting])
    assert str(caught.value).startswith(told) or str(caught.value).endswith(told.removeprefix("..."))


def test_queues_that_are_closed_as_it_is_are_no_hindrance() -> None:
    a, *others = changed(ASTRAY, ["a.quota=8"])
    assert a.terms["gpu"].quota == 8000 and tuple(others) == ASTRAY[1:]
    assert changed(ASTRAY, ["lost.parent=a"])[2].parent == "a"


def test_what_is_not_set_stays() -> None:
    specs = (queue("a", 2, 4, weight=3, min_runtime_s=60), queue("b"))
    a, b = changed(specs, ["a.quota=8", "a.overQuotaWeight=0.5"])
    assert (a.terms["gpu"].quota, a.terms["gpu"].limit, a.terms["gpu"].weight_milli) == (8000, 4000, 500)
    assert (a.preempt_min_runtime_s, b) == (60, specs[1])
