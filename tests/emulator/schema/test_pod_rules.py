from typing import Any

import pytest

from tests.emulator.schema.objects import changed, container, pod, schema, texts

POD = schema("Pod")


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"hostNetwork": True},
        {"schedulingGates": [{"name": "a/b"}]},
        {"tolerations": [{"operator": "Exists"}]},
        {"nodeSelector": {"a": "b"}},
        {"os": {"name": "linux"}},
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]}}}},
        {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}]},
        {"resourceClaims": [{"name": "gpu", "resourceClaimName": "c"}], "containers": [{"name": "m", "image": "x", "resources": {"claims": [{"name": "gpu"}]}}]},
        {"initContainers": [{"name": "i", "image": "x", "restartPolicy": "Always", "livenessProbe": {"tcpSocket": {"port": 1}}}]},
    ],
)  # fmt: skip
def test_sound_pods(spec: dict[str, Any]) -> None:
    assert POD.validate(pod(**spec)) == []


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"image": ""}, ["spec.containers[0].image: Required value"]),
        ({"image": " x"}, ['spec.containers[0].image: Invalid value: " x": must not have leading or trailing whitespace']),
        ({"name": ""}, ["spec.containers[0].name: Required value"]),
        ({"imagePullPolicy": "Maybe"}, ['spec.containers[0].imagePullPolicy: Unsupported value: "Maybe": supported values: "Always", "IfNotPresent", "Never"']),
        ({"ports": [{"containerPort": 0}]}, ["spec.containers[0].ports[0].containerPort: Required value"]),
        ({"ports": [{"containerPort": 70000}]}, ["spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"]),
        ({"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}, ['spec.containers[0].ports[1].name: Duplicate value: "a"']),
        ({"ports": [{"containerPort": 1, "protocol": "ICMP"}]}, ['spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"']),
        ({"env": [{"name": ""}]}, ["spec.containers[0].env[0].name: Required value"]),
        ({"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}, ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty']),
        ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]}, ['spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"']),
        ({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c"}}}]}, ["spec.containers[0].env[0].valueFrom.configMapKeyRef.key: Required value"]),
        ({"envFrom": [{}]}, ['spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`']),
        ({"volumeMounts": [{"name": "v", "mountPath": "/x"}]}, ['spec.containers[0].volumeMounts[0].name: Not found: "v"']),
        ({"livenessProbe": {}}, ["spec.containers[0].livenessProbe: Required value: must specify a handler type"]),
        ({"livenessProbe": {"tcpSocket": {"port": 1}, "successThreshold": 2}}, ["spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"]),
        ({"readinessProbe": {"exec": {"command": []}}}, ["spec.containers[0].readinessProbe.exec.command: Required value"]),
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}}, ["spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)"]),
        ({"resizePolicy": [{"resourceName": "disk", "restartPolicy": "NotRequired"}]}, ['spec.containers[0].resizePolicy: Unsupported value: "disk": supported values: "cpu", "memory"']),
        ({"livenessProbe": {"httpGet": {"port": 1, "httpHeaders": [{"name": "a b", "value": ""}]}}}, ["spec.containers[0].livenessProbe.httpGet.httpHeaders: Invalid value: \"a b\": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')"]),
        ({"securityContext": {"runAsUser": -1}}, ["spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"]),
        ({"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]}, ["spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used"]),
    ],
)  # fmt: skip
def test_containers(fields: dict[str, Any], problems: list[str]) -> None:
    assert texts(POD.validate(container(**fields))) == problems


