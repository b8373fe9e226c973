"""What Prometheus reads of a running scheduler, with its own parser."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from aliquot.clock import SystemClock
from aliquot.scheduler.controller import Scheduler
from aliquot.scheduler.core.standing import Standing
from aliquot.scheduler.metrics import Counts, Seen, families
from tests.scheduler.fake_api import KINDS, World, simulate
from tests.scheduler.running import node, pod, running, scheduler, until
from tests.scheduler.test_queue_status import queue, queued

PAGE = Path(__file__).parents[2] / "docs/scheduler.md"


async def samples(one: Scheduler) -> dict[tuple[str, ...], float]:
    """By name and the values of its labels, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(await one.metrics())
        for sample in family.samples
    }


def test_what_it_did_and_how_things_stand() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        api.put("queues", queue("research", quota=1))
        for name in ("p", "q"):
            api.put("pods", queued(name, "research"))
        api.put("pods", queued("r", "research"))
        api.put("pods", pod("s", gpus=1))
        async with running(scheduler(world)) as one:
            await until(lambda: len(api.binds) == 2)
            await until(lambda: bool(api.condition("r")[2] and api.condition("s")[2]))
            shown = await samples(one)
        assert shown["aliquot_scheduler_leads",] == 1
        assert shown["aliquot_scheduler_nodes",] == 1
        assert shown["aliquot_scheduler_binds_total", "bound"] == 2
        assert shown["aliquot_scheduler_binds_total", "refused"] == 0
        waits = {key[1:]: count for key, count in shown.items() if key[0] == "aliquot_scheduler_waiting_pods"}
        assert sum(waits.values()) == 2
        assert {reason for _, reason in waits} <= {"Full", "Reserved", "QueueDoesNotExist"}
        assert shown["aliquot_scheduler_wait_duration_seconds_count",] == 2
        assert shown["aliquot_scheduler_cycle_duration_seconds_count",] >= 1
        allocated = shown["aliquot_queue_allocated", "research", "gpu", "gpu"]
        requested = shown["aliquot_queue_requested", "research", "gpu", "gpu"]
        assert (allocated, requested) == (2.0, 3.0)
        assert shown["aliquot_queue_waiting_jobs", "research"] == 1

    simulate(scenario, kinds=(*KINDS, "queues"))


def test_it_is_ready_once_it_knows_the_cluster() -> None:
    async def scenario(world: World) -> None:
        world.api.put("nodes", node("a", gpus=1))
        world.api.put("pods", pod("p", gpus=1))
        one = scheduler(world)
        known: list[tuple[str, int]] = []
        assert one.waits_for() == "pods"
        async with running(one, once_known=lambda: known.append((one.waits_for(), len(world.api.binds)))):
            await until(lambda: not one.waits_for())
            await until(lambda: bool(world.api.binds))
        assert known == [("", 0)]

    simulate(scenario)


def test_the_table_of_names_is_complete_and_true() -> None:
    section = PAGE.read_text().partition("## Metrics")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE)
    counts = Counts(SystemClock())
    seen = Seen(True, 1, {("a", "Full"): 1}, {"a": Standing({"gpu": 1}, {}, {"gpu": 1}, {"gpu": 1}, 1)})
    shown = list(families(counts, seen))
    assert dict(rows) == {family.name: family.kind.value for family in shown}
    assert all(family.samples for family in shown)
