"""Services. Addresses and node ports are the registry's business; here is what a user may write."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from aliquot.emulator.schema.errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from aliquot.emulator.schema.validation import names
from aliquot.emulator.schema.validation.containers import port_or_name
from aliquot.emulator.schema.validation.metadata import labels

Obj = Mapping[str, Any]

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_LONGEST_AFFINITY_S = 86_400
_FOR_LOAD_BALANCERS = "may only be used when `type` is 'LoadBalancer'"


def service(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    kind, ports = spec.get("type", "ClusterIP"), spec.get("ports", ())
    headless = spec.get("clusterIP") == "None"
    errors: list[FieldError] = []
    if not ports and not headless and kind != "ExternalName":
        errors.append(required("spec.ports"))
    if headless and kind in ("LoadBalancer", "NodePort"):
        text = f"may not be set to 'None' for {kind} services"
        errors.append(invalid("spec.clusterIPs[0]", "None", text))
    if kind == "ExternalName":
        name = spec.get("externalName", "").removesuffix(".")
        if not name:
            errors.append(required("spec.externalName"))
        else:
            errors += [invalid("spec.externalName", name, problem) for problem in names.dns_subdomain(name)]
    errors += _ports(obj)
    errors += labels(spec.get("selector", {}), "spec.selector")
    affinity = spec.get("sessionAffinity", "None")
    if affinity not in ("ClientIP", "None"):
        errors.append(not_supported("spec.sessionAffinity", affinity, ("ClientIP", "None")))
    timeout_s = spec.get("sessionAffinityConfig", {}).get("clientIP", {}).get("timeoutSeconds")
    if timeout_s is not None and not 0 < timeout_s <= _LONGEST_AFFINITY_S:
        where = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        errors.append(
            invalid(where, timeout_s, f"must be greater than 0 and less than {_LONGEST_AFFINITY_S}")
        )
    if kind not in _TYPES:
        errors.append(not_supported("spec.type", kind, _TYPES))
    if "allocateLoadBalancerNodePorts" in spec and kind != "LoadBalancer":
        errors.append(forbidden("spec.allocateLoadBalancerNodePorts", _FOR_LOAD_BALANCERS))
    return errors + _reached_from_outside(spec, kind) + _traffic(spec, kind)


def _reached_from_outside(spec: Obj, kind: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if kind == "ExternalName" and spec.get("clusterIP"):
        errors.append(forbidden("spec.clusterIPs", "may not be set for ExternalName services"))
    policy, policies = spec.get("ipFamilyPolicy"), ("PreferDualStack", "RequireDualStack", "SingleStack")
    if policy is not None and policy not in policies:
        errors.append(not_supported("spec.ipFamilyPolicy", policy, policies))
    for index, address in enumerate(spec.get("externalIPs", ())):
        where = f"spec.externalIPs[{index}]"
        problems = names.address(address)
        if not problems and ip_address(address).is_loopback:
            problems = ["may not be in the loopback range (127.0.0.0/8, ::1/128)"]
        errors += [invalid(where, address, problem) for problem in problems]
    if kind == "LoadBalancer":
        for index, network in enumerate(spec.get("loadBalancerSourceRanges", ())):
            where = f"spec.LoadBalancerSourceRanges[{index}]"
            errors += [invalid(where, network, text) for text in names.network(network.strip())]
    elif "loadBalancerClass" in spec:
        errors.append(forbidden("spec.loadBalancerClass", _FOR_LOAD_BALANCERS))
    port = spec.get("healthCheckNodePort")
    if port and not (kind == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"):
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(invalid("spec.healthCheckNodePort", port, text))
    return errors


def _ports(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    ports, kind = spec.get("ports", ()), spec.get("type", "ClusterIP")
    errors: list[FieldError] = []
    seen_names: set[str] = set()
    seen_ports: set[tuple[str, int]] = set()
    seen_node_ports: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        where = f"spec.ports[{index}]"
        name, number, protocol = port.get("name", ""), port.get("port", 0), port.get("protocol", "TCP")
        if name:
            errors += [invalid(f"{where}.name", name, problem) for problem in names.dns_label(name)]
            if name in seen_names:
                errors.append(duplicate(f"{where}.name", name))
            seen_names.add(name)
        elif len(ports) > 1:
            errors.append(required(f"{where}.name"))
        errors += [invalid(f"{where}.port", number, problem) for problem in names.port_number(number)]
        if protocol not in _PROTOCOLS:
            errors.append(not_supported(f"{where}.protocol", protocol, _PROTOCOLS))
        errors += port_or_name(port.get("targetPort", number), f"{where}.targetPort")
        if (application := port.get("appProtocol")) is not None:
            problems = names.qualified_name(application)
            errors += [invalid(f"{where}.appProtocol", application, problem) for problem in problems]
        node_port = port.get("nodePort", 0)
        if node_port:
            if kind == "ClusterIP":
                text = "may not be used when `type` is 'ClusterIP'"
                errors.append(forbidden(f"{where}.nodePort", text))
            if (protocol, node_port) in seen_node_ports:
                errors.append(duplicate(f"{where}.nodePort", node_port))
            seen_node_ports.add((protocol, node_port))
        if (protocol, number) in seen_ports:
            key = {
                "Name": "",
                "Protocol": protocol,
                "AppProtocol": None,
                "Port": number,
                "TargetPort": 0,
                "NodePort": 0,
            }
            errors.append(duplicate(where, key))
        seen_ports.add((protocol, number))
    return errors


def _traffic(spec: Obj, kind: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in ("externalTrafficPolicy", "internalTrafficPolicy"):
        policy = spec.get(name)
        if policy and policy not in ("Cluster", "Local"):
            errors.append(not_supported(f"spec.{name}", policy, ("Cluster", "Local")))
    external = kind in ("NodePort", "LoadBalancer") or bool(spec.get("externalIPs"))
    if spec.get("externalTrafficPolicy") and not external:
        text = "may only be set for externally-accessible services"
        errors.append(invalid("spec.externalTrafficPolicy", spec["externalTrafficPolicy"], text))
    distribution, known = spec.get("trafficDistribution"), ("PreferClose", "PreferSameZone", "PreferSameNode")
    if distribution is not None and distribution not in known:
        errors.append(not_supported("spec.trafficDistribution", distribution, known))
    return errors


def service_update(obj: Obj, old: Obj) -> list[FieldError]:
    """The first address of a service is its own for life, unless it becomes or was an ExternalName."""
    spec, before = obj["spec"], old["spec"]
    if "ExternalName" in (spec.get("type"), before.get("type")):
        return []
    address, old_address = spec.get("clusterIP", ""), before.get("clusterIP", "")
    if old_address and address != old_address:
        return [invalid("spec.clusterIPs[0]", [address], "may not change once set")]
    return []
