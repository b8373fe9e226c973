"""The cells of each built-in kind, in the order of its columns (data: `data/columns.json`).

A function takes an object and the time and answers one row of cells, wide ones included: kubectl drops those of
columns with a priority. Kinds without a function show their name and when they were made.
"""

from collections.abc import Mapping
from typing import Any

from aliquot.emulator.tables import autoscalers, parts, pods, storage, workloads
from aliquot.emulator.tables.durations import human, since
from aliquot.emulator.tables.parts import Cells, Object

# ---- core --------------------------------------------------------------------------------------------------


def _namespace(obj: Object, now: float) -> list[Any]:
    return [parts.name(obj), parts.part(obj, "status").get("phase", ""), parts.age(obj, now)]


def _node(obj: Object, now: float) -> list[Any]:
    ready = parts.condition(obj, "Ready")
    words = ["Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"]
    if parts.part(obj, "spec").get("unschedulable"):
        words.append("SchedulingDisabled")
    status = parts.part(obj, "status")
    info = parts.part(status, "nodeInfo")
    addresses = status.get("addresses") or ()
    kernel = info.get("kernelVersion") or "<unknown>"
    return [
        parts.name(obj),
        ",".join(words),
        ",".join(_roles(obj["metadata"].get("labels") or {})) or parts.NONE,
        parts.age(obj, now),
        info.get("kubeletVersion", ""),
        next((one["address"] for one in addresses if one.get("type") == "InternalIP"), parts.NONE),
        next((one["address"] for one in addresses if one.get("type") == "ExternalIP"), parts.NONE),
        info.get("osImage") or "<unknown>",
        kernel,
        f"{kernel} ({info['architecture']})" if info.get("architecture") else kernel,
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _roles(labels: Mapping[str, str]) -> list[str]:
    prefix = "node-role.kubernetes.io/"
    roles = {key.removeprefix(prefix) for key in labels if key.startswith(prefix)}
    roles.add(labels.get("kubernetes.io/role", ""))
    return sorted(role for role in roles if role)


def _secret(obj: Object, now: float) -> list[Any]:
    return [parts.name(obj), obj.get("type", ""), len(obj.get("data") or {}), parts.age(obj, now)]


def _config_map(obj: Object, now: float) -> list[Any]:
    return [
        parts.name(obj),
        len(obj.get("data") or {}) + len(obj.get("binaryData") or {}),
        parts.age(obj, now),
    ]


def _name_and_age(obj: Object, now: float) -> list[Any]:
    return [parts.name(obj), parts.age(obj, now)]


def _service_account(obj: Object, now: float) -> list[Any]:
    return [parts.name(obj), len(obj.get("secrets") or ()), parts.age(obj, now)]


def _service(obj: Object, now: float) -> list[Any]:
    spec = parts.part(obj, "spec")
    ips = spec.get("clusterIPs") or [spec.get("clusterIP") or parts.NONE]
    ports = ",".join(
        f"{port.get('port')}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port.get('protocol', 'TCP')}"
        for port in spec.get("ports") or ()
    )
    return [
        parts.name(obj),
        spec.get("type", "ClusterIP"),
        ips[0],
        _external_ip(obj),
        ports or parts.NONE,
        parts.age(obj, now),
        parts.format_labels(spec.get("selector")),
    ]


def _external_ip(service: Object) -> str:
    spec = parts.part(service, "spec")
    external = list(spec.get("externalIPs") or ())
    match spec.get("type", "ClusterIP"):
        case "ClusterIP" | "NodePort":
            return ",".join(external) or parts.NONE
        case "LoadBalancer":
            return ",".join([*_ingress_points(service), *external]) or "<pending>"
        case "ExternalName":
            return str(spec.get("externalName", ""))
    return "<unknown>"


def _ingress_points(obj: Object) -> list[str]:
    points = parts.part(parts.part(obj, "status"), "loadBalancer").get("ingress") or ()
    return sorted({point.get("ip") or point.get("hostname") or "" for point in points} - {""})


def _endpoints(obj: Object, now: float) -> list[Any]:
    found = [
        _host_port(address.get("ip", ""), port.get("port", 0))
        for subset in obj.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    text = parts.and_more(found[:3], len(found)) if obj.get("subsets") else parts.NONE
    return [parts.name(obj), text, parts.age(obj, now)]


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _event(obj: Object, now: float) -> list[Any]:
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or first
    count = obj.get("count") or obj.get("deprecatedCount") or 1
    if series := obj.get("series"):
        last, count = series.get("lastObservedTime"), series.get("count", 0)
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    reporter = obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    component = source.get("component") or reporter
    kind = about.get("kind", "").lower()
    return [
        since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{about['name']}" if about.get("name") else kind,
        about.get("fieldPath", ""),
        f"{component}, {host}" if host else component,
        (obj.get("message") or obj.get("note") or "").strip(),
        since(first, now),
        count,
        parts.name(obj),
    ]


def _resource_quota(obj: Object, now: float) -> list[Any]:
    status = parts.part(obj, "status")
    hard, used = parts.part(status, "hard"), parts.part(status, "used")
    shown = [(name, f"{name}: {used.get(name, '0')}/{hard[name]}") for name in sorted(hard)]
    return [
        parts.name(obj),
        ", ".join(text for name, text in shown if not name.startswith("limits.")),
        ", ".join(text for name, text in shown if name.startswith("limits.")),
        parts.age(obj, now),
    ]


# ---- everything else ---------------------------------------------------------------------------------------


def _lease(obj: Object, now: float) -> list[Any]:
    return [parts.name(obj), parts.part(obj, "spec").get("holderIdentity") or "", parts.age(obj, now)]


def _binding(obj: Object, now: float) -> list[Any]:
    role, subjects = parts.part(obj, "roleRef"), obj.get("subjects") or ()

    def named(kind: str) -> str:
        found = (subject for subject in subjects if subject.get("kind") == kind)
        if kind == "ServiceAccount":
            return ", ".join(f"{one.get('namespace', '')}/{one.get('name', '')}" for one in found)
        return ", ".join(one.get("name", "") for one in found)

    return [
        parts.name(obj),
        f"{role.get('kind', '')}/{role.get('name', '')}",
        parts.age(obj, now),
        named("User"),
        named("Group"),
        named("ServiceAccount"),
    ]


def _webhook_configuration(obj: Object, now: float) -> list[Any]:
    return [parts.name(obj), len(obj.get("webhooks") or ()), parts.age(obj, now)]


def _admission_policy(rules: str) -> Cells:
    """`rules`: the field that holds what it says."""

    def cells(obj: Object, now: float) -> list[Any]:
        spec = parts.part(obj, "spec")
        kind = spec.get("paramKind")
        shown = f"{kind['apiVersion']}/{kind['kind']}" if kind else parts.UNSET
        return [parts.name(obj), len(spec.get(rules) or ()), shown, parts.age(obj, now)]

    return cells


def _admission_policy_binding(obj: Object, now: float) -> list[Any]:
    spec = parts.part(obj, "spec")
    reference = parts.part(spec, "paramRef")
    shown = parts.UNSET
    if reference.get("name"):
        shown = f"{reference.get('namespace') or '*'}/{reference['name']}"
    elif reference.get("selector") is not None:
        shown = _selector_in_full(reference["selector"])
    return [parts.name(obj), spec.get("policyName", ""), shown, parts.age(obj, now)]


def _selector_in_full(selector: Object) -> str:
    """As Go prints the type."""
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    wanted = "".join(
        f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},"
        f"Values:[{' '.join(one.get('values') or ())}],}},"
        for one in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{wanted}}},}}"
    )


