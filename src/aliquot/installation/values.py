"""What can be chosen at an installation: the values of the Helm chart, and of `aliquot install --values`."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from aliquot import __version__
from aliquot.kube.api.gpupolicy import GPUPolicySpec, PullPolicy, Resources, Toleration
from aliquot.operator.core.operands import parse_image

OUR_IMAGE = f"aliquot:{__version__}"


class Part(StrEnum):
    """What can be left out, but for the operator."""

    OPERATOR = "operator"
    SCHEDULER = "scheduler"
    PARTITIONER = "partitioner"
    ADMISSION = "admission"
    DISCOVERY = "discovery"


class PartValues(Struct, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    enabled: bool = True
    resources: Resources = msgspec.field(default_factory=Resources)
    args: list[str] = []
    """After ours, and so they count before ours."""
    tolerations: list[Toleration] = []
    node_selector: dict[str, str] = msgspec.field(default_factory=lambda: {"kubernetes.io/os": "linux"})


class ReplicatedValues(PartValues, kw_only=True, rename="camel", forbid_unknown_fields=True):
    replicas: Annotated[int, Meta(ge=1, le=9)] = 2
    """One leads, the others stand by; of the webhook all answer."""


class PolicyValues(Struct, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    create: bool = False
    """A GPUPolicy that takes all nodes with GPUs, unless its spec says which."""
    name: Annotated[str, Meta(min_length=1, max_length=30, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] = (
        "default"
    )
    spec: GPUPolicySpec = msgspec.field(default_factory=GPUPolicySpec)


class NetworkValues(Struct, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    policies: bool = True
    """Deny all traffic but what is used."""
    api_ports: Annotated[list[Annotated[int, Meta(ge=1, le=65535)]], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: [443, 6443]
    )
    """Of the API server, as pods reach it once its Service's address has been translated."""


def _of(requests: Mapping[str, str], limits: Mapping[str, str]) -> Resources:
    return Resources(requests=dict(requests), limits=dict(limits))


class Values(Struct, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    image: Annotated[str, Meta(min_length=1, max_length=512)] = OUR_IMAGE
    """Of all parts: REPOSITORY/NAME:TAG, or a digest after @."""
    image_pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    image_pull_secrets: Annotated[list[str], Meta(max_length=16)] = []
    """Names of Secrets in the namespace; of our own parts. Those of operands are in the GPUPolicy."""
    monitors: bool = True
    """PodMonitors, where Prometheus' operator has its CRD."""
    network: NetworkValues = msgspec.field(default_factory=NetworkValues)
    operator: ReplicatedValues = msgspec.field(
        default_factory=lambda: ReplicatedValues(
            resources=_of({"cpu": "50m", "memory": "128Mi"}, {"memory": "512Mi"}),
            # Where it has cordoned every node, nobody else would uncordon one for it.
            tolerations=[
                Toleration(key="node.kubernetes.io/unschedulable", operator="Exists", effect="NoSchedule")
            ],
        )
    )
    scheduler: ReplicatedValues = msgspec.field(
        default_factory=lambda: ReplicatedValues(
            resources=_of({"cpu": "100m", "memory": "256Mi"}, {"memory": "2Gi"})
        )
    )
    partitioner: ReplicatedValues = msgspec.field(
        default_factory=lambda: ReplicatedValues(
            resources=_of({"cpu": "50m", "memory": "256Mi"}, {"memory": "2Gi"})
        )
    )
    admission: ReplicatedValues = msgspec.field(
        default_factory=lambda: ReplicatedValues(
            resources=_of({"cpu": "20m", "memory": "96Mi"}, {"memory": "256Mi"})
        )
    )
    """Policies where the cluster serves MutatingAdmissionPolicy; the rest is of the webhook elsewhere."""
    discovery: PartValues = msgspec.field(
        default_factory=lambda: PartValues(
            resources=_of({"cpu": "5m", "memory": "48Mi"}, {"memory": "128Mi"}),
            tolerations=[Toleration(operator="Exists")],
        )
    )
    """Finds the nodes with GPUs; where Node Feature Discovery runs, it may be left out."""
    policy: PolicyValues = msgspec.field(default_factory=PolicyValues)

    def part(self, part: Part) -> PartValues:
        found: PartValues = getattr(self, part.value)
        return found

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(part for part in Part if self.part(part).enabled)


class BadValues(ValueError):
    """One line, with the place."""


def read(path: Path) -> Values:
    """A values file; what it leaves out is as shipped, field by field, as Helm has it. Raises BadValues."""
    from aliquot import document

    try:
        documents = document.parse_all(document.read(path), source=str(path))
        if len(documents) > 1:
            raise BadValues(f"{path}: one document is expected, and there are {len(documents)}")
        for one in documents:
            # Judged as it stands first: so what is wrong is told with its line.
            one.into(Values)
    except document.DocumentError as error:
        raise BadValues(str(error)) from None
    found = documents[0].value if documents else {}
    try:
        return merged(found if isinstance(found, Mapping) else {})
    except BadValues as error:
        raise BadValues(f"{path}: {error}") from None


def merged(given: Mapping[str, Any]) -> Values:
    """Over the shipped ones. Raises BadValues."""
    try:
        values = msgspec.convert(_over(shipped(), given), Values)
    except msgspec.ValidationError as error:
        raise BadValues(f"values: {error}") from None
    return checked(values)


def checked(values: Values) -> Values:
    """Raises BadValues."""
    try:
        parse_image(values.image)
    except ValueError as error:
        raise BadValues(f"image: {error}") from None
    if not values.operator.enabled:
        raise BadValues("operator.enabled: the operator is what is installed: leave out other parts")
    return values


def without(values: Values, parts: Iterable[Part]) -> Values:
    for part in parts:
        values = msgspec.structs.replace(
            values, **{part.value: msgspec.structs.replace(values.part(part), enabled=False)}
        )
    return checked(values)


def shipped() -> dict[str, Any]:
    """As the chart's values.yaml has them: all of them, but for a policy's spec, whose defaults are the kind's."""
    return {
        field.encode_name: _plain(getattr(Values(), field.name)) for field in msgspec.structs.fields(Values)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, GPUPolicySpec | Resources | Toleration):
        return terse(value)
    if isinstance(value, Struct):
        return {
            field.encode_name: _plain(getattr(value, field.name)) for field in msgspec.structs.fields(value)
        }
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return msgspec.to_builtins(value)


def terse(value: Struct) -> Any:
    """As plain data, without what is as it would be anyway."""
    return _filled(msgspec.to_builtins(value))


def _filled(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    found = {name: _filled(one) for name, one in value.items()}
    return {name: one for name, one in found.items() if one != {}}


def _over(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """As Helm merges: maps field by field, all else is exchanged."""
    found = dict(base)
    for name, value in given.items():
        if isinstance(value, Mapping) and isinstance(found.get(name), Mapping):
            found[name] = _over(found[name], value)
        else:
            found[name] = value
    return found
