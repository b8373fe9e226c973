"""Whole manifests: of files and releases. What was applied last to a cluster is there as an object, too."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from aliquot.eks.preflight.findings import Finding, at
from aliquot.eks.sightings.sighting import Sighting, Trace

_GROUPS = {
    "ClusterRoleBinding": "rbac.authorization.k8s.io",
    "ConfigMap": "",
    "EC2NodeClass": "karpenter.k8s.aws",
    "PersistentVolume": "",
    "PodDisruptionBudget": "policy",
    "Service": "",
    "StorageClass": "storage.k8s.io",
}
"""Others have kinds of these names, too: Knative has a Service."""
_NAMESPACED = frozenset({"ConfigMap", "PodDisruptionBudget", "Service"})


def manifests(
    sightings: Iterable[Sighting],
    kinds: Collection[str],
    traces: Collection[Trace] = (Trace.FILE, Trace.HELM),
) -> Iterator[tuple[Sighting, Mapping[str, Any]]]:
    for one in sightings:
        if one.kind in kinds and one.body is not None and one.where.trace in traces:
            group, _, _ = one.api_version.rpartition("/")
            if group == _GROUPS[one.kind]:
                # Of what a chart makes a namespace is told, also where a kind has none.
                yield one if one.kind in _NAMESPACED else replace(one, namespace=""), one.body


def judged(
    sightings: Iterable[Sighting],
    kinds: Collection[str],
    judge: Callable[[str, Mapping[str, Any]], Iterable[Finding]],
) -> Iterator[Finding]:
    """`judge`: of a kind and an object of it, wherever it is; what it finds stands where the manifest does."""
    for sighting, body in manifests(sightings, kinds):
        for finding in judge(sighting.kind, body):
            yield at(sighting, finding)
