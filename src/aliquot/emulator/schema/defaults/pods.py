"""Defaults of pods, and of pod specs inside templates. They change their argument, a copy made for it."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from aliquot.kube import quantity

_CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_FILE_MODE = 0o644
_SOURCES: Mapping[str, Mapping[str, Any]] = {
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False},
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "scaleIO": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
}
"""What is filled into where a volume comes from, in a pod as in a PersistentVolume."""
_POD_LEVEL_RESOURCES = ("cpu", "memory")


def fill_pod(pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    fill_pod_spec(spec)
    for container in _containers(spec, "containers", "initContainers"):
        resources = container["resources"]
        limits = resources.get("limits")
        if limits:
            resources["requests"] = {**limits, **resources.get("requests", {})}
    _fill_pod_level_requests(spec)
    spec.setdefault("enableServiceLinks", True)
    if spec.get("hostNetwork"):
        for container in _containers(spec, "containers", "initContainers"):
            for port in container.get("ports", ()):
                if not port.get("hostPort") and "containerPort" in port:
                    port["hostPort"] = port["containerPort"]


def fill_pod_spec(spec: dict[str, Any]) -> None:
    """What a pod spec gets wherever it stands; the rest is for pods alone, so that templates stay as written."""
    _default(spec, "dnsPolicy", "ClusterFirst")
    _default(spec, "restartPolicy", "Always")
    _default(spec, "schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in _containers(spec, *_CONTAINER_LISTS):
        _fill_container(container)
    for volume in spec.get("volumes", ()):
        _fill_volume(volume)


def _containers(spec: Mapping[str, Any], *lists: str) -> Iterable[dict[str, Any]]:
    for name in lists:
        yield from spec.get(name, ())


def _default(obj: dict[str, Any], name: str, value: Any) -> None:
    """For fields whose zero value means that they are not set."""
    if not obj.get(name):
        obj[name] = value


def _fill_container(container: dict[str, Any]) -> None:
    container.setdefault("resources", {})
    _default(container, "imagePullPolicy", pull_policy(container.get("image", "")))
    _default(container, "terminationMessagePath", "/dev/termination-log")
    _default(container, "terminationMessagePolicy", "File")
    for name in ("limits", "requests"):
        if name in container["resources"]:
            container["resources"][name] = to_milli(container["resources"][name])
    for port in container.get("ports", ()):
        _default(port, "protocol", "TCP")
    for variable in container.get("env", ()):
        field = variable.get("valueFrom", {}).get("fieldRef")
        if field is not None:
            _default(field, "apiVersion", "v1")
    for name in _PROBES:
        if name in container:
            _fill_probe(container[name])
    for hook in container.get("lifecycle", {}).values():
        if isinstance(hook, dict) and "httpGet" in hook:
            _fill_http_get(hook["httpGet"])


def pull_policy(image: str) -> str:
    """Always for the tag `latest`, spoken or (where there is no digest either) unspoken; else IfNotPresent."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    newest = tag == "latest" or (bool(name) and not tag and not digest)
    return "Always" if newest else "IfNotPresent"


def to_milli(resources: Mapping[str, str]) -> dict[str, str]:
    """Finer than a thousandth is rounded up, as Kubernetes does on every read."""
    rounded = {}
    for name, text in resources.items():
        value = quantity.parse(text)
        if 1000 % value.denominator:
            text = quantity.format_like(Fraction(quantity.milli(text), 1000), text)
        rounded[name] = text
    return rounded


def _fill_probe(probe: dict[str, Any]) -> None:
    _default(probe, "timeoutSeconds", 1)
    _default(probe, "periodSeconds", 10)
    _default(probe, "successThreshold", 1)
    _default(probe, "failureThreshold", 3)
    if "httpGet" in probe:
        _fill_http_get(probe["httpGet"])
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _fill_http_get(action: dict[str, Any]) -> None:
    _default(action, "path", "/")
    _default(action, "scheme", "HTTP")


def _fill_volume(volume: dict[str, Any]) -> None:
    if len(volume) == (1 if "name" in volume else 0):
        volume["emptyDir"] = {}
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        if source in volume:
            volume[source].setdefault("defaultMode", _FILE_MODE)
    _fill_downward_items(volume.get("downwardAPI", {}))
    for source in volume.get("projected", {}).get("sources", ()):
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        _fill_downward_items(source.get("downwardAPI", {}))
    fill_volume_source(volume)
    if "image" in volume:
        _default(volume["image"], "pullPolicy", pull_policy(volume["image"].get("reference", "")))
    claim = volume.get("ephemeral", {}).get("volumeClaimTemplate", {}).get("spec")
    if claim is not None:
        claim.setdefault("volumeMode", "Filesystem")


def fill_volume_source(volume: Mapping[str, Any]) -> None:
    for name in _SOURCES.keys() & volume.keys():
        for field, value in _SOURCES[name].items():
            _default(volume[name], field, value)


def _fill_downward_items(source: Mapping[str, Any]) -> None:
    for item in source.get("items", ()):
        if "fieldRef" in item:
            _default(item["fieldRef"], "apiVersion", "v1")


def _fill_pod_level_requests(spec: dict[str, Any]) -> None:
    resources = spec.get("resources") or {}
    limits = resources.get("limits")
    if not limits:
        return
    requests = dict(resources.get("requests", {}))
    for name in _POD_LEVEL_RESOURCES:
        asked = [c["resources"]["requests"][name] for c in spec.get("containers", ()) if _requests(c, name)]
        if name not in requests and asked:
            total = sum((quantity.parse(text) for text in asked), Fraction(0))
            requests[name] = quantity.format_like(total, asked[0])
    for name, limit in limits.items():
        requests.setdefault(name, limit)
    resources["requests"] = requests


def _requests(container: Mapping[str, Any], name: str) -> bool:
    return name in container["resources"].get("requests", {})


def _fill_pod_template(obj: dict[str, Any]) -> None:
    fill_pod_spec(obj["template"]["spec"])


FILLERS = {("", "Pod"): fill_pod, ("", "PodTemplate"): _fill_pod_template}
