"""What a container may say of itself. Paths and texts are those that kubectl users know."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.emulator.schema.errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
    too_long,
)
from aliquot.emulator.schema.validation import names, resources

Container = Mapping[str, Any]

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_RESTARTS = ("Always", "Never", "OnFailure")
_DOWNWARD_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_DOWNWARD_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Pod:
    """What containers are checked against: the rest of their pod."""

    volumes: Mapping[str, Mapping[str, Any]]
    claims: Collection[str]
    restart_policy: str
    grace_period_s: int | None
    host_users: bool


def regular(containers: Sequence[Container], pod: Pod, path: str) -> list[FieldError]:
    """Problems of spec.containers."""
    if not containers:
        return [required(path)]
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, container in enumerate(containers):
        where = f"{path}[{index}]"
        errors += common(container, pod, where)
        errors += _unique_name(container, seen, where)
        errors += _lifecycle(container, pod, where) + _probes(container, pod, where)
        errors += _restart_policy(container, where)
    return errors + _host_ports(containers, path)


def init(
    containers: Sequence[Container], others: Sequence[Container], pod: Pod, path: str
) -> list[FieldError]:
    """Problems of spec.initContainers; `others` are the regular ones, with which they share a namespace."""
    errors: list[FieldError] = []
    seen = {container.get("name", "") for container in others}
    for index, container in enumerate(containers):
        where = f"{path}[{index}]"
        errors += common(container, pod, where)
        sidecar = container.get("restartPolicy") == "Always"
        if sidecar and container.get("restartPolicyRules"):
            text = "restartPolicyRules are not allowed for init containers with restart policy Always"
            errors.append(forbidden(f"{where}.restartPolicyRules", text))
        elif "restartPolicy" in container:
            errors += _restart_policy(container, where)
        errors += _unique_name(container, seen, where)
        errors += _host_ports([container], path)
        if sidecar:
            errors += _lifecycle(container, pod, where) + _probes(container, pod, where)
        else:
            for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                if name in container:
                    text = "may not be set for init containers without restartPolicy=Always"
                    errors.append(forbidden(f"{where}.{name}", text))
    return errors


def image_spacing(containers: Sequence[Container], path: str) -> list[FieldError]:
    """Checked for pods only; a template may have such an image for the sake of old objects."""
    return [
        invalid(f"{path}[{index}].image", image, "must not have leading or trailing whitespace")
        for index, container in enumerate(containers)
        if (image := container.get("image", "")) != image.strip()
    ]


def _unique_name(container: Container, seen: set[str], path: str) -> list[FieldError]:
    name = container.get("name", "")
    if name in seen:
        return [duplicate(f"{path}.name", name)]
    if name:
        seen.add(name)
    return []


def common(container: Container, pod: Pod, path: str) -> list[FieldError]:
    name = container.get("name", "")
    errors = (
        [invalid(f"{path}.name", name, p) for p in names.dns_label(name)]
        if name
        else [required(f"{path}.name")]
    )
    if not container.get("image"):
        errors.append(required(f"{path}.image"))
    errors += _one_of(container, "terminationMessagePolicy", ("File", "FallbackToLogsOnError"), path)
    errors += _ports(container.get("ports", ()), f"{path}.ports")
    errors += _env(container.get("env", ()), f"{path}.env")
    errors += _env_from(container.get("envFrom", ()), f"{path}.envFrom")
    errors += _mounts(container, pod, f"{path}.volumeMounts")
    errors += _devices(container, pod, f"{path}.volumeDevices")
    errors += _one_of(container, "imagePullPolicy", ("Always", "IfNotPresent", "Never"), path)
    errors += resources.requirements(container.get("resources", {}), pod.claims, f"{path}.resources")
    errors += _resize_policy(container.get("resizePolicy", ()), pod, f"{path}.resizePolicy")
    return errors + _security(container.get("securityContext", {}), pod, f"{path}.securityContext")


def _one_of(container: Container, name: str, supported: Sequence[str], path: str) -> list[FieldError]:
    value = container.get(name, "")
    if not value:
        return [required(f"{path}.{name}")]
    return [] if value in supported else [not_supported(f"{path}.{name}", value, supported)]


def _ports(ports: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        where = f"{path}[{index}]"
        name = port.get("name", "")
        if name:
            problems = names.port_name(name)
            errors += [invalid(f"{where}.name", name, problem) for problem in problems]
            if not problems and name in seen:
                errors.append(duplicate(f"{where}.name", name))
            seen.add(name)
        number = port.get("containerPort", 0)
        if not number:
            errors.append(required(f"{where}.containerPort"))
        else:
            errors += [invalid(f"{where}.containerPort", number, p) for p in names.port_number(number)]
        host = port.get("hostPort", 0)
        if host:
            errors += [invalid(f"{where}.hostPort", host, p) for p in names.port_number(host)]
        protocol = port.get("protocol", "TCP")
        if protocol not in _PROTOCOLS:
            errors.append(not_supported(f"{where}.protocol", protocol, _PROTOCOLS))
    return errors


def _host_ports(containers: Sequence[Container], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, container in enumerate(containers):
        for position, port in enumerate(container.get("ports", ())):
            if port.get("hostPort"):
                key = f"{port.get('protocol', 'TCP')}/{port.get('hostIP', '')}/{port['hostPort']}"
                if key in seen:
                    errors.append(duplicate(f"{path}[{index}].ports[{position}].hostPort", key))
                seen.add(key)
    return errors


def _env(variables: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, variable in enumerate(variables):
        where = f"{path}[{index}]"
        name = variable.get("name", "")
        if not name:
            errors.append(required(f"{where}.name"))
        else:
            errors += [invalid(f"{where}.name", name, problem) for problem in names.env_name(name)]
        if "valueFrom" in variable:
            errors += _value_from(variable, f"{where}.valueFrom")
    return errors


def _value_from(variable: Mapping[str, Any], path: str) -> list[FieldError]:
    source = variable["valueFrom"]
    errors: list[FieldError] = []
    if "fieldRef" in source:
        errors += field_ref(source["fieldRef"], _DOWNWARD_FIELDS, f"{path}.fieldRef")
    if "resourceFieldRef" in source:
        errors += resource_field_ref(source["resourceFieldRef"], f"{path}.resourceFieldRef", in_volume=False)
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in source:
            errors += _key_ref(source[name], f"{path}.{name}")
    if not source:
        text = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        errors.append(invalid(path, "", text))
    elif variable.get("value"):
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(source) > 1:
        errors.append(invalid(path, "", "may not have more than one field specified at a time"))
    return errors


def field_ref(ref: Mapping[str, Any], supported: Sequence[str], path: str) -> list[FieldError]:
    field = ref.get("fieldPath", "")
    if not field:
        return [required(f"{path}.fieldPath")]
    name, bracket, rest = field.partition("['")
    if bracket and rest.endswith("']"):
        key = rest[:-2]
        if name == "metadata.annotations":
            return [invalid(path, key.lower(), problem) for problem in names.qualified_name(key.lower())]
        if name == "metadata.labels":
            return [invalid(path, key, problem) for problem in names.qualified_name(key)]
        return [invalid(path, name, "does not support subscript")]
    known = (
        *_DOWNWARD_FIELDS,
        "metadata.annotations",
        "metadata.labels",
        "spec.restartPolicy",
        "status.phase",
    )
    if field not in known:
        text = f"error converting fieldPath: field label not supported: {field}"
        return [invalid(f"{path}.fieldPath", field, text)]
    return [] if field in supported else [not_supported(f"{path}.fieldPath", field, sorted(supported))]


def resource_field_ref(ref: Mapping[str, Any], path: str, *, in_volume: bool) -> list[FieldError]:
    resource = ref.get("resource", "")
    if in_volume and not ref.get("containerName"):
        return [required(f"{path}.containerName")]
    if not resource:
        return [required(f"{path}.resource")]
    if resource in _DOWNWARD_RESOURCES or resource.startswith(("limits.hugepages-", "requests.hugepages-")):
        return []
    return [not_supported(f"{path}.resource", resource, _DOWNWARD_RESOURCES)]


def _key_ref(ref: Mapping[str, Any], path: str) -> list[FieldError]:
    name, key = ref.get("name", ""), ref.get("key", "")
    errors = [invalid(f"{path}.name", name, problem) for problem in names.dns_subdomain(name)]
    if not key:
        return [*errors, required(f"{path}.key")]
    return errors + [invalid(f"{path}.key", key, problem) for problem in names.config_key(key)]


def _env_from(sources: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, source in enumerate(sources):
        where = f"{path}[{index}]"
        prefix = source.get("prefix", "")
        if prefix:
            errors += [invalid(f"{where}.prefix", prefix, problem) for problem in names.env_name(prefix)]
        given = [name for name in ("configMapRef", "secretRef") if name in source]
        for name in given:
            target = source[name].get("name", "")
            if not target:
                errors.append(required(f"{where}.{name}.name"))
            else:
                rule = names.prefix_of(names.dns_subdomain)
                errors += [invalid(f"{where}.{name}.name", target, problem) for problem in rule(target)]
        if not given:
            errors.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            errors.append(invalid(path, "", "may not have more than one field specified at a time"))
    return errors


def _mounts(container: Container, pod: Pod, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    devices = {
        device.get("name", ""): device.get("devicePath", "") for device in container.get("volumeDevices", ())
    }
    seen: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts", ())):
        where = f"{path}[{index}]"
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.append(required(f"{where}.name"))
        if name not in pod.volumes:
            errors.append(not_found(f"{where}.name", name))
        if not target:
            errors.append(required(f"{where}.mountPath"))
        if target in seen:
            errors.append(invalid(f"{where}.mountPath", target, "must be unique"))
        seen.add(target)
        if name in devices:
            errors.append(invalid(f"{where}.name", name, "must not already exist in volumeDevices"))
        if target in devices.values():
            text = "must not already exist as a path in volumeDevices"
            errors.append(invalid(f"{where}.mountPath", target, text))
        if mount.get("subPath"):
            errors += relative_path(mount["subPath"], f"{path}.subPath")
        if mount.get("subPathExpr"):
            if mount.get("subPath"):
                text = "subPathExpr and subPath are mutually exclusive"
                errors.append(invalid(f"{where}.subPathExpr", mount["subPathExpr"], text))
            errors += relative_path(mount["subPathExpr"], f"{path}.subPathExpr")
        errors += _mount_reach(mount, bool(container.get("securityContext", {}).get("privileged")), path)
    return errors


def _mount_reach(mount: Mapping[str, Any], privileged: bool, path: str) -> list[FieldError]:
    """How a mount and the mounts below it are seen by others, and written to."""
    errors: list[FieldError] = []
    propagation, where = mount.get("mountPropagation"), f"{path}.mountPropagation"
    supported = ("Bidirectional", "HostToContainer", "None")
    if propagation is not None and propagation not in supported:
        errors.append(not_supported(where, propagation, supported))
    if propagation == "Bidirectional" and not privileged:
        text = "Bidirectional mount propagation is available only to privileged containers"
        errors.append(forbidden(where, text))
    recursive, where = mount.get("recursiveReadOnly", "Disabled"), f"{path}.recursiveReadOnly"
    supported = ("Disabled", "Enabled", "IfPossible")
    if recursive not in supported:
        return [*errors, not_supported(where, recursive, supported)]
    if recursive != "Disabled":
        if not mount.get("readOnly"):
            errors.append(forbidden(where, "may only be specified when readOnly is true"))
        if propagation not in (None, "None"):
            text = "may only be specified when mountPropagation is None or not specified"
            errors.append(forbidden(where, text))
    return errors


def _devices(container: Container, pod: Pod, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, device in enumerate(container.get("volumeDevices", ())):
        name = device.get("name", "")
        volume = pod.volumes.get(name)
        if volume is None:
            errors.append(not_found(f"{path}[{index}].name", name))
        elif not volume.keys() & {"persistentVolumeClaim", "ephemeral"}:
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid(f"{path}[{index}].name", name, text))
        if not device.get("devicePath"):
            errors.append(required(f"{path}[{index}].devicePath"))
    return errors


def relative_path(value: str, path: str) -> list[FieldError]:
    errors = [invalid(path, value, "must be a relative path")] if value.startswith("/") else []
    if ".." in value.split("/"):
        errors.append(invalid(path, value, "must not contain '..'"))
    return errors


def _lifecycle(container: Container, pod: Pod, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in ("postStart", "preStop"):
        if name in container.get("lifecycle", {}):
            errors += _handler(container["lifecycle"][name], pod, f"{path}.lifecycle.{name}")
    return errors


def _probes(container: Container, pod: Pod, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name not in container:
            continue
        probe, where = container[name], f"{path}.{name}"
        errors += _handler(probe, pod, where)
        for field in (
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ):
            if probe.get(field, 0) < 0:
                errors.append(invalid(f"{where}.{field}", probe[field], resources.NEGATIVE))
        grace_s = probe.get("terminationGracePeriodSeconds")
        if grace_s is not None and grace_s <= 0:
            errors.append(
                invalid(f"{where}.terminationGracePeriodSeconds", grace_s, "must be greater than 0")
            )
        if name == "readinessProbe":
            if grace_s is not None:
                text = "must not be set for readinessProbes"
                errors.append(invalid(f"{where}.terminationGracePeriodSeconds", grace_s, text))
        elif probe.get("successThreshold", 1) != 1:
            errors.append(invalid(f"{where}.successThreshold", probe["successThreshold"], "must be 1"))
    return errors


def _handler(holder: Mapping[str, Any], pod: Pod, path: str) -> list[FieldError]:
    given = [name for name in _HANDLERS if name in holder]
    if not given:
        return [required(path, "must specify a handler type")]
    errors = [forbidden(f"{path}.{name}", "may not specify more than 1 handler type") for name in given[1:]]
    name = given[0]
    action, where = holder[name], f"{path}.{name}"
    match name:
        case "exec" if not action.get("command"):
            errors.append(required(f"{where}.command"))
        case "httpGet":
            if not action.get("path"):
                errors.append(required(f"{where}.path"))
            errors += port_or_name(action.get("port", 0), f"{where}.port")
            scheme = action.get("scheme", "HTTP")
            if scheme not in ("HTTP", "HTTPS"):
                errors.append(not_supported(f"{where}.scheme", scheme, ("HTTP", "HTTPS")))
            for header in action.get("httpHeaders", ()):
                name = header.get("name", "")
                errors += [invalid(f"{where}.httpHeaders", name, text) for text in names.header_name(name)]
        case "tcpSocket" | "grpc":
            errors += port_or_name(action.get("port", 0), f"{where}.port")
        case "sleep":
            grace_s, sleep_s = pod.grace_period_s, action.get("seconds", 0)
            if grace_s is not None and not 0 <= sleep_s <= grace_s:
                text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_s})"
                errors.append(invalid(where, sleep_s, text))
    return errors


def port_or_name(port: int | str, path: str) -> list[FieldError]:
    problems = names.port_name(port) if isinstance(port, str) else names.port_number(port)
    return [invalid(path, port, problem) for problem in problems]


def _resize_policy(policies: Sequence[Mapping[str, Any]], pod: Pod, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        name, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in seen:
            errors.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
        for value, supported in ((name, ("cpu", "memory")), (restart, ("NotRequired", "RestartContainer"))):
            if not value:
                errors.append(required(path))
            elif value not in supported:
                errors.append(not_supported(path, value, supported))
        if pod.restart_policy == "Never" and restart != "NotRequired":
            text = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            errors.append(invalid(path, restart, text))
    return errors


def _restart_policy(container: Container, path: str) -> list[FieldError]:
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules", ())
    errors: list[FieldError] = []
    if policy is None and rules:
        errors.append(
            required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used")
        )
    elif policy is not None and policy not in _RESTARTS:
        errors.append(not_supported(f"{path}.restartPolicy", policy, _RESTARTS))
    if len(rules) > 20:
        errors.append(too_long(f"{path}.restartPolicyRules", 20))
    for index, rule in enumerate(rules):
        where = f"{path}.restartPolicyRules[{index}]"
        if rule.get("action") != "Restart":
            errors.append(not_supported(f"{where}.action", rule.get("action", ""), ("Restart",)))
        if "exitCodes" not in rule:
            errors.append(required(f"{where}.exitCodes", "must be specified"))
        elif rule["exitCodes"].get("operator") not in ("In", "NotIn"):
            operator = rule["exitCodes"].get("operator", "")
            errors.append(not_supported(f"{where}.exitCodes.operator", operator, ("In", "NotIn")))
    return errors


def _security(context: Mapping[str, Any], pod: Pod, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in ("runAsUser", "runAsGroup"):
        value = context.get(name)
        if value is not None and not 0 <= value <= _LARGEST_ID:
            errors.append(invalid(f"{path}.{name}", value, f"must be between 0 and {_LARGEST_ID}, inclusive"))
    mount = context.get("procMount")
    if mount is not None and mount not in ("Default", "Unmasked"):
        errors.append(not_supported(f"{path}.procMount", mount, ("Default", "Unmasked")))
    if mount == "Unmasked" and pod.host_users:
        errors.append(invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    errors += seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            errors.append(invalid(path, dict(context), text))
        if "CAP_SYS_ADMIN" in context.get("capabilities", {}).get("add", ()):
            text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            errors.append(invalid(path, dict(context), text))
    return errors


def seccomp(profile: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    if profile is None:
        return []
    kind = profile.get("type", "")
    if not kind:
        return [required(f"{path}.type", "type is required when seccompProfile is set")]
    supported = ("Localhost", "RuntimeDefault", "Unconfined")
    if kind not in supported:
        return [not_supported(f"{path}.type", kind, supported)]
    if kind == "Localhost" and not profile.get("localhostProfile"):
        return [required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost")]
    if kind != "Localhost" and profile.get("localhostProfile") is not None:
        text = "can only be set when seccomp type is Localhost"
        return [invalid(f"{path}.localhostProfile", profile["localhostProfile"], text)]
    return []
