"""Pods of the API as the core knows them, and a decision back into the annotation that carries it.

Pods of one template are alike to the scheduler, so what a pod asks for is parsed once for each spelling of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import structlog

from aliquot.clock import parse_rfc3339
from aliquot.kube import quantity
from aliquot.kube.api import core
from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION, AssignedDevice, Assignment, encode
from aliquot.kube.api.core import Container, Pod, PodSpec, Quantities
from aliquot.kube.quantity import QuantityError
from aliquot.kube.quoted import quoted
from aliquot.kube.resources import key
from aliquot.partition.assigned import assigned
from aliquot.scheduler import claims
from aliquot.scheduler.checkpoints import checkpoint_s
from aliquot.scheduler.claims import ClaimReader, PodClaims
from aliquot.scheduler.core.matching import (
    PreferredTerm,
    TaintEffect,
    Toleration,
    TolerationOperator,
)
from aliquot.scheduler.core.pod import (
    Amounts,
    ContainerKind,
    ContainerRequest,
    DeviceChoice,
    GpuWish,
    HostPort,
    PlacedPod,
    PodRequest,
    PodShape,
    effective_request,
)
from aliquot.scheduler.core.reasons import Kind, Reason
from aliquot.scheduler.core.rules import NO_RULES, Rules
from aliquot.scheduler.core.topology import GPU_LEVELS, GpuLevel
from aliquot.scheduler.grouping.keys import PREFERRED_GPU_LEVEL, REQUIRED_GPU_LEVEL
from aliquot.scheduler.label_selectors import node_term
from aliquot.scheduler.pod_rules import RuleReader, selects_namespaces
from aliquot.scheduler.surroundings import Surroundings

_log = structlog.get_logger()

T = TypeVar("T")

_MOST_KNOWN = 20_000
_OF_DEVICE_CLASS = "deviceclass.resource.kubernetes.io/"
"""Of an extended resource: the DeviceClass of that name provides it, and no device plugin may."""
_CLAIM_SOURCES = {"resourceClaimName": "ResourceClaim", "resourceClaimTemplateName": "ResourceClaimTemplate"}
_UNREADABLE = (KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class _Takes:
    """What a pod takes of its node, whichever that is."""

    containers: tuple[ContainerRequest, ...]
    request: Amounts
    host_ports: tuple[HostPort, ...]


class PodReader:
    """Reads pods; remembers the shapes it has met. Without `surroundings` pods with claims, and rules about namespaces by
    their labels, are as if there were none."""

    def __init__(self, surroundings: Surroundings | None = None) -> None:
        self._around = surroundings
        self._claims = ClaimReader(surroundings) if surroundings is not None else None
        self.rules = RuleReader()
        self._takes: dict[str, _Takes] = {}
        self._shapes: dict[str, PodShape] = {}

    def request(self, pod: Pod) -> PodRequest:
        stamp = pod.metadata.creation_timestamp
        return PodRequest(
            key=key(pod),
            uid=pod.metadata.uid,
            shape=self.shape(pod),
            priority=pod.spec.priority,
            created_s=parse_rfc3339(stamp) if stamp else 0.0,
            kin=self.rules.kin(pod),
            owner=next((one.uid for one in pod.metadata.owner_references or () if one.controller), ""),
        )

    def anew(self, pod: Pod) -> PodRequest:
        """The pod as it was before it had a node, and as another one of its making will be."""
        return self.request(
            msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, node_name=""))
        )

    def placed(self, pod: Pod) -> PlacedPod:
        """A pod that has a node. An assignment that cannot be read counts as none: its devices are unknown."""
        try:
            takes = self._takes_of(pod.spec)
        except ValueError as error:
            _log.warning("requests not readable, counted as none", pod=key(pod), error=str(error))
            takes = _Takes((), effective_request(()), ())
        started = pod.status.start_time or pod.metadata.creation_timestamp
        return PlacedPod(
            key=key(pod),
            uid=pod.metadata.uid,
            node=pod.spec.node_name,
            since_s=parse_rfc3339(started) if started else 0.0,
            checkpoint_s=checkpoint_s(pod),
            request=takes.request,
            devices=_chosen(_assignment(pod)),
            host_ports=takes.host_ports,
            admitted=_is_admitted(pod),
            terminating=pod.metadata.deletion_timestamp is not None,
            kin=self.rules.kin(pod),
        )

    def reserved(self, pod: Pod) -> PlacedPod | None:
        """A pod without a node whose devices are being made; None when it says of none."""
        assignment = _assignment(pod)
        if assignment is None or not assignment.node:
            return None
        request = self.shape(pod)
        return PlacedPod(
            key=key(pod),
            uid=pod.metadata.uid,
            node=assignment.node,
            request=request.request,
            devices=_chosen(assignment),
            host_ports=request.host_ports,
            assumed=True,
            reserved=True,
            kin=self.rules.kin(pod),
        )

    def shape(self, pod: Pod) -> PodShape:
        signature = _signature(pod.spec)
        try:
            found = self.rules.of(pod, self.rules.kin(pod))
            has = self._claims.of(pod) if self._claims is not None else claims.NONE
        except _UNREADABLE as error:
            return _unreadable(signature, error)
        try:
            wish = _gpu_wish(pod)
        except ValueError as error:
            return _refused(signature, Reason(Kind.UNSUPPORTED, str(error)))
        signature += found.signature + (repr(has) if has else "") + (repr(wish) if wish is not None else "")
        if self._around is not None and selects_namespaces(pod) and not self._around.of_namespaces.ask():
            return _refused(signature, Reason(Kind.SURROUNDINGS, "the cluster's namespaces are being read"))
        return self._shape(signature, pod.spec, found.rules, has, wish)

    def shape_alone(self, pod: Pod) -> PodShape:
        """As it was before the pod had a node, and as if there were nothing but nodes besides: no pods, claims or volumes."""
        spec = msgspec.structs.replace(pod.spec, node_name="")
        return self._shape(_signature(spec), spec, NO_RULES, claims.NONE)

    def _shape(
        self, signature: str, spec: PodSpec, rules: Rules, has: PodClaims, wish: GpuWish | None = None
    ) -> PodShape:
        known = self._shapes.get(signature)
        if known is None:
            known = _remember(self._shapes, signature, self._read_shape(signature, spec, rules, has, wish))
        return known

    def _takes_of(self, spec: PodSpec) -> _Takes:
        signature = _takes_signature(spec)
        known = self._takes.get(signature)
        if known is None:
            known = _remember(self._takes, signature, _read_takes(spec))
        return known

    def _read_shape(
        self, signature: str, spec: PodSpec, rules: Rules, has: PodClaims, wish: GpuWish | None
    ) -> PodShape:
        try:
            takes = self._takes_of(spec)
            affinity = (spec.affinity or {}).get("nodeAffinity") or {}
            required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
            preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution")
            return PodShape(
                signature=signature,
                containers=takes.containers,
                request=takes.request,
                node_name=spec.node_name,
                node_selector=tuple(sorted((spec.node_selector or {}).items())),
                required=None
                if required is None
                else tuple(map(node_term, required.get("nodeSelectorTerms") or ())),
                preferred=tuple(
                    PreferredTerm(p["weight"], node_term(p["preference"])) for p in preferred or ()
                ),
                tolerations=tuple(map(_toleration, spec.tolerations or ())),
                host_ports=takes.host_ports,
                rules=rules,
                bound_claims=has.bound,
                open_claims=has.open,
                gpu_wish=wish,
                refusal=_unsupported(spec, takes.request) or has.refusal,
            )
        except _UNREADABLE as error:
            return _unreadable(signature, error)


def _gpu_wish(pod: Pod) -> GpuWish | None:
    """Raises ValueError, with what is wrong."""
    said = pod.metadata.annotations
    if not said or (REQUIRED_GPU_LEVEL not in said and PREFERRED_GPU_LEVEL not in said):
        return None
    required, preferred = (
        _gpu_level(key, said.get(key)) for key in (REQUIRED_GPU_LEVEL, PREFERRED_GPU_LEVEL)
    )
    return GpuWish(required, preferred)


def _gpu_level(key: str, text: str | None) -> GpuLevel | None:
    if not text:
        return None
    level = GPU_LEVELS.get(text)
    if level is None:
        raise ValueError(f"annotation {key} is {quoted(text)}: give {' or '.join(sorted(GPU_LEVELS))}")
    return level


def _unreadable(signature: str, error: Exception) -> PodShape:
    """The API server lets none of this through; another server may."""
    told = str(error) if isinstance(error, QuantityError) else f"{type(error).__name__}: {error}"
    return _refused(
        signature, Reason(Kind.UNSUPPORTED, f"the pod's scheduling fields cannot be read: {told}")
    )


def _refused(signature: str, why: Reason) -> PodShape:
    return PodShape(signature + repr(why), containers=(), request=effective_request(()), refusal=why)


def _remember(known: dict[str, T], signature: str, value: T) -> T:
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[signature] = value
    return value


def _spelled(parts: object) -> str:
    return msgspec.json.encode(parts).decode()


def _signature(spec: PodSpec) -> str:
    asks = (
        spec.node_name,
        spec.node_selector,
        spec.affinity,
        spec.tolerations,
        spec.topology_spread_constraints,
        spec.resource_claims,
    )
    return _takes_signature(spec) + _spelled(asks)


def _takes_signature(spec: PodSpec) -> str:
    return _spelled(
        (
            [(c.name, c.resources, c.ports, c.restart_policy) for c in spec.init_containers or ()],
            [(c.name, c.resources, c.ports) for c in spec.containers],
            spec.resources,
            spec.overhead,
            spec.host_network,
        )
    )


def _read_takes(spec: PodSpec) -> _Takes:
    containers = tuple(
        [_container(container, init=True) for container in spec.init_containers or ()]
        + [_container(container, init=False) for container in spec.containers]
    )
    pod_level = _requested(spec.resources.requests, spec.resources.limits) if spec.resources else None
    request = effective_request(containers, overhead=_amounts(spec.overhead), pod_level=pod_level)
    return _Takes(containers, request, _host_ports(spec))


def _unsupported(spec: PodSpec, request: Amounts) -> Reason | None:
    instead = "ask for what a device plugin offers, such as nvidia.com/gpu, or give the pod to a scheduler that allocates claims"
    if spec.resource_claims:
        claims = ", ".join(sorted(map(_claim_told, spec.resource_claims)))
        return Reason(
            Kind.RESOURCE_CLAIMS, f"resource claims (DRA) are not allocated here: {claims}; {instead}"
        )
    classes = [resource for resource in sorted(request) if resource.startswith(_OF_DEVICE_CLASS)]
    if classes:
        told = f"{' and '.join(classes)} can be had by a resource claim (DRA) alone, and these are not allocated here"
        return Reason(Kind.RESOURCE_CLAIMS, f"{told}; {instead}")
    return None


def _claim_told(claim: Mapping[str, Any]) -> str:
    name = str(claim.get("name", ""))
    for field, kind in _CLAIM_SOURCES.items():
        if claim.get(field):
            return f"{name} ({kind} {claim[field]})"
    return name


def _container(container: Container, *, init: bool) -> ContainerRequest:
    kind = ContainerKind.APP
    if init:
        kind = ContainerKind.SIDECAR if container.restart_policy == "Always" else ContainerKind.INIT
    return ContainerRequest(
        container.name, kind, _requested(container.resources.requests, container.resources.limits)
    )


def _requested(requests: Quantities | None, limits: Quantities | None) -> dict[str, int]:
    """A limit without a request is a request: the API server's own default."""
    return _amounts({**(limits or {}), **(requests or {})})


