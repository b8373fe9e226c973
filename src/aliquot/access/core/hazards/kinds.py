"""What Kubernetes and the GPU platforms have, by API group: enough to see that a rule is misspelt, or reaches nothing.

Kubernetes' own groups are whole, as of 1.36; of a group that is not here nothing is known.
"""

NAMESPACED = {
    "": "bindings configmaps endpoints events limitranges persistentvolumeclaims pods podtemplates "
    "replicationcontrollers resourcequotas secrets serviceaccounts services",
    "apps": "controllerrevisions daemonsets deployments replicasets statefulsets",
    "authentication.k8s.io": "",
    "authorization.k8s.io": "localsubjectaccessreviews",
    "autoscaling": "horizontalpodautoscalers",
    "batch": "cronjobs jobs",
    "certificates.k8s.io": "podcertificaterequests",
    "coordination.k8s.io": "leases leasecandidates",
    "discovery.k8s.io": "endpointslices",
    "events.k8s.io": "events",
    "networking.k8s.io": "ingresses networkpolicies",
    "policy": "poddisruptionbudgets",
    "rbac.authorization.k8s.io": "rolebindings roles",
    "resource.k8s.io": "resourceclaims resourceclaimtemplates",
    "scheduling.k8s.io": "compositepodgroups podgroups workloads",
    "storage.k8s.io": "csistoragecapacities",
}
OF_THE_CLUSTER = {
    "": "componentstatuses namespaces nodes persistentvolumes",
    "admissionregistration.k8s.io": "mutatingadmissionpolicies mutatingadmissionpolicybindings "
    "mutatingwebhookconfigurations validatingadmissionpolicies validatingadmissionpolicybindings "
    "validatingwebhookconfigurations",
    "apiextensions.k8s.io": "customresourcedefinitions",
    "apiregistration.k8s.io": "apiservices",
    "authentication.k8s.io": "selfsubjectreviews tokenreviews",
    "authorization.k8s.io": "selfsubjectaccessreviews selfsubjectrulesreviews subjectaccessreviews",
    "certificates.k8s.io": "certificatesigningrequests clustertrustbundles signers",
    "flowcontrol.apiserver.k8s.io": "flowschemas prioritylevelconfigurations",
    "internal.apiserver.k8s.io": "storageversions",
    "networking.k8s.io": "ingressclasses ipaddresses servicecidrs",
    "node.k8s.io": "runtimeclasses",
    "rbac.authorization.k8s.io": "clusterrolebindings clusterroles",
    "resource.k8s.io": "deviceclasses devicetaintrules resourceslices",
    "scheduling.k8s.io": "priorityclasses",
    "storage.k8s.io": "csidrivers csinodes storageclasses volumeattachments volumeattributesclasses",
    "storagemigration.k8s.io": "storageversionmigrations",
}
SUBRESOURCES = {
    "certificatesigningrequests": "approval",
    "deployments": "scale",
    "namespaces": "finalize",
    "nodes": "checkpoint configz healthz log metrics pods proxy spec stats",
    "pods": "attach binding ephemeralcontainers eviction exec log portforward proxy resize",
    "replicasets": "scale",
    "replicationcontrollers": "scale",
    "serviceaccounts": "token",
    "services": "proxy",
    "statefulsets": "scale",
}
"""Besides `status`."""
OF_THE_CLUSTER_ELSEWHERE = {
    "aliquot.dev": "gpuclasses gpunodes gpupolicies queues topologies",
    "kueue.x-k8s.io": "admissionchecks clusterqueues cohorts resourceflavors workloadpriorityclasses",
    "metrics.k8s.io": "nodes",
    "nvidia.com": "clusterpolicies nvidiadrivers",
    "scheduling.volcano.sh": "queues",
}

_NAMESPACED = {group: frozenset(text.split()) for group, text in NAMESPACED.items()}
_OF_THE_CLUSTER = {group: frozenset(text.split()) for group, text in OF_THE_CLUSTER.items()}
_SUBRESOURCES = {resource: frozenset(text.split()) for resource, text in SUBRESOURCES.items()}
_ELSEWHERE = {group: frozenset(text.split()) for group, text in OF_THE_CLUSTER_ELSEWHERE.items()}

GROUPS = frozenset({*_NAMESPACED, *_OF_THE_CLUSTER})
"""Kubernetes' own."""


def known(group: str) -> frozenset[str]:
    """All resources of one of Kubernetes' own groups, with their subresources."""
    resources = _NAMESPACED.get(group, frozenset()) | _OF_THE_CLUSTER.get(group, frozenset())
    return resources | {
        f"{one}/{sub}" for one in resources for sub in ("status", *_SUBRESOURCES.get(one, ()))
    }


def is_of_the_cluster(group: str, resource: str) -> bool:
    """Whether no grant in a namespace reaches it. Of a namespace itself it does, by its name."""
    name, _, _ = resource.partition("/")
    everywhere = _OF_THE_CLUSTER.get(group, frozenset()) | _ELSEWHERE.get(group, frozenset())
    return name in everywhere and (group, name) != ("", "namespaces")
