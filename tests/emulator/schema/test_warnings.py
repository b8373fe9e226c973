"""What valid objects are warned of. Each text was sent by a kube-apiserver for the same object."""

import base64
from pathlib import Path
from typing import Any

import pytest

from aliquot.clock import SystemClock
from aliquot.emulator.certificates import Authority
from aliquot.emulator.schema import warnings

OS = 'beta.kubernetes.io/os is deprecated since v1.14; use "kubernetes.io/os" instead'
NO_SELECTOR = "labelSelector: a null labelSelector results in matching no pod"
FRACTION = 'fractional byte value "1500m" is invalid, must be an integer'


def told(group: str, kind: str, obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    return warnings.built_in(group, kind, {"metadata": {"name": "x"}, **obj}, old)


def container(**more: Any) -> dict[str, Any]:
    return {"name": "c", "image": "i", **more}


@pytest.mark.parametrize(
    ("spec", "texts"),
    [
        ({}, []),
        ({"nodeSelector": {"a": "b", "beta.kubernetes.io/os": "linux"}},
         ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead']),
        ({"affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "beta.kubernetes.io/os", "operator": "Exists"}]}]},
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": {"matchExpressions": [{"key": "k", "operator": "In", "values": ["a", "."]}]}}],
         }}},
         ["spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
          f".matchExpressions[0].key: {OS}",
          "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference"
          ".matchExpressions[0].values[1]: . is invalid, a valid label must be an empty string or consist of alphanumeric "
          "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
          "'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"]),
        ({"affinity": {
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "x"}]},
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "x"}},
                {"weight": 1, "podAffinityTerm": {"topologyKey": "x", "labelSelector": {}}}]},
         }},
         [f"spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].{NO_SELECTOR}",
          f"spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.{NO_SELECTOR}"]),
        ({"topologySpreadConstraints": [{"topologyKey": "beta.kubernetes.io/os"}]},
         [f"spec.topologySpreadConstraints[0].topologyKey: {OS}", f"spec.topologySpreadConstraints[0].{NO_SELECTOR}"]),
        ({"volumes": [
            {"name": "a", "gitRepo": {}}, {"name": "b", "storageos": {}},
            {"name": "d", "ephemeral": {"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "1500m"}}}}}},
         ]},
         ["spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
          "spec.volumes[1].storageOS: deprecated in v1.22, non-functional in v1.25+",
          f"spec.volumes[2].ephemeral.volumeClaimTemplate.spec.resources.requests[storage]: {FRACTION}"]),
        ({"volumes": [{"name": "v", "configMap": {"name": "m", "items": [
            {"key": "a", "path": "p/"}, {"key": "b", "path": "p/q"}, {"key": "d", "path": "pq"}]}}]},
         ['volume "v" (ConfigMap "m"): overlapping paths: "p/q" with "p"']),
        ({"volumes": [{"name": "v", "projected": {"sources": [
            {"secret": {"name": "s", "items": [{"key": "a", "path": "p"}]}}, {"serviceAccountToken": {"path": "p"}}, {}]}}]},
         ['volume "v" (Projected) has no sources provided',
          'volume "v" (Projected): overlapping paths: "p" (ServiceAccountToken) with "p" (Secret "s")']),
        ({"hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}, {"ip": "2001:DB8::1"}]},
         ['spec.hostAliases[1].ip: duplicate ip "1.1.1.1"',
          'spec.hostAliases[2].ip: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")']),
        ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}, {}]},
         ['spec.imagePullSecrets[1].name: duplicate name "a"', 'spec.imagePullSecrets[2].name: invalid empty name ""']),
        ({"overhead": {"memory": "1500m", "cpu": "1500m"}}, [f"spec.overhead[memory]: {FRACTION}"]),
        ({"containers": [container(resources={
            "requests": {"memory": "1500m", "ephemeral-storage": "1500m", "cpu": "1500m"},
            "limits": {"memory": "1M", "ephemeral-storage": "1Mi"}})]},
         [f"spec.containers[0].resources.requests[memory]: {FRACTION}",
          f"spec.containers[0].resources.requests[ephemeral-storage]: {FRACTION}"]),
        ({"initContainers": [container(resources={"limits": {"memory": "1500m"}})]},
         [f"spec.initContainers[0].resources.limits[memory]: {FRACTION}"]),
        ({"containers": [container(env=[
            {"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}, {"name": "A", "value": "$(A)"},
            {"name": "A", "value": "3"}, {"name": "B", "value": "4"}])]},
         ['spec.containers[0].env[2]: hides previous definition of "A", which may be dropped when using apply',
          'spec.containers[0].env[3]: hides previous definition of "A", which may be dropped when using apply']),
        ({"containers": [
            container(ports=[{"containerPort": 1, "name": "p"}, {"containerPort": 1}, {"containerPort": 1, "protocol": "UDP"}]),
            container(ports=[{"containerPort": 2, "hostPort": 2}, {"containerPort": 2}, {"containerPort": 3, "name": "p"},
                             {"containerPort": 4, "hostIP": "1.1.1.1", "protocol": "TCP"},
                             {"containerPort": 2, "hostPort": 2, "hostIP": "1.1.1.1"}])]},
         ["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
          "spec.containers[1].ports[1]: overlapping port definition with spec.containers[1].ports[0]",
          "spec.containers[1].ports[3]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:4 Protocol:TCP "
          "HostIP:1.1.1.1}",
          "spec.containers[1].ports[4]: dangerously ambiguous port definition with spec.containers[1].ports[0]",
          "spec.containers[1].ports[4]: overlapping port definition with spec.containers[1].ports[1]",
          'spec.containers[1].ports[2]: duplicate port name "p" with spec.containers[0].ports[0], services and probes that '
          "select ports by name will use spec.containers[0].ports[0]"]),
        ({"terminationGracePeriodSeconds": -1},
         ["spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"]),
        ({"dnsConfig": {"nameservers": ["1.1.1.1", "2001:DB8::1"]}},
         ['spec.dnsConfig.nameservers[1]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format '
          '("2001:db8::1")']),
    ],
)  # fmt: skip
def test_pods(spec: dict[str, Any], texts: list[str]) -> None:
    spec = {"containers": [container()], **spec}
    assert told("", "Pod", {"spec": spec}) == texts
    template = {"spec": {"template": {"spec": spec}}}
    in_templates = [
        text
        if text.startswith("volume ")
        else "spec.template." + text.replace(" spec.", " spec.template.spec.")
        for text in texts
    ]
    assert told("apps", "Deployment", template) == in_templates


