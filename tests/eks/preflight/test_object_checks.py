"""What the API server says of a cluster, judged; and the same of pods in manifests."""

import json
from typing import Any

import pytest

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.checks import (
    budgets,
    cluster_behaviour,
    pod_behaviour,
    strict_addresses,
    webhooks,
)
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.sightings.files import in_text
from aliquot.eks.sightings.sighting import Sighting
from aliquot.eks.versions.minor import Minor
from tests.eks.preflight.estates import pods, web, workloads

BLOCK, WARN, INFO = Severity.BLOCK, Severity.WARN, Severity.INFO


def budget(**spec: Any) -> dict[str, Any]:
    status = spec.pop("status", {})
    selector = spec.pop("selector", {"matchLabels": {"app": "web"}})
    return {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": selector, **spec},
        "status": status,
    }


@pytest.mark.parametrize(
    ("spec", "count", "found"),
    [
        ({"minAvailable": 1}, 2, []),
        ({"minAvailable": 1}, 1, [BLOCK]),
        ({"minAvailable": "100%"}, 3, [BLOCK]),
        ({"minAvailable": "50%"}, 3, []),
        ({"minAvailable": "51%"}, 1, [BLOCK]),
        ({"maxUnavailable": 0}, 5, [BLOCK]),
        ({"maxUnavailable": "0%"}, 5, [BLOCK]),
        ({"maxUnavailable": "1%"}, 5, []),
        ({"maxUnavailable": 1}, 1, []),
        ({"maxUnavailable": 1, "status": {"disruptionsAllowed": 0}}, 2, [WARN]),
        ({"minAvailable": 1}, 0, []),
        ({"minAvailable": 1, "selector": {}}, 1, [BLOCK]),
        ({"minAvailable": 1, "selector": None}, 1, []),
        (
            {"minAvailable": 1, "selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}},
            1,
            [BLOCK],
        ),
    ],
)
def test_budgets_that_can_never_be_met(spec: dict[str, Any], count: int, found: list[Severity]) -> None:
    objects = Objects(
        pods=pods(*(web(number) for number in range(count))),
        things={"PodDisruptionBudget": (budget(**spec),)},
    )
    assert [one.severity for one in budgets.judge(objects)] == found


def test_one_that_is_missing_now_comes_back() -> None:
    two_of_three = budget(minAvailable=2, status={"expectedPods": 3, "disruptionsAllowed": 0})
    objects = Objects(pods=pods(web(0), web(1)), things={"PodDisruptionBudget": (two_of_three,)})
    (found,) = budgets.judge(objects)
    assert (found.severity, "now (2 of 3" in found.why) == (WARN, True)


def test_two_budgets_of_one_pod_let_it_never_be_evicted() -> None:
    others = budget(maxUnavailable=1, selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]})
    others["metadata"] = {"name": "all", "namespace": "shop"}
    both = (budget(maxUnavailable=1), others)
    objects = Objects(pods=pods(web(0), web(1)), things={"PodDisruptionBudget": both})
    (found,) = budgets.judge(objects)
    assert found.severity is BLOCK
    assert found.what == "PodDisruptionBudget shop/web and PodDisruptionBudget shop/all"
    assert "shop/web-0 and 1 more" in found.why
    # One that has not begun is evicted past all budgets.
    waiting = {**web(0), "status": {"phase": "Pending"}}
    assert not list(budgets.judge(Objects(pods=pods(waiting), things={"PodDisruptionBudget": both})))


def test_pods_that_are_over_do_not_count() -> None:
    over = {**web(1), "status": {"phase": "Succeeded"}}
    objects = Objects(pods=pods(web(0), over), things={"PodDisruptionBudget": (budget(minAvailable=1),)})
    (found,) = budgets.judge(objects)
    assert "shop/web-0" in found.why


def test_workloads_of_one_replica() -> None:
    made = workloads(
        {"metadata": {"name": "one", "namespace": "shop"}, "spec": {"replicas": 1}},
        {"metadata": {"name": "two", "namespace": "shop"}, "spec": {"replicas": 2}},
        {"metadata": {"name": "unsaid", "namespace": "kube-system"}},
    )
    found = list(budgets.judge_replicas(Objects(workloads={"Deployment": made})))
    assert [(one.severity, one.what) for one in found] == [
        (INFO, "Deployment shop/one"),
        (WARN, "Deployment kube-system/unsaid"),
    ]


