"""Files of clusters to plan for without one: GPUs with their slices, who holds them, who waits.

gpus:
- {node: a, board: h100-80gb, slices: [{profile: 3g.40gb, start: 0, pod: ml/train}]}
- {node: b, board: h100-80gb, count: 8, labels: {zone: west}}
pods:
  ml/train: {priority: 10, budget: ml/all, ranFor: 3600}
budgets: {ml/all: 1}
pending:
- {pod: ml/big, needs: {7g.80gb: 1}, priority: 20, nodeSelector: {zone: west}, required: true}
"""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from aliquot import document
from aliquot.document import Document, nearest
from aliquot.gpu import boards
from aliquot.partition.board_states import BoardStates, ordinary, states_of
from aliquot.partition.cluster import (
    ANYWHERE,
    Cluster,
    Instance,
    Node,
    Operator,
    PendingPod,
    PlannedGpu,
    Requirement,
    RunningPod,
    Where,
)

_Count = Annotated[int, Meta(ge=1, le=1_000_000)]


class _Slice(Struct, rename="camel"):
    profile: str
    start: int
    pod: str = ""


class _Gpus(Struct, rename="camel"):
    node: str
    board: str
    count: _Count = 1
    labels: dict[str, str] = {}
    slices: list[_Slice] = []


class _Pod(Struct, rename="camel"):
    priority: int = 0
    ran_for: Annotated[float, Meta(ge=0)] = 0.0
    """Seconds."""
    budget: str = ""
    do_not_disrupt: bool = False
    stays: str = ""
    """Why it cannot be moved."""
    node_selector: dict[str, str] = {}


class _Pending(Struct, rename="camel"):
    pod: str
    needs: dict[str, _Count]
    count: _Count = 1
    priority: int = 0
    node_selector: dict[str, str] = {}
    required: bool = False


class _File(Struct, rename="camel"):
    gpus: list[_Gpus]
    pods: dict[str, _Pod] = {}
    budgets: dict[str, int] = {}
    pending: list[_Pending] = []


def parse(text: str, *, source: str) -> Cluster:
    """Pods have started before 0 on the clock, by as much as they ran. Raises DocumentError."""
    parsed = document.parse(text, source=source)
    file = parsed.into(_File)
    gpus: list[PlannedGpu] = []
    labels: dict[str, dict[str, str]] = {}
    on_node: Counter[str] = Counter()
    for number, entry in enumerate(file.gpus):
        states = _states(parsed, number, entry.board)
        labels.setdefault(entry.node, {}).update(entry.labels)
        instances = _instances(parsed, number, entry, states)
        if instances and entry.count > 1 and any(one.pods for one in instances):
            raise parsed.error(("gpus", number, "count"), "GPUs that pods are on are given one by one")
        for _ in range(entry.count):
            uuid = f"GPU-{entry.node}-{on_node[entry.node]}"
            on_node[entry.node] += 1
            gpus.append(PlannedGpu(uuid, entry.node, entry.board, states, instances))
    holders = {pod for gpu in gpus for instance in gpu.instances for pod in instance.pods}
    for name, pod in file.pods.items():
        if name not in holders:
            raise parsed.error(("pods", name), f"pod '{name}' holds no slice{nearest(name, holders)}")
        if pod.budget and pod.budget not in file.budgets:
            hint = nearest(pod.budget, file.budgets)
            raise parsed.error(("pods", name, "budget"), f"there is no budget '{pod.budget}'{hint}")
    known = {profile.name for gpu in gpus for profile in gpu.states.profiles}
    return Cluster(
        tuple(Node(name, has) for name, has in labels.items()),
        tuple(gpus),
        {name: _running(name, file.pods.get(name, _Pod())) for name in sorted(holders)},
        tuple(_pending(parsed, file, known)),
        file.budgets,
    )


def _states(parsed: Document, number: int, key: str) -> BoardStates:
    try:
        board = boards.board(key)
    except boards.UnknownBoard as error:
        raise parsed.error(("gpus", number, "board"), str(error)) from None
    profiles = board.mig.instance_profiles() if board.mig is not None else ()
    if not profiles:
        raise parsed.error(("gpus", number, "board"), f"board '{key}' has no MIG that is published")
    return states_of(ordinary(profiles))


def _instances(parsed: Document, number: int, entry: _Gpus, states: BoardStates) -> tuple[Instance, ...]:
    found: list[Instance] = []
    for at, given in enumerate(entry.slices):
        path = ("gpus", number, "slices", at)
        names = [profile.name for profile in states.profiles]
        if given.profile not in names:
            hint = nearest(given.profile, names) or f"; it has {', '.join(names)}"
            raise parsed.error((*path, "profile"), f"{entry.board} has no profile '{given.profile}'{hint}")
        placing = states.placing(given.profile, given.start)
        if placing is None:
            raise parsed.error((*path, "start"), f"{given.profile} cannot start at slot {given.start}")
        size = placing.mask.bit_count()
        one = Instance(given.profile, given.start, size, (given.pod,) if given.pod else ())
        if any(one.mask & other.mask for other in found):
            raise parsed.error(path, f"{given.profile} at slot {given.start} overlaps another slice")
        found.append(one)
    return tuple(sorted(found, key=lambda one: one.start))


def _running(name: str, pod: _Pod) -> RunningPod:
    return RunningPod(
        name,
        pod.priority,
        -pod.ran_for,
        _where(pod.node_selector),
        pod.budget,
        pod.do_not_disrupt,
        pod.stays,
    )


def _pending(parsed: Document, file: _File, known: set[str]) -> list[PendingPod]:
    found: list[PendingPod] = []
    for number, entry in enumerate(file.pending):
        for profile in entry.needs:
            if profile not in known:
                hint = nearest(profile, known) or f"; there are {', '.join(sorted(known))}"
                path = ("pending", number, "needs", profile)
                raise parsed.error(path, f"no board here has a profile '{profile}'{hint}")
        if not entry.needs:
            raise parsed.error(("pending", number, "needs"), f"{entry.pod} needs no slice")
        for copy in range(entry.count):
            name = entry.pod if entry.count == 1 else f"{entry.pod}-{copy}"
            needs = tuple(sorted(entry.needs.items()))
            found.append(PendingPod(name, needs, entry.priority, _where(entry.node_selector), entry.required))
    return found


def _where(selector: Mapping[str, str]) -> Where:
    if not selector:
        return ANYWHERE
    return Where((tuple(Requirement(k, Operator.IN, (v,)) for k, v in sorted(selector.items())),))
