from typing import Any

import pytest

from tests.emulator.schema.objects import changed, schema, texts

RBAC = "rbac.authorization.k8s.io"


def made(kind: str, group: str = "", **fields: Any) -> dict[str, Any]:
    known = schema(kind, group)
    return known.default({"kind": kind, "metadata": {"name": "x"}, **fields})


@pytest.mark.parametrize(
    ("kind", "group", "fields", "problems"),
    [
        ("ConfigMap", "", {"data": {"a": "1"}, "binaryData": {"a": "eA=="}}, ['data[a]: Invalid value: "a": duplicate of key present in binaryData']),
        ("ConfigMap", "", {"data": {"a": "x" * (2**20 + 1)}}, [": Too long: may not be more than 1048576 bytes"]),
        ("Secret", "", {"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}, ["data[tls.key]: Required value"]),
        ("Secret", "", {"type": "kubernetes.io/basic-auth"}, ["data[username]: Required value", "data[password]: Required value"]),
        ("Secret", "", {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "eA=="}}, ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid character in JSON']),
        ("Namespace", "", {"spec": {"finalizers": ["odd"]}}, ['spec.finalizers: Invalid value: "odd": name is neither a standard finalizer name nor is it fully qualified']),
        ("Node", "", {"spec": {"taints": [{"key": "a", "effect": "No"}]}}, ['metadata.taints[0].effect: Unsupported value: "No": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"']),
        ("Node", "", {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoSchedule"}]}}, ['metadata.taints[1]: Duplicate value: {"key":"a","effect":"NoSchedule"}: taints must be unique by key and effect pair']),
        ("Node", "", {"status": {"capacity": {"nvidia.com/gpu": "500m"}}}, ['status.capacity.nvidia.com/gpu: Invalid value: "500m": must be an integer', 'status.allocatable.nvidia.com/gpu: Invalid value: "500m": must be an integer']),
        ("Role", RBAC, {"rules": [{"apiGroups": [""], "resources": ["pods"]}]}, ["rules[0].verbs: Required value: verbs must contain at least one value"]),
        ("Role", RBAC, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}, ['rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs']),
        ("ClusterRole", RBAC, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}, []),
        ("ClusterRole", RBAC, {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}, []),
        ("ClusterRole", RBAC, {"aggregationRule": {}}, ["aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"]),
        ("ClusterRole", RBAC, {"aggregationRule": {"clusterRoleSelectors": [{}, {"matchExpressions": [{"key": "a", "operator": "4"}]}]}}, ['aggregationRule.clusterRoleSelectors[1].matchExpressions[0].operator: Invalid value: "4": not a valid selector operator']),
        ("RoleBinding", RBAC, {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "s"}]}, ["subjects[0].namespace: Required value"]),
        ("RoleBinding", RBAC, {"roleRef": {"kind": "Rolle", "name": "r"}}, ['roleRef.kind: Unsupported value: "Rolle": supported values: "Role", "ClusterRole"']),
        ("PriorityClass", "scheduling.k8s.io", {"value": 2_000_000_000}, ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]),
        ("RuntimeClass", "node.k8s.io", {"handler": "kata", "overhead": {"podFixed": {"cpu": "1"}}}, []),
        ("RuntimeClass", "node.k8s.io", {"handler": ""}, ["handler: Required value"]),
        ("RuntimeClass", "node.k8s.io", {"handler": "x", "overhead": {"podFixed": {"cpu": "-1"}}}, ['overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0']),
        ("Lease", "coordination.k8s.io", {"spec": {"leaseDurationSeconds": 0}}, ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"]),
        ("Service", "", {"spec": {}}, ["spec.ports: Required value"]),
        ("Service", "", {"spec": {"ports": [{"port": 80}, {"port": 81}]}}, ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"]),
        ("Service", "", {"spec": {"ports": [{"port": 0}]}}, ["spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive", "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive"]),
        ("Service", "", {"spec": {"ports": [{"port": 80, "nodePort": 30000}]}}, ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]),
        ("Service", "", {"spec": {"type": "ExternalName"}}, ["spec.externalName: Required value"]),
        ("Service", "", {"spec": {"clusterIP": "None"}}, []),
        ("Service", "", {"spec": {"ports": [{"port": 80, "appProtocol": "kubernetes.io/h2c"}]}}, []),
        ("Service", "", {"spec": {"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.0.0.1"}}, ["spec.clusterIPs: Forbidden: may not be set for ExternalName services"]),
        ("Service", "", {"spec": {"ports": [{"port": 80}], "ipFamilyPolicy": "Both"}}, ['spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"']),
        ("Service", "", {"spec": {"ports": [{"port": 80}], "externalIPs": ["x", "127.0.0.1"]}}, ['spec.externalIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)', 'spec.externalIPs[1]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)']),
        ("Service", "", {"spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "loadBalancerSourceRanges": ["10.0.0.0/8", "x"]}}, ['spec.LoadBalancerSourceRanges[1]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)']),
        ("Service", "", {"spec": {"ports": [{"port": 80}], "loadBalancerClass": "x"}}, ["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"]),
        ("Service", "", {"spec": {"ports": [{"port": 80}], "healthCheckNodePort": 30005}}, ["spec.healthCheckNodePort: Invalid value: 30005: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"]),
        ("Service", "", {"spec": {"ports": [{"port": 80}], "trafficDistribution": "Near"}}, ['spec.trafficDistribution: Unsupported value: "Near": supported values: "PreferClose", "PreferSameZone", "PreferSameNode"']),
        ("PodDisruptionBudget", "policy", {"spec": {"minAvailable": 1, "maxUnavailable": 1}}, ['spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set']),
    ],
)  # fmt: skip
def test_new_objects(kind: str, group: str, fields: dict[str, Any], problems: list[str]) -> None:
    assert texts(schema(kind, group).validate(made(kind, group, **fields))) == problems


@pytest.mark.parametrize(
    ("kind", "group", "fields", "path", "value", "problems"),
    [
        ("Secret", "", {}, "type", "x", ['type: Invalid value: "x": field is immutable']),
        ("ConfigMap", "", {"immutable": True, "data": {"a": "1"}}, "data", {"a": "2"}, ["data: Forbidden: field is immutable when `immutable` is set"]),
        ("ConfigMap", "", {"immutable": True}, "immutable", False, ["immutable: Forbidden: field is immutable when `immutable` is set"]),
        ("RoleBinding", RBAC, {"roleRef": {"kind": "Role", "name": "r"}}, "roleRef.name", "s", ['roleRef: Invalid value: {"kind":"Role","name":"s","apiGroup":"rbac.authorization.k8s.io"}: cannot change roleRef']),
        ("PriorityClass", "scheduling.k8s.io", {"value": 5}, "value", 6, ["value: Invalid value: 6: field is immutable"]),
        ("RuntimeClass", "node.k8s.io", {"handler": "a"}, "handler", "b", ['handler: Invalid value: "b": field is immutable']),
        ("Node", "", {"spec": {"providerID": "a"}}, "spec.providerID", "b", ['spec.providerID: Forbidden: node updates may not change providerID except from "" to valid']),
        ("Service", "", {"spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80}]}}, "spec.clusterIP", "10.0.0.2", ['spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set']),
        ("Node", "", {}, "spec.unschedulable", True, []),
    ],
)  # fmt: skip
def test_changes(
    kind: str, group: str, fields: dict[str, Any], path: str, value: Any, problems: list[str]
) -> None:
    old = made(kind, group, **fields)
    assert texts(schema(kind, group).validate_update(changed(old, path, value), old)) == problems


def test_names_of_roles_may_hold_colons_and_those_of_services_start_with_digits() -> None:
    role = changed(made("ClusterRole", RBAC), "metadata.name", "system:Odd")
    assert schema("ClusterRole", RBAC).validate(role) == []
    service = changed(made("Service", spec={"ports": [{"port": 1}]}), "metadata.name", "1a")
    assert schema("Service").validate(service) == []


def test_a_review_has_no_name() -> None:
    review = schema("SelfSubjectAccessReview", "authorization.k8s.io")
    assert review.validate({"metadata": {}, "spec": {}}) == []


def test_labels_may_change_on_an_object_that_rules_would_refuse_today() -> None:
    old = made("Service", spec={})
    assert schema("Service").validate_update(changed(old, "metadata.labels", {"a": "b"}), old) == []