def webhook(**more: Any) -> dict[str, Any]:
    one = {
        "name": "check.example.com",
        "clientConfig": {"service": {"namespace": "policy", "name": "guard"}},
        "rules": [{"resources": ["pods"]}],
        **more,
    }
    return {"metadata": {"name": "guard"}, "webhooks": [one]}


SERVICE = {"metadata": {"name": "guard", "namespace": "policy"}}


def endpoints(*ready: bool | None) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "guard"}
    return {
        "metadata": {"name": "guard-1", "namespace": "policy", "labels": labels},
        "endpoints": [{"conditions": {} if one is None else {"ready": one}} for one in ready],
    }


def name_not_in(*names: str) -> dict[str, Any]:
    expression = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [*names]}
    return {"namespaceSelector": {"matchExpressions": [expression]}}


@pytest.mark.parametrize(
    ("more", "slices", "services", "found", "says"),
    [
        ({}, (), (SERVICE,), BLOCK, "has no ready endpoints"),
        ({}, (), (), BLOCK, "is not there"),
        ({}, (endpoints(False),), (SERVICE,), BLOCK, "has no ready endpoints"),
        ({}, (endpoints(True),), (SERVICE,), WARN, "kube-system, too"),
        ({}, (endpoints(None),), (SERVICE,), WARN, "kube-system, too"),
        (name_not_in("kube-system"), (endpoints(True),), (SERVICE,), None, ""),
        (
            {"namespaceSelector": {"matchLabels": {"guarded": "yes"}}},
            (endpoints(True),),
            (SERVICE,),
            None,
            "",
        ),
        ({"rules": [{"resources": ["certificates"]}]}, (endpoints(True),), (SERVICE,), None, ""),
        (
            {"rules": [{"resources": ["pods/eviction"]}]},
            (endpoints(True),),
            (SERVICE,),
            WARN,
            "kube-system, too",
        ),
        (
            {"rules": [{"resources": ["*/eviction"]}]},
            (endpoints(True),),
            (SERVICE,),
            WARN,
            "kube-system, too",
        ),
        ({"rules": [{"resources": ["pods/log"]}]}, (endpoints(True),), (SERVICE,), None, ""),
        ({"rules": [{"resources": ["*/*"]}]}, (endpoints(True),), (SERVICE,), WARN, "nodes"),
        (
            {"rules": [{"resources": ["*"]}], **name_not_in("kube-system")},
            (endpoints(True),),
            (SERVICE,),
            WARN,
            "nodes",
        ),
        (
            {"rules": [{"resources": ["*/status"], "scope": "Namespaced"}]},
            (endpoints(True),),
            (SERVICE,),
            WARN,
            "kube-system, too",
        ),
        (
            {"rules": [{"apiGroups": ["cert-manager.io"], "resources": ["*"]}]},
            (endpoints(True),),
            (SERVICE,),
            None,
            "",
        ),
        (
            {"rules": [{"apiGroups": ["apps"], "resources": ["*"]}]},
            (endpoints(True),),
            (SERVICE,),
            WARN,
            "kube-system, too",
        ),
        ({"failurePolicy": "Ignore"}, (), (), None, ""),
        ({"clientConfig": {"url": "https://x"}, **name_not_in("kube-system")}, (), (), None, ""),
    ],
)
def test_webhooks_that_fail_closed(
    more: dict[str, Any], slices: Any, services: Any, found: Severity | None, says: str
) -> None:
    objects = Objects(
        things={
            "ValidatingWebhookConfiguration": (webhook(**more),),
            "EndpointSlice": slices,
            "Service": services,
        }
    )
    judged = [one for one in webhooks.judge(objects) if isinstance(one, Finding)]
    assert [one.severity for one in judged] == ([found] if found else [])
    assert not judged or says in judged[0].why


def pod(**spec: Any) -> dict[str, Any]:
    annotations = spec.pop("annotations", {})
    return {
        "metadata": {"name": "p", "namespace": "shop", "annotations": annotations},
        "spec": {"containers": [{"name": "c", "image": spec.pop("image", "web:1")}], **spec},
    }


