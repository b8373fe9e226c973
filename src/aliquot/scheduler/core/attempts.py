"""A job placed as a whole, tentatively: each pod on the best node as things are by then, or none at all.

Groups that want to be together are tried in one domain after another, the fullest that could hold them first, so that
empty domains stay whole; from the preferred level up to the required one. Where some of a group run already, its required
domain is theirs. At a level within a node a domain is some of the GPUs of one node, which is looked at as if it had no others.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from msgspec import Struct, structs

from aliquot.partition.demand import could_be_made
from aliquot.scheduler.core.explain import explain
from aliquot.scheduler.core.filters import devices
from aliquot.scheduler.core.gpu_domains import (
    GpuDomain,
    confined,
    gpus_held,
    requires_gpus_together,
    search,
    too_large,
    total,
    wishing,
)
from aliquot.scheduler.core.jobs import Group, TopologyWish
from aliquot.scheduler.core.making import asks
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pending import Job
from aliquot.scheduler.core.pod import GpuWish, PlacedPod, PodRequest, PodShape
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.reasons import NEIGHBOURS, Explanation, Kind, Reason
from aliquot.scheduler.core.room import Room
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.topology import GPU_LEVELS, Domain, GpuLevel, Topology, domain_of, domains

Names = Collection[str] | None
"""The nodes that are open to a group; None: all."""


class _Open(Struct, frozen=True, gc=False):
    """What is open to a group."""

    names: Names = None
    gpus: frozenset[str] | None = None
    """Of the only node; None: all GPUs that the nodes have."""
    wish: GpuWish | None = None
    """Where the only pod that a place is looked for should have its GPUs."""


class Bind(Struct, frozen=True, gc=False):
    """`placed.reserved`: only once its devices are made."""

    pod: PodRequest
    placed: PlacedPod
    leaf: str = ""
    """Of its job."""


class Shortfall(Struct, frozen=True, gc=False):
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


class Fitting(Struct, frozen=True):
    """What it takes to find pods a place: the session in which it is taken, the nodes best first, and where those are."""

    session: Session
    rankings: Rankings
    topologies: Mapping[str, Topology]

    def on(self, session: Session) -> "Fitting":
        return Fitting(session, self.rankings, self.topologies)

    def place(
        self, pod: PodRequest, within: Names = None, gpus: Collection[str] | None = None
    ) -> Bind | None:
        """The best node and its devices for one pod, taken in the session; None when no node will do. `gpus`: of these alone,
        where `within` is one node."""
        if pod.shape.refusal is not None:
            return None
        session, rankings, shape = self.session, self.rankings, pod.shape
        snapshot = session.snapshot
        name = rankings.of(shape).best(snapshot, within)
        if gpus is not None:
            return None if name is None else self._place_among(pod, snapshot.nodes[name], gpus)
        if name is not None:
            return Bind(pod, session.place(pod, name, rankings.policies.assign(shape, snapshot.nodes[name])))
        if not snapshot.makes_devices or not asks(shape) or requires_gpus_together(shape):
            return None
        name = rankings.of_made(shape).best(snapshot, within)
        if name is None:
            return None
        made = rankings.makings.assign(shape, snapshot.nodes[name])
        return Bind(pod, session.place(pod, name, made, reserved=True))

    def _place_among(self, pod: PodRequest, node: NodeState, gpus: Collection[str]) -> Bind | None:
        state = confined(node, gpus)
        if devices(pod.shape, state) is not None:
            return None
        choices = self.rankings.policies.assign(pod.shape, state)
        return Bind(pod, self.session.place(pod, node.name, choices))

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
        root = job.spec.root
        if root is None and lacking and room is None and not telling:
            (pod,) = job.waiting[""].values()
            bind = self.place(pod, within)
            return Shortfall(pod.shape) if bind is None else [bind]
        mark = self.session.checkpoint()
        found = _Attempt(self, job, lacking, telling, room).group(root or Group(), _Open(within))
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

    def group(self, group: Group, within: _Open) -> list[Bind] | Shortfall:
        if not any(self._lacking.get(leaf.name) for leaf in group.leaves):
            return []
        if group.topology is None:
            return self._members(group, within)
        try:
            found = list(self._candidates(group, group.topology, within))
        except _Unknown as error:
            return self._refused(Reason(Kind.TOPOLOGY_UNKNOWN, str(error)))
        mark, placed = self._session.checkpoint(), self._placed
        best: Shortfall | None = None
        for domain in found:
            binds = self._members(group, domain)
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
            nowhere = f"no node has all labels of the topology down to {level}"
            if level in GPU_LEVELS:
                nowhere = self._no_gpu_domain(group, GPU_LEVELS[level])
            return self._refused(Reason(Kind.TOPOLOGY, nowhere))
        return structs.replace(best, level=level or best.level)

    def _members(self, group: Group, within: _Open) -> list[Bind] | Shortfall:
        if not self._telling and self._room is None:
            short = next(
                (shapes for shapes in self._wanted(group) if not self._may_fit(shapes, within.names)), None
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
        for member in self._job.first(group.name, self._lacking.get(group.name, 0)):
            pod = member if within.wish is None else replace(member, shape=wishing(member.shape, within.wish))
            bind = self._fitting.place(pod, within.names, within.gpus)
            if bind is None and self._room is not None:
                bind = self._where_room_is_made(self._room, pod, within)
            if bind is None:
                told = self._why(pod.shape, within) if self._telling else None
                return Shortfall(pod.shape, self._placed, self._needed, told=told)
            self._placed += 1
            found.append(Bind(member, bind.placed, group.name))
        return found

    def _why(self, shape: PodShape, within: _Open) -> Explanation:
        snapshot = self._session.snapshot
        if within.gpus is not None:
            state = confined(self._only_node(within), within.gpus)
            reason = self._rankings.policies.reject(shape, state)
            if reason is not None:
                return explain(shape, {state.name: state}, {state.name: reason})
        return why_no_node(snapshot, shape, self._rankings, within.names)

    def _only_node(self, within: _Open) -> NodeState:
        (name,) = within.names or ()
        return self._session.snapshot.nodes[name]

    def _where_room_is_made(self, room: Room, pod: PodRequest, within: _Open) -> Bind | None:
        mark = self._session.checkpoint()
        if within.gpus is not None:
            for _ in room.freeing(self._only_node(within).name, within.gpus):
                bind = self._fitting.place(pod, within.names, within.gpus)
                if bind is not None:
                    return bind
            self._session.undo(mark)
            return None
        names = room.nodes_for(pod, within.names)
        for name in names:
            bind = self._fitting.place(pod, (name,))
            if bind is not None and room.settles():
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

    def _candidates(self, group: Group, wish: TopologyWish, within: _Open) -> Iterator[_Open]:
        """Domains to try, best first."""
        topology = self._topology(wish)
        gpus = GpuWish(GPU_LEVELS.get(wish.required), GPU_LEVELS.get(wish.preferred))
        try:
            required, preferred = (
                topology.depth(level) if level and level not in GPU_LEVELS else 0
                for level in (wish.required, wish.preferred)
            )
        except KeyError as error:
            has = ", ".join((*topology.levels, *GPU_LEVELS))
            raise _Unknown(f"Topology {topology.name} has no level {error.args[0]}: it has {has}") from None
        alone = self._is_one_pod(group, within)
        if gpus.required is not None:
            yield from (
                (structs.replace(within, wish=gpus),) if alone else self._gpu_domains(group, gpus, within)
            )
            return
        if gpus.preferred is not None and alone:
            within = structs.replace(within, wish=gpus)
        elif gpus.preferred is not None:
            for coarse in self._by_labels(group, topology, required, required, within):
                yield from self._gpu_domains(group, gpus, coarse)
            preferred = len(topology.levels)
        yield from self._by_labels(group, topology, required, preferred, within)

    def _by_labels(
        self, group: Group, topology: Topology, required: int, preferred: int, within: _Open
    ) -> Iterator[_Open]:
        """Domains of the levels down to `preferred`, the finest first."""
        nodes = self._session.snapshot.nodes
        names = nodes.keys() if within.names is None else within.names
        theirs = self._where_they_are(group, topology.levels[:required]) if required else None
        for depth in range(max(preferred, required), required - 1, -1):
            if depth == 0:
                yield within
                continue
            levels = topology.levels[:depth]
            found = domains(((name, nodes[name].facts.labels) for name in names if name in nodes), levels)
            if theirs is not None:
                found = {domain: there for domain, there in found.items() if domain[:required] == theirs}
            for there in self._by_room(group, found):
                yield structs.replace(within, names=there)

    def _is_one_pod(self, group: Group, within: _Open) -> bool:
        """Whether the group's wish is that of the only pod that it has by now."""
        shapes = [shape for alike in self._wanted(group) for shape in alike]
        if within.gpus is not None or within.wish is not None or len(shapes) != 1:
            return False
        return shapes[0].gpu_wish is None and not any(True for _ in self._placed_of(group))

    def _gpu_domains(self, group: Group, wish: GpuWish, within: _Open) -> Iterator[_Open]:
        """GPUs of one node that have room for all. Where none have, of the required level those that could have: all of them where
        room can be made, else one, for its reason alone."""
        nodes = self._session.snapshot.nodes
        names = nodes.keys() if within.names is None else within.names
        theirs: set[str] = set()
        for pod in self._placed_of(group):
            theirs |= gpus_held(nodes[pod.node], pod.key)
            names = [pod.node] if pod.node in names else []
        wanted = total(shape for alike in self._wanted(group) for shape in alike)
        there = [nodes[name] for name in names if name in nodes]

        def opened(domains: Iterable[GpuDomain]) -> Iterator[_Open]:
            return (_Open((name,), gpus, within.wish) for name, gpus in domains)

        outer = () if wish.required is None else (wish.required,)
        if wish.preferred is not None:
            yield from opened(search(there, (*outer, wish.preferred), wanted, within.gpus, theirs)[0])
        if outer:
            room, large = search(there, outer, wanted, within.gpus, theirs)
            yield from opened(room)
            if self._room is not None:
                yield from opened(large[:_MOST_FREED])
            elif not room:
                yield from opened(large[:1])

    def _no_gpu_domain(self, group: Group, level: GpuLevel) -> str:
        if any(True for _ in self._placed_of(group)):
            return f"there is no one {level.in_words} with those of its pods that have a node and room for the others"
        wanted = total(shape for alike in self._wanted(group) for shape in alike)
        return too_large(self._session.snapshot.nodes.values(), level, wanted)

    def _topology(self, wish: TopologyWish) -> Topology:
        if wish.topology:
            found = self._topologies.get(wish.topology)
            if found is None:
                raise _Unknown(f"there is no Topology {wish.topology}: create it, or name another")
            return found
        levels = {wish.required, wish.preferred} - {""} - GPU_LEVELS.keys()
        if not levels:
            return Topology("", ())
        fitting = [name for name, one in self._topologies.items() if levels <= set(one.levels)]
        if not fitting:
            raise _Unknown(f"no Topology has the level {' and '.join(sorted(levels))}")
        return self._topologies[min(fitting)]

    def _where_they_are(self, group: Group, levels: Sequence[str]) -> Domain | None:
        """The domain of those of the group that have a node and stay."""
        for pod in self._placed_of(group):
            return domain_of(self._session.snapshot.nodes[pod.node].facts.labels, levels)
        return None

    def _placed_of(self, group: Group) -> Iterator[PlacedPod]:
        """Those of the group that have a node and stay."""
        leaves = {leaf.name for leaf in group.leaves}
        snapshot = self._session.snapshot
        for key, leaf in self._job.placed.items():
            pod = snapshot.pods.get(key) if leaf in leaves and key not in self._job.leaving else None
            if pod is not None and pod.node in snapshot.nodes:
                yield pod

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


_MOST_FREED = 32
"""Domains within nodes in which room is tried to be made, for one group."""


class _Unknown(Exception):
    """One line."""


def at_most(shape: PodShape, node: NodeState) -> int:
    """How many pods of the shape the node could take at the very most: by amounts alone, of devices that are there or could
    be made."""
    makes = node.facts.makes_devices
    room = [
        node.available(r) // n for r, n in shape.request.items() if n and not (makes and could_be_made(r))
    ]
    return max(0, min(room, default=0))
