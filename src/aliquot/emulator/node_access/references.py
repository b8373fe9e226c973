"""What a pod refers to, and its kubelet must therefore be able to read: Secrets, ConfigMaps, claims, its account."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Reference = tuple[str, str]
"""(resource as it is stored, name), in the pod's namespace."""

SECRETS, CONFIG_MAPS, ACCOUNTS = "secrets", "configmaps", "serviceaccounts"
VOLUME_CLAIMS, RESOURCE_CLAIMS = "persistentvolumeclaims", "resourceclaims.resource.k8s.io"

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
# Volume sources with a reference to a Secret, by the path to its name.
_SECRET_VOLUMES = (
    ("secret", "secretName"),
    ("azureFile", "secretName"),
    ("cephfs", "secretRef", "name"),
    ("csi", "nodePublishSecretRef", "name"),
    ("flexVolume", "secretRef", "name"),
    ("iscsi", "secretRef", "name"),
    ("rbd", "secretRef", "name"),
    ("scaleIO", "secretRef", "name"),
    ("storageos", "secretRef", "name"),
)
_CLAIM_SECRETS = ("nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef")


def of_pod(
    name: str, spec: Mapping[str, Any], claims: Sequence[Mapping[str, Any]] = ()
) -> frozenset[Reference]:
    """`claims` are the pod's status.resourceClaimStatuses."""
    return frozenset(reference for reference in _of_pod(name, spec, claims) if reference[1])


def _of_pod(pod: str, spec: Mapping[str, Any], claims: Sequence[Mapping[str, Any]]) -> Iterator[Reference]:
    yield ACCOUNTS, spec.get("serviceAccountName", "")
    for one in spec.get("imagePullSecrets") or ():
        yield SECRETS, one.get("name", "")
    for kind in _CONTAINERS:
        for container in spec.get(kind) or ():
            yield from _of_container(container)
    for volume in spec.get("volumes") or ():
        yield from _of_volume(pod, volume)
    for claim in spec.get("resourceClaims") or ():
        yield RESOURCE_CLAIMS, claim.get("resourceClaimName") or ""
    for status in claims:
        yield RESOURCE_CLAIMS, status.get("resourceClaimName") or ""


def _of_container(container: Mapping[str, Any]) -> Iterator[Reference]:
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        yield SECRETS, _at(source, "secretKeyRef", "name")
        yield CONFIG_MAPS, _at(source, "configMapKeyRef", "name")
    for source in container.get("envFrom") or ():
        yield SECRETS, _at(source, "secretRef", "name")
        yield CONFIG_MAPS, _at(source, "configMapRef", "name")


def _of_volume(pod: str, volume: Mapping[str, Any]) -> Iterator[Reference]:
    for path in _SECRET_VOLUMES:
        if path[0] in volume:
            yield SECRETS, _at(volume, *path)
    yield CONFIG_MAPS, _at(volume, "configMap", "name")
    yield VOLUME_CLAIMS, _at(volume, "persistentVolumeClaim", "claimName")
    if "ephemeral" in volume:
        yield VOLUME_CLAIMS, f"{pod}-{volume['name']}"
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield SECRETS, _at(source, "secret", "name")
        yield CONFIG_MAPS, _at(source, "configMap", "name")


def of_volume(volume: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(namespace, name) of the Secrets by which a node mounts a PersistentVolume."""
    driver = (volume.get("spec") or {}).get("csi") or {}
    for name in _CLAIM_SECRETS:
        if secret := driver.get(name):
            yield secret.get("namespace", ""), secret.get("name", "")


def _at(value: Mapping[str, Any], *path: str) -> str:
    found: Any = value
    for part in path:
        found = (found or {}).get(part)
    return found or ""
