"""Requests that Schemathesis makes of the server's own OpenAPI documents, each answer held against its document.

No answer is a 5xx; a refusal is a Status that says why; a success is what the document promises; and whatever is
stored afterwards can be listed, read and patched with nothing. A seed fixes everything.

Schemathesis is not installed beside the rest, but by `make tools` into a place of its own: see `available`.
"""

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import hypothesis
from hypothesis import HealthCheck, Phase

from aliquot.emulator.patching import managed_fields
from tests.emulator.api import MERGE, Api, Json
from tests.fuzz.requests import Broken

PACKAGES = Path(__file__).parents[2] / ".venv" / "tools" / "schemathesis"
NAMES = ("a", "b", "default", "kube-system")
_OF_KUBERNETES = ("failed to create typed patch object", "the spec replicas field")
"""What Kubernetes itself answers with a 500: to an apply of unknown fields, and for a scale that an object lacks."""
_STREAMS = ("watch", "follow")
"""Query parameters with which an answer has no end."""
_BASE_URL = "http://in-process"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_CUSTOM = "apis/example.com/v1"
_WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
                },
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["size"],
                                "properties": {
                                    "size": {"type": "integer", "minimum": 0},
                                    "colour": {"type": "string", "enum": ["red", "green"], "nullable": True},
                                    "port": {"x-kubernetes-int-or-string": True},
                                    "parts": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "required": ["name"],
                                            "properties": {"name": {"type": "string", "maxLength": 8}},
                                        },
                                    },
                                },
                            },
                            "status": {"type": "object", "properties": {"size": {"type": "integer"}}},
                        },
                    }
                },
            }
        ],
    },
}


def available() -> bool:
    """Whether Schemathesis is there. From then on it can be imported, with what it needs beside what we have."""
    if PACKAGES.is_dir() and str(PACKAGES) not in sys.path:
        sys.path.append(str(PACKAGES))
    return PACKAGES.is_dir()


def _with_nil(document: Any) -> Any:
    """The document as Go means it: a field that is a list, a map, an object or a time may be null.

    A list may also not be there: this server leaves it out where Kubernetes shows null.
    """
    if isinstance(document, list):
        return [_with_nil(item) for item in document]
    if not isinstance(document, dict):
        return document
    found = {key: _with_nil(value) for key, value in document.items()}
    fields = found.get("properties")
    if not isinstance(fields, dict):
        return found
    lists = {
        name for name, field in fields.items() if isinstance(field, dict) and field.get("type") == "array"
    }
    if isinstance(required := found.get("required"), list):
        found["required"] = [name for name in required if name not in lists]
    return {**found, "properties": {name: _nullable(field) for name, field in fields.items()}}


def _nullable(field: Any) -> Any:
    if not isinstance(field, dict) or field.get("type") in ("string", "integer", "number", "boolean"):
        return field
    if "$ref" in field:
        return {"allOf": [field], "nullable": True}
    return {**field, "nullable": True}


def drawn(operation: Any, count: int, mode: Any, *, seed: int) -> Sequence[Any]:
    """Cases of one operation."""
    found: list[Any] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        found.append(case)

    try:
        collect()
    except hypothesis.errors.Unsatisfiable:
        return ()  # nothing can be wrong in a request that takes nothing
    return found


def prepared(case: Any) -> Any:
    """The request that a case is."""
    import requests

    sent = case.as_transport_kwargs(_BASE_URL)
    return requests.Request(
        **{key: sent.get(key) for key in ("method", "url", "params", "data", "json", "headers")}
    ).prepare()


