"""Keeps the core's Snapshot and Pending in step with the API: caches call in, the cycle reads.

A pod is in one of these places, never two: pending; assumed on a node (decided, not yet seen bound), perhaps with a
reservation (its devices are still being made); held back (its last bind failed, and it waits a while); on a node; ended.
What the API shows wins over what was decided, except that an old view of a pod just decided on ("still without a node")
does not undo the decision: only its failure does.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from msgspec.structs import replace

from aliquot.clock import parse_rfc3339
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpuclass import GPUClass
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.cache import Cache
from aliquot.kube.resources import key
from aliquot.partition.class_specs import ClassSpecs
from aliquot.scheduler import nodes
from aliquot.scheduler.core.attempts import Bind
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.landings import Landings
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import PlacedPod, PodRequest
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.grouping.membership import Membership, unknown
from aliquot.scheduler.pod_rules import selected
from aliquot.scheduler.pods import PodReader
from aliquot.scheduler.surroundings import Surroundings


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """What a Mirror asks of the scheduler's other parts, and what it tells them. Pods are named by their keys."""

    member: Callable[[Pod], Membership | None]
    """The job of a pod. None: it is not known yet; `members_changed` is called when it is."""
    leaving: Callable[[str, str], bool]
    """Whether the pod of this key and uid is to go."""

    changed: Callable[[], None]
    """A decision may have become possible."""
    facts_changed: Callable[[str, NodeFacts | None], None]
    """The node of this name is another, or is gone."""
    placed: Callable[[Pod, JobSpec], None]
    """The pod, which is of this job, has a node."""
    released: Callable[[str], None]
    """What was decided on the pod does not come true."""
    gated: Callable[[Pod], None]
    """The pod waits for its scheduling gates."""
    gone: Callable[[str], None]
    """The pod needs no word any more."""
    reserved: Callable[[PodRequest, PlacedPod, str], None]
    """The pod says of itself that its devices are being made there; the last is the key of its job."""
    unreserved: Callable[[str], None]
    """The pod says so no more."""


