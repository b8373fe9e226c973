"""Kinds of whoever brings his own API that GPU checks look at: what holds pods together, and what runs on GPU nodes.

A cluster has few of them. Which groups it serves is asked once, for a list of a kind that is not there is refused to whoever may not
list it, just like one that is.
"""

from collections.abc import Mapping

from aliquot.eks.estate.job_kinds import JOB_KINDS, WORKLOADS
from aliquot.kube.resources import (
    DEPLOYMENTS,
    GPUPOLICIES,
    JOBS,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    STATEFULSETS,
    Resource,
)

_READ_WHOLE = frozenset({JOBS, DEPLOYMENTS, STATEFULSETS})
_AS_ASKED_FOR = frozenset({REPLICASETS, REPLICATIONCONTROLLERS})
"""A cluster has thousands of the first: they are read where pods ask for it (`gangs.unread`)."""

TOGETHER = (
    *(
        kind.resource
        for kind in JOB_KINDS.values()
        if kind.resource not in _READ_WHOLE and kind.resource not in _AS_ASKED_FOR
    ),
    WORKLOADS,
)
"""Who makes pods that need each other, and Kueue's word of it. What ties pods of several together is written on the pods."""
READ = frozenset((one.group, one.kind) for one in (*TOGETHER, *_READ_WHOLE))
"""By group and kind, of those that own pods: all that are read in any case."""
STACK = (
    GPUPOLICIES,
    Resource("nvidia.com", "v1", "clusterpolicies", "ClusterPolicy", namespaced=False),
    Resource("nvidia.com", "v1alpha1", "nvidiadrivers", "NVIDIADriver", namespaced=False),
)
CSVS = Resource("operators.coreos.com", "v1alpha1", "clusterserviceversions", "ClusterServiceVersion")
NOT_COPIED = "!olm.copiedFrom"
"""Of ClusterServiceVersions: OLM writes a copy into each namespace."""


def key(resource: Resource) -> str:
    """In `Objects.things`."""
    return f"{resource.kind}.{resource.group}"


def served(resource: Resource, groups: Mapping[str, tuple[str, ...]] | None) -> Resource | None:
    """In a version that is there; None: its group is not served. `groups`: versions, the preferred first; None: not known."""
    if groups is None or not resource.group:
        return resource
    versions = groups.get(resource.group, ())
    if not versions:
        return None
    if resource.version in versions:
        return resource
    return Resource(resource.group, versions[0], resource.plural, resource.kind, resource.namespaced)
