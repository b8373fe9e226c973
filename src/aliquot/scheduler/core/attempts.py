"""A job placed as a whole, tentatively: each pod on the best node as things are by then, or none at all.

Groups that want to be together are tried in one domain after another, the fullest that could hold them first, so that
empty domains stay whole; from the preferred level up to the required one. Where some of a group run already, its required
domain is theirs.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from msgspec import Struct

from aliquot.scheduler.core.explain import explain
from aliquot.scheduler.core.gpu_domains import requires_gpus_together
from aliquot.scheduler.core.jobs import Group, TopologyWish
from aliquot.scheduler.core.making import asks
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pending import Job
from aliquot.scheduler.core.pod import PlacedPod, PodRequest, PodShape
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.reasons import NEIGHBOURS, Explanation, Kind, Reason
from aliquot.scheduler.core.room import Room
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.topology import Domain, Topology, domain_of, domains

Names = Collection[str] | None
"""The nodes that are open to a group; None: all."""


class Bind(Struct, frozen=True, gc=False):
    """`placed.reserved`: only once its devices are made."""

    pod: PodRequest
    placed: PlacedPod
    leaf: str = ""
    """Of its job."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What was in the way, at the pod that found no node."""

    shape: PodShape
    """Of that pod."""
    placed: int = 0
    """How many pods of the job had found one before."""
    needed: int = 1
    """How many it takes."""
    reason: Reason | None = None
    """Why no node was looked for at all."""
    level: str = ""
    """The topology level in one domain of which all were to be."""
    told: Explanation | None = None
    """What was in the way on the nodes that were open to it; where that was asked for."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """What it takes to find pods a place: the session in which it is taken, the nodes best first, and where those are."""

    session: Session
    rankings: Rankings
    topologies: Mapping[str, Topology]

    def place(self, pod: PodRequest, within: Names = None) -> Bind | None:
        """The best node and its devices for one pod, taken in the session; None when no node will do."""
        if pod.shape.refusal is not None:
            return None
        session, rankings, shape = self.session, self.rankings, pod.shape
        snapshot = session.snapshot
        name = rankings.of(shape).best(snapshot, within)
        if name is not None:
            return Bind(pod, session.place(pod, name, rankings.policies.assign(shape, snapshot.nodes[name])))
        if not snapshot.makes_devices or not asks(shape) or requires_gpus_together(shape):
            return None
        name = rankings.of_made(shape).best(snapshot, within)
        if name is None:
            return None
        devices = rankings.makings.assign(shape, snapshot.nodes[name])
        return Bind(pod, session.place(pod, name, devices, reserved=True))

    def place_job(
        self,
        job: Job,
        lacking: Mapping[str, int],
        *,
        within: Names = None,
        telling: bool = False,
        room: Room | None = None,
    ) -> list[Bind] | Shortfall:
        """`lacking`: how many of the waiting pods of which leaf. With a Shortfall the session is as it was. `telling`: say in it
        what was in the way. `room`: made for pods that find none."""
        mark = self.session.checkpoint()
        found = _Attempt(self, job, lacking, telling, room).group(job.spec.root or Group(), within)
        if isinstance(found, Shortfall):
            self.session.undo(mark)
        return found


def why_no_node(snapshot: Snapshot, shape: PodShape, rankings: Rankings, within: Names = None) -> Explanation:
    """Why none of the nodes takes a pod of the shape, as things are."""
    nodes, rejections = snapshot.nodes, rankings.of(shape).rejections(snapshot)
    if asks(shape) and shape.rules:
        # Nodes where its devices could be made, but for the pods that are there.
        made = rankings.of_made(shape).rejections(snapshot)
        rejections = {**rejections, **{n: reason for n, reason in made.items() if reason.kind in NEIGHBOURS}}
    if within is not None:
        nodes = {name: nodes[name] for name in within}
        rejections = {name: rejections[name] for name in within if name in rejections}
    if shape.refusal is None and len(rejections) < len(nodes):
        return Explanation(Kind.FULL, "there is room by now")
    return explain(shape, nodes, rejections)


class _Attempt:
    def __init__(
        self, fitting: Fitting, job: Job, lacking: Mapping[str, int], telling: bool, room: Room | None
    ) -> None:
        self._fitting = fitting
        self._session = fitting.session
        self._rankings = fitting.rankings
        self._topologies = fitting.topologies
        self._job = job
        self._lacking = lacking
        self._telling = telling
        self._room = room
        self._needed = sum(lacking.values())
        self._placed = 0

    def group(self, group: Group, within: Names) -> list[Bind] | Shortfall:
        if not any(self._lacking.get(leaf.name) for leaf in group.leaves):
            return []
        if group.topology is None:
            return self._members(group, within)
        try:
            found = list(self._candidates(group, group.topology, within))
        except _Unknown as error:
            return self._refused(Reason(Kind.TOPOLOGY, str(error)))
        mark, placed = self._session.checkpoint(), self._placed
        best: Shortfall | None = None
        for names in found:
            binds = self._members(group, names)
            if not isinstance(binds, Shortfall):
                return binds
            self._session.undo(mark)
            self._placed = placed
            if self._room is not None:
                self._room.look_again()
            if best is None or binds.placed > best.placed:
                best = binds
        level = group.topology.required
        if best is None:
            return self._refused(
                Reason(Kind.TOPOLOGY, f"no node has all labels of the topology down to {level}")
            )
        return replace(best, level=level or best.level)

    def _members(self, group: Group, within: Names) -> list[Bind] | Shortfall:
        if not self._telling and self._room is None:
            short = next(
                (shapes for shapes in self._wanted(group) if not self._may_fit(shapes, within)), None
            )
            if short is not None:
                return Shortfall(short[0], self._placed, self._needed)
        if group.groups:
            together: list[Bind] = []
            for part in group.groups:
                binds = self.group(part, within)
                if isinstance(binds, Shortfall):
                    return binds
                together += binds
            return together
        found: list[Bind] = []
        for pod in self._job.first(group.name, self._lacking.get(group.name, 0)):
            bind = self._fitting.place(pod, within)
            if bind is None and self._room is not None:
                bind = self._where_room_is_made(self._room, pod, within)
            if bind is None:
                shape = pod.shape
                told = (
                    why_no_node(self._session.snapshot, shape, self._rankings, within)
                    if self._telling
                    else None
                )
                return Shortfall(shape, self._placed, self._needed, told=told)
            self._placed += 1
            found.append(Bind(pod, bind.placed, group.name))
        return found

    def _where_room_is_made(self, room: Room, pod: PodRequest, within: Names) -> Bind | None:
        mark = self._session.checkpoint()
        names = room.nodes_for(pod, within)
        for name in names:
            bind = self._fitting.place(pod, (name,))
            if bind is not None:
                names.close()
                return bind
            self._session.undo(mark)
        return None

    def _wanted(self, group: Group) -> Collection[list[PodShape]]:
        """The shapes of the pods that a place is looked for, those that are alike together."""
        found: dict[str, list[PodShape]] = {}
        for leaf in group.leaves:
            for pod in self._job.first(leaf.name, self._lacking.get(leaf.name, 0)):
                found.setdefault(pod.shape.signature, []).append(pod.shape)
        return found.values()

    def _may_fit(self, shapes: Sequence[PodShape], within: Names) -> bool:
        """Whether there may be room for pods of these shapes, which are alike: a look at the nodes, where an attempt places one
        pod after the other to learn that the last finds none."""
        if len(shapes) == 1:
            return True
        shape, left, nodes = shapes[0], len(shapes), self._session.snapshot.nodes
        fitting, makes = self._rankings.of(shape).fitting(self._session.snapshot), asks(shape)
        for name in nodes if within is None else within:
            node = nodes.get(name)
            if node is not None and (name in fitting or (makes and node.facts.makes_devices)):
                left -= at_most(shape, node)
                if left <= 0:
                    return True
        return False

    def _refused(self, reason: Reason) -> Shortfall:
        return Shortfall(self._a_shape(), 0, self._needed, reason)

    def _a_shape(self) -> PodShape:
        pods = next(iter(self._job.waiting.values()))
        return next(iter(pods.values())).shape

    # --- domains ---

    def _candidates(self, group: Group, wish: TopologyWish, within: Names) -> Iterator[Names]:
        """Sets of nodes to try, best first."""
        topology = self._topology(wish)
        try:
            required = topology.depth(wish.required) if wish.required else 0
            preferred = topology.depth(wish.preferred) if wish.preferred else required
        except KeyError as error:
            raise _Unknown(f"Topology {topology.name} has no level {error.args[0]}") from None
        nodes = self._session.snapshot.nodes
        names = nodes.keys() if within is None else within
        theirs = self._where_they_are(group, topology.levels[:required]) if required else None
        for depth in range(max(preferred, required), required - 1, -1):
            if depth == 0:
                yield within
                continue
            levels = topology.levels[:depth]
            found = domains(((name, nodes[name].facts.labels) for name in names if name in nodes), levels)
            if theirs is not None:
                found = {domain: there for domain, there in found.items() if domain[:required] == theirs}
            yield from self._by_room(group, found)

    def _topology(self, wish: TopologyWish) -> Topology:
        if wish.topology:
            found = self._topologies.get(wish.topology)
            if found is None:
                raise _Unknown(f"there is no Topology {wish.topology}")
            return found
        levels = {wish.required, wish.preferred} - {""}
        fitting = [name for name, one in self._topologies.items() if levels <= set(one.levels)]
        if not fitting:
            raise _Unknown(f"no Topology has the level {' and '.join(sorted(levels))}")
        return self._topologies[min(fitting)]

    def _where_they_are(self, group: Group, levels: Sequence[str]) -> Domain | None:
        """The domain of those of the group that have a node and stay."""
        leaves = {leaf.name for leaf in group.leaves}
        snapshot = self._session.snapshot
        for key, leaf in self._job.placed.items():
            pod = snapshot.pods.get(key) if leaf in leaves and key not in self._job.leaving else None
            node = snapshot.nodes.get(pod.node) if pod is not None else None
            if node is not None:
                return domain_of(node.facts.labels, levels)
        return None

    def _by_room(self, group: Group, found: Mapping[Domain, list[str]]) -> Iterator[list[str]]:
        """Those that may have room, the fullest first."""
        wanted = self._wanted(group)
        room = []
        for domain, names in found.items():
            nodes = [self._session.snapshot.nodes[name] for name in names]
            fits = [(sum(at_most(shapes[0], node) for node in nodes), len(shapes)) for shapes in wanted]
            if all(most >= count for most, count in fits):
                room.append((sum(most for most, _ in fits), domain))
        room.sort()
        if room or not found:
            return iter([found[domain] for _, domain in room])
        # For its reason alone: the one that comes nearest.
        most = max(found, key=lambda domain: len(found[domain]))
        return iter([found[most]])


class _Unknown(Exception):
    """One line."""


def at_most(shape: PodShape, node: NodeState) -> int:
    """How many pods of the shape the node could take at the very most: by amounts alone, of devices that are there or could
    be made."""
    made = node.free if node.facts.makes_devices and asks(shape) else ()
    room = [node.available(r) // n for r, n in shape.request.items() if n and r not in made]
    return max(0, min(room, default=0))
