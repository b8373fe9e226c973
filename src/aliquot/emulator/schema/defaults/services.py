"""Defaults of services and what routes to them. They change their argument, a copy made for it."""

from typing import Any

_CLIENT_IP_TIMEOUT_S = 10_800
_WITH_CLUSTER_IP = ("ClusterIP", "NodePort", "LoadBalancer")


def _fill_service(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    spec["type"] = spec.get("type") or "ClusterIP"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = spec.get("sessionAffinityConfig", {}).get("clientIP", {})
        timeout_s = config.get("timeoutSeconds", _CLIENT_IP_TIMEOUT_S)
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": timeout_s}}
    for port in spec.get("ports", ()):
        port["protocol"] = port.get("protocol") or "TCP"
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port", 0)
    external = spec["type"] in ("NodePort", "LoadBalancer") or bool(spec.get("externalIPs"))
    if external and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec["type"] in _WITH_CLUSTER_IP:
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for ingress in obj["status"].get("loadBalancer", {}).get("ingress", ()):
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")


def _fill_endpoints(obj: dict[str, Any]) -> None:
    for subset in obj.get("subsets", ()):
        for port in subset.get("ports", ()):
            port["protocol"] = port.get("protocol") or "TCP"


def _fill_endpoint_slice(obj: dict[str, Any]) -> None:
    for endpoint in obj.get("endpoints", ()):
        endpoint.setdefault("conditions", {})
    for port in obj.get("ports", ()):
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def _fill_ingress_class(obj: dict[str, Any]) -> None:
    parameters = obj["spec"].get("parameters")
    if parameters is not None:
        parameters.setdefault("scope", "Cluster")


def _fill_network_policy(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


FILLERS = {
    ("", "Service"): _fill_service,
    ("", "Endpoints"): _fill_endpoints,
    ("discovery.k8s.io", "EndpointSlice"): _fill_endpoint_slice,
    ("networking.k8s.io", "IngressClass"): _fill_ingress_class,
    ("networking.k8s.io", "NetworkPolicy"): _fill_network_policy,
}
