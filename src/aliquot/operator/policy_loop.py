"""Keeps what is rendered for each policy in the cluster: applied when it changed, put back when somebody else changed it or took
it away, gone when it is not rendered any more.

A changed spec is tried first, all of it: what the API server refuses leaves everything as it runs.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.kube import errors
from aliquot.kube.api.core import Node
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, Propagation
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import (
    DAEMONSETS,
    GPUPOLICIES,
    PRIORITYCLASSES,
    RUNTIMECLASSES,
    SERVICEMONITORS,
    SERVICES,
    Resource,
    key,
)
from aliquot.operator.answers import Answers
from aliquot.operator.board import Board
from aliquot.operator.core.drift import drift, in_words
from aliquot.operator.core.operands import POLICY_LABEL, OperandName
from aliquot.operator.core.owned import digest, is_of, owned
from aliquot.operator.core.policies import Policy
from aliquot.operator.core.pools import POOL_LABEL
from aliquot.operator.core.rendering.monitoring import service, service_monitor
from aliquot.operator.effort import Effort
from aliquot.operator.standing import Standing
from aliquot.operator.watched import OURS, Json, Watched

FIELD_MANAGER = "aliquot-operator"
RUNTIME_CLASS = "nvidia"
_TRY_AGAIN_S = 60.0
"""What the API server refuses for a reason that is not in the object."""
_SYSTEM_CLASSES = "system-"
"""What their names begin with: they are always there, and nobody else's may."""
_REFUSALS = errors.Invalid, errors.Forbidden, errors.NotFound


@dataclass(frozen=True, slots=True)
class _Change:
    resource: Resource
    wanted: Json
    live: Json | None
    drifted: Sequence[str]
    """What somebody else changed; empty: it is new, or to be another."""


