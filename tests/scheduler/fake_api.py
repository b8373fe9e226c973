"""A Kubernetes API small enough to read, in memory, for the scheduler's shell: what it may do to a client is set by
the test.
"""

import asyncio
import copy
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from aliquot.clock import VirtualClock, VirtualTimeLoop, rfc3339
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client

Json = dict[str, Any]
Fault = Callable[[str, str], str]
"""(method, path) -> `` (none), `before` (503, not done), `after` (done, then 503)."""


KINDS = ("pods", "nodes", "gpunodes", "gpuclasses", "events", "leases")
STORAGE = ("persistentvolumeclaims", "persistentvolumes", "storageclasses")


class Refused(Exception):
    def __init__(self, code: int, reason: str, message: str = "") -> None:
        self.status = {"kind": "Status", "code": code, "reason": reason, "message": message or reason}
        self.code = code


class FakeApi:
    """List, watch, get, create, bindings, strategic patches of conditions, merge patches of the status of queues and of our pod
    groups, of a lease's spec and of annotations, and a spec applied by one who owns all of the fields that it names."""

    def __init__(self, *, kinds: tuple[str, ...] = KINDS) -> None:
        self.objects: dict[str, dict[str, Json]] = {kind: {} for kind in kinds}
        self.log: list[tuple[int, str, str, Json]] = []
        self.binds: list[tuple[str, str]] = []
        """(pod key, node), in the order in which they took."""
        self.writes: list[tuple[str, str]] = []
        """(method, path) of all that was asked for and is not a read."""
        self.reads: list[str] = []
        """Paths of GETs of one object."""
        self.guarded: set[str] = set()
        """Pods that no PodDisruptionBudget lets go."""
        self.evictions: list[str] = []
        """Keys of pods that were evicted, in order."""
        self.fault: Fault = lambda method, path: ""
        self.before_bind: Callable[[str], None] = lambda key: None
        """Called with the pod's key when a Binding arrives, before it is looked at."""
        self.after_bind: Callable[[], None] = lambda: None
        """Called when a Binding has taken; what it asserts is kept in `broken`."""
        self.broken: list[str] = []
        self.watching = asyncio.Event()
        """Cleared: watches stand still."""
        self.watching.set()
        self._changed = asyncio.Event()
        self._uids = 0

    def put(self, kind: str, obj: Json) -> Json:
        """Create, or replace what has the same name."""
        obj = copy.deepcopy(obj)
        meta = obj["metadata"]
        key = _key(obj)
        before = self.objects[kind].get(key)
        if before is None:
            self._uids += 1
            meta.setdefault("uid", f"uid-{self._uids}")
            meta.setdefault("creationTimestamp", rfc3339(1_767_225_600 + self._uids))
        else:
            meta.setdefault("uid", before["metadata"]["uid"])
        self._record(kind, "ADDED" if before is None else "MODIFIED", obj)
        self.objects[kind][key] = obj
        return obj

    def delete(self, kind: str, key: str) -> None:
        gone = copy.deepcopy(self.objects[kind].pop(key))
        self._record(kind, "DELETED", gone)

    def update(self, kind: str, key: str, change: Callable[[Json], None]) -> None:
        obj = copy.deepcopy(self.objects[kind][key])
        change(obj)
        self.put(kind, obj)

    def pod(self, name: str) -> Json:
        return self.objects["pods"][f"default/{name}"]

    def node_of(self, name: str) -> str:
        node: str = self.pod(name)["spec"].get("nodeName", "")
        return node

    def condition(self, name: str) -> tuple[str, str, str]:
        """status, reason, message of PodScheduled; empty when there is none."""
        for condition in self.pod(name).get("status", {}).get("conditions", ()):
            if condition["type"] == "PodScheduled":
                return condition["status"], condition.get("reason", ""), condition.get("message", "")
        return "", "", ""

    def events(self, reason: str) -> list[str]:
        found = [event for event in self.objects["events"].values() if event["reason"] == reason]
        return [event["message"] for event in found]

    def _record(self, kind: str, change: str, obj: Json) -> None:
        version = len(self.log) + 1
        obj["metadata"]["resourceVersion"] = str(version)
        self.log.append((version, kind, change, obj))
        self._changed.set()
        self._changed = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        method, path = scope["method"], scope["path"]
        try:
            if query.get("watch"):
                await self._watch(path, query, receive, send)
                return
            if method != "GET":
                self.writes.append((method, path))
            # A turn of the loop, as a network would take: other tasks run in between.
            await asyncio.sleep(0.001)
            fault = self.fault(method, path)
            if fault == "before":
                raise Refused(503, "ServiceUnavailable")
            answer = self._handle(
                method, path, json.loads(body) if body else None, dry_run=query.get("dryRun") == "All"
            )
            if fault == "after":
                raise Refused(503, "ServiceUnavailable")
            code = 200
        except Refused as refused:
            answer, code = refused.status, refused.code
        await send({"type": "http.response.start", "status": code, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    def _handle(self, method: str, path: str, body: Any, *, dry_run: bool = False) -> Json:
        kind, namespace, name, subresource = self._route(path)
        objects = self.objects[kind]
        key = f"{namespace}/{name}" if namespace else name
        if method == "GET" and not name:
            return {"metadata": {"resourceVersion": str(len(self.log))}, "items": list(objects.values())}
        if method == "POST" and not name:
            body["metadata"].setdefault("namespace", namespace)
            if _key(body) in objects:
                raise Refused(409, "AlreadyExists")
            return self.put(kind, body)
        if subresource == "binding":
            self.before_bind(key)
        if key not in objects:
            raise Refused(404, "NotFound", f"{kind} {key!r} not found")
        if method == "GET":
            self.reads.append(path)
            return objects[key]
        obj = copy.deepcopy(objects[key])
        if body["metadata"].get("uid", obj["metadata"]["uid"]) != obj["metadata"]["uid"]:
            raise Refused(409, "Conflict", "uid does not match")
        if subresource == "binding":
            return self._bind(key, obj, body)
        if subresource == "eviction":
            wanted = body.get("deleteOptions", {}).get("preconditions", {}).get("uid")
            if wanted not in (None, obj["metadata"]["uid"]):
                raise Refused(409, "Conflict", "uid does not match")
            return self._evict(key, obj, dry_run=dry_run)
        if kind == "leases":
            if body["metadata"].get("resourceVersion") != obj["metadata"]["resourceVersion"]:
                raise Refused(409, "Conflict")
            obj["spec"] |= body["spec"]
            return self.put(kind, obj)
        if not subresource:
            return self._patch(kind, obj, body)
        assert (method, subresource) == ("PATCH", "status"), (method, path)
        if kind == "pods" and body["metadata"].get("resourceVersion") not in (
            None,
            obj["metadata"]["resourceVersion"],
        ):
            raise Refused(409, "Conflict", "the object has been modified")
        if kind in ("queues", "podgroups"):
            obj["status"] = _merged(obj.get("status", {}), body["status"])
            return self.put(kind, obj)
        if "nominatedNodeName" in body["status"]:
            obj.setdefault("status", {})["nominatedNodeName"] = body["status"]["nominatedNodeName"] or ""
        conditions = {c["type"]: c for c in obj.setdefault("status", {}).get("conditions", ())}
        conditions |= {c["type"]: c for c in body["status"].get("conditions", ())}
        obj["status"]["conditions"] = list(conditions.values())
        return self.put(kind, obj)

    def _patch(self, kind: str, obj: Json, body: Json) -> Json:
        version = obj["metadata"]["resourceVersion"]
        if body["metadata"].get("resourceVersion", version) != version:
            raise Refused(409, "Conflict", "the object has been modified")
        annotations = obj["metadata"].setdefault("annotations", {})
        for name, value in body["metadata"].get("annotations", {}).items():
            if value is None:
                annotations.pop(name, None)
            else:
                annotations[name] = value
        obj.setdefault("spec", {}).update(body.get("spec", {}))
        return self.put(kind, obj)

    def _evict(self, key: str, obj: Json, *, dry_run: bool) -> Json:
        """The pod terminates; the test deletes it."""
        if key in self.guarded:
            raise Refused(429, "TooManyRequests", "the disruption budget does not allow it")
        if not dry_run:
            self.evictions.append(key)
            obj["metadata"]["deletionTimestamp"] = rfc3339(1_767_225_600)
            self.put("pods", obj)
        return {"kind": "Status", "status": "Success"}

    def _bind(self, key: str, obj: Json, body: Json) -> Json:
        if obj["spec"].get("nodeName"):
            raise Refused(
                409, "Conflict", f"pod {key} is already assigned to node {obj['spec']['nodeName']!r}"
            )
        obj["spec"]["nodeName"] = body["target"]["name"]
        obj["metadata"].setdefault("annotations", {}).update(body["metadata"].get("annotations", {}))
        conditions = {c["type"]: c for c in obj.setdefault("status", {}).get("conditions") or ()}
        conditions["PodScheduled"] = {"type": "PodScheduled", "status": "True"}
        obj["status"]["conditions"] = list(conditions.values())
        self.binds.append((key, body["target"]["name"]))
        self.put("pods", obj)
        try:
            self.after_bind()
        except AssertionError as error:
            self.broken.append(str(error))
        return {"kind": "Status", "status": "Success"}

    def _route(self, path: str) -> tuple[str, str, str, str]:
        parts = path.strip("/").split("/")
        group, parts = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
        namespace = ""
        if parts[0] == "namespaces" and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        kind, name, subresource = (*parts, "", "")[:3]
        if kind == "podgroups" and group != "aliquot.dev":
            kind = f"podgroups.{group}"
        if kind not in self.objects:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        return kind, namespace, name, subresource

    async def _watch(self, path: str, query: dict[str, str], receive: Any, send: Any) -> None:
        if query.get("sendInitialEvents"):
            raise Refused(400, "BadRequest", "no streamed snapshots here")
        kind, *_ = self._route(path)
        seen = int(query["resourceVersion"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(receive())
        try:
            while not gone.done():
                await self.watching.wait()
                changed = self._changed
                for version, logged, change, obj in self.log[seen:]:
                    seen = version
                    if logged == kind:
                        line = json.dumps({"type": change, "object": obj}) + "\n"
                        await send({"type": "http.response.body", "body": line.encode(), "more_body": True})
                waiting = asyncio.ensure_future(changed.wait())
                await asyncio.wait((gone, waiting), return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
        finally:
            gone.cancel()


def _merged(old: Json, patch: Json) -> Json:
    """RFC 7386."""
    new = dict(old)
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        elif isinstance(value, dict):
            before = old.get(name)
            new[name] = _merged(before if isinstance(before, dict) else {}, value)
        else:
            new[name] = value
    return new


def _key(obj: Json) -> str:
    meta = obj["metadata"]
    namespace = meta.get("namespace", "")
    return f"{namespace}/{meta['name']}" if namespace else str(meta["name"])


class World:
    """What a test talks to: the API, and clients of it."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.clock = VirtualClock()
        self._transports: list[AsgiTransport] = []

    def client(self, seed: int = 0) -> Client:
        transport = AsgiTransport(self.api, "scheduler")
        self._transports.append(transport)
        return Client(transport, clock=self.clock, rng=random.Random(seed))

    async def close(self) -> None:
        for transport in self._transports:
            await transport.close()


def simulate(scenario: Callable[[World], Awaitable[None]], *, within_s: float = 3600.0, **api: Any) -> None:
    """Run `scenario(world)` on virtual time."""

    async def whole() -> None:
        world = World(FakeApi(**api))
        try:
            async with asyncio.timeout(within_s):
                await scenario(world)
        finally:
            await world.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(whole())