def _priority_class(obj: Object, now: float) -> list[Any]:
    return [
        parts.name(obj),
        obj.get("value", 0),
        obj.get("globalDefault", False),
        parts.age(obj, now),
        obj.get("preemptionPolicy") or "",
    ]


def _runtime_class(obj: Object, now: float) -> list[Any]:
    return [parts.name(obj), obj.get("handler", ""), parts.age(obj, now)]


def _ingress(obj: Object, now: float) -> list[Any]:
    spec = parts.part(obj, "spec")
    rules = spec.get("rules") or ()
    hosts = [rule["host"] for rule in rules if rule.get("host")]
    return [
        parts.name(obj),
        spec.get("ingressClassName") or parts.NONE,
        parts.and_more(hosts[:3], len(hosts)) or "*",
        ",".join(_ingress_points(obj)),
        "80, 443" if spec.get("tls") else "80",
        parts.age(obj, now),
    ]


def _ingress_class(obj: Object, now: float) -> list[Any]:
    spec = parts.part(obj, "spec")
    parameters = parts.NONE
    if found := spec.get("parameters"):
        group = f".{found['apiGroup']}" if found.get("apiGroup") else ""
        parameters = f"{found.get('kind', '')}{group}/{found.get('name', '')}"
    return [parts.name(obj), spec.get("controller", ""), parameters, parts.age(obj, now)]