class PolicyLoop:
    """`may_write` is asked right before writes: leadership, where there is an election."""

    def __init__(
        self,
        client: Client,
        *,
        rng: random.Random,
        watched: Watched,
        standing: Standing,
        board: Board,
        effort: Effort,
        recorder: Recorder,
        namespace: str,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._watched = watched
        self._standing = standing
        self._board = board
        self._effort = effort
        self._recorder = recorder
        self._namespace = namespace
        self._may_write = may_write
        self._caches: Mapping[Resource, Cache[Json]] = {
            DAEMONSETS: watched.daemon_sets,
            SERVICES: watched.services,
            SERVICEMONITORS: watched.service_monitors,
        }
        self._answers: dict[Resource, Answers[Json]] = {resource: Answers() for resource in self._caches}
        self._seen: dict[str, dict[tuple[str, str], str]] = {}
        """By policy, (kind, key) of what was there once, and its UID, for who looks for what became of it."""
        self._controller = Controller("operator policies", self._reconcile, rng=rng)

    async def run(self) -> None:
        """Until cancelled. The caches have synced, and the standing follows them. May be run again."""
        stops = [
            self._standing.subscribe(node=lambda _name: None, policy=self._controller.enqueue),
            *(cache.subscribe(self._changed(resource)) for resource, cache in self._caches.items()),
            self._watched.nodes.subscribe(self._node_changed),
            self._watched.runtime_classes.subscribe(lambda _old, _new: self._all()),
            self._watched.service_monitors.subscribe_served(self._all),
        ]
        try:
            await self._controller.run()
        finally:
            for stop in stops:
                stop()

    def _all(self) -> None:
        for name in self._standing.stored:
            self._controller.enqueue(name)

    def _changed(self, resource: Resource) -> Callable[[Json | None, Json | None], None]:
        def changed(old: Json | None, new: Json | None) -> None:
            some = new if new is not None else old
            assert some is not None
            self._answers[resource].forget(key(some))
            # Counts of pods are written into it many times a minute.
            if old is not None and new is not None and _without_status(old) == _without_status(new):
                return
            if policy := _policy_of(some):
                self._controller.enqueue(policy)

        return changed

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        """A pool may have lost its last node."""
        before, after = ((one.metadata.labels or {}) if one is not None else {} for one in (old, new))
        if before.get(POOL_LABEL) != after.get(POOL_LABEL) and (policy := before.get(POLICY_LABEL, "")):
            self._controller.enqueue(policy)

    async def _reconcile(self, name: str) -> float | None:
        self._effort.looked("policies")
        policy = self._standing.policy(name)
        if policy is None:
            self._board.refuse(name, "")
            if name not in self._standing.stored:
                self._seen.pop(name, None)
            return None
        if not self._may_write():
            return None
        wanted = self._wanted(policy)
        changes = [found for resource, one in wanted if (found := self._change(name, resource, one))]
        problem = await self._refusal(policy, [one for one in changes if not one.drifted])
        self._board.refuse(name, problem)
        if problem:
            return _TRY_AGAIN_S
        await self._runtime_class(policy)
        for change in changes:
            await self._apply(name, change)
        await self._prune(policy, {(resource, key(one)) for resource, one in wanted})
        return None

    def _wanted(self, policy: Policy) -> list[tuple[Resource, Json]]:
        found = [(DAEMONSETS, owned(one, policy)) for one in self._standing.rendered(policy.name).daemon_sets]
        exporter = policy.operands[OperandName.EXPORTER]
        if (
            exporter.wanted
            and policy.spec.exporter.service_monitor
            and self._watched.service_monitors.is_served
        ):
            found.append((SERVICES, owned(service(policy, self._namespace), policy)))
            found.append((SERVICEMONITORS, owned(service_monitor(policy, self._namespace), policy)))
        return found

    def _change(self, policy: str, resource: Resource, wanted: Json) -> _Change | None:
        live = self._live(resource, key(wanted))
        if live is not None:
            self._seen.setdefault(policy, {})[resource.kind, key(wanted)] = live["metadata"]["uid"]
        if live is None or digest(live) != digest(wanted):
            return _Change(resource, wanted, live, ())
        drifted = drift(wanted, live)
        return _Change(resource, wanted, live, drifted) if drifted else None

    def _live(self, resource: Resource, name: str) -> Json | None:
        return self._answers[resource].newest(name, self._caches[resource].get(name))

    async def _refusal(self, policy: Policy, changes: Sequence[_Change]) -> str:
        if changes and (problem := await self._priority(policy)):
            return problem
        for change in changes:
            try:
                await self._client.apply(
                    change.resource, change.wanted, field_manager=FIELD_MANAGER, force=True, dry_run=True
                )
            except _REFUSALS as error:
                return f"{_called(change)}: {error.message}"
        return ""

    async def _priority(self, policy: Policy) -> str:
        """A DaemonSet may name any class. Its pods may not: the next one would end, and none come for it."""
        named = policy.spec.pods.priority_class_name
        if not named or named.startswith(_SYSTEM_CLASSES):
            return ""
        try:
            await self._client.get(PRIORITYCLASSES, named)
        except errors.NotFound:
            return f"spec.pods.priorityClassName: there is no PriorityClass {named}"
        except errors.Forbidden:
            # By rights that an earlier version was given: it is left to the pods.
            return ""
        return ""

    async def _apply(self, policy: str, change: _Change) -> None:
        name = key(change.wanted)
        self._effort.wrote("object")
        cached = self._caches[change.resource].get(name)
        answer = await self._client.apply(
            change.resource, change.wanted, field_manager=FIELD_MANAGER, force=True
        )
        self._answers[change.resource].put(name, cached, answer)
        called, seen, uid = _called(change), self._seen.setdefault(policy, {}), answer["metadata"]["uid"]
        before = seen.get((change.resource.kind, name))
        if change.drifted:
            self._tell(policy, Severity.WARNING, "DriftReverted", f"{called}: {in_words(change.drifted)}")
        elif change.live is None and before is not None:
            # What has not the label is not seen.
            what = "was deleted: it is made again" if uid != before else f"had lost its label {OURS}"
            self._tell(policy, Severity.WARNING, "DriftReverted", f"{called} {what}")
        seen[change.resource.kind, name] = uid

    def _tell(self, policy: str, severity: Severity, reason: str, message: str) -> None:
        if (found := self._watched.policies.get(policy)) is not None:
            self._recorder.event(GPUPOLICIES, found, severity, reason, message)

    async def _prune(self, policy: Policy, wanted: set[tuple[Resource, str]]) -> None:
        used = self._pools_in_use(policy.name)
        for resource, cache in self._caches.items():
            for live in list(cache.values()):
                if (resource, key(live)) in wanted or not is_of(live, policy) or _pool_of(live) in used:
                    continue
                self._seen.get(policy.name, {}).pop((resource.kind, key(live)), None)
                await self._delete(resource, live)

    async def _delete(self, resource: Resource, live: Json) -> None:
        metadata = live["metadata"]
        if metadata.get("deletionTimestamp"):
            return
        self._effort.wrote("object")
        try:
            await self._client.delete(
                resource,
                metadata["name"],
                metadata["namespace"],
                propagation=Propagation.BACKGROUND,
                uid=metadata["uid"],
            )
        except errors.NotFound:
            return

    def _pools_in_use(self, policy: str) -> set[str]:
        """Of whose driver nodes are, though they are to be of another's: it stays until their upgrade."""
        nodes = (self._watched.nodes.get(name) for name in self._standing.nodes_of(policy))
        found = {(node.metadata.labels or {}).get(POOL_LABEL, "") for node in nodes if node is not None}
        return found - {""}

    async def _runtime_class(self, policy: Policy) -> None:
        """Of all policies together; one that somebody made is left as it is."""
        if not any(policy.operands[name].wanted for name in (OperandName.EXPORTER, OperandName.VALIDATOR)):
            return
        if self._watched.runtime_classes.get(RUNTIME_CLASS) is not None:
            return
        labels = {"app.kubernetes.io/name": "aliquot", "app.kubernetes.io/managed-by": "aliquot-operator"}
        body = {"metadata": {"name": RUNTIME_CLASS, "labels": labels}, "handler": RUNTIME_CLASS}
        await self._client.apply(RUNTIMECLASSES, body, field_manager=FIELD_MANAGER, force=True)


def _called(change: _Change) -> str:
    return f"{change.resource.kind} {change.wanted['metadata']['name']}"


def _policy_of(obj: Json) -> str:
    found: str = (obj["metadata"].get("labels") or {}).get(POLICY_LABEL, "")
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((one["name"] for one in owners if one.get("kind") == GPUPOLICIES.kind), found)


def _pool_of(obj: Json) -> str:
    """Of a DaemonSet of drivers, as long as a node wants it; of all else empty."""
    if obj.get("spec", {}).get("template") is None:
        return ""
    found: str = (obj["spec"]["template"]["metadata"].get("labels") or {}).get(POOL_LABEL, "")
    return found


def _without_status(obj: Json) -> tuple[Any, ...]:
    metadata = obj["metadata"]
    return (
        obj.get("spec"),
        *(
            metadata.get(name)
            for name in ("uid", "labels", "annotations", "ownerReferences", "deletionTimestamp")
        ),
    )
