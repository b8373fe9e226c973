"""A cluster to which much happens by chance, with all in it that a cycle goes by; and `python -m` of this decides again what
was recorded in a directory, in a process that knows nothing else."""

import random
import sys
from collections.abc import Callable
from pathlib import Path

from msgspec import structs

from aliquot.kube.api.gpuclass import CLASS_PREFIX
from aliquot.partition.value import Valuation
from aliquot.partition.value_tables import shipped
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.backfill.stage import Backfill, Style
from aliquot.scheduler.core.cycle import Outcome
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.jobs import Group, JobSpec, TopologyWish
from aliquot.scheduler.core.landings import Landings
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.placement import Placement, starting
from aliquot.scheduler.core.pod import PodRequest, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.queues.history import History
from aliquot.scheduler.core.queues.line import Line
from aliquot.scheduler.core.queues.terms import GPU
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.stale import Staleness
from aliquot.scheduler.core.topology import Topology
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.pods import PodReader
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.document import Verdict, decoded
from aliquot.scheduler.recording.restoring import restored
from aliquot.scheduler.recording.verdict import decided_again, first_difference
from aliquot.scheduler.testing import by_usual, mig, node, pod, profiles, ways
from tests.scheduler import placing
from tests.scheduler.worlds import DEVICE, counted, queue

BOARD = "h100-80gb"
CLASSES = {"small": ways("1g.10gb", "1/4 timeSlicing")}
TOPOLOGIES = {"racks": Topology("racks", ("rack",))}
RULES = (
    {"apart": [placing.term("app=a")]},
    {"near": [placing.term("app=a")]},
    {"spread": [placing.even("app=a")]},
    {"dislikes": [(5, placing.term("app=a"))]},
)

Decide = Callable[[Case], Outcome]