PODS = [
    (pod(), "1.37", []),
    (pod(volumes=[{"name": "d", "hostPath": {"path": "/var/run/docker.sock"}}]), "1.32", [BLOCK]),
    (pod(volumes=[{"name": "d", "rbd": {}}]), "1.31", [BLOCK]),
    (pod(volumes=[{"name": "d", "cephfs": {}}]), "1.30", []),
    (pod(volumes=[{"name": "d", "awsElasticBlockStore": {}}]), "1.31", [BLOCK]),
    (pod(volumes=[{"name": "d", "cinder": {}}]), "1.31", [WARN]),
    (pod(volumes=[{"name": "d", "gitRepo": {"repository": "x"}}]), "1.36", [BLOCK]),
    (
        pod(annotations={"container.apparmor.security.beta.kubernetes.io/c": "runtime/default"}),
        "1.31",
        [WARN],
    ),
    (pod(securityContext={"appArmorProfile": {"type": "RuntimeDefault"}}), "1.34", [INFO]),
    (pod(image="registry.k8s.io/ingress-nginx/controller:v1.12.1"), "1.35", [WARN]),
]


@pytest.mark.parametrize(("one", "to", "found"), PODS)
def test_pods_that_newer_minors_take_otherwise(one: dict[str, Any], to: str, found: list[Severity]) -> None:
    minors = (Minor(1, 22), Minor.parse(to))
    live = Objects(pods=pods(one))
    assert [finding.severity for finding in pod_behaviour.judge_running(live, *minors)] == found
    template = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"template": one},
    }
    for text in (json.dumps({"apiVersion": "v1", "kind": "Pod", **one}), json.dumps(template)):
        written = [sighting for sighting in in_text(text, "f.json") if isinstance(sighting, Sighting)]
        judged = list(pod_behaviour.judge_written(tuple(written), live, *minors))
        assert [finding.severity for finding in judged] == found
        assert all(finding.file == "f.json" for finding in judged)


