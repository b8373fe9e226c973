"""Requests from the server's own OpenAPI documents: objects that fit their schema, and ones that nearly do.

A seed fixes everything. Names, namespaces and labels come from small sets, so that requests meet each other's objects.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.emulator.registry import Registry

NAMES = ("a", "b", "default", "kube-system", "x" * 63, "A_", "a.b")
WORDS = (
    "a",
    "b",
    "",
    "v1",
    "1",
    "-1",
    "10m",
    "1Gi",
    "Always",
    "Never",
    "true",
    "2026-01-01T00:00:00Z",
    "ä",
    "a/b",
    "*",
    "100%",
)
NUMBERS = (0, 1, 2, -1, 80, 65536, 2**31, 2**53 + 1, 1.5)
JUNK: tuple[Any, ...] = (None, "", 0, -1, 2**63, 1.5, True, [], {}, [None], [{}], {"": None}, "x" * 300)
MOST_LEVELS = 7


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    """With `{namespace}`, `{name}` and the like."""
    parameters: tuple[str, ...]
    schema: str
    """Of the object, by its name in `schemas`."""


@dataclass(frozen=True, slots=True)
class Documents:
    operations: Sequence[Operation]
    schemas: Mapping[str, Mapping[str, Any]]


def read(registry: Registry) -> Documents:
    operations: list[Operation] = []
    schemas: dict[str, Mapping[str, Any]] = {}
    for name in sorted(json.loads(registry.openapi.v3_index())["paths"]):
        content = registry.openapi.v3_document(name)
        assert content is not None
        document = json.loads(content)
        schemas |= document["components"]["schemas"]
        for path, item in sorted(document["paths"].items()):
            of_all = item.get("parameters", [])
            for method, operation in sorted(item.items()):
                if method == "parameters":
                    continue
                known = (*of_all, *operation.get("parameters", ()))
                named = tuple(one["name"] for one in known if one["in"] == "query")
                operations.append(Operation(method.upper(), path, named, _schema(operation)))
    return Documents(operations, schemas)


def _schema(operation: Mapping[str, Any]) -> str:
    """Of its answer: what is patched is described there alone."""
    for answer in operation["responses"].values():
        for media in answer.get("content", {}).values():
            reference: str = media["schema"].get("$ref", "")
            return reference.rpartition("/")[2]
    return ""


class Generator:
    def __init__(self, documents: Documents, rng: random.Random) -> None:
        self._schemas = documents.schemas
        self._rng = rng

    def object(self, operation: Operation, name: str) -> Any:
        """For the body of a request: mostly of the right kind and shape."""
        found = self.value({"$ref": f"#/components/schemas/{operation.schema}"})
        if isinstance(found, dict):
            for field in ("apiVersion", "kind", "status"):
                found.pop(field, None)
            found["metadata"] = self._metadata(name)
        return self.spoilt(found) if self._rng.random() < 0.3 else found

    def _metadata(self, name: str) -> dict[str, Any]:
        rng = self._rng
        found: dict[str, Any] = {"name": name}
        if rng.random() < 0.3:
            found["labels"] = {rng.choice(WORDS): rng.choice(WORDS)}
        if rng.random() < 0.1:
            found["finalizers"] = [rng.choice(("example.com/f", "foregroundDeletion", "bad"))]
        if rng.random() < 0.05:
            found[rng.choice(("resourceVersion", "uid", "generateName", "deletionTimestamp"))] = rng.choice(
                WORDS
            )
        return found

    def value(self, schema: Mapping[str, Any], levels: int = 0) -> Any:
        """Of a schema; required fields are there, others sometimes, fewer as it gets deeper."""
        rng = self._rng
        if "$ref" in schema:
            return self.value(self._schemas.get(schema["$ref"].rpartition("/")[2], {}), levels)
        if "allOf" in schema:
            return self.value(schema["allOf"][0], levels)
        if "enum" in schema and rng.random() < 0.9:
            return rng.choice(schema["enum"])
        match schema.get("type"):
            case "object":
                return self._object(schema, levels)
            case "array":
                count = rng.choice((0, 1, 1, 2)) if levels < MOST_LEVELS else 0
                return [self.value(schema.get("items", {}), levels + 1) for _ in range(count)]
            case "integer" | "number":
                return rng.choice(NUMBERS)
            case "boolean":
                return rng.random() < 0.5
            case "string":
                return rng.choice(WORDS)
        return rng.choice((1, "50%", {}, "a"))

    def _object(self, schema: Mapping[str, Any], levels: int) -> dict[str, Any]:
        rng = self._rng
        required, properties = schema.get("required", ()), schema.get("properties", {})
        found = {
            name: self.value(part, levels + 1)
            for name, part in properties.items()
            if name in required or rng.random() < 0.5 / (levels + 1)
        }
        more = schema.get("additionalProperties")
        if isinstance(more, dict) and levels < MOST_LEVELS and rng.random() < 0.5:
            found[rng.choice(WORDS)] = self.value(more, levels + 1)
        return found

    def spoilt(self, value: Any) -> Any:
        """With one part replaced, dropped or doubled."""
        rng = self._rng
        if isinstance(value, dict) and value and rng.random() < 0.85:
            key = rng.choice(sorted(value))
            if rng.random() < 0.1:
                return {name: part for name, part in value.items() if name != key}
            return {**value, key: self.spoilt(value[key])}
        if isinstance(value, list) and value and rng.random() < 0.8:
            index = rng.randrange(len(value))
            if rng.random() < 0.1:
                return [*value, value[index]]
            return [*value[:index], self.spoilt(value[index]), *value[index + 1 :]]
        return rng.choice(JUNK)
