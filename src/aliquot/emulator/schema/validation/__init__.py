"""What is wrong with an object: the rules of each kind, on create and from one version to the next.

Kinds that have no rules of their own are held to those of metadata, and to the fields that their schema requires.
Admission (quotas, policies) and what needs other objects to decide are not here.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aliquot.emulator.schema.errors import ErrorType, FieldError, invalid, required
from aliquot.emulator.schema.shapes import Form, Shape
from aliquot.emulator.schema.validation import (
    autoscalers,
    certificates,
    configuration,
    crds,
    devices,
    embedded,
    ingresses,
    limits,
    names,
    pods,
    policies,
    priority_levels,
    rules,
    scales,
    service_networks,
    services,
    storage,
    structural,
    webhooks,
    workloads,
)
from aliquot.emulator.schema.validation.correlation import Correlated
from aliquot.emulator.schema.validation.metadata import metadata, metadata_update

Obj = dict[str, Any]
Create = Callable[[Obj], list[FieldError]]
Update = Callable[[Obj, Obj], list[FieldError]]

_AUTOSCALER = ("autoscaling", "HorizontalPodAutoscaler")
_CERTIFICATE_REQUEST = ("certificates.k8s.io", "CertificateSigningRequest")
_APPS, _BATCH, _RBAC, _RESOURCE = "apps", "batch", "rbac.authorization.k8s.io", "resource.k8s.io"
_STORAGE = "storage.k8s.io"

_NAME_RULES: Mapping[tuple[str, str], names.Rule] = {
    ("apiregistration.k8s.io", "APIService"): names.path_segment,
    ("", "Namespace"): names.dns_label,
    ("", "Service"): names.dns_label,
    ("", "Event"): names.path_segment,
    (_APPS, "StatefulSet"): names.dns_label,
    ("networking.k8s.io", "IPAddress"): service_networks.address_name,
    ("policy", "PodDisruptionBudget"): names.path_segment,
    _CERTIFICATE_REQUEST: names.path_segment,
    (_RBAC, "Role"): names.path_segment,
    (_RBAC, "RoleBinding"): names.path_segment,
    (_RBAC, "ClusterRole"): names.path_segment,
    (_RBAC, "ClusterRoleBinding"): names.path_segment,
}

_CREATE: Mapping[tuple[str, str], Create] = {
    ("", "ConfigMap"): configuration.config_map,
    ("", "Secret"): configuration.secret,
    ("", "Namespace"): configuration.namespace,
    ("", "Node"): configuration.node,
    ("", "Service"): services.service,
    ("", "LimitRange"): limits.limit_range,
    ("", "ResourceQuota"): limits.resource_quota,
    ("", "PodTemplate"): workloads.a_pod_template,
    ("", "ReplicationController"): workloads.replication_controller,
    ("", "PersistentVolume"): storage.persistent_volume,
    ("", "PersistentVolumeClaim"): storage.claim,
    (_STORAGE, "StorageClass"): storage.storage_class,
    (_STORAGE, "VolumeAttachment"): storage.volume_attachment,
    (_APPS, "Deployment"): workloads.deployment,
    (_APPS, "ReplicaSet"): workloads.replica_set,
    (_APPS, "DaemonSet"): workloads.daemon_set,
    (_APPS, "StatefulSet"): workloads.stateful_set,
    (_APPS, "ControllerRevision"): workloads.controller_revision,
    _AUTOSCALER: autoscalers.autoscaler,
    (_BATCH, "Job"): workloads.job,
    (_BATCH, "CronJob"): workloads.cron_job,
    (_RBAC, "Role"): configuration.role,
    (_RBAC, "ClusterRole"): configuration.role,
    (_RBAC, "RoleBinding"): configuration.role_binding,
    (_RBAC, "ClusterRoleBinding"): configuration.role_binding,
    ("scheduling.k8s.io", "PriorityClass"): configuration.priority_class,
    ("node.k8s.io", "RuntimeClass"): configuration.runtime_class,
    ("apiregistration.k8s.io", "APIService"): configuration.api_service,
    ("coordination.k8s.io", "Lease"): configuration.lease,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): priority_levels.priority_level,
    ("networking.k8s.io", "Ingress"): ingresses.ingress,
    ("networking.k8s.io", "IngressClass"): ingresses.ingress_class,
    ("networking.k8s.io", "IPAddress"): service_networks.address,
    ("networking.k8s.io", "ServiceCIDR"): service_networks.network,
    _CERTIFICATE_REQUEST: certificates.request,
    ("policy", "PodDisruptionBudget"): workloads.pod_disruption_budget,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): policies.validating_binding,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): policies.mutating_binding,
    (_RESOURCE, "ResourceClaim"): devices.claim,
    (_RESOURCE, "ResourceClaimTemplate"): devices.claim_template,
}

_NEW: Mapping[tuple[str, str], Create] = {_AUTOSCALER: autoscalers.new_target}
"""What is not asked of an object that was stored without it."""

_UPDATE: Mapping[tuple[str, str], Update] = {
    _AUTOSCALER: autoscalers.target_update,
    ("", "ConfigMap"): configuration.data_update,
    ("", "Secret"): configuration.data_update,
    ("", "Node"): configuration.node_update,
    ("", "Service"): services.service_update,
    ("", "ResourceQuota"): limits.resource_quota_update,
    ("", "PersistentVolume"): storage.persistent_volume_update,
    ("", "PersistentVolumeClaim"): storage.claim_update,
    (_STORAGE, "StorageClass"): storage.storage_class_update,
    (_STORAGE, "VolumeAttachment"): storage.volume_attachment_update,
    (_STORAGE, "VolumeAttributesClass"): storage.attributes_class_update,
    (_APPS, "Deployment"): workloads.replicated_update,
    (_APPS, "ReplicaSet"): workloads.replicated_update,
    (_APPS, "DaemonSet"): workloads.replicated_update,
    (_APPS, "StatefulSet"): workloads.stateful_set_update,
    (_APPS, "ControllerRevision"): workloads.controller_revision_update,
    (_BATCH, "Job"): workloads.job_update,
    (_RBAC, "RoleBinding"): configuration.role_binding_update,
    (_RBAC, "ClusterRoleBinding"): configuration.role_binding_update,
    ("scheduling.k8s.io", "PriorityClass"): configuration.priority_class_update,
    ("networking.k8s.io", "IPAddress"): service_networks.address_update,
    ("networking.k8s.io", "ServiceCIDR"): service_networks.network_update,
    ("node.k8s.io", "RuntimeClass"): configuration.runtime_class_update,
    (_RESOURCE, "ResourceClaim"): devices.spec_update,
    (_RESOURCE, "ResourceClaimTemplate"): devices.spec_update,
    _CERTIFICATE_REQUEST: certificates.request_update,
    (_RESOURCE, "ResourceSlice"): devices.slice_update,
}

# An update is judged as an object before it is as a change.
_CONTENT_FIRST = {(_APPS, "Deployment"), (_APPS, "ReplicaSet"), (_APPS, "StatefulSet"), (_BATCH, "Job")}

# These are requests in the form of objects: nothing is stored, and nobody names them.
_NAMELESS = frozenset({"authorization.k8s.io", "authentication.k8s.io"})
_CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")
_ADMISSION = "admissionregistration.k8s.io"
_POLICIES: Mapping[tuple[str, str], Callable[[Obj, int], list[FieldError]]] = {
    (_ADMISSION, "ValidatingAdmissionPolicy"): policies.validating_policy,
    (_ADMISSION, "MutatingAdmissionPolicy"): policies.mutating_policy,
}
_WEBHOOKS = (
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
)
_ENTIRE_RULES = {("", "Pod"): pods.pod, ("", "Binding"): pods.binding}


def built_in(group: str, kind: str, obj: Obj, shape: Shape, minor: int) -> list[FieldError]:
    """Problems of a new object of a built-in kind."""
    if group in _NAMELESS:
        return []
    key = (group, kind)
    if key in _ENTIRE_RULES:
        return _ENTIRE_RULES[key](obj)
    errors = metadata(obj.get("metadata", {}), _NAME_RULES.get(key, names.dns_subdomain))
    if key == _CRD:
        return errors + crds.crd(obj, minor)
    errors += _content(key, obj, shape, minor)
    return errors + _NEW[key](obj) if key in _NEW else errors


def _content(key: tuple[str, str], obj: Obj, shape: Shape, minor: int) -> list[FieldError]:
    if key in _POLICIES:
        return _POLICIES[key](obj, minor)
    if key in _WEBHOOKS:
        return webhooks.configuration(obj, minor)
    check = _CREATE.get(key)
    return check(obj) if check is not None else _required_fields(obj, shape, "")


def _required_fields(value: Any, shape: Shape, path: str) -> list[FieldError]:
    """The fields that the schema of a kind without rules of its own says must be there."""
    errors: list[FieldError] = []
    if isinstance(value, list) and shape.element is not None:
        for index, item in enumerate(value):
            errors += _required_fields(item, shape.element, f"{path}[{index}]")
    elif isinstance(value, dict) and shape.form is Form.OBJECT:
        for name in shape.required:
            if name not in value and shape.fields[name].form is not Form.LIST:
                errors.append(required(f"{path}.{name}" if path else name))
        for name, child in value.items():
            inner = shape.fields.get(name)
            if inner is not None and name not in ("metadata", "status"):
                errors += _required_fields(child, inner, f"{path}.{name}" if path else name)
    return errors


def built_in_update(
    group: str, kind: str, obj: Obj, old: Obj, shape: Shape, subresource: str, minor: int
) -> list[FieldError]:
    """Problems of an object of a built-in kind as the successor of `old`."""
    key = (group, kind)
    if key == ("", "Pod"):
        return pods.pod_update(obj, old, subresource)
    errors = metadata_update(obj.get("metadata", {}), old.get("metadata", {}))
    if subresource == "status" and key == ("batch", "Job"):
        return errors + workloads.job_status_update(obj, old)
    if subresource and key not in (("", "Node"), _CERTIFICATE_REQUEST):
        return errors
    if key == _CRD:
        return errors + crds.crd_update(obj, old, minor)
    update = _UPDATE.get(key)
    changes = update(obj, old) if update is not None else []
    content = _content(key, obj, shape, minor) if _substance(obj) != _substance(old) else []
    return errors + (content + changes if key in _CONTENT_FIRST else changes + content)


def _substance(obj: Obj) -> Obj:
    """What the rules of a kind look at: a change of metadata alone cannot break them."""
    return {name: value for name, value in obj.items() if name != "metadata"}


def custom(
    obj: Obj, shape: Shape, minor: int, scale: Mapping[str, str] | None, *, fits: bool = False
) -> list[FieldError]:
    """Problems of a new custom object. `scale`: the paths of its scale subresource; `fits`: it is known to be what its
    structural schema says."""
    errors = metadata(obj.get("metadata", {}), names.dns_subdomain)
    if not fits:
        errors += structural.validate(obj, shape.node)
    if scale is not None:
        errors += scales.scale(obj, scale)
    if shape.embeds_resources:
        errors += embedded.resources(obj, shape.node)
    errors += structural.unique_items(obj, shape)
    return errors + _rules(obj, None, shape, minor, errors)


def custom_update(
    obj: Obj,
    old: Obj,
    shape: Shape,
    subresource: str,
    minor: int,
    scale: Mapping[str, str] | None,
    *,
    fits: bool = False,
) -> list[FieldError]:
    """Problems of a custom object as the successor of `old`; a part that did not change may stay as it was."""
    errors = metadata_update(obj.get("metadata", {}), old.get("metadata", {}))
    if _substance(obj) != _substance(old):
        if not fits:
            errors += _structure(obj, old, shape.node, subresource)
        if scale is not None:
            errors += scales.scale(obj, scale, status_alone=subresource == "status")
        if shape.embeds_resources:
            errors += embedded.resources(obj, shape.node)
        repeated = structural.unique_items(obj, shape)
        if repeated and not structural.unique_items(old, shape):
            errors += repeated
    return errors + _rules(obj, old, shape, minor, errors)


def _structure(obj: Obj, old: Obj, node: Mapping[str, Any], subresource: str) -> list[FieldError]:
    past = Correlated(obj, old, node)
    if subresource != "status":
        return structural.validate(obj, node, "", past)
    status = (node.get("properties") or {}).get("status", {})
    return structural.validate(obj.get("status", {}), status, "status", past.key("status"))


_BLOCKING = frozenset(
    [
        ErrorType.NOT_SUPPORTED,
        ErrorType.REQUIRED,
        ErrorType.TOO_LONG,
        ErrorType.TOO_MANY,
        ErrorType.TYPE_INVALID,
    ]
)
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)


def _rules(obj: Obj, old: Obj | None, shape: Shape, minor: int, errors: list[FieldError]) -> list[FieldError]:
    """Rules look at an object only when it is what its schema says."""
    judged_by = rules.of(shape)
    if judged_by is None:
        return []
    if any(error.type in _BLOCKING for error in errors):
        return [invalid("<nil>", None, _UNCHECKED)]
    return rules.check(judged_by, obj, old, minor)
