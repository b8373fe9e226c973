"""A start that a blocked job was promised, and whether a node can keep it with somebody else there."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from aliquot.scheduler.core.attempts import Bind
from aliquot.scheduler.core.backfill.timetable import Timetable
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.node import NodeState, derive, with_pod
from aliquot.scheduler.core.pod import PlacedPod, PodShape
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Promise:
    job: JobSpec
    start_s: float
    end_s: float
    """Infinity: nothing is known of how long it runs."""
    binds: tuple[Bind, ...]
    """Where its pods fit by then. They may go elsewhere in the end."""
    by_node: dict[str, list[Bind]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_node: dict[str, list[Bind]] = {}
        for bind in self.binds:
            by_node.setdefault(bind.placed.node, []).append(bind)
        object.__setattr__(self, "by_node", by_node)

    def overlaps(self, start_s: float, end_s: float) -> bool:
        return self.start_s < end_s and start_s < self.end_s


def can_be_kept(
    promise: Promise,
    node: str,
    others: Iterable[Promise],
    snapshot: Snapshot,
    timetable: Timetable,
    rankings: Rankings,
    besides: PodShape | None = None,
) -> bool:
    """Whether the node has room for its part of the promise then, of those that are there now with all that are not expected to
    have ended, and with what others were promised there at that moment; and for one more pod `besides`."""
    state = _at(promise.start_s, node, others, snapshot, timetable)
    if state is None:
        return False
    for bind in promise.by_node[node]:
        shape = bind.pod.shape
        judge = rankings.makings if bind.placed.reserved else rankings.policies
        if judge.reject(shape, state) is not None:
            return False
        devices = judge.assign(shape, state)
        placed = PlacedPod(
            key=bind.pod.key,
            uid=bind.pod.uid,
            node=node,
            request=shape.request,
            devices=devices,
            host_ports=shape.host_ports,
            assumed=True,
        )
        state = with_pod(state, placed)
    if besides is None or rankings.policies.reject(besides, state) is None:
        return True
    return state.facts.makes_devices and rankings.makings.reject(besides, state) is None


def _at(
    moment_s: float, node: str, others: Iterable[Promise], snapshot: Snapshot, timetable: Timetable
) -> NodeState | None:
    """The node as it will be; None: it is gone."""
    now = snapshot.nodes.get(node)
    if now is None:
        return None
    stay: list[PlacedPod] = []
    ended: list[str] = list(now.ended)
    for key, pod in snapshot.pods_on(node).items():
        if timetable.end_s(key) > moment_s:
            stay.append(pod)
        else:
            ended.append(key)
    for other in others:
        if other.start_s <= moment_s < other.end_s:
            stay += [bind.placed for bind in other.by_node.get(node, ())]
    return derive(now.reported, stay, ended)
