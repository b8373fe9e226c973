"""What to do about a StatefulSet, from the set, its pods, its revisions and the time. Pure.

Every pod has an ordinal, and with it a name, a hostname and claims that outlive it. In order (`OrderedReady`) one
pod is made at a time, each after all before it are available, and they go in the opposite order; `Parallel` waits
for nobody. An update deletes pods of the old revision from the highest ordinal down to the partition; they are
made anew at the new one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.emulator.controllers import amounts, pods
from aliquot.emulator.controllers.revision_history import POD_LABEL
from aliquot.emulator.controllers.types import StatefulSet
from aliquot.kube.api.core import Pod

NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"
BURST = 500

_MEMBER = re.compile(r"(.*)-([0-9]+)")


@dataclass(frozen=True, slots=True)
class Revisions:
    """Names of the revision that pods had before the update, and of the one that they are to have."""

    current: str
    update: str


@dataclass(frozen=True, slots=True)
class Birth:
    ordinal: int
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`status` is complete. `relabel` are pods that lack the marks of their identity."""

    status: dict[str, Any]
    create: tuple[Birth, ...] = ()
    delete: tuple[Pod, ...] = ()
    relabel: tuple[Pod, ...] = ()
    again_s: float | None = None


def ordinal(stateful_set: StatefulSet, pod: Pod) -> int | None:
    """None: by its name the pod is no member of the set."""
    match = _MEMBER.fullmatch(pod.metadata.name)
    return int(match[2]) if match and match[1] == stateful_set.metadata.name else None


def pod_name(stateful_set: StatefulSet, number: int) -> str:
    return f"{stateful_set.metadata.name}-{number}"


def ordinals(stateful_set: StatefulSet) -> range:
    start = stateful_set.spec.ordinals.start
    return range(start, start + stateful_set.spec.replicas)


def revision_of(pod: Pod) -> str:
    return (pod.metadata.labels or {}).get(POD_LABEL, "")


def plan(stateful_set: StatefulSet, held: Sequence[Pod], revisions: Revisions, now: float) -> Plan:
    return _Planner(stateful_set, held, revisions, now).plan()


