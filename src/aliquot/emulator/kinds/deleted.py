"""What a delete answers of an object that is gone: most kinds a Status, some the object as it went."""

_SHOWN_WHEN_GONE = frozenset(
    [
        "namespaces",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "podtemplates",
        "resourcequotas",
        "serviceaccounts",
        "services",
        "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "deviceclasses.resource.k8s.io",
        "devicetaintrules.resource.k8s.io",
        "resourceclaims.resource.k8s.io",
        "resourceclaimtemplates.resource.k8s.io",
        "resourcepoolstatusrequests.resource.k8s.io",
        "resourceslices.resource.k8s.io",
        "storageclasses.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
        "volumeattributesclasses.storage.k8s.io",
    ]
)


def shown_when_gone(qualified: str) -> bool:
    """Of a resource, as `pods` or `deployments.apps`."""
    return qualified in _SHOWN_WHEN_GONE
