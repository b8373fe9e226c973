"""Whatever is sent, the answer is a success or a refusal that says why: never an internal error."""

import random
from typing import Any

import pytest

from tests.emulator.api import APPLY, JSON_PATCH, MERGE, PODS, STRATEGIC, TABLE, Api, pod
from tests.emulator.test_api_crds import CRDS, WIDGETS, crd, widget
from tests.emulator.test_api_writes import DEPLOYMENTS, deployment

SEEDS: dict[str, dict[str, Any]] = {
    PODS: pod(
        labels={"a": "b"},
        nodeName="n",
        tolerations=[{"key": "k", "operator": "Exists"}],
        volumes=[{"name": "v", "emptyDir": {}}],
        affinity={
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
        },
        schedulingGates=[{"name": "g"}],
    ),
    DEPLOYMENTS: deployment(),
    WIDGETS: widget(),
    CRDS: crd(plural="gadgets", singular="gadget", kind="Gadget", shortNames=[]),
    "/api/v1/namespaces/default/services": {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001}], "selector": {"a": "b"}},
    },
    "/apis/batch/v1/namespaces/default/jobs": {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"template": {"spec": {**pod()["spec"], "restartPolicy": "Never"}}},
    },
    "/apis/rbac.authorization.k8s.io/v1/clusterroles": {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]},
    },
    "/api/v1/namespaces/default/limitranges": {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "l"},
        "spec": {
            "limits": [
                {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}},
                {
                    "type": "Pod",
                    "max": {"cpu": "2"},
                    "min": {"cpu": "0"},
                    "maxLimitRequestRatio": {"cpu": "9"},
                },
            ]
        },
    },
    "/api/v1/namespaces/default/resourcequotas": {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q"},
        "spec": {
            "hard": {"requests.cpu": "9", "count/configmaps": "9"},
            "scopeSelector": {
                "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["a"]}]
            },
        },
    },
    "/api/v1/namespaces/default/persistentvolumeclaims": {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "c"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "selector": {"matchLabels": {"a": "b"}},
            "dataSource": {"kind": "PersistentVolumeClaim", "name": "d"},
        },
    },
    "/api/v1/persistentvolumes": {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "v"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "local": {"path": "/d"},
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "Exists"}]}]
                }
            },
        },
    },
    "/apis/storage.k8s.io/v1/storageclasses": {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "s"},
        "provisioner": "a/b",
        "parameters": {"a": "b"},
    },
    "/apis/storage.k8s.io/v1/volumeattachments": {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttachment",
        "metadata": {"name": "a"},
        "spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "v"}},
    },
    "/apis/node.k8s.io/v1/runtimeclasses": {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "r"},
        "handler": "r",
        "overhead": {"podFixed": {"cpu": "1"}},
        "scheduling": {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "k", "operator": "Exists"}]},
    },
    f"{PODS}/p/binding": {
        "kind": "Binding",
        "metadata": {"name": "p", "annotations": {}},
        "target": {"kind": "Node", "name": "n"},
    },
    f"{PODS}/p/eviction": {
        "kind": "Eviction",
        "metadata": {"name": "p"},
        "deleteOptions": {"gracePeriodSeconds": 1},
    },
    "/apis/authorization.k8s.io/v1/subjectaccessreviews": {
        "kind": "SubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {"user": "u", "groups": ["g"], "resourceAttributes": {"verb": "get", "resource": "pods"}},
    },
}
ROUNDS = 60
JUNK: list[Any] = [
    None,
    "",
    "x",
    "-1",
    0,
    -1,
    2**40,
    1.5,
    True,
    [],
    {},
    [None],
    [{}],
    {"": None},
    ["a", 1],
    {"a": [{}]},
]


