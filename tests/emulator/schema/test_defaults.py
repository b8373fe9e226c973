from typing import Any

import pytest

from aliquot.emulator.schema import definitions
from aliquot.emulator.schema.defaults.pods import pull_policy
from tests.emulator.schema.objects import container, pod, read, schema


def test_a_pod_with_nothing_said() -> None:
    spec = pod()["spec"]
    assert spec == {
        "containers": [
            {
                "name": "main",
                "image": "x:1",
                "resources": {},
                "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "enableServiceLinks": True,
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("x", "Always"),
        ("x:latest", "Always"),
        ("x:1", "IfNotPresent"),
        ("localhost:5000/x", "Always"),
        ("localhost:5000/x:2", "IfNotPresent"),
        ("x@sha256:abc", "IfNotPresent"),
        ("x:latest@sha256:abc", "Always"),
        ("", "IfNotPresent"),
    ],
)
def test_when_an_image_is_pulled(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        ({"resources": {"limits": {"cpu": "1"}}}, {"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}}),
        ({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "0.5"}}}, {"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "500m"}}}),
        ({"resources": {"requests": {"cpu": "0.0001"}}}, {"resources": {"requests": {"cpu": "1m"}}}),
        ({"ports": [{"containerPort": 1}]}, {"ports": [{"containerPort": 1, "protocol": "TCP"}]}),
        ({"livenessProbe": {"exec": {"command": ["x"]}}}, {"livenessProbe": {"exec": {"command": ["x"]}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}}),
        ({"livenessProbe": {"httpGet": {"port": 1}, "periodSeconds": 2}}, {"livenessProbe": {"httpGet": {"port": 1, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 2, "successThreshold": 1, "failureThreshold": 3}}),
        ({"lifecycle": {"preStop": {"httpGet": {"port": 1}}}}, {"lifecycle": {"preStop": {"httpGet": {"port": 1, "path": "/", "scheme": "HTTP"}}}}),
        ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}, {"env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}]}),
    ],
)  # fmt: skip
def test_containers(given: dict[str, Any], filled: dict[str, Any]) -> None:
    made = container(**given)["spec"]["containers"][0]
    assert {name: made[name] for name in filled} == filled


@pytest.mark.parametrize(
    ("volume", "filled"),
    [
        ({"name": "v"}, {"name": "v", "emptyDir": {}}),
        ({"name": "v", "secret": {"secretName": "s"}}, {"name": "v", "secret": {"secretName": "s", "defaultMode": 420}}),
        ({"name": "v", "configMap": {"name": "c", "defaultMode": 0}}, {"name": "v", "configMap": {"name": "c", "defaultMode": 0}}),
        ({"name": "v", "hostPath": {"path": "/x"}}, {"name": "v", "hostPath": {"path": "/x", "type": ""}}),
        ({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}, {"name": "v", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}]}}),
    ],
)  # fmt: skip
def test_volumes(volume: dict[str, Any], filled: dict[str, Any]) -> None:
    assert pod(volumes=[volume])["spec"]["volumes"] == [filled]


def test_host_network_takes_the_ports_of_the_host() -> None:
    made = pod(hostNetwork=True, containers=[{"name": "m", "image": "x", "ports": [{"containerPort": 80}]}])
    assert made["spec"]["containers"][0]["ports"] == [
        {"containerPort": 80, "hostPort": 80, "protocol": "TCP"}
    ]


def test_an_account_stands_under_its_old_name_too() -> None:
    assert pod(serviceAccountName="me")["spec"]["serviceAccount"] == "me"