class Described:
    def __init__(self, api: Api, seed: int) -> None:
        self._api = api
        self._rng = random.Random(seed)
        self._spoilt = False
        self.answers: Counter[int] = Counter()

    async def prepare(self) -> Sequence[str]:
        """Makes a custom resource; the names of all documents, its own first: others may delete it."""
        await self._api.ok("POST", _CRDS, _WIDGETS)
        names = (await self._api.ok("GET", "/openapi/v3"))["paths"]
        return sorted(names, key=lambda name: (name != _CUSTOM, name))

    async def document(self, name: str, *, operations: int, cases: int, spoilt: bool = False) -> None:
        """So many of its operations, each asked so often; `spoilt` is with what does not fit the document.

        From then on answers need not fit either: a status is stored as it came. Raises Broken.
        """
        import schemathesis
        from schemathesis import GenerationMode

        raw = _with_nil(await self._api.ok("GET", f"/openapi/v3/{name}"))
        found = [one.ok() for one in schemathesis.openapi.from_dict(raw).get_all_operations()]
        chosen = self._rng.sample(found, min(operations, len(found)))
        # What makes objects comes first, so that the rest meets some.
        chosen.sort(key=lambda one: one.method != "post")
        mode = GenerationMode.NEGATIVE if spoilt else GenerationMode.POSITIVE
        self._spoilt = self._spoilt or spoilt
        for operation in chosen:
            whole = [one for one in found if one.path == operation.path and one.method == "put"]
            bodies = self._drawn(whole[0], cases, mode) if operation.method == "patch" and whole else ()
            for number, case in enumerate(self._drawn(operation, cases, mode)):
                if number < len(bodies) and number % 4:
                    case.body = bodies[number].body  # a document says no more of a patch than that it is one
                await self._ask(case)

    def _drawn(self, operation: Any, count: int, mode: Any) -> Sequence[Any]:
        return drawn(operation, count, mode, seed=self._rng.getrandbits(32))

    async def _ask(self, case: Any) -> None:
        import schemathesis
        from schemathesis.specs.openapi import checks

        self._make_likelier(case)
        request = prepared(case)
        url = urlsplit(request.url)
        query = {
            key: text for key, text in parse_qsl(url.query, keep_blank_values=True) if key not in _STREAMS
        }
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        type_ = request.headers.get("Content-Type", "application/json")
        asked = f"{request.method} {url.path} {query} {type_} {body[:2000]!r}"
        try:
            status, answer = await self._api.send(
                request.method, url.path, body, type=type_, within_s=60, headers={}, **query
            )
        except Exception as error:
            raise Broken(f"{asked}: {error!r}") from error
        self.answers[status] += 1
        if status >= 500 and not any(known in str(answer) for known in _OF_KUBERNETES):
            raise Broken(f"{asked}: {status} {answer}")
        if status >= 400:
            if not isinstance(answer, str) and (answer.get("code") != status or not answer.get("message")):
                raise Broken(f"{asked}: {status} says {answer}")
            return
        response = schemathesis.Response(
            status,
            {key: [value] for key, value in self._api.headers.items()},
            answer.encode() if isinstance(answer, str) else json.dumps(answer).encode(),
            request,
            0.0,
            False,
        )
        promised = [checks.status_code_conformance, checks.content_type_conformance]
        # A delete answers an object that is still there, though the document promises a Status, as Kubernetes' does.
        on_its_way = case.operation.method == "delete" and answer.get("kind") != "Status"
        if not self._spoilt and not on_its_way:
            promised.append(checks.response_schema_conformance)
        try:
            case.validate_response(response, checks=promised)
        except BaseExceptionGroup as error:
            told = "; ".join(str(one).partition("\n\nSchema at")[0] for one in error.exceptions)
            raise Broken(f"{asked}: {status} {answer}: {told}") from error

    def _make_likelier(self, case: Any) -> None:
        """Names, kinds and media types that are meant, mostly: else nearly all is refused for one of them."""
        rng = self._rng
        for part in case.path_parameters or ():
            if rng.random() < 0.9:
                case.path_parameters[part] = rng.choice(NAMES)
        if "namespace" in (case.path_parameters or ()) and rng.random() < 0.9:
            case.path_parameters["namespace"] = "default"
        if case.query and rng.random() < 0.7:
            case.query = {}
        if case.media_type is not None and case.operation.method != "patch" and rng.random() < 0.95:
            case.media_type = "application/json"
            case.headers.pop("Content-Type", None)
        if isinstance(case.body, dict) and rng.random() < 0.95:
            kind = case.operation.definition.raw.get("x-kubernetes-group-version-kind", {})
            body: Json = {key: value for key, value in case.body.items() if key not in ("apiVersion", "kind")}
            if case.operation.method != "delete" and kind:
                body["apiVersion"] = "/".join(filter(None, (kind["group"], kind["version"])))
                body["kind"] = kind["kind"]
                body["metadata"] = {"name": (case.path_parameters or {}).get("name", rng.choice(NAMES))}
            case.body = body

    async def check_store(self) -> int:
        """Looks at everything that there is now; how many objects. Raises Broken."""
        count = 0
        for path in self._collections():
            status, listed = await self._api.get(path)
            if status != 200:
                raise Broken(f"GET {path}: {status} {listed}")
            for obj in listed["items"] or ():
                count += 1
                meta = obj["metadata"]
                place = f"{path}/{meta['name']}"
                if "namespace" in meta:
                    start, _, plural = path.rpartition("/")
                    place = f"{start}/namespaces/{meta['namespace']}/{plural}/{meta['name']}"
                await self._check_object(place)
        return count

    def _collections(self) -> Iterator[str]:
        for resource in self._api.server.registry.catalog.resources():
            if "list" in resource.verbs:
                start = f"/apis/{resource.group}" if resource.group else "/api"
                yield f"{start}/{resource.version}/{resource.plural}"

    async def _check_object(self, path: str) -> None:
        status, stored = await self._api.get(path)
        if status != 200:
            raise Broken(f"GET {path}: {status} {stored}")
        try:
            managed_fields.decode(stored["metadata"].get("managedFields"), stored=True)
        except Exception as error:
            raise Broken(f"{path}: managedFields are broken: {error!r}: {stored}") from error
        status, after = await self._api.send("PATCH", path, {}, type=MERGE)
        if status >= 500 or (status == 200 and after != stored):
            raise Broken(f"PATCH {path} with nothing: {status} {stored} became {after}")
