"""Kinds of whoever brings his own API that GPU checks look at: what holds pods together, and what runs on GPU nodes.

A cluster has few of them. Which groups it serves is asked once, for a list of a kind that is not there is refused to whoever may not
list it, just like one that is.
"""

from collections.abc import Mapping

from aliquot.kube.resources import GPUPOLICIES, PODGROUPS, Resource

_KUBEFLOW = "kubeflow.org"

TOGETHER = (
    PODGROUPS,
    Resource("jobset.x-k8s.io", "v1alpha2", "jobsets", "JobSet"),
    Resource("leaderworkerset.x-k8s.io", "v1", "leaderworkersets", "LeaderWorkerSet"),
    Resource("trainer.kubeflow.org", "v1alpha1", "trainjobs", "TrainJob"),
    Resource(_KUBEFLOW, "v1", "pytorchjobs", "PyTorchJob"),
    Resource(_KUBEFLOW, "v1", "tfjobs", "TFJob"),
    Resource(_KUBEFLOW, "v1", "xgboostjobs", "XGBoostJob"),
    Resource(_KUBEFLOW, "v1", "paddlejobs", "PaddleJob"),
    Resource(_KUBEFLOW, "v1", "jaxjobs", "JAXJob"),
    Resource(_KUBEFLOW, "v2beta1", "mpijobs", "MPIJob"),
    Resource("ray.io", "v1", "rayjobs", "RayJob"),
    Resource("ray.io", "v1", "rayclusters", "RayCluster"),
    Resource("ray.io", "v1", "rayservices", "RayService"),
    Resource("workload.codeflare.dev", "v1beta2", "appwrappers", "AppWrapper"),
    Resource("batch.volcano.sh", "v1alpha1", "jobs", "Job"),
    Resource("scheduling.volcano.sh", "v1beta1", "podgroups", "PodGroup"),
    Resource("kueue.x-k8s.io", "v1beta1", "workloads", "Workload"),
    Resource("scheduling.x-k8s.io", "v1alpha1", "podgroups", "PodGroup"),
    Resource("scheduling.k8s.io", "v1alpha2", "podgroups", "PodGroup"),
)
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
