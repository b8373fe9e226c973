"""What to do about a DaemonSet, from the set, its pods, the nodes and the time. Pure.

One pod on every node that the template asks for and whose taints it bears, pinned to the node by name. First the
nodes are put right: a pod where there is none, none where there are too many, none where it does not belong. When
nothing is left to put right, an update goes on: it takes away old pods (`maxUnavailable`), or sets a new one beside
an old one and takes that away when the new one is available (`maxSurge`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.emulator.controllers import amounts, pods
from aliquot.emulator.controllers.evictions import tolerates
from aliquot.emulator.controllers.revision_history import POD_LABEL
from aliquot.emulator.controllers.types import DaemonSet
from aliquot.emulator.kinds import node_affinity
from aliquot.kube.api.core import Node, Pod, Toleration

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
GENERATION_LABEL = "pod-template-generation"
BURST = 250

_BORNE_ALWAYS = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_BORNE_ON_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`status` is complete. `ended` are pods to delete too, but not too often on one node."""

    status: dict[str, Any]
    create: tuple[str, ...] = ()
    """Names of nodes."""
    delete: tuple[Pod, ...] = ()
    ended: tuple[Pod, ...] = ()
    again_s: float | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a pod is to be on a node, and whether one that is there may stay."""

    runs: bool
    stays: bool


_NO_FIT = Fit(False, False)


def tolerations(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of the template's pod spec, with those that every daemon has."""
    found: list[dict[str, Any]] = list(spec.get("tolerations") or ())
    added = [*_BORNE_ALWAYS, *([_BORNE_ON_HOST_NETWORK] if spec.get("hostNetwork") else [])]
    for taint, effect in added:
        wanted = {"key": taint, "operator": "Exists", "effect": effect}
        if wanted not in found:
            found.append(wanted)
    return found


class Fits:
    """Where the pods of a DaemonSet belong, node by node. A node is judged anew when its object is another."""

    def __init__(self, daemon_set: DaemonSet) -> None:
        self._spec = daemon_set.spec.template.get("spec") or {}
        self._borne = [_toleration(one) for one in tolerations(self._spec)]
        self._known: dict[str, tuple[Node, Fit]] = {}

    def of(self, nodes: Sequence[Node]) -> dict[str, Fit]:
        found = {node.metadata.name: self._of(node) for node in nodes}
        for gone in self._known.keys() - found.keys():
            del self._known[gone]
        return found

    def differ(self, old: Node | None, new: Node | None) -> bool:
        """Whether a node that changes, comes (no `old`) or goes (no `new`) is one for them to look at."""
        before = self._of(old) if old is not None else _NO_FIT
        return new is None or self._of(new) != before

    def _of(self, node: Node) -> Fit:
        known = self._known.get(node.metadata.name)
        if known is None or known[0] is not node:
            known = self._known[node.metadata.name] = node, self._judged(node)
        return known[1]

    def _judged(self, node: Node) -> Fit:
        spec, name = self._spec, node.metadata.name
        named = spec.get("nodeName") in (None, "", name)
        labels = node.metadata.labels or {}
        if not named or not node_affinity.matches(
            spec.get("nodeSelector"), spec.get("affinity"), name, labels
        ):
            return _NO_FIT
        not_borne = {
            taint.effect
            for taint in node.spec.taints or ()
            if not any(tolerates(toleration, taint) for toleration in self._borne)
        }
        return Fit(not not_borne & {"NoSchedule", "NoExecute"}, "NoExecute" not in not_borne)


def _toleration(found: Mapping[str, Any]) -> Toleration:
    return Toleration(
        key=found.get("key") or "",
        operator=found.get("operator") or "Equal",
        value=found.get("value") or "",
        effect=found.get("effect") or "",
    )


def node_of(pod: Pod) -> str:
    """The node that it is on, or is to be on."""
    return pod.spec.node_name or node_affinity.pinned_node(pod.spec.affinity)


def plan(
    daemon_set: DaemonSet, held: Sequence[Pod], fits: Mapping[str, Fit], digest: str, now: float
) -> Plan:
    """`digest` is the hash of the template's revision, which pods of it carry."""
    return _Planner(daemon_set, held, fits, digest, now).plan()