def _amounts(quantities: Quantities | None) -> dict[str, int]:
    amounts = {}
    for resource, text in (quantities or {}).items():
        amount = quantity.milli(text) if resource == "cpu" else quantity.whole(text)
        if amount:
            amounts[resource] = amount
    return amounts


def _host_ports(spec: PodSpec) -> tuple[HostPort, ...]:
    found = []
    for container in (*(spec.init_containers or ()), *spec.containers):
        for port in container.ports or ():
            number = port.host_port or (port.container_port if spec.host_network else 0)
            if number:
                found.append(HostPort(number, port.protocol, port.host_ip or "0.0.0.0"))
    return tuple(dict.fromkeys(found))


def _toleration(toleration: core.Toleration) -> Toleration:
    return Toleration(
        toleration.key,
        TolerationOperator(toleration.operator or TolerationOperator.EQUAL),
        toleration.value,
        TaintEffect(toleration.effect) if toleration.effect else None,
    )


def _is_admitted(pod: Pod) -> bool:
    """A container has run: kubelet allocates devices before the first."""
    statuses = (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))
    return pod.status.phase == "Running" or any(
        status.state.running is not None or status.state.terminated is not None for status in statuses
    )


def _assignment(pod: Pod) -> Assignment | None:
    try:
        return assigned(pod)
    except ValueError:
        return None