@pytest.mark.parametrize(
    ("annotations", "spec", "texts"),
    [
        ({"scheduler.alpha.kubernetes.io/critical-pod": ""}, {},
         ["metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the "
          '"priorityClassName" field instead']),
        ({"seccomp.security.alpha.kubernetes.io/pod": "x"}, {},
         ['metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the '
          '"seccompProfile" field instead']),
        ({"seccomp.security.alpha.kubernetes.io/pod": "x"},
         {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}, []),
        ({"container.apparmor.security.beta.kubernetes.io/c": "runtime/default"}, {},
         ["metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; use the "
          '"appArmorProfile" field instead']),
        ({"container.apparmor.security.beta.kubernetes.io/c": "localhost/p"},
         {"securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": "p"}}}, []),
    ],
)  # fmt: skip
def test_annotations_that_were_fields_forerunners(
    annotations: dict[str, str], spec: dict[str, Any], texts: list[str]
) -> None:
    pod = {
        "metadata": {"name": "p", "annotations": annotations},
        "spec": {"containers": [container()], **spec},
    }
    assert told("", "Pod", pod) == texts


TEMPLATE = {"spec": {"containers": [container()], "nodeSelector": {"beta.kubernetes.io/os": "linux"}}}


@pytest.mark.parametrize(
    ("group", "kind", "obj", "path"),
    [
        ("", "PodTemplate", {"template": TEMPLATE}, "template"),
        ("", "ReplicationController", {"spec": {"template": TEMPLATE}}, "spec.template"),
        ("apps", "DaemonSet", {"spec": {"template": TEMPLATE}}, "spec.template"),
        ("apps", "StatefulSet", {"spec": {"template": TEMPLATE}}, "spec.template"),
        ("batch", "Job", {"spec": {"template": TEMPLATE}}, "spec.template"),
        ("batch", "CronJob", {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": TEMPLATE}}}},
         "spec.jobTemplate.spec.template"),
    ],
)  # fmt: skip
def test_whatever_makes_pods_is_warned_when_it_makes_others(
    group: str, kind: str, obj: dict[str, Any], path: str
) -> None:
    (text,) = told(group, kind, obj)
    assert text.startswith(f"{path}.spec.nodeSelector[beta.kubernetes.io/os]: ")
    before = {**obj, "metadata": {"name": "x", "generation": 1}}
    same = {**obj, "metadata": {"name": "x", "generation": 1, "labels": {"a": "b"}}}
    assert told(group, kind, same, before) == []
    if kind != "DaemonSet":
        assert told(group, kind, {**obj, "metadata": {"name": "x", "generation": 2}}, before) == [text]


def _service(**spec: Any) -> dict[str, Any]:
    return {"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "sessionAffinity": "None", **spec}}


@pytest.mark.parametrize(
    ("group", "kind", "obj", "texts"),
    [
        ("", "Pod", {"metadata": {"name": "a.b"}, "spec": {"containers": [container()]}},
         ["metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is "
          "recommended: [must not contain dots]"]),
        ("batch", "Job", {"spec": {"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001}},
         ["spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
          "Kubernetes might not be able to track completedIndexes when a big number of indexes fail"]),
        ("apps", "StatefulSet", {"spec": {"revisionHistoryLimit": -1, "volumeClaimTemplates": [
            {"spec": {"resources": {"requests": {"storage": "1500m"}}}}]}},
         [f"spec.volumeClaimTemplates[0].resources.requests[storage]: {FRACTION}",
          "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"]),
        ("", "Service", _service(clusterIP="None", externalIPs=["1.1.1.1"], sessionAffinity="ClientIP"),
         ["spec.externalIPs is ignored for headless services", "spec.SessionAffinity is ignored for headless services"]),
        ("", "Service", _service(externalIPs=["1.1.1.1"], externalName="a"),
         ["spec.externalIPs is deprecated and may no longer be implemented in some clusters",
          'spec.externalName is ignored when spec.type is not "ExternalName"']),
        ("", "Service", _service(type="ExternalName", externalIPs=["1.1.1.1"], externalName="a"),
         ['spec.externalIPs is ignored when spec.type is "ExternalName"']),
        ("", "Service", _service(trafficDistribution="PreferClose"),
         ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"']),
        ("", "Secret", {"type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}},
         ["tls: failed to find any PEM data in certificate input"]),
        ("", "ServiceAccount", {"metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}},
         ["metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate "
          "namespaces to isolate access to mounted secrets"]),
        ("", "Endpoints", {"subsets": [{"addresses": [{"ip": "2001:DB8::1"}]}]},
         ['subsets[0].addresses[0].ip: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")']),
        ("discovery.k8s.io", "EndpointSlice", {"addressType": "FQDN"},
         ["spec.addressType: FQDN endpoints are deprecated"]),
        ("", "PersistentVolume", {"spec": {"persistentVolumeReclaimPolicy": "Recycle", "glusterfs": {}}},
         ["spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended "
          "approach is to use dynamic provisioning.",
          "spec.glusterfs: deprecated in v1.25, non-functional in v1.26+"]),
        ("", "PersistentVolumeClaim", {"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "x"}},
                                       "spec": {"resources": {"requests": {"storage": "1500m"}}}},
         ["metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "
          '"storageClassName" attribute instead', f"spec.resources.requests[storage]: {FRACTION}"]),
        ("storage.k8s.io", "StorageClass",
         {"allowedTopologies": [{"matchLabelExpressions": [{"key": "beta.kubernetes.io/os", "values": ["a"]}]}]},
         ["allowedTopologies[0].matchLabelExpressions[0].key: deprecated since v1.14; use \"kubernetes.io/os\" instead"]),
        ("networking.k8s.io", "Ingress", {"metadata": {"annotations": {"kubernetes.io/ingress.class": "x"}}, "spec": {}},
         ["annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"]),
        ("node.k8s.io", "RuntimeClass", {"scheduling": {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}},
         ['scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead']),
        ("", "ConfigMap", {}, []),
    ],
)  # fmt: skip
def test_other_kinds(group: str, kind: str, obj: dict[str, Any], texts: list[str]) -> None:
    assert told(group, kind, obj) == texts


def test_certificates_and_keys_that_do_not_belong_together(tmp_path: Path) -> None:
    authority = Authority(tmp_path, clock=SystemClock())
    one, other = authority.client("one"), authority.client("other")
    for key, texts in (
        (one.key, []),
        (other.key, ["tls: private key does not match public key"]),
        (b"", ["tls: failed to find any PEM data in key input"]),
    ):
        pair = {"tls.crt": one.certificate, "tls.key": key}
        data = {name: base64.b64encode(content).decode() for name, content in pair.items()}
        assert told("", "Secret", {"type": "kubernetes.io/tls", "data": data}) == texts


def test_finalizers_of_custom_objects() -> None:
    named = {"metadata": {"finalizers": ["z", "a.b", "foo.bar/x", "orphan", "old"]}}
    assert warnings.custom(named, {"metadata": {"finalizers": ["old"]}}) == [
        f'metadata.finalizers: "{name}": prefer a domain-qualified finalizer name{more} to avoid accidental conflicts '
        "with other finalizer writers"
        for name, more in (("a.b", " including a path (/)"), ("z", ""))
    ]


def test_formats_of_custom_kinds_that_nothing_judges() -> None:
    def definition(**fields: dict[str, Any]) -> dict[str, Any]:
        return {
            "spec": {"versions": [{"schema": {"openAPIV3Schema": {"type": "object", "properties": fields}}}]}
        }

    date, odd = {"type": "string", "format": "date"}, {"type": "string", "format": "odd"}
    listed = {"type": "array", "items": {"type": "integer", "format": "uint32"}}
    kind = ("apiextensions.k8s.io", "CustomResourceDefinition")
    assert told(*kind, definition(a=date, b=odd, c=odd, d=listed)) == [
        'unrecognized format "odd"',
        'unrecognized format "uint32"',
    ]
    assert told(*kind, definition(b=odd, d=listed), definition(b=odd)) == ['unrecognized format "uint32"']