def test_pods_of_workloads_are_told_once() -> None:
    owned = pod(volumes=[{"name": "d", "rbd": {}}])
    owned["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "web", "controller": True}]
    template = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": owned}}
    objects = Objects(pods=pods(owned), workloads={"Deployment": workloads(template)})
    found = list(pod_behaviour.judge_running(objects, Minor(1, 30), Minor(1, 31)))
    assert [one.what for one in found] == ["Deployment shop/web"]


def things(kind: str, **one: Any) -> Objects:
    metadata = {"name": one.pop("name", "x"), "namespace": "kube-system"}
    return Objects(things={kind: ({"metadata": metadata, **one},)})


CLUSTERS = [
    (things("PersistentVolume", spec={"rbd": {}}), "1.30", []),
    (things("PersistentVolume", spec={"rbd": {}}), "1.31", [BLOCK]),
    (things("PersistentVolume", spec={"csi": {}}), "1.31", []),
    (things("StorageClass", provisioner="kubernetes.io/rbd"), "1.31", [BLOCK]),
    (things("StorageClass", provisioner="kubernetes.io/aws-ebs"), "1.31", [BLOCK]),
    (things("ClusterRoleBinding", subjects=[{"name": "system:anonymous"}]), "1.32", [BLOCK]),
    (things("ClusterRoleBinding", subjects=[{"name": "system:anonymous"}]), "1.33", [WARN]),
    (
        things(
            "ClusterRoleBinding",
            name="system:public-info-viewer",
            subjects=[{"name": "system:unauthenticated"}],
        ),
        "1.32",
        [],
    ),
    (things("ConfigMap", name="kube-proxy-config", data={"config": 'mode: "ipvs"\n'}), "1.35", [WARN]),
    (things("ConfigMap", name="kube-proxy-config", data={"config": 'mode: "iptables"\n'}), "1.35", []),
    (things("Service", spec={"externalIPs": ["1.2.3.4"]}), "1.36", [WARN]),
    (things("Service", spec={"externalIPs": None}), "1.36", []),
    (things("PersistentVolume", spec={"cinder": {}}), "1.31", [WARN]),
    (things("PersistentVolume", spec={"awsElasticBlockStore": {}}), "1.31", [BLOCK]),
    (things("StorageClass", provisioner="ebs.csi.aws.com"), "1.30", [WARN]),
    (things("ConfigMap", data={"c": "kind: KubeSchedulerConfiguration\n- EBSLimits"}), "1.31", [WARN]),
    (things("ConfigMap", data={"c": "kind: KubeSchedulerConfiguration\n"}), "1.31", []),
]


@pytest.mark.parametrize(("objects", "to", "found"), CLUSTERS)
def test_what_else_newer_minors_take_otherwise(objects: Objects, to: str, found: list[Severity]) -> None:
    judged = list(cluster_behaviour.judge(objects, Minor.parse(to).previous, Minor.parse(to)))
    assert [one.severity for one in judged] == found


def sharing(*levels: str, policy: str = "", phase: str = "Running") -> Objects:
    def one(number: int, level: str) -> dict[str, Any]:
        context: dict[str, Any] = {"seLinuxOptions": {"level": level}} if level else {}
        if policy and number:
            context["seLinuxChangePolicy"] = policy
        return {
            "metadata": {"name": f"p{number}", "namespace": "shop"},
            "spec": {
                "securityContext": context,
                "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "shared"}}],
            },
            "status": {"phase": phase},
        }

    return Objects(pods=pods(*(one(number, level) for number, level in enumerate(levels))))


@pytest.mark.parametrize(
    ("objects", "to", "found"),
    [
        (sharing("s0:c1", "s0:c1"), "1.36", []),
        (sharing("", ""), "1.36", []),
        (sharing("s0:c1", "s0:c2"), "1.36", [WARN]),
        (sharing("", "s0:c2"), "1.36", [WARN]),
        (sharing("s0:c1", "s0:c2"), "1.35", []),
        (sharing("s0:c1", "s0:c2", policy="Recursive"), "1.36", []),
        (sharing("s0:c1", "s0:c2", policy="MountOption"), "1.36", [WARN]),
        (sharing("s0:c1", "s0:c2", phase="Succeeded"), "1.36", []),
    ],
)
def test_volumes_that_pods_of_different_labels_share(
    objects: Objects, to: str, found: list[Severity]
) -> None:
    judged = cluster_behaviour.judge(objects, Minor.parse(to).previous, Minor.parse(to))
    assert [one.severity for one in judged] == found


LOOSE = [
    ("Service", {"spec": {"loadBalancerSourceRanges": ["10.0.0.1/8"]}}, True),
    ("Service", {"spec": {"loadBalancerSourceRanges": ["10.0.0.0/8"], "externalIPs": None}}, False),
    ("Service", {"spec": {"externalIPs": ["010.1.2.3"]}}, True),
    ("Service", {"spec": {"loadBalancerIP": "::ffff:10.1.2.3"}}, True),
    ("Service", {"spec": {"loadBalancerIP": "2001:db8::1"}}, False),
    ("NetworkPolicy", {"spec": {"egress": [{"to": [{"ipBlock": {"cidr": "010.0.0.0/8"}}]}]}}, True),
    ("NetworkPolicy", {"spec": {"ingress": [{"from": [{"podSelector": {}}]}, {}]}}, False),
    ("EndpointSlice", {"endpoints": [{"addresses": ["10.01.2.3"]}]}, True),
    ("EndpointSlice", {"endpoints": [{"addresses": ["a.example.com", "10.1.2.3"]}]}, False),
]


@pytest.mark.parametrize(("kind", "body", "loose"), LOOSE)
def test_addresses_that_are_written_loosely(kind: str, body: dict[str, Any], loose: bool) -> None:
    """What is stored stays as it is; what is in a file is refused where it is applied anew."""
    minors = (Minor(1, 35), Minor(1, 36))
    there = things(kind, **body)
    live = list(strict_addresses.judge(there, *minors))
    assert [one.severity for one in live] == ([WARN] if loose else [])
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, **body}
    sightings = [one for one in in_text(json.dumps(manifest), "f.json") if isinstance(one, Sighting)]
    written = list(strict_addresses.judge_written(sightings, *minors))
    assert [(one.severity, one.file) for one in written] == ([(BLOCK, "f.json")] if loose else [])
    assert not list(strict_addresses.judge(there, Minor(1, 34), Minor(1, 35)))


def test_ebs_with_its_driver() -> None:
    driver = workloads({"metadata": {"name": "ebs-csi-node", "namespace": "kube-system"}})
    classes = things("StorageClass", provisioner="kubernetes.io/aws-ebs").things
    assert not list(
        cluster_behaviour.judge(
            Objects(things=classes, workloads={"DaemonSet": driver}), Minor(1, 30), Minor(1, 31)
        )
    )


@pytest.mark.parametrize("kind", ["DaemonSet", "Deployment"])
def test_that_the_driver_of_ebs_is_missing_nobody_can_say_who_could_not_list_workloads(kind: str) -> None:
    classes = things("StorageClass", provisioner="kubernetes.io/aws-ebs").things
    there = Objects(things=classes, unread=(kind,))
    assert not list(cluster_behaviour.judge(there, Minor(1, 30), Minor(1, 31)))