def ignored_assignment(pod: Pod) -> str:
    """Why what is written on the pod counts as none; empty where nothing is, or it counts."""
    try:
        assigned(pod)
    except ValueError as error:
        return str(error)
    return ""


def _chosen(assignment: Assignment | None) -> tuple[DeviceChoice, ...]:
    return tuple(
        DeviceChoice(d.container, d.resource, d.gpu, d.profile, d.start, d.shares, d.sharing, d.replicas)
        for d in (assignment.devices if assignment is not None else ())
    )


def assignment_of(placed: PlacedPod) -> Assignment | None:
    """As it is written on the pod; None for a pod without listed devices."""
    if not placed.devices:
        return None
    devices = tuple(
        AssignedDevice(
            container=d.container,
            resource=d.resource,
            gpu=d.gpu,
            profile=d.profile,
            start=d.start,
            shares=d.shares,
            sharing=d.sharing,
            replicas=d.replicas,
        )
        for d in placed.devices
    )
    return Assignment(devices=devices, pod_uid=placed.uid, node=placed.node if placed.reserved else "")


def annotations(placed: PlacedPod) -> dict[str, str]:
    """What travels with the Binding; empty for a pod without listed devices."""
    assignment = assignment_of(placed)
    return {ASSIGNMENT_ANNOTATION: encode(assignment)} if assignment is not None else {}
