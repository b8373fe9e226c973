"""Which volumes of a pod can be set up, in kubelet's words, and which a runtime leaves out. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aliquot.emulator.kubelet.environment import Source
from aliquot.emulator.kubelet.pod_details import PodDetails

FIRST_RETRY_S = 0.5
MAX_RETRY_S = 122.0

_ROOT_CA = "kube-root-ca.crt"
"""In every pod's token volume, and put into every namespace by a controller. Not looked for: it would be a read more
for each pod of a fleet, to learn what is always so."""


_GIVEN_UNASKED = "kube-api-access-"
CLAIM = "PersistentVolumeClaim"
BOUND = "Bound"
"""What a claim has that is bound."""
NOT_BOUND = "PVC is not bound"
"""It may be in a moment: not told of before it has been looked at again."""
_NO_SUCH_KEY = {
    "ConfigMap": "configmap references non-existent config key",
    "Secret": "references non-existent secret key",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object that a volume is made of."""

    volume: str
    source: Source
    keys: tuple[str, ...] = ()
    """That it has to have; none: whatever it has."""
    optional: bool = False


def wanted(details: PodDetails) -> tuple[Wanted, ...]:
    """What has to be there before the first container starts: of the volumes that some container mounts."""
    mounted = {mount.name for container in details.containers for mount in container.volume_mounts or ()}
    return tuple(
        found
        for volume in details.spec.volumes or ()
        if volume["name"] in mounted
        for found in _objects(volume, details.metadata.name)
        if found.source.name != _ROOT_CA
    )


def failure(wanted: Wanted, namespace: str, keys: Collection[str] | None) -> str:
    """Why the volume cannot be set up with an object that has `keys` (a claim: its phase; None: there is none);
    empty when it can."""
    volume, kind, name = wanted.volume, wanted.source.kind, wanted.source.name
    if kind == CLAIM:
        why = NOT_BOUND
        if keys is None:
            why = f'failed to fetch PVC from API server: persistentvolumeclaims "{name}" not found'
        elif BOUND in keys:
            return ""
        return (
            f"Unable to attach or mount volumes: unmounted volumes=[{volume}], unattached volumes=[{volume}], "
            f"failed to process volumes=[{volume}]: error processing PVC {namespace}/{name}: {why}"
        )
    if wanted.optional:
        return ""
    problem = ""
    if keys is None:
        problem = f'{kind.lower()} "{name}" not found'
    elif missing := [key for key in wanted.keys if key not in keys]:
        problem = f"{_NO_SUCH_KEY[kind]}: {missing[0]}"
    return f'MountVolume.SetUp failed for volume "{volume}" : {problem}' if problem else ""


def not_mounted(details: PodDetails) -> str:
    """What containers will look for in vain where nothing is mounted; empty when they miss nothing.

    A hostPath mounted where it lies is there anyway. The token that every pod is given unasked is not worth a warning
    for every pod.
    """
    kinds = {volume["name"]: _kind(volume) for volume in details.spec.volumes or ()}
    paths = {
        volume["name"]: volume["hostPath"].get("path", "")
        for volume in details.spec.volumes or ()
        if "hostPath" in volume
    }
    missing = dict.fromkeys(
        f"{mount.mount_path} ({kinds.get(mount.name, 'volume')} {mount.name})"
        for container in details.containers
        for mount in container.volume_mounts or ()
        if not mount.name.startswith(_GIVEN_UNASKED)
        and (paths.get(mount.name) != mount.mount_path or mount.sub_path)
    )
    return ", ".join(missing)


def _objects(volume: Mapping[str, Any], pod_name: str) -> Iterator[Wanted]:
    name = volume["name"]
    if "configMap" in volume:
        yield _object(name, "ConfigMap", volume["configMap"], "name")
    elif "secret" in volume:
        yield _object(name, "Secret", volume["secret"], "secretName")
    elif "projected" in volume:
        for projected in volume["projected"].get("sources") or ():
            if "configMap" in projected:
                yield _object(name, "ConfigMap", projected["configMap"], "name")
            elif "secret" in projected:
                yield _object(name, "Secret", projected["secret"], "name")
    elif "ephemeral" in volume:
        yield Wanted(name, Source(CLAIM, f"{pod_name}-{name}"))
    elif "persistentVolumeClaim" in volume:
        yield Wanted(name, Source(CLAIM, volume["persistentVolumeClaim"].get("claimName", "")))


def _object(volume: str, kind: str, reference: Mapping[str, Any], name_field: str) -> Wanted:
    keys = tuple(item["key"] for item in reference.get("items") or ())
    return Wanted(
        volume, Source(kind, reference.get(name_field, "")), keys, optional=bool(reference.get("optional"))
    )


def _kind(volume: Mapping[str, Any]) -> str:
    return next((key for key in volume if key != "name"), "emptyDir")
