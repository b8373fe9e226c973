"""A file of NVIDIA's objects, as GPUPolicies and what is to be said of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aliquot import document
from aliquot.installation.clusterpolicy import losses
from aliquot.installation.clusterpolicy.taking import Fields, Misread
from aliquot.installation.clusterpolicy.translating import cluster_policy, nvidia_driver
from aliquot.kube.api.gpunode import API_VERSION
from aliquot.kube.api.gpupolicy import LONGEST_NAME, GPUPolicy
from aliquot.operator.core.operands import Image, shipped
from aliquot.operator.core.policies import Refused, read

Json = dict[str, Any]

CLUSTER_POLICY = ("nvidia.com/v1", "ClusterPolicy")
NVIDIA_DRIVER = ("nvidia.com/v1alpha1", "NVIDIADriver")
_SERVERS = (
    "name",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
    "ownerReferences",
)
_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


class NotAPolicy(ValueError):
    """One line."""


@dataclass(frozen=True, slots=True)
class Translation:
    policies: tuple[Json, ...]
    notes: tuple[str, ...]
    """Lines for people: what is different, what has to be done by hand, what has no counterpart."""


def translate(text: str, *, source: str) -> Translation:
    """Raises NotAPolicy."""
    try:
        objects = list(_single(document.load_all(text, source=source)))
    except document.DocumentError as error:
        raise NotAPolicy(str(error)) from None
    clusters = [one for one in objects if _kind(one) == CLUSTER_POLICY]
    drivers = [one for one in objects if _kind(one) == NVIDIA_DRIVER]
    if not clusters and not drivers:
        raise NotAPolicy(
            f"{source}: neither a ClusterPolicy (nvidia.com/v1) nor an NVIDIADriver (nvidia.com/v1alpha1)"
        )
    if len(clusters) > 1:
        raise NotAPolicy(f"{source}: {len(clusters)} ClusterPolicies: the oldest counts there, give that one")
    notes = [
        f"note: {_named(one)}: left out" for one in objects if one not in clusters and one not in drivers
    ]
    base: Json = {}
    policies = []
    for one in clusters:
        fields = _fields(one)
        said: list[str] = []
        try:
            base = cluster_policy(fields, said.append)
        except Misread as error:
            raise NotAPolicy(f"{source}: {error}") from None
        if drivers:
            fields.drop("spec.driver.useNvidiaDriverCRD")
        else:
            policies.append(_policy(one, base))
        notes += _notes(one, said, fields, "spec.")
    for one in drivers:
        fields, said = _fields(one), []
        try:
            spec = nvidia_driver(fields, base, said.append)
        except Misread as error:
            raise NotAPolicy(f"{source}: {error}") from None
        policies.append(_policy(one, spec))
        notes += _notes(one, said, fields, "spec.driver.")
    for policy in policies:
        notes += _judged(policy)
    return Translation(tuple(policies), tuple(notes))


def _single(objects: Iterable[Json]) -> Iterable[Json]:
    """`kubectl get -o yaml` of several gives a List."""
    for one in objects:
        if str(one.get("kind", "")).endswith("List") and isinstance(one.get("items"), list):
            yield from one["items"]
        else:
            yield one


def _fields(obj: Json) -> Fields:
    fields = Fields(
        {name: value for name, value in obj.items() if name not in ("apiVersion", "kind", "status")}
    )
    for name in _SERVERS:
        fields.drop(f"metadata.{name}")
    annotations = fields.take("metadata.annotations", dict) or {}
    annotations.pop(_ANNOTATION, None)
    fields.put("metadata.annotations", annotations)
    return fields


def _policy(obj: Json, spec: Json) -> Json:
    name = obj["metadata"]["name"]
    metadata = {"name": name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME].rstrip("-.")}
    return {"apiVersion": API_VERSION, "kind": "GPUPolicy", "metadata": metadata, "spec": spec}


def _notes(obj: Json, said: Iterable[str], fields: Fields, prefix: str) -> list[str]:
    """`prefix`: under what a driver's fields are called in a ClusterPolicy, where their reasons stand."""
    found = [f"note: {_named(obj)}: {line}" for line in said]
    for path, value in fields.left():
        place = path.replace("spec.", prefix, 1) if path.startswith("spec.") else path
        reason = losses.why(place) or losses.why(path) or "not a field that is known here"
        found.append(f"lost: {_named(obj)}: {path}: {_short(value)}: {reason}")
    return found


def _judged(policy: Json) -> list[str]:
    """What the operator would say of it."""
    import msgspec

    name = policy["metadata"]["name"]
    try:
        made = msgspec.convert(policy, GPUPolicy, str_keys=True)
        read(made, 0.0, shipped(Image("", "aliquot", "1")))
    except (Refused, msgspec.ValidationError) as error:
        return [f"wrong: GPUPolicy {name}: {error}"]
    return []


def _kind(obj: Mapping[str, Any]) -> tuple[str, str]:
    return str(obj.get("apiVersion", "")), str(obj.get("kind", ""))


def _named(obj: Mapping[str, Any]) -> str:
    return f"{obj.get('kind', 'object')} {(obj.get('metadata') or {}).get('name', '?')}"


def _short(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
