"""One pass over those who wait: decisions out, and what was decided kept in the snapshot.

Highest rank first. A pod that finds no node does not hold up those behind it. Within a pass room only shrinks, so
the first pod of a shape that finds no node answers for the rest of its shape.
"""

import heapq
from dataclasses import dataclass

from aliquot.partition.value import BY_RULE, Valuation
from aliquot.scheduler.core.explain import explain
from aliquot.scheduler.core.making import Makings, asks
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import PlacedPod, PodRequest, PodShape
from aliquot.scheduler.core.policies import Judge, Policies
from aliquot.scheduler.core.ranking import Ranking
from aliquot.scheduler.core.reasons import Explanation
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.snapshot import Snapshot


class Rankings:
    """One Ranking for each shape that was asked for lately: of the nodes as they are, and as they could be made. When another
    policy of the valuation comes into use, whoever noticed it calls `clear`."""

    def __init__(self, policies: Policies, valuation: Valuation = BY_RULE, *, most: int = 512) -> None:
        self.policies = policies
        self.makings = Makings(policies, valuation)
        self._most = most
        self._there: dict[str, Ranking] = {}
        self._made: dict[str, Ranking] = {}

    def of(self, shape: PodShape) -> Ranking:
        return self._kept(self._there, shape, self.policies)

    def of_made(self, shape: PodShape) -> Ranking:
        return self._kept(self._made, shape, self.makings)

    def _kept(self, rankings: dict[str, Ranking], shape: PodShape, judge: Judge) -> Ranking:
        ranking = rankings.pop(shape.signature, None) or Ranking(shape, judge)
        rankings[shape.signature] = ranking
        if len(rankings) > self._most:
            del rankings[next(iter(rankings))]
        return ranking

    def clear(self) -> None:
        """Judge all nodes anew."""
        self._there.clear()
        self._made.clear()
        self.makings.forget()


@dataclass(frozen=True, slots=True)
class Bind:
    """`placed.reserved`: only once its devices are made."""

    pod: PodRequest
    placed: PlacedPod


@dataclass(frozen=True, slots=True)
class Outcome:
    binds: tuple[Bind, ...]
    """Now assumed in the snapshot and no longer pending."""
    waiting: tuple[PodShape, ...]
    """Shapes that found no node. Their pods are still pending; `why` says what for."""
    more: bool
    """The limit was reached: call again."""


def run(snapshot: Snapshot, pending: Pending, rankings: Rankings, *, limit: int | None = None) -> Outcome:
    """Decide on at most `limit` pods. When a policy raises, nothing has changed."""
    binds: list[Bind] = []
    waiting: list[PodShape] = []
    lines = pending.lines
    heads = [(line[0], signature, 0) for signature, line in lines.items()]
    heapq.heapify(heads)
    with Session(snapshot) as session:
        while heads and (limit is None or len(binds) < limit):
            rank, signature, position = heapq.heappop(heads)
            pod = pending.pods[rank[-1]]
            bind = place(session, pod, rankings)
            if bind is None:
                waiting.append(pod.shape)
                continue
            binds.append(bind)
            if position + 1 < len(lines[signature]):
                heapq.heappush(heads, (lines[signature][position + 1], signature, position + 1))
    for bind in binds:
        pending.discard(bind.pod.key)
    return Outcome(tuple(binds), tuple(waiting), more=bool(heads))


def place(session: Session, pod: PodRequest, rankings: Rankings) -> Bind | None:
    """The best node and its devices for one pod, taken in the session; None when no node will do."""
    if pod.shape.refusal is not None:
        return None
    snapshot, shape = session.snapshot, pod.shape
    name = rankings.of(shape).best(snapshot)
    if name is not None:
        return Bind(pod, session.place(pod, name, rankings.policies.assign(shape, snapshot.nodes[name])))
    if not asks(shape):
        return None
    name = rankings.of_made(shape).best(snapshot)
    if name is None:
        return None
    devices = rankings.makings.assign(shape, snapshot.nodes[name])
    return Bind(pod, session.place(pod, name, devices, reserved=True))


def why(snapshot: Snapshot, shape: PodShape, rankings: Rankings) -> Explanation:
    """Why no node takes a pod of this shape, as things are now."""
    return explain(shape, snapshot.nodes, rankings.of(shape).rejections(snapshot))
