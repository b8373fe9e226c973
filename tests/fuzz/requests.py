"""Sends generated requests to a server in this process, and judges every answer.

No answer is an internal error; each refusal says why; whatever was written can be read again, and its managedFields
with it; reading changes nothing.
"""

import random
from collections import Counter
from typing import Any

from aliquot.emulator.patching import managed_fields
from tests.emulator.api import APPLY, JSON_PATCH, MERGE, STRATEGIC, TABLE, Api
from tests.fuzz.generate import NAMES, WORDS, Documents, Generator, Operation

_UNFORESEEN = "unexpected error; the server's log has it"
"""What the server says of what nobody thought of. Kubernetes itself answers some bad requests with a 500 that says why."""
_QUERY = {
    "limit": ("0", "1", "-1", "x"),
    "labelSelector": ("a=b", "a in (b,c)", "!a", "a in (", ""),
    "fieldSelector": ("metadata.name=a", "status.phase=b", "metadata.name", "x=y"),
    "resourceVersion": ("0", "1", "x", "99999999"),
    "resourceVersionMatch": ("Exact", "NotOlderThan", "x"),
    "continue": ("x", "W10=", "WzEsImEiLCJiIl0="),
    "dryRun": ("All", "x"),
    "fieldManager": ("m", "n", "x" * 200),
    "fieldValidation": ("Strict", "Warn", "Ignore", "x"),
    "force": ("true", "false"),
    "gracePeriodSeconds": ("0", "1", "-1"),
    "propagationPolicy": ("Foreground", "Background", "Orphan", "x"),
    "watch": ("false",),
    "container": ("a",),
    "tailLines": ("0", "-1"),
}


class Broken(AssertionError):
    """What was asked, and what is wrong with the answer."""


class Fuzzer:
    def __init__(self, api: Api, documents: Documents, seed: int) -> None:
        self._api = api
        self._documents = documents
        self._rng = random.Random(seed)
        self._generator = Generator(documents, self._rng)
        self.answers: Counter[int] = Counter()

    async def one(self) -> None:
        """Raises Broken."""
        rng = self._rng
        operation = rng.choice(self._documents.operations)
        name = rng.choice(NAMES)
        path = self._path(operation, name)
        query: dict[str, Any] = {
            parameter: rng.choice(values)
            for parameter, values in _QUERY.items()
            if rng.random() < (0.2 if parameter in operation.parameters else 0.02)
        }
        body, type_ = self._body(operation, name)
        accept = rng.choice(
            (
                "application/json",
                "application/json",
                TABLE,
                "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
            )
        )
        asked = (operation.method, path, query, type_, str(body)[:2000])
        try:
            status, answer = await self._api.send(
                operation.method, path, body, type=type_, accept=accept, within_s=60, **query
            )
        except Exception as error:
            raise Broken(f"{asked}: {error!r}") from error
        self.answers[status] += 1
        if _UNFORESEEN in str(answer):
            raise Broken(f"{asked}: {status} {answer}")
        if status >= 400 and not (isinstance(answer, str) or answer.get("message")):
            raise Broken(f"{asked}: {status} says nothing")
        if status < 300 and operation.method != "GET" and isinstance(answer, dict) and "dryRun" not in query:
            await self._look_again(asked, answer, path if "{name}" in operation.path else f"{path}/{name}")

    def _path(self, operation: Operation, name: str) -> str:
        namespace = self._rng.choice(("default", "default", "default", "kube-system", "nowhere"))
        path = operation.path.replace("{namespace}", namespace).replace("{name}", name)
        while "{" in path:
            before, _, rest = path.partition("{")
            path = before + "a" + rest.partition("}")[2]
        return path

    def _body(self, operation: Operation, name: str) -> tuple[Any, str]:
        rng = self._rng
        if operation.method in ("POST", "PUT"):
            return self._generator.object(operation, name), rng.choice(
                ("application/json", "application/yaml")
            )
        if operation.method == "DELETE":
            options = {
                "gracePeriodSeconds": rng.choice((0, 1, -1)),
                "preconditions": {"uid": "x"},
                "orphanDependents": True,
            }
            return {key: value for key, value in options.items() if rng.random() < 0.2}, "application/json"
        if operation.method != "PATCH":
            return b"", "application/json"
        patch = self._generator.object(operation, name)
        kind = rng.choice((MERGE, STRATEGIC, APPLY, JSON_PATCH))
        if kind == APPLY and isinstance(patch, dict):
            return patch, APPLY
        if kind == STRATEGIC and isinstance(patch, dict) and rng.random() < 0.3:
            patch[
                rng.choice(
                    ("$patch", "$retainKeys", "$setElementOrder/a", "$deleteFromPrimitiveList/finalizers")
                )
            ] = rng.choice(("replace", "delete", ["a"], {}))
        if kind == JSON_PATCH:
            paths = (
                "/metadata/labels",
                "/metadata/labels/a",
                "/spec",
                "/spec/x",
                "/metadata/finalizers/-",
                "/data",
                "",
                "/",
            )
            return [
                {
                    "op": rng.choice(("add", "replace", "remove", "copy", "move", "test")),
                    "path": rng.choice(paths),
                    "from": rng.choice(paths),
                    "value": rng.choice((patch, *WORDS)),
                }
                for _ in range(rng.randrange(4))
            ], JSON_PATCH
        return patch, kind

    async def _look_again(self, asked: Any, answer: dict[str, Any], path: str) -> None:
        """At what is stored, with the server's own reader."""
        status, stored = await self._api.get(path)
        if status != 200 or not isinstance(stored, dict):
            return
        try:
            managed_fields.decode(stored.get("metadata", {}).get("managedFields"), stored=True)
        except Exception as error:
            raise Broken(f"{asked}: managedFields are broken: {error!r}: {stored}") from error
        for kind, nothing in ((MERGE, {}), (JSON_PATCH, [])):
            status, after = await self._api.send("PATCH", path, nothing, type=kind)
            if (
                status == 200
                and after["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"]
            ):
                raise Broken(f"{asked}: a patch of nothing wrote: {stored} became {after}")
            if status >= 500:
                raise Broken(f"{asked}: a patch of nothing: {status} {after}")