def _ip_address(obj: Object, now: float) -> list[Any]:
    parent = parts.part(obj, "spec").get("parentRef")
    if not parent:
        return [parts.name(obj), parts.NONE]
    kind = f"{parent.get('resource', '')}.{parent.get('group', '')}".rstrip(".").lower()
    named = (kind, parent.get("namespace"), parent.get("name", ""))
    return [parts.name(obj), "/".join(part for part in named if part is not None)]


def _service_cidr(obj: Object, now: float) -> list[Any]:
    return [parts.name(obj), ",".join(parts.part(obj, "spec").get("cidrs") or ()), parts.age(obj, now)]


def _network_policy(obj: Object, now: float) -> list[Any]:
    return [parts.name(obj), parts.selector(parts.part(obj, "spec").get("podSelector")), parts.age(obj, now)]


def _endpoint_slice(obj: Object, now: float) -> list[Any]:
    ports = [str(port.get("port") or port.get("name") or "*") for port in obj.get("ports") or ()]
    addresses = [one for endpoint in obj.get("endpoints") or () for one in endpoint.get("addresses") or ()]
    return [
        parts.name(obj),
        obj.get("addressType", ""),
        parts.and_more(ports[:3], len(ports)) or parts.UNSET,
        parts.and_more(addresses[:3], len(addresses)) or parts.UNSET,
        parts.age(obj, now),
    ]


def _resource_claim(obj: Object, now: float) -> list[Any]:
    status = parts.part(obj, "status")
    deleted = bool(obj["metadata"].get("deletionTimestamp"))
    states = ["deleted"] if deleted else []
    if status.get("allocation") is None:
        states += [] if deleted else ["pending"]
    else:
        states += ["allocated", *(["reserved"] if status.get("reservedFor") else [])]
    return [parts.name(obj), ",".join(states), parts.age(obj, now)]


def _resource_slice(obj: Object, now: float) -> list[Any]:
    spec = parts.part(obj, "spec")
    return [
        parts.name(obj),
        spec.get("nodeName", ""),
        spec.get("driver", ""),
        parts.part(spec, "pool").get("name", ""),
        parts.age(obj, now),
    ]


def scale(obj: Object, now: float) -> list[Any]:
    """Of the autoscaling/v1 Scale that a scale subresource answers."""
    replicas = (parts.part(obj, part).get("replicas", 0) for part in ("spec", "status"))
    return [parts.name(obj), *replicas, parts.age(obj, now)]


def name_and_creation(obj: Object, now: float) -> list[Any]:
    """Of a kind that has no columns of its own."""
    return [parts.name(obj), obj["metadata"].get("creationTimestamp") or ""]


def _api_service(obj: Object, now: float) -> list[Any]:
    service = parts.part(obj, "spec").get("service")
    shown = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    conditions = parts.part(obj, "status").get("conditions") or ()
    known: Object = next((one for one in conditions if one.get("type") == "Available"), {})
    available = known.get("status", "Unknown")
    if available != "True" and known.get("reason"):
        available = f"{available} ({known['reason']})"
    return [parts.name(obj), shown, available, parts.age(obj, now)]