@pytest.mark.parametrize(
    ("resources", "problems"),
    [
        ({"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}, ['requests: Invalid value: "2": must be less than or equal to cpu limit of 1']),
        ({"limits": {"nvidia.com/gpu": "0.5"}}, ['limits[nvidia.com/gpu]: Invalid value: "500m": must be an integer', 'requests[nvidia.com/gpu]: Invalid value: "500m": must be an integer']),
        ({"limits": {"nvidia.com/gpu": 2}, "requests": {"nvidia.com/gpu": 1}}, ['requests: Invalid value: "1": must be equal to nvidia.com/gpu limit of 2']),
        ({"requests": {"nvidia.com/gpu": 1}}, ["limits: Required value: Limit must be set for non overcommitable resources"]),
        ({"limits": {"cpu": "-1"}}, ['limits[cpu]: Invalid value: "-1": must be greater than or equal to 0', 'requests[cpu]: Invalid value: "-1": must be greater than or equal to 0']),
        ({"requests": {"gpu": 1}}, ['requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified', 'requests[gpu]: Invalid value: "gpu": must be a standard resource for containers']),
        ({"requests": {"pods": 1}}, ['requests[pods]: Invalid value: "pods": must be a standard resource for containers']),
        ({"limits": {"requests.nvidia.com/gpu": 1}}, ['limits[requests.nvidia.com/gpu]: Invalid value: "requests.nvidia.com/gpu": doesn\'t follow extended resource name standard', 'requests[requests.nvidia.com/gpu]: Invalid value: "requests.nvidia.com/gpu": doesn\'t follow extended resource name standard']),
        ({"limits": {"hugepages-2Mi": "3Mi"}}, ['limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi', 'requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi', ": Forbidden: HugePages require cpu or memory"]),
        ({"claims": [{"name": "gpu"}]}, ['claims[0]: Not found: "gpu": must be one of the names in pod.spec.resourceClaims which is empty']),
    ],
)  # fmt: skip
def test_resources(resources: dict[str, Any], problems: list[str]) -> None:
    prefix = "spec.containers[0].resources"
    found = texts(POD.validate(container(resources=resources)))
    assert found == [prefix + (problem if problem.startswith(":") else f".{problem}") for problem in problems]


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({"containers": []}, ["spec.containers: Required value"]),
        ({"containers": [{"name": "a", "image": "x"}, {"name": "a", "image": "x"}]}, ['spec.containers[1].name: Duplicate value: "a"']),
        ({"initContainers": [{"name": "main", "image": "x"}]}, ['spec.initContainers[0].name: Duplicate value: "main"']),
        ({"initContainers": [{"name": "i", "image": "x", "livenessProbe": {"tcpSocket": {"port": 1}}}]}, ["spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"]),
        ({"restartPolicy": "Sometimes"}, ['spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"']),
        ({"dnsPolicy": "None"}, ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"]),
        ({"activeDeadlineSeconds": 0}, ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"]),
        ({"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]}, ['spec.volumes[1].name: Duplicate value: "v"']),
        ({"volumes": [{"name": "v", "projected": {"sources": [{kind: {"name": "s", "items": [{"key": "k", "path": "p"}]}} for kind in ("secret", "configMap")]}}]}, ['spec.volumes[0].projected: Invalid value: "s": conflicting duplicate paths']),
        ({"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}]}, ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"]),
        ({"volumes": [{"name": "v", "secret": {}}]}, ["spec.volumes[0].secret.secretName: Required value"]),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}]}, ['spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain \'..\'']),
        ({"tolerations": [{"key": "a", "operator": "Maybe"}]}, ['spec.tolerations[0].operator: Unsupported value: "Maybe": supported values: "Equal", "Exists"']),
        ({"tolerations": [{"value": "x"}]}, ['spec.tolerations[0].operator: Invalid value: "": operator must be Exists when `key` is empty, which means "match all values and all keys"']),
        ({"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 1}]}, ['spec.tolerations[0].effect: Invalid value: "NoSchedule": effect must be \'NoExecute\' when `tolerationSeconds` is set']),
        ({"nodeName": "n", "schedulingGates": [{"name": "g"}]}, ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"]),
        ({"schedulingGates": [{"name": "g"}, {"name": "g"}]}, ['spec.schedulingGates[1]: Duplicate value: "g"']),
        ({"resourceClaims": [{"name": "c"}]}, ['spec.resourceClaims[0]: Invalid value: {"name":"c"}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`']),
        ({"os": {"name": "plan9"}}, ['spec.os: Unsupported value: "plan9": supported values: "linux", "windows"']),
        ({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}}, ["spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term"]),
        ({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "k", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]}}}, ["spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"]),
        ({"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule"}]}, ["spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"]),
        ({"ephemeralContainers": [{"name": "e", "image": "x"}]}, ["spec.ephemeralContainers: Forbidden: cannot be set on create"]),
        ({"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": {"a": "b"}, "name": "x"}, "spec": {}}}}]}, ["spec.volumes[0].ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set"]),
        ({"securityContext": {"fsGroup": -1}}, ["spec.securityContext.fsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive"]),
    ],
)  # fmt: skip
def test_specs(spec: dict[str, Any], problems: list[str]) -> None:
    assert texts(POD.validate(pod(**spec))) == problems


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("metadata.name", None, "metadata.name: Required value: name or generateName is required"),
        ("metadata.labels", {"a": "-"}, 'metadata.labels: Invalid value: "-": a valid label must be'),
        ("metadata.labels", {"-": "a"}, 'metadata.labels: Invalid value: "-": name part must consist'),
        ("metadata.annotations", {"A b": "x"}, 'metadata.annotations: Invalid value: "A b": name part must consist'),
        ("metadata.annotations", {"a": "x" * 300_000}, "metadata.annotations: Too long: may not be more than 262144 bytes"),
        ("metadata.finalizers", ["a b"], 'metadata.finalizers: Invalid value: "a b": name part'),
        ("metadata.ownerReferences", [{"kind": "X", "name": "x", "uid": "u"}], "metadata.ownerReferences[0].apiVersion: Required value: must not be empty"),
    ],
)  # fmt: skip
def test_metadata(path: str, value: Any, problem: str) -> None:
    [found] = texts(POD.validate(changed(changed(pod(), path, 1), path, value)))
    assert found.startswith(problem)


