"""Pods and pod specs, when they are made and when they change."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.emulator.schema.errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from aliquot.emulator.schema.sound import Sound
from aliquot.emulator.schema.validation import (
    containers,
    ephemeral_containers,
    names,
    placement,
    pod_diff,
    resources,
)
from aliquot.emulator.schema.validation.metadata import (
    IMMUTABLE,
    labels,
    metadata,
    metadata_update,
)
from aliquot.emulator.schema.validation.volumes import volumes

_LARGEST = 2**31 - 1
_LONGEST_SYSCTL = 253
_SYSCTL = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_MAY_CHANGE = ",".join(
    (
        "`spec.containers[*].image`",
        "`spec.initContainers[*].image`",
        "`spec.activeDeadlineSeconds`",
        "`spec.tolerations` (only additions to existing tolerations)",
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    )
)
Obj = Mapping[str, Any]
_sound_specs = Sound()


def pod(obj: Obj) -> list[FieldError]:
    """Problems of a new pod."""
    spec = obj["spec"]
    errors = _pod(obj)
    if spec.get("ephemeralContainers"):
        errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        text = "cannot be set until all schedulingGates have been cleared"
        errors.append(forbidden("spec.nodeName", text))
    return errors


def _pod(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    errors = metadata(obj["metadata"], names.dns_subdomain)
    errors += pod_spec(spec, "spec", pod_name=obj["metadata"].get("name", ""), is_pod=True)
    if not spec.get("serviceAccountName"):
        for index, volume in enumerate(spec.get("volumes", ())):
            for position, source in enumerate(volume.get("projected", {}).get("sources") or ()):
                if "serviceAccountToken" in source:
                    where = f"spec.volumes[{index}].projected.sources[{position}].serviceAccountToken"
                    errors.append(
                        forbidden(where, "must not be specified when serviceAccountName is not set")
                    )
    for name in ("containers", "initContainers"):
        errors += containers.image_spacing(spec.get(name) or (), f"spec.{name}")
    return errors


def pod_template(template: Obj, path: str) -> list[FieldError]:
    """Problems of the template in a workload."""
    meta = template.get("metadata", {})
    errors = labels(meta.get("labels", {}), f"{path}.labels")
    spec = template.get("spec", {})
    errors += pod_spec(spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        errors.append(
            forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")
        )
    return errors


def pod_spec(spec: Obj, path: str, *, pod_name: str = "", is_pod: bool = False) -> list[FieldError]:
    """Problems of a spec with its defaults in. What only a pod must have is asked when it is one (`is_pod`)."""
    # The pod's name matters only to volumes whose claims are named after it.
    owner = pod_name if any("ephemeral" in volume for volume in spec.get("volumes", ())) else ""
    return _sound_specs.findings(spec, (owner, is_pod), lambda: _pod_spec(spec, path, owner, is_pod=is_pod))


def _pod_spec(spec: Obj, path: str, owner: str, *, is_pod: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    if "terminationGracePeriodSeconds" not in spec:
        errors.append(required(f"{path}.terminationGracePeriodSeconds"))
    sound, found = volumes(spec.get("volumes", ()), owner, f"{path}.volumes")
    errors += found
    claims = {claim["name"] for claim in spec.get("resourceClaims", ()) if claim.get("name")}
    errors += _resource_claims(spec.get("resourceClaims", ()), f"{path}.resourceClaims")
    around = containers.Pod(
        volumes=sound,
        claims=claims,
        restart_policy=spec.get("restartPolicy", ""),
        grace_period_s=spec.get("terminationGracePeriodSeconds"),
        host_users=spec.get("hostUsers", True),
    )
    regular = spec.get("containers") or ()
    errors += containers.regular(regular, around, f"{path}.containers")
    errors += containers.init(spec.get("initContainers", ()), regular, around, f"{path}.initContainers")
    errors += ephemeral_containers.rules(spec, around, f"{path}.ephemeralContainers")
    if "resources" in spec:
        errors += resources.requirements(spec["resources"], claims, f"{path}.resources", pod_level=True)
    errors += _host_network_ports(spec, path, is_pod=is_pod)
    errors += _one_of(spec, "restartPolicy", ("Always", "OnFailure", "Never"), path)
    errors += _one_of(spec, "dnsPolicy", ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"), path)
    errors += labels(spec.get("nodeSelector", {}), f"{path}.nodeSelector")
    errors += _security(spec.get("securityContext", {}), f"{path}.securityContext")
    errors += _with_the_host(spec, path)
    errors += placement.affinity(spec.get("affinity", {}), f"{path}.affinity")
    errors += _dns_config(spec, f"{path}.dnsConfig")
    errors += _gates(spec, path)
    errors += placement.topology_spread(
        spec.get("topologySpreadConstraints", ()), f"{path}.topologySpreadConstraints"
    )
    errors += _named(spec, path)
    errors += placement.tolerations(spec.get("tolerations", ()), f"{path}.tolerations")
    errors += _host_aliases(spec.get("hostAliases", ()), f"{path}.hostAliases")
    if "preemptionPolicy" in spec:
        errors += _one_of(spec, "preemptionPolicy", ("PreemptLowerPriority", "Never"), path)
    if "overhead" in spec:
        errors += resources.requirements({"limits": spec["overhead"]}, (), f"{path}.overhead")
    if "os" in spec and spec["os"].get("name") not in ("linux", "windows"):
        name = spec["os"].get("name", "")
        errors.append(
            not_supported(f"{path}.os", name, ("linux", "windows")) if name else required(f"{path}.os.name")
        )
    return errors


def _one_of(spec: Obj, name: str, supported: Sequence[str], path: str) -> list[FieldError]:
    value = spec.get(name, "")
    if not value:
        return [required(f"{path}.{name}")]
    return [] if value in supported else [not_supported(f"{path}.{name}", value, supported)]


def _named(spec: Obj, path: str) -> list[FieldError]:
    rules = (
        ("serviceAccountName", names.dns_subdomain),
        ("nodeName", names.dns_subdomain),
        ("hostname", names.dns_label),
        ("subdomain", names.dns_label),
        ("priorityClassName", names.dns_subdomain),
        ("runtimeClassName", names.dns_subdomain),
        ("hostnameOverride", names.dns_subdomain),
    )
    errors = [
        invalid(f"{path}.{name}", spec[name], problem)
        for name, rule in rules
        if spec.get(name)
        for problem in rule(spec[name])
    ]
    deadline_s = spec.get("activeDeadlineSeconds")
    if deadline_s is not None and not 1 <= deadline_s <= _LARGEST:
        text = f"must be between 1 and {_LARGEST}, inclusive"
        errors.append(invalid(f"{path}.activeDeadlineSeconds", deadline_s, text))
    return errors


def _resource_claims(claims: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        where, name = f"{path}[{index}]", claim.get("name", "")
        if not name:
            errors.append(required(f"{where}.name"))
        elif name in seen:
            errors.append(duplicate(f"{where}.name", name))
        else:
            errors += [invalid(f"{where}.name", name, problem) for problem in names.dns_label(name)]
            seen.add(name)
        given = [key for key in ("resourceClaimName", "resourceClaimTemplateName") if key in claim]
        if len(given) > 1:
            text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.append(invalid(where, dict(claim), text))
        elif not given:
            text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(invalid(where, dict(claim), text))
        for key in given:
            errors += [
                invalid(f"{where}.{key}", claim[key], problem) for problem in names.dns_subdomain(claim[key])
            ]
    return errors


def _host_network_ports(spec: Obj, path: str, *, is_pod: bool) -> list[FieldError]:
    if not spec.get("hostNetwork"):
        return []
    errors: list[FieldError] = []
    for index, container in enumerate(spec.get("containers") or ()):
        for position, port in enumerate(container.get("ports", ())):
            host = port.get("hostPort", 0)
            if (is_pod or host) and host != port.get("containerPort", 0):
                where = f"{path}.containers[{index}].ports[{position}].hostPort"
                errors.append(invalid(where, host, "must match `containerPort` when `hostNetwork` is true"))
    return errors


def _security(context: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    numbers = [(name, context[name]) for name in ("fsGroup", "runAsUser", "runAsGroup") if name in context]
    groups = context.get("supplementalGroups", ())
    numbers += [(f"supplementalGroups[{index}]", group) for index, group in enumerate(groups)]
    for name, value in numbers:
        if not 0 <= value <= _LARGEST:
            errors.append(invalid(f"{path}.{name}", value, f"must be between 0 and {_LARGEST}, inclusive"))
    policy = context.get("fsGroupChangePolicy")
    if policy is not None and policy not in ("Always", "OnRootMismatch"):
        errors.append(not_supported(f"{path}.fsGroupChangePolicy", policy, ("Always", "OnRootMismatch")))
    policy = context.get("supplementalGroupsPolicy")
    if policy is not None and policy not in ("Merge", "Strict"):
        errors.append(not_supported(f"{path}.supplementalGroupsPolicy", policy, ("Merge", "Strict")))
    errors += _sysctls(context.get("sysctls", ()), f"{path}.sysctls")
    return errors + containers.seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")


def _dns_config(spec: Obj, path: str) -> list[FieldError]:
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [required(f"{path}.nameservers", text)]
    errors: list[FieldError] = []
    servers = (config or {}).get("nameservers", [])
    if len(servers) > 3:
        errors.append(invalid(f"{path}.nameservers", servers, "must not have more than 3 nameservers"))
    for index, server in enumerate(servers):
        errors += [invalid(f"{path}.nameservers[{index}]", server, text) for text in names.address(server)]
    searches = (config or {}).get("searches", [])
    if len(searches) > 32:
        errors.append(invalid(f"{path}.searches", searches, "must not have more than 32 search paths"))
    for index, search in enumerate(searches):
        search = search.removesuffix(".") if search != "." else "root"
        problems = names.dns_subdomain_with_underscore(search)
        errors += [invalid(f"{path}.searches[{index}]", search, text) for text in problems]
    for index, option in enumerate((config or {}).get("options", ())):
        if not option.get("name"):
            errors.append(required(f"{path}.options[{index}]", "must not be empty"))
    return errors


def _host_aliases(aliases: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, alias in enumerate(aliases):
        where, address = f"{path}[{index}]", alias.get("ip", "")
        errors += [invalid(f"{where}.ip", address, text) for text in names.address(address)]
        for position, name in enumerate(alias.get("hostnames", ())):
            problems = names.dns_subdomain(name)
            errors += [invalid(f"{where}.hostnames[{position}]", name, text) for text in problems]
    return errors


def _sysctls(sysctls: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        where, name = f"{path}[{index}].name", sysctl.get("name", "")
        if not name:
            errors.append(required(where))
        elif len(name) > _LONGEST_SYSCTL or not re.fullmatch(_SYSCTL, name):
            text = f"must have at most {_LONGEST_SYSCTL} characters and match regex ^{_SYSCTL}$"
            errors.append(invalid(where, name, text))
        elif name in seen:
            errors.append(duplicate(where, name))
        seen.add(name)
    return errors


def _with_the_host(spec: Obj, path: str) -> list[FieldError]:
    """What a pod may share with its node, and what goes not together."""
    errors: list[FieldError] = []
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid(f"{path}.securityContext.shareProcessNamespace", True, text))
    if spec.get("hostUsers") is False:
        shared = (name for name in ("hostNetwork", "hostIPC", "hostPID") if spec.get(name))
        errors += [forbidden(f"{path}.{name}", "when `hostUsers` is false") for name in shared]
    return errors


def _gates(spec: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, gate in enumerate(spec.get("readinessGates", ())):
        kind = gate.get("conditionType", "")
        where = f"{path}.readinessGates[{index}].conditionType"
        errors += [invalid(where, kind, problem) for problem in names.qualified_name(kind)]
    seen: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates", ())):
        name, where = gate.get("name", ""), f"{path}.schedulingGates[{index}]"
        errors += [invalid(where, name, problem) for problem in names.qualified_name(name)]
        if name in seen:
            errors.append(duplicate(where, name))
        seen.add(name)
    return errors


# --- changes ---


def pod_update(obj: Obj, old: Obj, subresource: str) -> list[FieldError]:
    """Problems of a pod as the successor of `old`."""
    errors = metadata_update(obj["metadata"], old["metadata"])
    if subresource == "status":
        return errors + _status_update(obj, old)
    if subresource == "ephemeralcontainers":
        return errors + _pod(obj) + ephemeral_containers.update(obj, old)
    if subresource:
        return errors
    if obj["spec"] == old["spec"]:
        return errors
    errors += _pod(obj)
    for name in ("containers", "initContainers"):
        if len(obj["spec"].get(name) or ()) != len(old["spec"].get(name) or ()):
            text = "pod updates may not add or remove containers"
            return [*errors, forbidden(f"spec.{name}", text)]
    return errors + _spec_update(obj["spec"], old["spec"])


def _spec_update(spec: Obj, old: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    deadline_s, old_deadline_s = spec.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")
    where = "spec.activeDeadlineSeconds"
    if deadline_s is None:
        if old_deadline_s is not None:
            errors.append(invalid(where, None, "must not update from a positive integer to nil value"))
    elif not 0 <= deadline_s <= _LARGEST:
        return [invalid(where, deadline_s, f"must be between 0 and {_LARGEST}, inclusive")]
    elif old_deadline_s is not None and old_deadline_s < deadline_s:
        return [invalid(where, deadline_s, "must be less than or equal to previous value")]
    errors += _added_tolerations(spec.get("tolerations", ()), old.get("tolerations", ()))
    errors += _deleted_gates(spec.get("schedulingGates", ()), old.get("schedulingGates", ()))
    munged = _with_allowed_changes_undone(spec, old)
    if old.get("schedulingGates"):
        munged, found = _gated_changes(munged, old)
        errors += found
    if munged != old:
        text = f"pod updates may not change fields other than {_MAY_CHANGE}\n{pod_diff.pod_spec_diff(old, munged)}"
        errors.append(forbidden("spec", text))
    return errors


def _with_allowed_changes_undone(spec: Obj, old: Obj) -> dict[str, Any]:
    munged = dict(spec)
    for name in ("containers", "initContainers"):
        if name in spec:
            pairs = zip(spec[name], old[name], strict=True)
            munged[name] = [{**new, "image": before.get("image", "")} for new, before in pairs]
    allowed = ["activeDeadlineSeconds", "tolerations", "schedulingGates"]
    if old.get("terminationGracePeriodSeconds", 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        allowed.append("terminationGracePeriodSeconds")
    for name in allowed:
        munged.pop(name, None)
        if name in old:
            munged[name] = old[name]
    return munged


def _gated_changes(munged: dict[str, Any], old: Obj) -> tuple[dict[str, Any], list[FieldError]]:
    """A pod behind scheduling gates may still be narrowed: more node labels, a tighter node affinity."""
    errors: list[FieldError] = []
    before, after = old.get("nodeSelector", {}), munged.get("nodeSelector", {})
    if before != after:
        if not before.items() <= after.items():
            text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            errors.append(invalid("spec.nodeSelector", dict(after), text))
        munged = _replaced(munged, "nodeSelector", old.get("nodeSelector"))
    affinity = munged.get("affinity", {})
    old_affinity = old.get("affinity", {})
    if affinity.get("nodeAffinity") != old_affinity.get("nodeAffinity"):
        others = {key: value for key, value in affinity.items() if key != "nodeAffinity"}
        if "nodeAffinity" in old_affinity:
            others["nodeAffinity"] = old_affinity["nodeAffinity"]
        munged = _replaced(munged, "affinity", others or old.get("affinity"))
    return munged, errors


def _replaced(spec: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    spec = {key: child for key, child in spec.items() if key != name}
    return spec if value is None else {**spec, name: value}


def _added_tolerations(new: Sequence[Obj], old: Sequence[Obj]) -> list[FieldError]:
    def timeless(toleration: Obj) -> Obj:
        return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}

    kept = [timeless(toleration) for toleration in new]
    if any(timeless(toleration) not in kept for toleration in old):
        text = "existing toleration can not be modified except its tolerationSeconds"
        return [forbidden("spec.tolerations", text)]
    return placement.tolerations(new, "spec.tolerations")


def _deleted_gates(new: Sequence[Obj], old: Sequence[Obj]) -> list[FieldError]:
    known = {gate.get("name") for gate in old}
    return [
        forbidden(
            f"spec.schedulingGates[{index}].name",
            f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'",
        )
        for index, gate in enumerate(new)
        if gate.get("name") not in known
    ]


def _status_update(obj: Obj, old: Obj) -> list[FieldError]:
    status, before = obj.get("status", {}), old.get("status", {})
    errors: list[FieldError] = []
    if obj["spec"].get("nodeName") != old["spec"].get("nodeName"):
        errors.append(forbidden("status.nodeName", "may not be changed directly"))
    nominated = status.get("nominatedNodeName", "")
    if nominated and nominated != before.get("nominatedNodeName"):
        errors += [invalid("status.nominatedNodeName", nominated, p) for p in names.dns_subdomain(nominated)]
        if old["spec"].get("nodeName"):
            text = "may not be set on pods that are already bound to a node"
            errors.append(forbidden("status.nominatedNodeName", text))
    if before.get("qosClass") and status.get("qosClass") != before["qosClass"]:
        errors.append(invalid("status.qosClass", status.get("qosClass", ""), IMMUTABLE))
    if old["spec"].get("restartPolicy") != "Always":
        errors += _terminated_stays(status, before, old["spec"])
    return errors


def _terminated_stays(status: Obj, before: Obj, spec: Obj) -> list[FieldError]:
    """A container that ended, in a pod that does not restart it, has ended for good."""
    errors: list[FieldError] = []
    running = {c.get("name"): c for c in status.get("containerStatuses", ())}
    positions = {c.get("name"): index for index, c in enumerate(status.get("containerStatuses", ()))}
    restarts = {c.get("name") for c in spec.get("containers") or () if "restartPolicy" in c}
    for container in before.get("containerStatuses", ()):
        name, ended = container.get("name"), container.get("state", {}).get("terminated")
        if ended is None or name not in running or name in restarts:
            continue
        if spec.get("restartPolicy") == "OnFailure" and ended.get("exitCode", 0) != 0:
            continue
        if "terminated" not in running[name].get("state", {}):
            where = f"status.containerStatuses[{positions[name]}].state"
            errors.append(forbidden(where, "may not be transitioned to non-terminated state"))
    return errors


def binding(obj: Obj) -> list[FieldError]:
    """Problems of a Binding sent to a pod."""
    target = obj.get("target", {})
    errors: list[FieldError] = []
    if target.get("kind", "Node") not in ("", "Node"):
        errors.append(not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(required("target.name"))
    return errors