def spoilt(value: Any, rng: random.Random) -> Any:
    """`value` with one part of it replaced, dropped or doubled."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(sorted(value))
        if rng.random() < 0.1:
            return {name: found for name, found in value.items() if name != key}
        return {**value, key: spoilt(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        index = rng.randrange(len(value))
        if rng.random() < 0.1:
            return [*value, value[index]]
        return [*value[:index], spoilt(value[index], rng), *value[index + 1 :]]
    return rng.choice(JUNK)


async def check(api: Api, method: str, path: str, body: Any, **more: Any) -> int:
    status, answer = await api.send(method, path, body, **more)
    # Kubernetes itself answers 500 to an apply that does not fit the kind's schema.
    unfit = status == 500 and answer["message"].startswith(
        ("failed to create typed patch object", "failed to convert new object")
    )
    assert status < 500 or unfit, (method, path, body, answer)
    if status >= 400:
        assert answer["message"]
    return status


@pytest.mark.parametrize("path", sorted(SEEDS))
async def test_spoilt_objects(api: Api, path: str) -> None:
    rng = random.Random(path)
    await api.ok("POST", CRDS, crd())
    await api.ok("POST", PODS, pod())
    asked = SEEDS[path]
    name = (asked.get("metadata") or {}).get("name", "")
    for _ in range(ROUNDS):
        body = spoilt(asked, rng)
        await check(api, "POST", path, spoilt(body, rng))
        if path.endswith(("binding", "eviction", "reviews")):
            continue
        await check(api, "POST", path, asked)
        await check(api, "PUT", f"{path}/{name}", body)
        for kind in (MERGE, STRATEGIC, APPLY):
            await check(api, "PATCH", f"{path}/{name}", body, type=kind, fieldManager="m", force="true")
        status = {"status": spoilt({"conditions": [{"type": "a", "status": "b"}], "replicas": 1}, rng)}
        await check(api, "PATCH", f"{path}/{name}/status", status, type=MERGE)
        spec = body.get("spec") if isinstance(body, dict) else body
        replacement = [{"op": "replace", "path": "/spec", "value": spec}]
        await check(api, "PATCH", f"{path}/{name}", replacement, type=JSON_PATCH)
        for accept in ("application/json", TABLE):
            await check(api, "GET", path, b"", accept=accept)
        options = spoilt({"preconditions": {"uid": "u"}, "dryRun": ["All"]}, rng)
        await check(api, "DELETE", f"{path}/{name}", options)
        await check(api, "DELETE", f"{path}/{name}", {"gracePeriodSeconds": 0})


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
PARTS = ["api", "apis", "v1", "apps", "namespaces", "default", "pods", "p", "status", "log", "ä", "%2F", ""]
PARAMETERS = [
    "limit",
    "continue",
    "labelSelector",
    "fieldSelector",
    "resourceVersion",
    "includeObject",
    "dryRun",
    "fieldValidation",
    "sendInitialEvents",
]
VALUES = ["", "1", "-1", "true", "a=b", "=", "a in (", "!", "AA==", "WzEsImEiLCJiIl0=", "ä", "9" * 30]
BODIES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"k8s\0",
    b"k8s\0\x0a\xff",
    b"\xff",
    b"a: [",
    b'{"metadata": {"name": "p"}}',
]
KINDS = [MERGE, STRATEGIC, APPLY, JSON_PATCH, "application/yaml", "", "application/vnd.kubernetes.protobuf"]
ACCEPTED = ["", "*/*", "application/json", TABLE, ";;,", "application/json;q=x"]


async def test_any_request(api: Api) -> None:
    rng = random.Random(1)
    await api.ok("POST", PODS, pod())
    for _ in range(1500):
        common = rng.choice(
            ["", "/api/v1", PODS, f"{PODS}/p", "/apis/apps/v1/namespaces/default", "/openapi"]
        )
        path = "/".join([common, *rng.choices(PARTS, k=rng.randrange(4))])
        query: dict[str, Any] = {rng.choice(PARAMETERS): rng.choice(VALUES) for _ in range(rng.randrange(3))}
        kind, accept = rng.choice(KINDS), rng.choice(ACCEPTED)
        status, answer = await api.send(
            rng.choice(METHODS), path, rng.choice(BODIES), type=kind, accept=accept, **query
        )
        assert status != 500, (path, query, kind, accept, answer)