class RandomWorld:
    def __init__(self, seed: int, decide: Decide) -> None:
        self.rng = rng = random.Random(seed)
        self._decide = decide
        self.now_s = 1000.0
        self._count = 0
        self._nodes = [self._node(name) for name in "abcd"[: rng.randint(2, 4)]]
        self._queues = rng.choice(
            (
                (),
                (queue("x", 2), queue("y", 1, 3, weight=2)),
                (queue("top", 4), queue("x", parent="top"), queue("y", 1, min_runtime_s=50)),
            )
        )
        self._history = History(3600.0, self.now_s) if rng.random() < 0.5 else None
        self._rankings = Rankings(*self._by(rng.choice(list(Placement))))
        order = Line(rng.choice((None, 200.0)))
        self._pending = Pending(order, Accounts(self._queues, counted, self._history))
        self._backfill = (
            Backfill(rng.choice(list(Style)), estimate=self._estimate) if rng.random() < 0.8 else None
        )
        self._snapshot = Snapshot()
        self._landings = Landings() if rng.random() < 0.7 else None
        self._staleness = Staleness(lambda job: job.endswith("3"))
        self._reader = PodReader()
        self._running: dict[str, JobSpec] = {}
        """By pod."""
        for facts in self._nodes:
            self._come(facts)

    def _by(self, placement: Placement) -> tuple[Policies, Valuation]:
        valuation = Valuation(shipped())
        if self.rng.random() < 0.5:
            valuation.use(profiles(BOARD), shipped()[0])
        if placement is not Placement.WORTH:
            return starting(placement), valuation
        usual = [pod("u", gpu=1, cpu=4), pod("v", wants={mig("1g.10gb"): 1}, cpu=1), pod("w", gpu=4, cpu=8)]
        return by_usual(usual, self._nodes), valuation

    def _node(self, name: str) -> NodeFacts:
        rng = self.rng
        labels = {"zone": rng.choice("12"), "rack": rng.choice("rs"), "nvidia.com/gpu.product": "H100"}
        match rng.choice(("counted", "listed", "made")):
            case "counted":
                return node(name, gpus=rng.randint(1, 4), labels=labels)
            case "listed":
                layouts = [
                    rng.choice(("whole", "1g.10gb@0 3g.40gb@4", "whole*3")) for _ in range(rng.randint(1, 3))
                ]
                return node(name, *layouts, labels=labels, links={(0, 1): 9} if len(layouts) > 1 else None)
            case _:
                return node(name, "whole", "1g.10gb@0", cut=BOARD, labels=labels, classes=CLASSES)

    def _come(self, facts: NodeFacts) -> None:
        self._snapshot.set_facts(facts)
        gpus = facts.allocatable.get(DEVICE, 0) or len(facts.devices.gpus)
        self._pending.accounts.offer(facts.name, {GPU: 1000 * gpus})

    @staticmethod
    def _estimate(spec: JobSpec) -> float | None:
        """Of some jobs it is known how long others like them ran."""
        return spec.max_runtime_s or (300.0 if spec.key.endswith("7") else None)

    def round(self) -> None:
        """Things happen, and it is decided on them."""
        rng = self.rng
        for _ in range(rng.randint(1, 4)):
            rng.choice((self._submit, self._submit, self._submit, self._end, self._change))()
        if self._history is not None:
            self._history.advance(self.now_s)
            if rng.random() < 0.5:
                self._history.look()
        outcome = self._decide(
            Case(
                self._snapshot,
                self._pending,
                self._rankings,
                TOPOLOGIES,
                rng.choice((None, None, 2)),
                self._backfill,
                self._guards() if rng.random() < 0.7 else None,
                self._landings,
                self._staleness,
                self.now_s,
                self.now_s,
            )
        )
        self.now_s += rng.randint(1, 100)
        for decision in outcome.decisions:
            for bind in decision.binds:
                self._running[bind.pod.key] = decision.job
                if rng.random() < 0.9:
                    seen = structs.replace(bind.placed, assumed=False, reserved=False, since_s=self.now_s)
                    self._snapshot.set_pod(seen)
            for gone in decision.after:
                if rng.random() < 0.8:
                    self._gone(gone.key)

    def _guards(self) -> Guards:
        kept = {key: "it is marked" for key in sorted(self._running) if self.rng.random() < 0.1}
        under = {key: ("budget",) for key in sorted(self._running) if self.rng.random() < 0.3}
        return Guards(
            lambda name: kept.get(name, ""), lambda name: under.get(name, ()), {"budget": 1}, self._anew
        )

    def _anew(self, key: str) -> PodRequest | None:
        spec = self._running.get(key)
        return PodRequest(key, "", self._shape_of(key), spec.priority) if spec is not None else None

    def _submit(self) -> None:
        rng = self.rng
        self._count += 1
        name = f"j{self._count}"
        leaves = [one.name for one in self._queues if one.name != "top"]
        size = rng.choice((1, 1, 1, 2, 3))
        wish = rng.choice(
            (None, None, TopologyWish("racks", "rack"), TopologyWish("racks", preferred="rack"))
        )
        spec = JobSpec(
            f"default/{name}",
            Group("", rng.randint(1, size), topology=wish) if size > 1 else None,
            queue=rng.choice(leaves) if leaves else "",
            priority=rng.randint(0, 2),
            preemptible=rng.random() < 0.8,
            created_s=self.now_s,
            user=rng.choice(("", "ann", "bob")),
            max_runtime_s=rng.choice((None, 60.0, 500.0)),
            stale_after_s=rng.choice((None, 60.0, 90.0)),
        )
        for number in range(size):
            self._pending.put(self._pod(name if size == 1 else f"{name}-{number}", spec), spec)

    def _pod(self, name: str, spec: JobSpec) -> PodRequest:
        rng = self.rng
        match rng.choice(("gpu", "gpu", "slice", "class", "rules", "port")):
            case "gpu":
                return pod(name, gpu=rng.randint(1, 3), cpu=2, priority=spec.priority)
            case "slice":
                return pod(name, wants={mig(rng.choice(("1g.10gb", "3g.40gb"))): 1}, priority=spec.priority)
            case "class":
                return pod(name, wants={f"{CLASS_PREFIX}small": 1}, priority=spec.priority)
            case "rules":
                return self._reader.request(placing.pod(name, f"app={rng.choice('ab')}", **rng.choice(RULES)))
            case _:
                return pod(name, cpu=1, ports=(80,), selector={"zone": "1"}, priority=spec.priority)

    def _end(self) -> None:
        if self._running:
            key = self.rng.choice(sorted(self._running))
            spec, where = self._running[key], self._snapshot.pods.get(key)
            if where is not None and self.rng.random() < 0.3:
                self._snapshot.end_pod(key, where.node)
                self._pending.succeed(key, spec, "")
                self._running.pop(key)
            elif where is not None and self.rng.random() < 0.3:
                self._snapshot.set_pod(structs.replace(where, terminating=True))
                request = PodRequest(key, "", self._shape_of(key))
                self._pending.hold(request, spec, leaves_by_s=self.now_s + 30)
            else:
                self._gone(key)

    def _shape_of(self, key: str) -> PodShape:
        entry = self._pending.accounts.entry(key)
        return entry.shape if entry is not None else pod("gone").shape

    def _gone(self, key: str) -> None:
        self._running.pop(key, None)
        self._snapshot.remove_pod(key)
        self._pending.discard(key)
        if self._backfill is not None:
            self._backfill.ended(key, self.now_s)

    def _change(self) -> None:
        """A node is another one, or goes."""
        one = self.rng.choice(self._nodes)
        if self.rng.random() < 0.3:
            self._snapshot.remove_facts(one.name)
            self._pending.accounts.offer(one.name, {})
        else:
            self._come(self._node(one.name) if self.rng.random() < 0.5 else one)


def differences(directory: Path) -> list[str]:
    """Of what was recorded there, by file."""
    found = []
    for path in sorted(directory.iterdir()):
        recording = decoded(path.read_bytes())
        _, again = decided_again(restored(recording))
        if difference := first_difference(recording.verdict or Verdict(), again):
            found.append(f"{path.name}: {difference}")
    return found


if __name__ == "__main__":
    print("\n".join(differences(Path(sys.argv[1]))))