def test_a_deployment_keeps_its_template_as_written() -> None:
    made = read(
        """
        metadata: {name: d}
        spec:
          selector: {matchLabels: {a: b}}
          template:
            metadata: {labels: {a: b}}
            spec: {containers: [{name: m, image: x, resources: {limits: {cpu: 1}}}]}
        """,
        "Deployment",
        "apps",
    )
    spec = made["spec"]
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["template"]["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    assert "enableServiceLinks" not in spec["template"]["spec"]
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    assert made["status"] == {}


@pytest.mark.parametrize(
    ("spec", "filled"),
    [
        ({}, {"completions": 1, "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False, "podReplacementPolicy": "TerminatingOrFailed"}),
        ({"parallelism": 3}, {"parallelism": 3}),
        ({"completions": 3}, {"completions": 3, "parallelism": 1}),
        ({"completions": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 1}, {"backoffLimit": 2**31 - 1}),
        ({"podFailurePolicy": {"rules": []}}, {"podReplacementPolicy": "Failed"}),
        ({"backoffLimit": 0, "suspend": True}, {"backoffLimit": 0, "suspend": True}),
    ],
)  # fmt: skip
def test_jobs(spec: dict[str, Any], filled: dict[str, Any]) -> None:
    job = {"metadata": {"name": "j"}, "spec": {**spec, "template": {"metadata": {"labels": {"a": "b"}}}}}
    made = schema("Job", "batch").default(job)
    assert filled.items() <= made["spec"].items()
    assert made["metadata"]["labels"] == {"a": "b"}


def test_a_job_with_parallelism_alone_has_no_completions() -> None:
    made = schema("Job", "batch").default({"metadata": {}, "spec": {"parallelism": 3}})
    assert "completions" not in made["spec"]


@pytest.mark.parametrize(
    ("kind", "group", "obj", "filled"),
    [
        ("Service", "", {"spec": {"ports": [{"port": 80}]}}, {"spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "sessionAffinity": "None", "type": "ClusterIP", "internalTrafficPolicy": "Cluster"}, "status": {"loadBalancer": {}}}),
        ("Service", "", {"spec": {"type": "NodePort"}}, {"spec": {"type": "NodePort", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "externalTrafficPolicy": "Cluster"}}),
        ("Secret", "", {"data": {}}, {"type": "Opaque"}),
        ("Namespace", "", {"metadata": {"name": "n"}}, {"metadata": {"name": "n", "labels": {"kubernetes.io/metadata.name": "n"}}, "status": {"phase": "Active"}}),
        ("PriorityClass", "scheduling.k8s.io", {"value": 5}, {"value": 5, "preemptionPolicy": "PreemptLowerPriority"}),
        ("RoleBinding", "rbac.authorization.k8s.io", {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}]}, {"roleRef": {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}, "subjects": [{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}, {"kind": "ServiceAccount", "name": "s"}]}),
        ("CustomResourceDefinition", "apiextensions.k8s.io", {"spec": {"names": {"kind": "Widget", "plural": "widgets"}}}, {"spec": {"names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"}, "conversion": {"strategy": "None"}, "versions": None}}),
        ("Ingress", "networking.k8s.io", {}, {"status": {"loadBalancer": {}}}),
        ("IngressClass", "networking.k8s.io", {"spec": {"parameters": {"kind": "K", "name": "n"}}}, {"spec": {"parameters": {"kind": "K", "name": "n", "scope": "Cluster"}}}),
        ("VolumeAttachment", "storage.k8s.io", {}, {"status": {"attached": False}}),
        ("NetworkPolicy", "networking.k8s.io", {}, {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}),
        ("NetworkPolicy", "networking.k8s.io", {"spec": {"podSelector": {}, "egress": [{"ports": [{"port": 1}]}]}}, {"spec": {"podSelector": {}, "egress": [{"ports": [{"port": 1, "protocol": "TCP"}]}], "policyTypes": ["Ingress", "Egress"]}}),
    ],
)  # fmt: skip
def test_other_kinds(kind: str, group: str, obj: dict[str, Any], filled: dict[str, Any]) -> None:
    made = schema(kind, group).default(obj)
    assert {name: made[name] for name in filled} == filled


SOURCES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "hostPath": ({"path": "/x"}, {"type": ""}),
    "iscsi": ({"iqn": "i"}, {"iscsiInterface": "default"}),
    "rbd": ({"monitors": ["m"], "pool": "p"}, {"keyring": "/etc/ceph/keyring", "pool": "p", "user": "admin"}),
    "azureDisk": (
        {"diskName": "d"},
        {"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False},
    ),
    "scaleIO": ({"system": "s"}, {"fsType": "xfs", "storageMode": "ThinProvisioned"}),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_volumes_source_is_filled_in_wherever_it_stands(source: str) -> None:
    given, filled = SOURCES[source]
    pod = schema("Pod").default({"spec": {"volumes": [{"name": "v", source: given}]}})
    volume = schema("PersistentVolume").default({"spec": {source: given}})
    assert pod["spec"]["volumes"][0][source] == volume["spec"][source] == {**given, **filled}


PROJECTED: dict[str, Any] = {"volumes": [{"name": "v", "projected": {}}]}


@pytest.mark.parametrize(
    ("kind", "group", "obj", "path"),
    [
        ("LimitRange", "", {}, "spec.limits"),
        ("LimitRange", "", {"spec": {"limits": []}}, "spec.limits"),
        ("CSINode", "storage.k8s.io", {}, "spec.drivers"),
        ("CSINode", "storage.k8s.io", {"spec": {"drivers": [{"name": "d"}]}}, "spec.drivers.0.topologyKeys"),
        ("ClusterRole", "rbac.authorization.k8s.io", {}, "rules"),
        ("Role", "rbac.authorization.k8s.io", {"rules": []}, "rules"),
        ("EndpointSlice", "discovery.k8s.io", {}, "endpoints"),
        ("EndpointSlice", "discovery.k8s.io", {"endpoints": []}, "ports"),
        ("ResourceClaim", "resource.k8s.io", {"spec": {}}, "spec.devices.requests"),
        ("ResourceClaimTemplate", "resource.k8s.io", {"spec": {}}, "spec.spec.devices.requests"),
        ("Pod", "", {"spec": PROJECTED}, "spec.volumes.0.projected.sources"),
        ("Deployment", "apps", {"spec": {"template": {"spec": PROJECTED}}}, "spec.template.spec.volumes.0.projected.sources"),
        ("Node", "", {"status": {"images": [{"sizeBytes": 5}]}}, "status.images.0.names"),
        ("PersistentVolumeClaim", "", {"spec": {"dataSource": {"kind": "X", "name": "x"}}}, "spec.dataSource.apiGroup"),
    ],
)  # fmt: skip
def test_what_go_never_leaves_out_is_null_where_there_is_nothing(
    kind: str, group: str, obj: dict[str, Any], path: str
) -> None:
    made: Any = schema(kind, group).default(obj)
    assert schema(kind, group).default(made) == made
    for step in path.split("."):
        made = made[int(step) if step.isdigit() else step]
    assert made is None


def test_a_custom_object_gets_no_nulls() -> None:
    shape = definitions.load().shapes.custom(
        {"type": "object", "required": ["list"], "properties": {"list": {"type": "array"}}}
    )
    assert (shape.nulls, shape.holds_nulls, shape.zero) == ((), False, {})


def test_a_node_has_every_field_that_clients_insist_on() -> None:
    node = schema("Node").default({"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "1"}}})
    assert node["spec"] == {}
    assert node["status"]["allocatable"] == {"cpu": "1"}
    assert len(node["status"]["nodeInfo"]) == 10


def test_defaults_leave_their_argument_alone_and_are_stable() -> None:
    given = {
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "m", "resources": {"limits": {"cpu": "1"}}}]},
    }
    before = repr(given)
    once = schema("Pod").default(given)
    assert repr(given) == before
    assert schema("Pod").default(once) == once