class _Planner:
    def __init__(
        self, daemon_set: DaemonSet, held: Sequence[Pod], fits: Mapping[str, Fit], digest: str, now: float
    ) -> None:
        self.set, self.spec, self.digest, self.now = daemon_set, daemon_set.spec, digest, now
        self.fits = fits
        self.generation = (daemon_set.metadata.annotations or {}).get(TEMPLATE_GENERATION)
        self.is_updated = all(map(self._is_new, held))
        self.on_node: dict[str, list[Pod]] = {}
        for pod in sorted(held, key=_age):
            self.on_node.setdefault(node_of(pod), []).append(pod)
        desired = sum(found.runs for found in self.fits.values())
        rolling = self.spec.update_strategy.rolling_update
        self.surge = amounts.of((rolling and rolling.max_surge) or 0, desired, up=True)
        unavailable = rolling.max_unavailable if rolling and rolling.max_unavailable is not None else 1
        self.unavailable = amounts.of(unavailable, desired, up=True)
        if self.surge == 0 and self.unavailable == 0:
            self.unavailable = 1

    def plan(self) -> Plan:
        status, again_s = self._status()
        if self.set.metadata.deletion_timestamp is not None:
            return Plan(status=status)
        create, delete, ended = self._put_right()
        is_right = not (create or delete or ended)
        if is_right and not self.is_updated and self.spec.update_strategy.type == "RollingUpdate":
            create, delete = self._surge() if self.surge else self._replace()
        return Plan(
            status=status,
            create=tuple(create[:BURST]),
            delete=tuple(delete[:BURST]),
            ended=tuple(ended),
            again_s=again_s,
        )

    def _put_right(self) -> tuple[list[str], list[Pod], list[Pod]]:
        create: list[str] = []
        delete: list[Pod] = []
        ended: list[Pod] = []
        for name, found in self.fits.items():
            there = self.on_node.get(name, [])
            if found.runs and not there:
                create.append(name)
            staying = [pod for pod in there if pod.metadata.deletion_timestamp is None]
            if not found.stays:
                delete += staying
                continue
            ended += [pod for pod in staying if pod.status.phase in pods.TERMINAL_PHASES]
            delete += self._surplus([pod for pod in staying if pod.status.phase not in pods.TERMINAL_PHASES])
        for name, there in self.on_node.items():
            if name not in self.fits:
                # Nobody will ever start or stop these; pods bound to a node that is gone are the pod collector's.
                delete += [
                    pod for pod in there if not pod.spec.node_name and pod.metadata.deletion_timestamp is None
                ]
        return create, delete, ended

    def _surplus(self, running: Sequence[Pod]) -> list[Pod]:
        """Of the pods of one node, oldest first, those to delete."""
        if not self.surge or len(running) <= 1:
            return list(running[1:])
        new = [pod for pod in running if self._is_new(pod)]
        old = [pod for pod in running if not self._is_new(pod)]
        doomed = [*new[1:], *old[1:]]
        if new and old and (not pods.is_ready(old[0]) or self._is_available(new[0])):
            doomed.append(old[0])
        return doomed

    def _pair(self, name: str) -> tuple[Pod | None, Pod | None] | None:
        """The new and the old pod of a node; None: there are more, which is to be put right first."""
        staying = [pod for pod in self.on_node.get(name, ()) if pod.metadata.deletion_timestamp is None]
        new = [pod for pod in staying if self._is_new(pod)]
        old = [pod for pod in staying if not self._is_new(pod)]
        if len(new) > 1 or len(old) > 1:
            return None
        return (new[0] if new else None, old[0] if old else None)

    def _replace(self) -> tuple[list[str], list[Pod]]:
        unavailable = 0
        broken: list[Pod] = []
        sound: list[Pod] = []
        for name in self.on_node:
            pair = self._pair(name)
            new, old = pair if pair is not None else (None, None)
            if (new is None) == (old is None):
                unavailable += 1
            elif new is not None:
                unavailable += not self._is_available(new)
            elif old is not None:
                (sound if self._is_available(old) else broken).append(old)
        return [], [*broken, *sound[: max(0, self.unavailable - unavailable)]]

    def _surge(self) -> tuple[list[str], list[Pod]]:
        surging = 0
        broken: list[str] = []
        sound: list[str] = []
        delete: list[Pod] = []
        for name in self.on_node:
            pair = self._pair(name)
            if pair is None:
                surging += 1
                continue
            new, old = pair
            if old is None:
                continue
            if new is not None:
                if self._is_available(new):
                    delete.append(old)
                else:
                    surging += 1
            elif self.fits.get(name, _NO_FIT).runs:
                (sound if self._is_available(old) else broken).append(name)
        return [*broken, *sound[: max(0, self.surge - surging)]], delete

    def _is_new(self, pod: Pod) -> bool:
        labels = pod.metadata.labels or {}
        if self.generation is not None and labels.get(GENERATION_LABEL) == self.generation:
            return True
        return labels.get(POD_LABEL) == self.digest

    def _is_available(self, pod: Pod) -> bool:
        since = pods.ready_since(pod)
        return since is not None and since + self.spec.min_ready_seconds <= self.now

    def _status(self) -> tuple[dict[str, Any], float | None]:
        desired = current = misscheduled = ready = available = updated = 0
        waits: list[float] = []
        for name, found in self.fits.items():
            there = self.on_node.get(name, [])
            desired += found.runs
            if not there:
                continue
            if not found.runs:
                misscheduled += 1
                continue
            current += 1
            first = there[0]
            updated += self._is_new(first)
            since = pods.ready_since(first)
            if since is None:
                continue
            ready += 1
            if self._is_available(first):
                available += 1
            else:
                waits.append(since + self.spec.min_ready_seconds - self.now)
        status = {
            "currentNumberScheduled": current,
            "numberMisscheduled": misscheduled,
            "desiredNumberScheduled": desired,
            "numberReady": ready,
            "observedGeneration": self.set.metadata.generation,
            "updatedNumberScheduled": updated or None,
            "numberAvailable": available or None,
            "numberUnavailable": (desired - available) or None,
        }
        return status, min(waits, default=None)


def _age(pod: Pod) -> tuple[bool, float, str]:
    """Placed ones first, then the oldest."""
    return (not pod.spec.node_name, pods.seconds(pod.metadata.creation_timestamp), pod.metadata.name)


def pod_of(daemon_set: DaemonSet, node: str, digest: str, owner: dict[str, Any]) -> dict[str, Any]:
    """The pod to create for a node."""
    metadata = daemon_set.metadata
    body = pods.from_template(daemon_set.spec.template, f"{metadata.name}-", metadata.namespace, owner)
    labels = {**body["metadata"].get("labels", {}), POD_LABEL: digest}
    generation = (metadata.annotations or {}).get(TEMPLATE_GENERATION)
    if generation is not None:
        labels[GENERATION_LABEL] = generation
    body["metadata"]["labels"] = labels
    spec = body["spec"]
    spec["tolerations"] = tolerations(spec)
    spec["affinity"] = node_affinity.pinned_to(spec.get("affinity"), node)
    return body
