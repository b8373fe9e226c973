"""Which path of the API serves which kind. Stated here, not discovered: controllers know what they work on."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    group: str
    """Empty for the core group."""
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """`gpunodes.aliquot.dev`, as in messages and CRD names; `pods` for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """`/apis/GROUP/VERSION/namespaces/NS/PLURAL/NAME/SUB`; without a namespace, across all of them.

        Raises ValueError where the parts make no sense together: an object of a namespaced kind without its
        namespace, a namespace for a cluster-scoped kind, a subresource without a name.
        """
        if subresource and not name:
            raise ValueError(f"{self.name}: a subresource needs an object name")
        if namespace and not self.namespaced:
            raise ValueError(f"{self.name} is cluster-scoped, namespace {namespace!r} given")
        if name and self.namespaced and not namespace:
            raise ValueError(f"{self.name} {name!r} needs a namespace")
        parts = ["/apis", self.group] if self.group else ["/api"]
        parts.append(self.version)
        if namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


def key(obj: Any) -> str:
    """`namespace/name`, or `name` of a cluster-scoped object. Takes a dict or a Struct with `metadata`."""
    if isinstance(obj, dict):
        metadata = obj["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
    else:
        metadata = obj.metadata
        namespace, name = metadata.namespace, metadata.name
    return f"{namespace}/{name}" if namespace else name


def split_key(text: str) -> tuple[str, str]:
    """`(namespace, name)` of a key; the namespace is empty for a cluster-scoped object."""
    namespace, _, name = text.rpartition("/")
    return namespace, name


PODS = Resource("", "v1", "pods", "Pod")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
EVENTS = Resource("", "v1", "events", "Event")
SERVICEACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
SECRETS = Resource("", "v1", "secrets", "Secret")
CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap")
SERVICES = Resource("", "v1", "services", "Service")
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints")
ENDPOINTSLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
REPLICATIONCONTROLLERS = Resource("", "v1", "replicationcontrollers", "ReplicationController")
PERSISTENTVOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
PERSISTENTVOLUMECLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
RESOURCEQUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
STORAGECLASSES = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
REPLICASETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
STATEFULSETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMONSETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
CONTROLLERREVISIONS = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
JOBS = Resource("batch", "v1", "jobs", "Job")
CRONJOBS = Resource("batch", "v1", "cronjobs", "CronJob")
HORIZONTALPODAUTOSCALERS = Resource(
    "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"
)
PODDISRUPTIONBUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
PRIORITYCLASSES = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
RUNTIMECLASSES = Resource("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", namespaced=False)
SERVICEMONITORS = Resource("monitoring.coreos.com", "v1", "servicemonitors", "ServiceMonitor")
RESOURCESLICES = Resource("resource.k8s.io", "v1", "resourceslices", "ResourceSlice", namespaced=False)
CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
APISERVICES = Resource("apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False)
GPUNODES = Resource("aliquot.dev", "v1alpha1", "gpunodes", "GPUNode", namespaced=False)
GPUCLASSES = Resource("aliquot.dev", "v1alpha1", "gpuclasses", "GPUClass", namespaced=False)
PODGROUPS = Resource("aliquot.dev", "v1alpha1", "podgroups", "PodGroup")
TOPOLOGIES = Resource("aliquot.dev", "v1alpha1", "topologies", "Topology", namespaced=False)
QUEUES = Resource("aliquot.dev", "v1alpha1", "queues", "Queue", namespaced=False)
GPUPOLICIES = Resource("aliquot.dev", "v1alpha1", "gpupolicies", "GPUPolicy", namespaced=False)