def _flow_schema(obj: Object, now: float) -> list[Any]:
    spec = parts.part(obj, "spec")
    return [
        parts.name(obj),
        parts.part(spec, "priorityLevelConfiguration").get("name", ""),
        spec.get("matchingPrecedence", 0),
        parts.part(spec, "distinguisherMethod").get("type") or parts.NONE,
        parts.age(obj, now),
        parts.condition(obj, "Dangling") or "?",
    ]


def _priority_level(obj: Object, now: float) -> list[Any]:
    spec = parts.part(obj, "spec")
    limited = parts.part(spec, "limited")
    queuing = parts.part(parts.part(limited, "limitResponse"), "queuing")
    queues = (queuing.get(name, parts.NONE) for name in ("queues", "handSize", "queueLengthLimit"))
    shares = limited.get("nominalConcurrencyShares", parts.NONE)
    return [parts.name(obj), spec.get("type", ""), shares, *queues, parts.age(obj, now)]


def _certificate_request(obj: Object, now: float) -> list[Any]:
    spec, status = parts.part(obj, "spec"), parts.part(obj, "status")
    lasts_s = spec.get("expirationSeconds")
    types = {one.get("type") for one in status.get("conditions") or ()}
    words = ["Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"]
    words += ["Failed"] * ("Failed" in types) + ["Issued"] * bool(status.get("certificate"))
    return [
        parts.name(obj),
        parts.age(obj, now),
        spec.get("signerName") or parts.NONE,
        spec.get("username", ""),
        human(lasts_s) if lasts_s is not None else parts.NONE,
        ",".join(words),
    ]


# "group/version/resource", the core group without its name, as in the data.
CELLS: Mapping[str, Cells] = {
    **workloads.CELLS,
    **storage.CELLS,
    "v1/configmaps": _config_map,
    "v1/endpoints": _endpoints,
    "v1/events": _event,
    "v1/namespaces": _namespace,
    "v1/nodes": _node,
    "v1/pods": pods.cells,
    "v1/resourcequotas": _resource_quota,
    "v1/secrets": _secret,
    "v1/serviceaccounts": _service_account,
    "v1/services": _service,
    "autoscaling/v1/horizontalpodautoscalers": autoscalers.cells_of_v1,
    "autoscaling/v2/horizontalpodautoscalers": autoscalers.cells,
    "certificates.k8s.io/v1/certificatesigningrequests": _certificate_request,
    "coordination.k8s.io/v1/leases": _lease,
    "discovery.k8s.io/v1/endpointslices": _endpoint_slice,
    "events.k8s.io/v1/events": _event,
    "networking.k8s.io/v1/ingressclasses": _ingress_class,
    "networking.k8s.io/v1/ingresses": _ingress,
    "networking.k8s.io/v1/ipaddresses": _ip_address,
    "networking.k8s.io/v1/networkpolicies": _network_policy,
    "networking.k8s.io/v1/servicecidrs": _service_cidr,
    "node.k8s.io/v1/runtimeclasses": _runtime_class,
    "rbac.authorization.k8s.io/v1/clusterrolebindings": _binding,
    "rbac.authorization.k8s.io/v1/rolebindings": _binding,
    "resource.k8s.io/v1/deviceclasses": _name_and_age,
    "resource.k8s.io/v1/resourceclaims": _resource_claim,
    "resource.k8s.io/v1/resourceclaimtemplates": _name_and_age,
    "resource.k8s.io/v1/resourceslices": _resource_slice,
    "admissionregistration.k8s.io/v1/mutatingadmissionpolicies": _admission_policy("mutations"),
    "admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings": _admission_policy_binding,
    "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": _webhook_configuration,
    "admissionregistration.k8s.io/v1/validatingadmissionpolicies": _admission_policy("validations"),
    "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings": _admission_policy_binding,
    "admissionregistration.k8s.io/v1/validatingwebhookconfigurations": _webhook_configuration,
    "apiregistration.k8s.io/v1/apiservices": _api_service,
    "flowcontrol.apiserver.k8s.io/v1/flowschemas": _flow_schema,
    "flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations": _priority_level,
    "scheduling.k8s.io/v1/priorityclasses": _priority_class,
}
