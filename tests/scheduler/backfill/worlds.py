"""Clusters with jobs that run for a known time, told in words."""

from collections.abc import Sequence

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.backfill.stage import Backfill, Style
from aliquot.scheduler.core.jobs import Group, JobSpec
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.testing import node, placed, pod


class World:
    """A cluster at 0 s, told in words: `GPUS@NODE until SECONDS` runs, `NAME: PODSxGPUS for SECONDS` waits."""

    def __init__(
        self, nodes: Sequence[int], runs: Sequence[str], waits: Sequence[str], style: Style | None
    ) -> None:
        policies = Policies()
        self.snapshot, self.pending, self.rankings = Snapshot(), Pending(policies.order), Rankings(policies)
        self.backfill = Backfill(style) if style is not None else None
        for number, there in enumerate(nodes):
            self.snapshot.set_facts(node("abcdef"[number], gpus=there, cpu=1000, pods=100))
        for number, text in enumerate(runs):
            gpus, where, _, until = (text.replace("@", " ") + " ").split(" ", 3)
            one = pod(f"run-{number}", gpu=int(gpus))
            self.snapshot.set_pod(placed(one, where))
            if self.backfill is not None:
                until = until.strip()
                spec = JobSpec(one.key, max_runtime_s=float(until) if until != "?" else None)
                self.backfill.started(spec, [one.key], 0.0)
        for age, text in enumerate(waits):
            name, _, rest = text.partition(": ")
            size, _, lasts = rest.partition(" for ")
            pods, _, each = size.partition("x")
            self.submit(name, int(pods), int(each), float(lasts) if lasts else None, age)

    def submit(
        self, name: str, pods: int, gpus: int, lasts_s: float | None, age: float, priority: int = 0
    ) -> None:
        key = f"default/{name}"
        root = Group(minimum=pods) if pods > 1 else None
        spec = JobSpec(key, root, created_s=age, max_runtime_s=lasts_s, priority=priority)
        for number in range(pods):
            one = pod(name if pods == 1 else f"{name}-{number}", gpu=gpus, created_s=age, priority=priority)
            self.pending.put(one, spec)

    def run(self, now_s: float = 0.0) -> cycle.Outcome:
        return cycle.run(self.snapshot, self.pending, self.rankings, backfill=self.backfill, now_s=now_s)

    def end(self, name: str, now_s: float) -> None:
        key = f"default/{name}"
        self.snapshot.remove_pod(key)
        self.pending.discard(key)
        assert self.backfill is not None
        self.backfill.ended(key, now_s)