def test_two_controllers_are_one_too_many() -> None:
    owner = {"apiVersion": "v1", "kind": "X", "name": "x", "uid": "u", "controller": True}
    [problem] = texts(POD.validate(changed(pod(), "metadata.ownerReferences", [owner, owner])))
    assert (
        'Only one reference can have Controller set to true. Found "true" in references for X/x and X/x'
        in problem
    )


@pytest.mark.parametrize(
    ("target", "problems"),
    [
        ({"kind": "Node", "name": "n"}, []),
        ({"name": "n"}, []),
        (
            {"kind": "Pod", "name": "n"},
            ['target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"'],
        ),
        ({"kind": "Node"}, ["target.name: Required value"]),
    ],
)
def test_bindings(target: dict[str, str], problems: list[str]) -> None:
    assert texts(schema("Binding").validate({"metadata": {"name": "p"}, "target": target})) == problems


@pytest.mark.parametrize(
    ("mount", "problems"),
    [
        ({"mountPropagation": "HostToContainer"}, []),
        ({"mountPropagation": "Both"}, ['spec.containers[0].volumeMounts.mountPropagation: Unsupported value: "Both": supported values: "Bidirectional", "HostToContainer", "None"']),
        ({"mountPropagation": "Bidirectional"}, ["spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers"]),
        ({"recursiveReadOnly": "Enabled"}, ["spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true"]),
        ({"recursiveReadOnly": "Enabled", "readOnly": True}, []),
    ],
)  # fmt: skip
def test_how_mounts_are_seen(mount: dict[str, Any], problems: list[str]) -> None:
    made = container(volumeMounts=[{"name": "v", "mountPath": "/x", **mount}])
    made = changed(made, "spec.volumes", [{"name": "v", "emptyDir": {}}])
    assert texts(POD.validate(made)) == problems


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["x"]}}, ['spec.dnsConfig.nameservers[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']),
        ({"dnsConfig": {"searches": [".", "a.b.", "_srv.a"], "options": [{}]}}, ["spec.dnsConfig.searches[2]: Invalid value: \"_srv.a\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')", "spec.dnsConfig.options[0]: Required value: must not be empty"]),
        ({"hostAliases": [{"ip": "x", "hostnames": ["a"]}]}, ['spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']),
        ({"hostPID": True, "shareProcessNamespace": True}, ["spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"]),
        ({"hostUsers": False, "hostNetwork": True}, ["spec.hostNetwork: Forbidden: when `hostUsers` is false"]),
        ({"securityContext": {"sysctls": [{"name": "a b"}, {"name": "c"}, {"name": "c"}]}}, ['spec.securityContext.sysctls[0].name: Invalid value: "a b": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$', 'spec.securityContext.sysctls[2].name: Duplicate value: "c"']),
        ({"securityContext": {"supplementalGroupsPolicy": "X"}}, ['spec.securityContext.supplementalGroupsPolicy: Unsupported value: "X": supported values: "Merge", "Strict"']),
        ({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["x"]}]}, ["spec.topologySpreadConstraints[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set"]),
        ({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "z", "matchLabelKeys": ["a"]}]}}}, ["spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set"]),
        ({"volumes": [{"name": "v", "nfs": {"server": "s", "path": "p"}}]}, ['spec.volumes[0].nfs.path: Invalid value: "p": must be an absolute path']),
        ({"volumes": [{"name": "v", "image": {"pullPolicy": "Maybe"}}]}, ["spec.volumes[0].image.reference: Required value", 'spec.volumes[0].image.pullPolicy: Unsupported value: "Maybe": supported values: "Always", "IfNotPresent", "Never"']),
    ],
)  # fmt: skip
def test_what_a_kube_apiserver_refuses(spec: dict[str, Any], problems: list[str]) -> None:
    assert texts(POD.validate(pod(**spec))) == problems