class Mirror:
    """`names`: the spec.schedulerName values of the pods to place."""

    def __init__(
        self,
        snapshot: Snapshot,
        pending: Pending,
        landings: Landings,
        *,
        names: Collection[str],
        pods: Cache[Pod],
        nodes: Cache[Node],
        gpu_nodes: Cache[GPUNode],
        gpu_classes: Cache[GPUClass],
        surroundings: Surroundings,
        callbacks: Callbacks,
    ) -> None:
        self._snapshot = snapshot
        self._pending = pending
        self._landings = landings
        self._names = frozenset(names)
        self._pods = pods
        self._nodes = nodes
        self._gpu_nodes = gpu_nodes
        self._classes = ClassSpecs(gpu_classes)
        self._around = surroundings
        self._reader = PodReader(surroundings)
        self._call = callbacks
        self._held_back: set[str] = set()
        self._seen_reserved: set[str] = set()
        """Pods that the API shows with a reservation: once it shows them without, they have none."""

    def follow(self) -> Callable[[], None]:
        """Start to listen; returns the function that stops it."""
        stops = (
            self._around.follow(self._read_again, self._namespaces_changed),
            self._pods.subscribe(self._pod_told),
            self._nodes.subscribe(self._node_changed),
            self._gpu_nodes.subscribe(self._gpu_node_changed),
            self._classes.follow(self._classes_changed),
        )

        def stop() -> None:
            for one in stops:
                one()

        return stop

    def release(self, pod: PodRequest) -> None:
        """The decision on `pod` will not come true: what was assumed for it is free again."""
        known = self._snapshot.pods.get(pod.key)
        if known is not None and known.assumed and known.uid == pod.uid:
            self._snapshot.remove_pod(pod.key)
            self._call.released(pod.key)
            self._call.changed()

    def reserve(self, bind: Bind) -> Bind:
        """With a reservation, where what the pod is to get might be cut otherwise before it is bound."""
        placed, node = bind.placed, self._snapshot.nodes.get(bind.placed.node)
        if placed.reserved or not placed.devices or node is None or not node.facts.makes_devices:
            return bind
        reserved = replace(placed, reserved=True)
        if self._snapshot.pods.get(placed.key) is placed:
            self._snapshot.set_pod(reserved)
        return Bind(bind.pod, reserved, bind.leaf)

    def give_back(self, pod: PodRequest) -> None:
        """Release `pod` and put it back in the line, if it still waits."""
        self.release(pod)
        self.reconsider(pod.key)

    def hold_back(self, pod: PodRequest) -> None:
        """Release `pod`, and keep it out of the line until `reconsider`."""
        self.release(pod)
        self._pending.discard(pod.key)
        self.keep_out(pod)

    def keep_out(self, pod: PodRequest) -> None:
        """Keep `pod` out of the line until `reconsider`; what was assumed for it stays taken."""
        if self._pods.get(pod.key) is not None:
            self._held_back.add(pod.key)

    def stays(self, key_: str) -> None:
        """The pod was to go, and does not: it has its room again."""
        self._landings.stays(key_, self._snapshot)
        pod = self._pods.get(key_)
        if pod is not None:
            self._pod_changed(pod, pod)
            self._call.changed()

    def anew(self, pod: Pod) -> PodRequest:
        """As it would wait if it were made again."""
        return self._reader.anew(pod)

    def reconsider(self, key_: str) -> None:
        self._held_back.discard(key_)
        pod = self._pods.get(key_)
        if pod is not None:
            self._pod_changed(pod, pod)

    def _pod_told(self, old: Pod | None, new: Pod | None) -> None:
        self._pod_changed(old, new)
        news = self._reader.rules.take_news()
        if news:
            self._read_again([pod.key for pod in self._pending.pods.values() if selected(news, pod.kin)])

    def _namespaces_changed(self) -> None:
        self._reader.rules.namespaces = self._around.namespaces
        self._reader.rules.forget()

    def _read_again(self, names: Collection[str]) -> None:
        """What is known of these pods beside themselves has changed."""
        for name in names:
            pod = self._pods.get(name)
            if pod is not None:
                self._pod_changed(pod, pod)

    def members_changed(self, keys: Collection[str]) -> None:
        """The jobs of these pods are others now, or known at last."""
        for key_ in keys:
            pod = self._pods.get(key_)
            if pod is None:
                continue
            if key_ in self._snapshot.pods and not pod.status.has_ended:
                self._hold(key_, pod, self._snapshot.pods[key_])
                self._call.changed()
            else:
                self._pod_changed(pod, pod)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None:
            assert old is not None
            self._forget(key(old))
            return
        name = key(new)
        if new.status.has_ended:
            self._end(name, new)
            if new.spec.node_name:
                self._snapshot.end_pod(name, new.spec.node_name)
            else:
                self._snapshot.remove_pod(name)
            self._call.gone(name)
            self._call.changed()
        elif new.spec.node_name and self._call.leaving(name, new.metadata.uid):
            # Its room is another's by now.
            pass
        elif new.spec.node_name:
            self._held_back.discard(name)
            self._seen_reserved.discard(name)
            known, placed = self._snapshot.pods.get(name), self._reader.placed(new)
            self._snapshot.set_pod(placed)
            self._hold(name, new, placed)
            self._call.gone(name)
            if (known is not None and known.node != placed.node) or self._may_open(known, placed):
                self._call.changed()
        else:
            self._waiting(name, new)

    def _may_open(self, known: PlacedPod | None, placed: PlacedPod) -> bool:
        """Whether a rule that somebody waits under may look at the pod otherwise now."""
        return self._reader.rules.may_open and (
            known is None or (known.kin, known.terminating) != (placed.kin, placed.terminating)
        )

    def _waiting(self, name: str, pod: Pod) -> None:
        placed = self._reader.reserved(pod) if pod.spec.scheduler_name in self._names else None
        if placed is not None:
            self._seen_reserved.add(name)
        elif name in self._seen_reserved:
            # Given up, by us or by another that led.
            self._seen_reserved.discard(name)
            known = self._snapshot.pods.get(name)
            if known is not None and known.reserved:
                self._snapshot.remove_pod(name)
                self._call.unreserved(name)
                self._call.changed()
        if name in self._snapshot.pods or name in self._held_back:
            return
        waits = pod.metadata.deletion_timestamp is None and not pod.spec.scheduling_gates
        if placed is not None and waits:
            self._snapshot.set_pod(placed)
            self._call.reserved(self._reader.request(pod), placed, self._hold(name, pod, placed))
            return
        if pod.spec.scheduler_name not in self._names or pod.metadata.deletion_timestamp is not None:
            self._pending.discard(name)
        elif pod.spec.scheduling_gates:
            self._pending.discard(name)
            self._call.gated(pod)
        elif (member := self._call.member(pod)) is None:
            self._pending.discard(name)
        elif self._pending.put(self._reader.request(pod), member.job, member.leaf):
            self._call.changed()

    def _hold(self, name: str, pod: Pod, placed: PlacedPod) -> str:
        """The pod has a place. Returns the key of its job."""
        if pod.spec.scheduler_name not in self._names:
            self._pending.discard(name)
            return name
        member, request = self._call.member(pod), self._reader.request(pod)
        ends = pod.metadata.deletion_timestamp
        leaves_by_s = parse_rfc3339(ends) if ends else None
        if member is None:
            # It holds what its queue may have, whoever it belongs to: what owns it has yet to be read, or is gone before it.
            self._pending.hold(request, unknown(pod), leaves_by_s=leaves_by_s, placed=placed)
            return name
        self._pending.hold(request, member.job, member.leaf, leaves_by_s=leaves_by_s, placed=placed)
        if pod.spec.node_name:
            self._call.placed(pod, member.job)
        return member.job.key

    def _end(self, name: str, pod: Pod) -> None:
        """One that ended well counts to its job until it is deleted. Not one that was told to go: it may end well for that."""
        done = pod.status.phase == "Succeeded" and pod.metadata.deletion_timestamp is None
        member = self._call.member(pod) if done and pod.spec.scheduler_name in self._names else None
        if member is None:
            self._pending.discard(name)
        else:
            self._pending.succeed(name, member.job, member.leaf)

    def _classes_changed(self) -> None:
        for node in self._nodes.values():
            self._set_facts(node, self._gpu_nodes.get(node.metadata.name))

    def _forget(self, name: str) -> None:
        self._seen_reserved.discard(name)
        self._pending.discard(name)
        self._held_back.discard(name)
        self._snapshot.remove_pod(name)
        self._call.gone(name)
        self._call.changed()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            assert old is not None
            self._snapshot.remove_facts(old.metadata.name)
            self._call.facts_changed(old.metadata.name, None)
            self._call.changed()
        else:
            self._set_facts(new, self._gpu_nodes.get(new.metadata.name))

    def _gpu_node_changed(self, old: GPUNode | None, new: GPUNode | None) -> None:
        either = new or old
        assert either is not None
        node = self._nodes.get(either.metadata.name)
        if node is not None:
            self._set_facts(node, new)

    def _set_facts(self, node: Node, gpu_node: GPUNode | None) -> None:
        found = nodes.facts(node, gpu_node, self._classes.now)
        if self._snapshot.set_facts(found):
            self._call.facts_changed(found.name, found)
            self._call.changed()