class _Planner:
    def __init__(
        self, stateful_set: StatefulSet, held: Sequence[Pod], revisions: Revisions, now: float
    ) -> None:
        self.set, self.spec, self.revisions, self.now = stateful_set, stateful_set.spec, revisions, now
        wanted = ordinals(stateful_set)
        numbered = {number: pod for pod in held if (number := ordinal(stateful_set, pod)) is not None}
        self.members = list(numbered.values())
        self.replicas = {number: numbered.get(number) for number in wanted}
        self.condemned = [
            numbered[number] for number in sorted(numbered, reverse=True) if number not in wanted
        ]
        self.in_order = self.spec.pod_management_policy != "Parallel"

    def plan(self) -> Plan:
        if self.set.metadata.deletion_timestamp is not None:
            return self._finish()
        create: list[Birth] = []
        delete: list[Pod] = []
        relabel: list[Pod] = []
        for number, pod in self.replicas.items():
            if pod is None:
                create.append(Birth(number, self._revision_for(number)))
            elif pod.status.phase in pods.TERMINAL_PHASES:
                if pod.metadata.deletion_timestamp is None:
                    delete.append(pod)
            elif not self._is_marked(pod):
                relabel.append(pod)
            if self.in_order and (pod is None or not self._is_available(pod)):
                return self._finish(create, delete, relabel)
        if create or delete:
            # In parallel: first what is lacking, and what is too much; an update comes after.
            delete += [pod for pod in self.condemned if pod.metadata.deletion_timestamp is None]
            return self._finish(create[:BURST], delete, relabel)
        if self.condemned:
            return self._finish(delete=self._shrink(), relabel=relabel)
        return self._finish(delete=self._outdated(), relabel=relabel)

    def _revision_for(self, number: int) -> str:
        strategy = self.spec.update_strategy
        if strategy.type == "RollingUpdate":
            rolling = strategy.rolling_update
            kept = rolling.partition if rolling is not None else self.set.status.current_replicas
            if number < self.spec.ordinals.start + kept:
                return self.revisions.current
        return self.revisions.update

    def _is_marked(self, pod: Pod) -> bool:
        return (pod.metadata.labels or {}).get(NAME_LABEL) == pod.metadata.name

    def _is_ready(self, pod: Pod) -> bool:
        return pod.status.phase == "Running" and pods.is_ready(pod)

    def _is_available(self, pod: Pod) -> bool:
        """Ready for long enough, and to stay."""
        return pod.metadata.deletion_timestamp is None and self._has_proved_itself(pod)

    def _has_proved_itself(self, pod: Pod) -> bool:
        if not self._is_ready(pod):
            return False
        return (pods.ready_since(pod) or 0.0) + self.spec.min_ready_seconds <= self.now

    def _shrink(self) -> list[Pod]:
        alive = [pod for pod in self.condemned if pod.metadata.deletion_timestamp is None]
        if not self.in_order:
            return alive
        highest = self.condemned[0]
        if highest.metadata.deletion_timestamp is not None:
            return []
        unavailable = [pod for pod in reversed(self.condemned) if not self._is_available(pod)]
        # A pod that is not well goes only if it is the first such one: else the order would be broken.
        if not self._is_available(highest) and highest is not unavailable[0]:
            return []
        return [highest]

    def _outdated(self) -> list[Pod]:
        """Those to delete for the update, as many as may be unavailable; what is unavailable already costs nothing."""
        strategy = self.spec.update_strategy
        if strategy.type != "RollingUpdate":
            return []
        rolling = strategy.rolling_update
        partition = rolling.partition if rolling is not None else 0
        allowed = 1
        if rolling is not None and rolling.max_unavailable is not None:
            allowed = max(1, amounts.of(rolling.max_unavailable, self.spec.replicas, up=False))
        there = [pod for pod in self.replicas.values() if pod is not None]
        spare = allowed - sum(not self._is_available(pod) for pod in there)
        doomed: list[Pod] = []
        for pod in reversed(there[partition:]):
            if revision_of(pod) == self.revisions.update or pod.metadata.deletion_timestamp is not None:
                continue
            if self._is_available(pod):
                if spare <= 0:
                    continue
                spare -= 1
            doomed.append(pod)
        return doomed

    def _finish(
        self, create: Sequence[Birth] = (), delete: Sequence[Pod] = (), relabel: Sequence[Pod] = ()
    ) -> Plan:
        ready = [pod for pod in self.members if self._is_ready(pod)]
        staying = [pod for pod in self.members if pod.metadata.deletion_timestamp is None]
        current = sum(revision_of(pod) == self.revisions.current for pod in staying)
        updated = sum(revision_of(pod) == self.revisions.update for pod in staying)
        revision, replicas = self.revisions.current, self.spec.replicas
        if (
            self.spec.update_strategy.type == "RollingUpdate"
            and updated == len(ready) == len(self.members) == replicas
        ):
            revision, current = self.revisions.update, updated
        waits = [
            until - self.now
            for pod in ready
            if (until := (pods.ready_since(pod) or 0.0) + self.spec.min_ready_seconds) > self.now
        ]
        status = {
            "replicas": len(self.members),
            "readyReplicas": len(ready) or None,
            "availableReplicas": sum(self._has_proved_itself(pod) for pod in self.members),
            "currentReplicas": current or None,
            "updatedReplicas": updated or None,
            "currentRevision": revision,
            "updateRevision": self.revisions.update,
            "observedGeneration": self.set.metadata.generation,
        }
        return Plan(
            status=status,
            create=tuple(create),
            delete=tuple(delete),
            relabel=tuple(relabel),
            again_s=min(waits, default=None),
        )


def pod_of(
    stateful_set: StatefulSet, template: Mapping[str, Any], birth: Birth, owner: dict[str, Any]
) -> dict[str, Any]:
    """The pod to create for an ordinal: its name, marks, hostname, and the claims as its volumes."""
    name = pod_name(stateful_set, birth.ordinal)
    body = pods.from_template(template, "", stateful_set.metadata.namespace, owner)
    metadata, spec = body["metadata"], body["spec"]
    del metadata["generateName"]
    metadata["name"] = name
    metadata["labels"] = {
        **metadata.get("labels", {}),
        **identity(name),
        POD_LABEL: birth.revision,
    }
    spec["hostname"] = name
    spec["subdomain"] = stateful_set.spec.service_name
    claims = claim_names(stateful_set, birth.ordinal)
    others = [volume for volume in spec.get("volumes") or () if volume.get("name") not in claims]
    volumes = [
        {"name": volume, "persistentVolumeClaim": {"claimName": claim}} for volume, claim in claims.items()
    ]
    if volumes or others:
        spec["volumes"] = [*volumes, *others]
    return body


def identity(name: str) -> dict[str, str]:
    """The labels that mark the pod of this name."""
    return {NAME_LABEL: name, INDEX_LABEL: name.rpartition("-")[2]}


def claim_names(stateful_set: StatefulSet, number: int) -> dict[str, str]:
    """By the name of their template, which is the name of the volume."""
    names = (found["metadata"]["name"] for found in stateful_set.spec.volume_claim_templates or ())
    return {name: f"{name}-{pod_name(stateful_set, number)}" for name in names}
