"""The cells of each built-in kind, in the order of its columns (data: `data/columns.json`).

A function takes an object and the time and answers one row of cells, wide ones included: kubectl drops those of
columns with a priority. Kinds without a function show their name and when they were made.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aliquot.clock import parse_rfc3339
from aliquot.emulator import selectors
from aliquot.emulator.tables import autoscalers, pods
from aliquot.emulator.tables.durations import human, since

Object = Mapping[str, Any]
Cells = Callable[[Object, float], list[Any]]

_NONE = "<none>"
_UNSET = "<unset>"


def _name(obj: Object) -> str:
    return str(obj["metadata"].get("name", ""))


def _age(obj: Object, now: float) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def _part(obj: Object, name: str) -> Object:
    found: Object = obj.get(name) or {}
    return found


def _containers(template: Object | None) -> tuple[str, str]:
    listed = _part(template or {}, "spec").get("containers") or ()
    return (
        ",".join(container.get("name", "") for container in listed),
        ",".join(container.get("image", "") for container in listed),
    )


def _selector(selector: Object | None) -> str:
    try:
        return str(selectors.from_object(selector or {})) or _NONE
    except selectors.SelectorError:
        return "<invalid>"


def _format_labels(labels: Mapping[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or _NONE


def _condition(obj: Object, kind: str) -> str | None:
    conditions: Sequence[Object] = _part(obj, "status").get("conditions") or ()
    return next((one.get("status", "") for one in conditions if one.get("type") == kind), None)


def _and_more(shown: Sequence[str], total: int) -> str:
    text = ",".join(shown)
    return f"{text} + {total - len(shown)} more..." if total > len(shown) else text


# ---- core --------------------------------------------------------------------------------------------------


def _namespace(obj: Object, now: float) -> list[Any]:
    return [_name(obj), _part(obj, "status").get("phase", ""), _age(obj, now)]


def _node(obj: Object, now: float) -> list[Any]:
    ready = _condition(obj, "Ready")
    words = ["Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"]
    if _part(obj, "spec").get("unschedulable"):
        words.append("SchedulingDisabled")
    status = _part(obj, "status")
    info = _part(status, "nodeInfo")
    addresses = status.get("addresses") or ()
    return [
        _name(obj),
        ",".join(words),
        ",".join(_roles(obj["metadata"].get("labels") or {})) or _NONE,
        _age(obj, now),
        info.get("kubeletVersion", ""),
        next((one["address"] for one in addresses if one.get("type") == "InternalIP"), _NONE),
        next((one["address"] for one in addresses if one.get("type") == "ExternalIP"), _NONE),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _roles(labels: Mapping[str, str]) -> list[str]:
    prefix = "node-role.kubernetes.io/"
    roles = {key.removeprefix(prefix) for key in labels if key.startswith(prefix)}
    roles.add(labels.get("kubernetes.io/role", ""))
    return sorted(role for role in roles if role)


def _secret(obj: Object, now: float) -> list[Any]:
    return [_name(obj), obj.get("type", ""), len(obj.get("data") or {}), _age(obj, now)]


def _config_map(obj: Object, now: float) -> list[Any]:
    return [_name(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), _age(obj, now)]


def _name_and_age(obj: Object, now: float) -> list[Any]:
    return [_name(obj), _age(obj, now)]


def _service_account(obj: Object, now: float) -> list[Any]:
    return [_name(obj), len(obj.get("secrets") or ()), _age(obj, now)]


def _service(obj: Object, now: float) -> list[Any]:
    spec = _part(obj, "spec")
    ips = spec.get("clusterIPs") or [spec.get("clusterIP") or _NONE]
    ports = ",".join(
        f"{port.get('port')}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port.get('protocol', 'TCP')}"
        for port in spec.get("ports") or ()
    )
    return [
        _name(obj),
        spec.get("type", "ClusterIP"),
        ips[0],
        _external_ip(obj),
        ports or _NONE,
        _age(obj, now),
        _format_labels(spec.get("selector")),
    ]


def _external_ip(service: Object) -> str:
    spec = _part(service, "spec")
    external = list(spec.get("externalIPs") or ())
    match spec.get("type", "ClusterIP"):
        case "ClusterIP" | "NodePort":
            return ",".join(external) or _NONE
        case "LoadBalancer":
            return ",".join([*_ingress_points(service), *external]) or "<pending>"
        case "ExternalName":
            return str(spec.get("externalName", ""))
    return "<unknown>"


def _ingress_points(obj: Object) -> list[str]:
    points = _part(_part(obj, "status"), "loadBalancer").get("ingress") or ()
    return sorted({point.get("ip") or point.get("hostname") or "" for point in points} - {""})


def _endpoints(obj: Object, now: float) -> list[Any]:
    found = [
        _host_port(address.get("ip", ""), port.get("port", 0))
        for subset in obj.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    text = _and_more(found[:3], len(found)) if obj.get("subsets") else _NONE
    return [_name(obj), text, _age(obj, now)]


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
        _name(obj),
    ]


def _resource_quota(obj: Object, now: float) -> list[Any]:
    status = _part(obj, "status")
    hard, used = _part(status, "hard"), _part(status, "used")
    shown = [(name, f"{name}: {used.get(name, '0')}/{hard[name]}") for name in sorted(hard)]
    return [
        _name(obj),
        ", ".join(text for name, text in shown if not name.startswith("limits.")),
        ", ".join(text for name, text in shown if name.startswith("limits.")),
        _age(obj, now),
    ]


# ---- workloads ---------------------------------------------------------------------------------------------


def _deployment(obj: Object, now: float) -> list[Any]:
    spec, status = _part(obj, "spec"), _part(obj, "status")
    return [
        _name(obj),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _age(obj, now),
        *_containers(spec.get("template")),
        _selector(spec.get("selector")),
    ]


def _replica_set(obj: Object, now: float) -> list[Any]:
    spec, status = _part(obj, "spec"), _part(obj, "status")
    return [
        _name(obj),
        spec.get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        _age(obj, now),
        *_containers(spec.get("template")),
        _selector(spec.get("selector")),
    ]


def _replication_controller(obj: Object, now: float) -> list[Any]:
    return [*_replica_set(obj, now)[:-1], _format_labels(_part(obj, "spec").get("selector"))]


def _pod_template(obj: Object, now: float) -> list[Any]:
    template = _part(obj, "template")
    return [_name(obj), *_containers(template), _format_labels(_part(template, "metadata").get("labels"))]


def _stateful_set(obj: Object, now: float) -> list[Any]:
    spec, status = _part(obj, "spec"), _part(obj, "status")
    return [
        _name(obj),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        _age(obj, now),
        *_containers(spec.get("template")),
    ]


def _daemon_set(obj: Object, now: float) -> list[Any]:
    spec, status = _part(obj, "spec"), _part(obj, "status")
    template = _part(spec, "template")
    return [
        _name(obj),
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        _format_labels(_part(template, "spec").get("nodeSelector")),
        _age(obj, now),
        *_containers(template),
        _selector(spec.get("selector")),
    ]


def _controller_revision(obj: Object, now: float) -> list[Any]:
    owners = obj["metadata"].get("ownerReferences") or ()
    owner = next((one for one in owners if one.get("controller")), None)
    controller = _NONE
    if owner is not None:
        group = owner["apiVersion"].rpartition("/")[0]
        kind = owner["kind"].lower()
        controller = f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"
    return [_name(obj), controller, obj.get("revision", 0), _age(obj, now)]


def _job(obj: Object, now: float) -> list[Any]:
    spec, status = _part(obj, "spec"), _part(obj, "status")
    succeeded, parallelism = status.get("succeeded", 0), spec.get("parallelism", 0)
    if spec.get("completions") is not None:
        completions = f"{succeeded}/{spec['completions']}"
    else:
        completions = f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"
    return [
        _name(obj),
        _job_state(obj),
        completions,
        _job_duration(status, now),
        _age(obj, now),
        *_containers(spec.get("template")),
        _selector(spec.get("selector")),
    ]


def _job_state(job: Object) -> str:
    for condition, word in (("Complete", "Complete"), ("Failed", "Failed")):
        if _condition(job, condition) == "True":
            return word
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for condition in ("Suspended", "FailureTarget"):
        if _condition(job, condition) == "True":
            return condition
    return "Running"


def _job_duration(status: Object, now: float) -> str:
    started, ended = status.get("startTime"), status.get("completionTime")
    if not started:
        return ""
    if not ended:
        return since(started, now)
    return human(parse_rfc3339(ended) - parse_rfc3339(started))


def _cron_job(obj: Object, now: float) -> list[Any]:
    spec, status = _part(obj, "spec"), _part(obj, "status")
    last = status.get("lastScheduleTime")
    return [
        _name(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or _NONE,
        str(bool(spec.get("suspend"))),
        len(status.get("active") or ()),
        since(last, now) if last else _NONE,
        _age(obj, now),
        *_containers(_part(_part(_part(spec, "jobTemplate"), "spec"), "template")),
        _selector(_part(_part(spec, "jobTemplate"), "spec").get("selector")),
    ]


def _pod_disruption_budget(obj: Object, now: float) -> list[Any]:
    spec = _part(obj, "spec")
    limits = [str(spec.get(name, "N/A")) for name in ("minAvailable", "maxUnavailable")]
    return [_name(obj), *limits, _part(obj, "status").get("disruptionsAllowed", 0), _age(obj, now)]


# ---- everything else ---------------------------------------------------------------------------------------


def _lease(obj: Object, now: float) -> list[Any]:
    return [_name(obj), _part(obj, "spec").get("holderIdentity") or "", _age(obj, now)]


def _binding(obj: Object, now: float) -> list[Any]:
    role, subjects = _part(obj, "roleRef"), obj.get("subjects") or ()

    def named(kind: str) -> str:
        found = (subject for subject in subjects if subject.get("kind") == kind)
        if kind == "ServiceAccount":
            return ", ".join(f"{one.get('namespace', '')}/{one.get('name', '')}" for one in found)
        return ", ".join(one.get("name", "") for one in found)

    return [
        _name(obj),
        f"{role.get('kind', '')}/{role.get('name', '')}",
        _age(obj, now),
        named("User"),
        named("Group"),
        named("ServiceAccount"),
    ]


def _webhook_configuration(obj: Object, now: float) -> list[Any]:
    return [_name(obj), len(obj.get("webhooks") or ()), _age(obj, now)]


def _admission_policy(rules: str) -> Cells:
    """`rules`: the field that holds what it says."""

    def cells(obj: Object, now: float) -> list[Any]:
        spec = _part(obj, "spec")
        kind = spec.get("paramKind")
        shown = f"{kind['apiVersion']}/{kind['kind']}" if kind else _UNSET
        return [_name(obj), len(spec.get(rules) or ()), shown, _age(obj, now)]

    return cells


def _admission_policy_binding(obj: Object, now: float) -> list[Any]:
    spec = _part(obj, "spec")
    reference = _part(spec, "paramRef")
    shown = _UNSET
    if reference.get("name"):
        shown = f"{reference.get('namespace') or '*'}/{reference['name']}"
    elif reference.get("selector") is not None:
        shown = _selector_in_full(reference["selector"])
    return [_name(obj), spec.get("policyName", ""), shown, _age(obj, now)]


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
        _name(obj),
        obj.get("value", 0),
        obj.get("globalDefault", False),
        _age(obj, now),
        obj.get("preemptionPolicy") or "",
    ]


def _runtime_class(obj: Object, now: float) -> list[Any]:
    return [_name(obj), obj.get("handler", ""), _age(obj, now)]


def _ingress(obj: Object, now: float) -> list[Any]:
    spec = _part(obj, "spec")
    rules = spec.get("rules") or ()
    hosts = [rule["host"] for rule in rules if rule.get("host")]
    return [
        _name(obj),
        spec.get("ingressClassName") or _NONE,
        _and_more(hosts[:3], len(hosts)) or "*",
        ",".join(_ingress_points(obj)),
        "80, 443" if spec.get("tls") else "80",
        _age(obj, now),
    ]


def _ingress_class(obj: Object, now: float) -> list[Any]:
    spec = _part(obj, "spec")
    parameters = _NONE
    if found := spec.get("parameters"):
        group = f".{found['apiGroup']}" if found.get("apiGroup") else ""
        parameters = f"{found.get('kind', '')}{group}/{found.get('name', '')}"
    return [_name(obj), spec.get("controller", ""), parameters, _age(obj, now)]


def _network_policy(obj: Object, now: float) -> list[Any]:
    return [_name(obj), _selector(_part(obj, "spec").get("podSelector")), _age(obj, now)]


def _endpoint_slice(obj: Object, now: float) -> list[Any]:
    ports = [str(port.get("port") or port.get("name") or "*") for port in obj.get("ports") or ()]
    addresses = [one for endpoint in obj.get("endpoints") or () for one in endpoint.get("addresses") or ()]
    return [
        _name(obj),
        obj.get("addressType", ""),
        _and_more(ports[:3], len(ports)) or _UNSET,
        _and_more(addresses[:3], len(addresses)) or _UNSET,
        _age(obj, now),
    ]


def _resource_claim(obj: Object, now: float) -> list[Any]:
    status = _part(obj, "status")
    deleted = bool(obj["metadata"].get("deletionTimestamp"))
    states = ["deleted"] if deleted else []
    if status.get("allocation") is None:
        states += [] if deleted else ["pending"]
    else:
        states += ["allocated", *(["reserved"] if status.get("reservedFor") else [])]
    return [_name(obj), ",".join(states), _age(obj, now)]


def _resource_slice(obj: Object, now: float) -> list[Any]:
    spec = _part(obj, "spec")
    return [
        _name(obj),
        spec.get("nodeName", ""),
        spec.get("driver", ""),
        _part(spec, "pool").get("name", ""),
        _age(obj, now),
    ]


def scale(obj: Object, now: float) -> list[Any]:
    """Of the autoscaling/v1 Scale that a scale subresource answers."""
    replicas = (_part(obj, part).get("replicas", 0) for part in ("spec", "status"))
    return [_name(obj), *replicas, _age(obj, now)]


def name_and_creation(obj: Object, now: float) -> list[Any]:
    """Of a kind that has no columns of its own."""
    return [_name(obj), obj["metadata"].get("creationTimestamp") or ""]


# "group/version/resource", the core group without its name, as in the data.
CELLS: Mapping[str, Cells] = {
    "v1/configmaps": _config_map,
    "v1/endpoints": _endpoints,
    "v1/events": _event,
    "v1/namespaces": _namespace,
    "v1/nodes": _node,
    "v1/pods": pods.cells,
    "v1/resourcequotas": _resource_quota,
    "v1/podtemplates": _pod_template,
    "v1/replicationcontrollers": _replication_controller,
    "v1/secrets": _secret,
    "v1/serviceaccounts": _service_account,
    "v1/services": _service,
    "apps/v1/controllerrevisions": _controller_revision,
    "apps/v1/daemonsets": _daemon_set,
    "apps/v1/deployments": _deployment,
    "apps/v1/replicasets": _replica_set,
    "apps/v1/statefulsets": _stateful_set,
    "autoscaling/v1/horizontalpodautoscalers": autoscalers.cells_of_v1,
    "autoscaling/v2/horizontalpodautoscalers": autoscalers.cells,
    "batch/v1/cronjobs": _cron_job,
    "batch/v1/jobs": _job,
    "coordination.k8s.io/v1/leases": _lease,
    "discovery.k8s.io/v1/endpointslices": _endpoint_slice,
    "events.k8s.io/v1/events": _event,
    "networking.k8s.io/v1/ingressclasses": _ingress_class,
    "networking.k8s.io/v1/ingresses": _ingress,
    "networking.k8s.io/v1/networkpolicies": _network_policy,
    "node.k8s.io/v1/runtimeclasses": _runtime_class,
    "policy/v1/poddisruptionbudgets": _pod_disruption_budget,
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
    "scheduling.k8s.io/v1/priorityclasses": _priority_class,
}
