"""What pods have asked for lately, as the tasks that a worth is made of.

What a resource is in GPUs is the nodes' to say, and may change: so what pods say is counted, and tasks are made of it when
they are needed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aliquot.partition import demand
from aliquot.partition.gpus import GpuFacts
from aliquot.partition.ways import SliceWay, WayOn
from aliquot.scheduler.core.facts import MODEL_LABEL, NodeFacts
from aliquot.scheduler.core.fragmentation import WHOLE_MILLI, Task
from aliquot.scheduler.core.free_gpus import MIB, Layout, slots
from aliquot.scheduler.core.matching import Operator
from aliquot.scheduler.core.pod import CPU, MEMORY, PodShape
from aliquot.scheduler.core.scores import accelerators
from aliquot.scheduler.core.worth import Worth

REMEMBERED = 4_000
"""Pods with GPUs. Counts are halved at so many, so that the last ones weigh most."""
ENOUGH = 50
"""Pods with GPUs before the counts are trusted."""


MOST_OF_A_POD = 64
"""Slices that are counted of one pod: who asks for thousands gets none."""
MOST_SIZES = 32
"""Of parts of a GPU: their prices take a tenth of a second for so many."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What counts of a pod with GPUs."""

    gpus: tuple[tuple[str, int], ...]
    """Resources of GPUs, slices and shares, and how many."""
    cpu_milli: int
    memory_mib: int
    models: frozenset[str]
    """GPUs that will do; empty: any."""


def ask_of(shape: PodShape) -> Ask | None:
    """None: the pod wants no GPU."""
    gpus = tuple(sorted((resource, shape.request[resource]) for resource in accelerators(shape)))
    if not gpus:
        return None
    memory_mib = shape.request.get(MEMORY, 0) // MIB
    return Ask(gpus, shape.request.get(CPU, 0), memory_mib, _models(shape))


def _models(shape: PodShape) -> frozenset[str]:
    """By node selector, or by a required affinity of which every term names some."""
    named = dict(shape.node_selector).get(MODEL_LABEL)
    if named is not None:
        return frozenset({named})
    found: set[str] = set()
    for term in shape.required or ():
        values = [one.values for one in term.labels if (one.key, one.operator) == (MODEL_LABEL, Operator.IN)]
        if not values:
            return frozenset()
        found.update(*values)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Unit:
    """What one of a resource is, in thousandths of a GPU."""

    milli: float
    of_one_gpu: bool = False
    """Whether several for one pod come from one GPU: shares do."""


Units = Mapping[str, Unit]
"""By resource."""


class Mix:
    """Pods with GPUs, and how often each kind came."""

    def __init__(self) -> None:
        self._seen: Counter[Ask] = Counter()
        self.total = 0

    def count(self, ask: Ask) -> None:
        self._seen[ask] += 1
        self.total += 1
        if self.total >= REMEMBERED:
            self._seen = Counter({one: times // 2 for one, times in self._seen.items() if times > 1})
            self.total = self._seen.total()

    @property
    def resources(self) -> frozenset[str]:
        """Those that they ask for."""
        return frozenset(resource for ask in self._seen for resource, _ in ask.gpus)

    def tasks(self, units: Units) -> Mapping[Task, float]:
        """How often each comes."""
        found: defaultdict[Task, float] = defaultdict(float)
        for ask, times in self._seen.items():
            for task, count in tasks_of(ask, units).items():
                found[task] += count * times
        return found


@dataclass(frozen=True, slots=True)
class Supply:
    """What the nodes have, as far as it says what pods' asking means."""

    gpus: Mapping[str, int]
    """By model."""
    most_gpus: int
    """Of one node."""
    units: Units


def worth_to(mix: Mix, supply: Supply) -> Worth:
    """Pods that are too large for every node count as none, and so do those of sizes that are asked for least, where there
    are very many."""
    tasks = {task: n for task, n in mix.tasks(supply.units).items() if task.gpus <= supply.most_gpus}
    by_size: Counter[int] = Counter()
    for task, times in tasks.items():
        by_size[task.gpu_milli] += round(times * task.gpus)
    sizes = {milli for milli, _ in by_size.most_common(MOST_SIZES)}
    kept = {task: times for task, times in tasks.items() if task.gpu_milli in sizes}
    return Worth(kept, supply.gpus, supply.most_gpus)


def tasks_of(ask: Ask, units: Units) -> Mapping[Task, int]:
    """A pod with parts of several GPUs counts as several, each with its part of CPU and memory. One with a resource that no
    node has counts as none."""
    if not all(resource in units for resource, _ in ask.gpus):
        return {}
    pieces: Counter[tuple[int, int]] = Counter()
    """By milli of each GPU and number of GPUs, how many such parts."""
    for resource, count in ask.gpus:
        pieces.update(_pieces(units[resource], count))
    total = sum(milli * gpus * times for (milli, gpus), times in pieces.items())
    found: Counter[Task] = Counter()
    for (milli, gpus), times in pieces.items():
        part = milli * gpus / total
        cpu_milli, memory_mib = round(ask.cpu_milli * part), round(ask.memory_mib * part)
        found[Task(cpu_milli, milli, gpus, ask.models, memory_mib)] += times
    return found


def _pieces(unit: Unit, count: int) -> Mapping[tuple[int, int], int]:
    if unit.milli < WHOLE_MILLI and not unit.of_one_gpu:
        return {(max(1, round(unit.milli)), 1): min(count, MOST_OF_A_POD)}
    whole, rest = divmod(max(1, round(unit.milli * count)), WHOLE_MILLI)
    return {(milli, gpus): 1 for milli, gpus in ((WHOLE_MILLI, whole), (rest, 1)) if milli and gpus}


def supply_of(nodes: Iterable[NodeFacts], resources: Iterable[str]) -> Supply:
    """A resource is what there is most of under that name; where there is none, the first way to make it."""
    wanted = frozenset(resources)
    gpus: Counter[str] = Counter()
    most_gpus = 0
    there: defaultdict[str, Counter[Unit]] = defaultdict(Counter)
    boards: dict[tuple[str, int, int], tuple[NodeFacts, GpuFacts]] = {}
    for facts in nodes:
        layout = Layout(facts)
        gpus[layout.model] += layout.gpus
        most_gpus = max(most_gpus, layout.gpus)
        for resource in wanted.intersection(layout.totals):
            there[resource][Unit(WHOLE_MILLI)] += layout.totals[resource]
        for gpu in layout.divided.values():
            for device in gpu.devices:
                if device.resource in wanted and device.resource not in layout.totals:
                    unit = Unit(gpu.milli(device) / device.capacity, device.shares > 0)
                    there[device.resource][unit] += 1
        for one in facts.gpus:
            boards.setdefault((one.board, id(one.profiles), id(facts.classes)), (facts, one))
    units = {resource: max(found, key=lambda u: (found[u], u.milli)) for resource, found in there.items()}
    for resource in wanted.difference(units):
        for facts, one in boards.values():
            for way in demand.ways(resource, facts.classes, one)[:1]:
                units.setdefault(resource, _unit(way, one))
    return Supply({model: count for model, count in gpus.items() if count}, most_gpus, units)


def _unit(way: WayOn, gpu: GpuFacts) -> Unit:
    if isinstance(way, SliceWay):
        return Unit(WHOLE_MILLI * way.profile.memory_slots / slots(gpu, ()))
    return Unit(WHOLE_MILLI / way.replicas, way.replicas > 1)
