"""A Deployment's revisions: each distinct pod template is one ReplicaSet, numbered in the order of their use.

Pure. The ReplicaSet's name ends in a hash of the template, so that making the same one twice is refused by name.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aliquot.emulator.controllers import ownership, pods
from aliquot.emulator.controllers.types import Deployment, ReplicaSet
from aliquot.kube.resources import DEPLOYMENTS

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
HASH_LABEL = "pod-template-hash"

_NOT_COPIED = frozenset(
    [
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED,
        MAXIMUM,
        "deprecated.deployment.rollback.to",
    ]
)
# No vowels, so that no word comes of it.
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Mapping[str, Any], collisions: int) -> str:
    """Ten letters at most; FNV-1a of the template, and of the number of collisions where there were any."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":")) + (
        str(collisions) if collisions else ""
    )
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_LETTERS[ord(digit) % len(_LETTERS)] for digit in str(value))


def same_template(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal but for the hash label."""
    return _without_hash(one) == _without_hash(other)


def _without_hash(template: Mapping[str, Any]) -> dict[str, Any]:
    metadata = dict(template.get("metadata") or {})
    metadata.pop("creationTimestamp", None)
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": labels}}


def by_age(replica_sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Oldest first."""
    return sorted(
        replica_sets, key=lambda found: (pods.seconds(found.metadata.creation_timestamp), found.metadata.name)
    )


def current(deployment: Deployment, replica_sets: Iterable[ReplicaSet]) -> ReplicaSet | None:
    """The ReplicaSet of the Deployment's template: the oldest, should there be two."""
    matching = (
        found
        for found in by_age(replica_sets)
        if same_template(found.spec.template, deployment.spec.template)
    )
    return next(matching, None)


def number(replica_set: ReplicaSet | Deployment) -> int:
    """Its revision, 0 where it has none."""
    return annotated(replica_set, REVISION) or 0


def annotated(obj: ReplicaSet | Deployment, name: str) -> int | None:
    try:
        return int((obj.metadata.annotations or {})[name])
    except (KeyError, ValueError):
        return None


def next_number(old: Sequence[ReplicaSet]) -> int:
    return max((number(found) for found in old), default=0) + 1


def new_replica_set(
    deployment: Deployment, old: Sequence[ReplicaSet], replicas: int, maximum: int
) -> dict[str, Any]:
    """The ReplicaSet to create for the Deployment's template."""
    template = deployment.spec.template
    digest = template_hash(template, deployment.status.collision_count)
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), HASH_LABEL: digest}
    selector = deployment.spec.selector or {}
    match_labels = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    return {
        "metadata": {
            "name": f"{deployment.metadata.name}-{digest}",
            "namespace": deployment.metadata.namespace,
            "labels": labels,
            "annotations": {
                **copied(deployment),
                REVISION: str(next_number(old)),
                DESIRED: str(deployment.spec.replicas),
                MAXIMUM: str(maximum),
            },
            "ownerReferences": [ownership.reference(DEPLOYMENTS, deployment)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": deployment.spec.min_ready_seconds,
            "selector": {**selector, "matchLabels": match_labels},
            "template": {**template, "metadata": {**metadata, "labels": labels}},
        },
    }


def copied(deployment: Deployment) -> dict[str, str]:
    """The Deployment's annotations that its ReplicaSets carry too."""
    own = deployment.metadata.annotations or {}
    return {name: value for name, value in own.items() if name not in _NOT_COPIED}


def annotations_due(
    deployment: Deployment, replica_set: ReplicaSet, old: Sequence[ReplicaSet]
) -> dict[str, str]:
    """The annotations that the current ReplicaSet lacks: the Deployment's own, and its place among the revisions.

    A template that is used again moves to the end; the places it had before are kept.
    """
    held = replica_set.metadata.annotations or {}
    due = {name: value for name, value in copied(deployment).items() if held.get(name) != value}
    was, now = number(replica_set), next_number(old)
    if was < now:
        due[REVISION] = str(now)
        if was:
            history = held.get(REVISION_HISTORY, "")
            due[REVISION_HISTORY] = f"{history},{was}" if history else str(was)
    return due


def surplus(deployment: Deployment, old: Sequence[ReplicaSet]) -> list[ReplicaSet]:
    """Old ReplicaSets beyond the history that is kept, lowest revision first."""
    idle = [
        found
        for found in old
        if found.metadata.deletion_timestamp is None
        and found.spec.replicas == 0
        and found.status.replicas == 0
        and found.metadata.generation <= found.status.observed_generation
    ]
    idle.sort(key=lambda found: (number(found), found.metadata.name))
    excess = len([found for found in old if found.metadata.deletion_timestamp is None])
    return idle[: max(0, excess - deployment.spec.revision_history_limit)]
