"""An API server that only lists, so fast that what is measured is who asks it: a cluster as a preflight reads it.

Every object has fields' managers, as an API server shows them; a third of those that people write were applied by kubectl, with the
manifest that it leaves. Answers are bytes made beforehand. `GET /asked` says how often each path was asked for.

    python -m benchmarks.eks_objects COUNT
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aliquot.eks.sightings.helm import SECRET_TYPE, encode
from aliquot.eks.sightings.live import LAST_APPLIED

Json = dict[str, Any]

NAMESPACES = 40
"""Half of everything is in another one that all share."""
_FIELDS = 30
"""Of each manager: they are most of an object, as in a real cluster."""


def _object(
    group_version: str, kind: str, number: int, *, namespaced: bool = True, owner: str = "", **parts: Any
) -> Json:
    name = f"{kind.lower()}-{number:05d}"
    metadata: Json = {
        "name": name,
        "uid": f"00000000-0000-4000-8000-{number:012d}",
        "resourceVersion": str(1_000_000 + number),
        "creationTimestamp": "2026-06-01T08:00:00Z",
        "labels": {"app.kubernetes.io/name": f"app-{number % 500}", "app": f"app-{number % 500}"},
    }
    if namespaced:
        metadata["namespace"] = "shared" if number % 2 else f"team-{number % NAMESPACES}"
    if owner:
        reference = {"apiVersion": "apps/v1", "kind": owner, "name": f"{owner.lower()}-{number // 5:05d}"}
        metadata["ownerReferences"] = [
            {**reference, "uid": f"00000000-0000-4000-9000-{number:012d}", "controller": True}
        ]
    elif number % 3 == 0:
        applied = {"apiVersion": group_version, "kind": kind, "metadata": {"name": name}, **parts}
        applied.pop("status", None)
        metadata["annotations"] = {LAST_APPLIED[0]: json.dumps(applied, separators=(",", ":"))}
    metadata["managedFields"] = [
        {
            "manager": manager,
            "operation": "Update",
            "apiVersion": group_version,
            "time": "2026-06-01T08:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {f"f:field-{index:03d}": {".": {}, "f:name": {}} for index in range(_FIELDS)},
        }
        for manager in ("kubectl-client-side-apply", "kube-controller-manager")
    ]
    return {"metadata": metadata, **parts}


def _pod_spec(number: int) -> Json:
    return {
        "containers": [
            {
                "name": "main",
                "image": f"registry.example.com/team/app-{number % 500}:1.{number % 7}.3",
                "args": ["--listen", ":8080", "--epochs", "10"],
                "env": [{"name": f"SETTING_{index}", "value": f"value-{index}"} for index in range(12)],
                "resources": {"requests": {"cpu": "2", "memory": "8Gi"}, "limits": {"nvidia.com/gpu": "1"}},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log",
            }
        ],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    }


def _pod(number: int) -> Json:
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": "2026-06-01T08:00:09Z"}
        for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    return _object(
        "v1",
        "Pod",
        number,
        owner="ReplicaSet",
        spec={**_pod_spec(number), "nodeName": f"node-{number % 300:05d}"},
        status={"phase": "Running", "podIP": "10.0.0.1", "qosClass": "Burstable", "conditions": conditions},
    )


def _workload(kind: str) -> Callable[[int], Json]:
    def made(number: int) -> Json:
        labels = {"app": f"app-{number % 500}"}
        template = {"metadata": {"labels": labels}, "spec": _pod_spec(number)}
        spec = {"replicas": 5, "selector": {"matchLabels": labels}, "template": template}
        return _object("apps/v1", kind, number, spec=spec, status={"readyReplicas": 5})

    return made


def _node(number: int) -> Json:
    info = {"kubeletVersion": "v1.31.4-eks-aeac579", "containerRuntimeVersion": "containerd://1.7.27"}
    size = {"cpu": "192", "memory": "2Ti", "pods": "110", "nvidia.com/gpu": "8"}
    return _object(
        "v1",
        "Node",
        number,
        namespaced=False,
        owner="Machine",
        spec={"providerID": f"aws:///eu-west-1a/i-{number:017x}"},
        status={"nodeInfo": info, "capacity": size, "allocatable": size, "conditions": [], "images": []},
    )


def _service(number: int) -> Json:
    spec = {
        "selector": {"app": f"app-{number % 500}"},
        "ports": [{"port": 80, "targetPort": "http"}],
        "clusterIP": "10.100.0.1",
    }
    return _object("v1", "Service", number, spec=spec)


def _slice(number: int) -> Json:
    endpoints = [
        {"addresses": [f"10.0.{number % 250}.{part}"], "conditions": {"ready": True}} for part in range(5)
    ]
    made = _object("discovery.k8s.io/v1", "EndpointSlice", number, owner="Service")
    return {**made, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 8080}]}


def _budget(number: int) -> Json:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": f"app-{number % 500}"}}}
    return _object("policy/v1", "PodDisruptionBudget", number, spec=spec, status={"disruptionsAllowed": 1})


def _config(number: int) -> Json:
    return _object("v1", "ConfigMap", number, data={"config.yaml": "key: value\n" * 40})


def _policy(number: int) -> Json:
    return _object("networking.k8s.io/v1", "NetworkPolicy", number, spec={"podSelector": {}})


def _ingress(number: int) -> Json:
    return _object("networking.k8s.io/v1", "Ingress", number, spec={"ingressClassName": "alb", "rules": []})


def _gpunode(number: int) -> Json:
    gpus = [{"uuid": f"GPU-{number}-{index}", "board": "h100-80gb", "memoryMiB": 81559} for index in range(8)]
    return _object("aliquot.dev/v1alpha1", "GPUNode", number, namespaced=False, status={"gpus": gpus})


def _schema(number: int) -> Json:
    """The one kind here that 1.32 takes a version away from."""
    return _object("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema", number, namespaced=False, spec={})


def _release(number: int) -> Json:
    manifest = "".join(
        f"---\n# Source: app/templates/part-{part}.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: part-{part}\ndata:\n  a: b\n"
        for part in range(10)
    )
    release = {"name": f"app-{number}", "namespace": f"team-{number % NAMESPACES}", "manifest": manifest}
    made = _object("v1", "Secret", number, data={"release": encode(release)})
    made["metadata"]["labels"] = {"owner": "helm", "status": "deployed", "name": f"app-{number}"}
    made["metadata"].pop("annotations", None)
    return {**made, "type": SECRET_TYPE}


KINDS: dict[str, tuple[float, Callable[[int], Json]]] = {
    "/api/v1/pods": (0.50, _pod),
    "/apis/apps/v1/deployments": (0.15, _workload("Deployment")),
    "/apis/apps/v1/statefulsets": (0.02, _workload("StatefulSet")),
    "/apis/apps/v1/daemonsets": (0.01, _workload("DaemonSet")),
    "/api/v1/nodes": (0.03, _node),
    "/api/v1/services": (0.07, _service),
    "/apis/discovery.k8s.io/v1/endpointslices": (0.07, _slice),
    "/apis/policy/v1/poddisruptionbudgets": (0.03, _budget),
    "/api/v1/namespaces/kube-system/configmaps": (0.02, _config),
    "/apis/networking.k8s.io/v1/networkpolicies": (0.03, _policy),
    "/apis/networking.k8s.io/v1/ingresses": (0.02, _ingress),
    "/apis/aliquot.dev/v1alpha1/gpunodes": (0.02, _gpunode),
    "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas": (0.01, _schema),
    "/api/v1/secrets": (0.02, _release),
}
"""By path: its share of all objects, and what one looks like."""


class Stub:
    def __init__(self, count: int) -> None:
        self.asked: Counter[str] = Counter()
        self._lists = {
            path: [json.dumps(make(number), separators=(",", ":")).encode() for number in range(int(count * share))]
            for path, (share, make) in KINDS.items()
        }  # fmt: skip

    def answer(self, target: str) -> tuple[int, bytes]:
        split = urlsplit(target)
        query = dict(parse_qsl(split.query))
        if split.path == "/asked":
            return 200, json.dumps(self.asked).encode()
        self.asked[split.path] += 1
        if split.path == "/version":
            return 200, b'{"gitVersion":"v1.31.4-eks-aeac579"}'
        if split.path == "/metrics":
            return 200, b""
        if split.path not in self._lists:
            return (
                404,
                b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}',
            )
        return 200, self._page(
            self._lists[split.path], int(query.get("continue", 0)), int(query.get("limit", 0))
        )

    def _page(self, items: list[bytes], start: int, limit: int) -> bytes:
        stop = min(start + limit, len(items)) if limit else len(items)
        more = b',"continue":"%d"' % stop if stop < len(items) else b""
        head = b'{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"2000000"%s},"items":[' % more
        return head + b",".join(items[start:stop]) + b"]}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                status, body = self.answer(request.split(b" ", 2)[1].decode())
                head = b"HTTP/1.1 %d .\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                writer.write(head % (status, len(body)) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def serve(count: int) -> None:
    """Print the port, then serve until stdin closes."""
    server = await asyncio.start_server(Stub(count).serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
