"""An API server that only lists and watches pods, so fast that what is measured is its client.

Answers are bytes made beforehand, written on plain asyncio streams. A list is 10,000 pods of 4.3 KB in pages of
what the client asks for; a watch is one MODIFIED event for each pod, with versions that no earlier event had.
"""

import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_MANAGED_FIELDS = 42
"""As many as bring a pod to 4.3 KB."""
_VERSION_DIGITS = 12


def _pod(number: int) -> dict[str, Any]:
    """A training pod as an API server returns it, managedFields and all."""
    name = f"train-{number:05d}"
    labels = {
        "app": "train",
        "job-name": f"job-{number // 8}",
        "pod-index": str(number % 8),
        "team": "vision",
    }
    resources = {"cpu": "16", "memory": "128Gi", "nvidia.com/gpu": "8"}
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": f"team-{number % 40}",
            "uid": f"00000000-0000-4000-8000-{number:012d}",
            "resourceVersion": "V" * _VERSION_DIGITS,
            "creationTimestamp": "2026-11-01T08:00:00Z",
            "labels": labels,
            "annotations": {"aliquot.dev/run-for": "3600s"},
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": f"job-{number // 8}",
                    "uid": f"00000000-0000-4000-9000-{number:012d}",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "registry.example.com/team/train:1.2.3",
                    "command": ["python", "-m", "train"],
                    "args": ["--epochs", "10"],
                    "env": [{"name": f"SETTING_{index}", "value": f"value-{index}"} for index in range(12)],
                    "resources": {"requests": resources, "limits": resources},
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    "imagePullPolicy": "IfNotPresent",
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                }
            ],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "nodeName": f"node-{number % 500:03d}",
            "schedulerName": "aliquot",
            "priority": 0,
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
        },
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "hostIP": "10.1.0.1",
            "startTime": "2026-11-01T08:00:05Z",
            "qosClass": "Guaranteed",
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": "2026-11-01T08:00:09Z"}
                for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
            ],
            "containerStatuses": [
                {
                    "name": "main",
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "image": "registry.example.com/team/train:1.2.3",
                    "imageID": "registry.example.com/team/train@sha256:" + "0" * 64,
                    "containerID": "containerd://" + "0" * 64,
                    "state": {"running": {"startedAt": "2026-11-01T08:00:08Z"}},
                }
            ],
        },
    }
    pod["metadata"]["managedFields"] = [
        {
            "manager": "kube-controller-manager",
            "operation": "Update",
            "apiVersion": "v1",
            "time": "2026-11-01T08:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {f"f:field-{index:03d}": {".": {}, "f:name": {}} for index in range(_MANAGED_FIELDS)},
        }
    ]
    return pod


class Stub:
    def __init__(self, pods: int) -> None:
        self._pods = [json.dumps(_pod(number), separators=(",", ":")).encode() for number in range(pods)]
        placeholder = b'"' + b"V" * _VERSION_DIGITS + b'"'
        self._split = [pod.split(placeholder) for pod in self._pods]
        self._version = 1_000_000

    def _at(self, number: int, version: int) -> bytes:
        before, after = self._split[number]
        return b'%s"%d"%s' % (before, version, after)

    def _events(self) -> bytes:
        """A MODIFIED event for each pod, every call with new versions."""
        lines = []
        for number in range(len(self._pods)):
            self._version += 1
            lines.append(b'{"type":"MODIFIED","object":%s}\n' % self._at(number, self._version))
        return b"".join(lines)

    def _initial_events(self) -> bytes:
        lines = [b'{"type":"ADDED","object":%s}\n' % self._at(n, n + 1) for n in range(len(self._pods))]
        end = b'{"metadata":{"resourceVersion":"%d","annotations":{"k8s.io/initial-events-end":"true"}}}'
        lines.append(b'{"type":"BOOKMARK","object":' + end % self._version + b"}\n")
        return b"".join(lines)

    def _page(self, start: int, limit: int) -> bytes:
        stop = min(start + limit, len(self._pods)) if limit else len(self._pods)
        more = b',"continue":"%d"' % stop if stop < len(self._pods) else b""
        items = b",".join(self._at(number, number + 1) for number in range(start, stop))
        head = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"%d"%s},"items":['
        return head % (self._version, more) + items + b"]}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                target = urlsplit(request.split(b" ", 2)[1].decode())
                query = dict(parse_qsl(target.query))
                if query.get("watch", "").lower() in ("true", "1"):
                    await self._watch(writer, query)
                    await reader.read()  # until the client leaves
                    return
                body = self._page(int(query.get("continue", 0)), int(query.get("limit", 0)))
                head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                writer.write(head.encode() % len(body) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _watch(self, writer: asyncio.StreamWriter, query: dict[str, str]) -> None:
        stream = b""
        if query.get("sendInitialEvents") == "true":
            stream = self._initial_events()
        # The rest is not sent before the client has been idle for a while: it marks where events begin.
        await self._send(
            writer, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        await self._send_chunked(writer, stream)
        events = self._events()
        await asyncio.sleep(0.5)
        await self._send_chunked(writer, events)

    async def _send_chunked(self, writer: asyncio.StreamWriter, data: bytes, size: int = 1 << 16) -> None:
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            await self._send(writer, b"%x\r\n%s\r\n" % (len(piece), piece))

    @staticmethod
    async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()


async def serve(pods: int) -> None:
    """Print the port, then serve until stdin closes."""
    server = await asyncio.start_server(Stub(pods).serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
