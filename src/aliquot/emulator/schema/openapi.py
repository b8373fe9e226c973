"""The OpenAPI documents that kubectl reads: v3 (an index and one document for each group version) and v2.

kubectl reads three things in them: that PATCH takes `fieldValidation` (else it wants `--validate=false`), the
merge keys of lists, and the prose that `kubectl explain` shows. Every `$ref` resolves within its document.
Documents are rendered when they are first asked for and kept as bytes; the hashes in the index come from what a
document is made of, so that an index costs no rendering.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from aliquot.emulator.schema import definitions, openapi_protobuf
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.kind import Schema
from aliquot.emulator.schema.shapes import OBJECT_META

_V3_PREFIX = "#/components/schemas/"
_V2_PREFIX = "#/definitions/"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_GVK = "x-kubernetes-group-version-kind"
_API_VERSION_PROSE = (
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized "
    "schemas to the latest internal value, and may reject unrecognized values. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
)
_KIND_PROSE = (
    "Kind is a string value representing the REST resource this object represents. Servers may infer this from the "
    "endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)
_METADATA_PROSE = (
    "Standard object's metadata. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
_METHODS = {
    "get": "get",
    "create": "post",
    "update": "put",
    "patch": "patch",
    "delete": "delete",
    "list": "get",
}
_ACTIONS = {"create": "post", "update": "put"}
_ON_ITEM = ("get", "update", "patch", "delete")
_ON_LIST = ("list", "create", "deletecollection")
_WRITES = ("create", "update", "patch")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One resource as discovery lists it; `verbs` without subresources."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    subresources: tuple[str, ...] = ()

    @property
    def document(self) -> str:
        """The v3 document that it belongs to: `api/v1`, `apis/apps/v1`."""
        return f"apis/{self.group}/{self.version}" if self.group else f"api/{self.version}"


class OpenApi:
    """Renders and keeps the documents of a catalogue; `set_endpoints` is called again when a CRD comes or goes."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._endpoints: dict[str, list[Endpoint]] = {}
        self._hashes: dict[str, str] = {}
        self._documents: dict[str, bytes] = {}
        self._v2: bytes | None = None
        self._v2_protobuf: bytes | None = None

    def set_endpoints(self, endpoints: Iterable[Endpoint]) -> None:
        """What the server serves now. Drops the documents that changed."""
        grouped: dict[str, list[Endpoint]] = {}
        for endpoint in endpoints:
            grouped.setdefault(endpoint.document, []).append(endpoint)
        hashes = {name: self._hash(listed) for name, listed in grouped.items()}
        self._documents = {
            name: body for name, body in self._documents.items() if hashes.get(name) == self._hashes[name]
        }
        if hashes != self._hashes:
            self._v2 = self._v2_protobuf = None
        self._endpoints, self._hashes = grouped, hashes

    def _hash(self, endpoints: list[Endpoint]) -> str:
        made_of = hashlib.sha512(self._catalogue.version.encode())
        for endpoint in endpoints:
            made_of.update(repr(endpoint).encode())
            schema = self._catalogue.get(endpoint.group, endpoint.version, endpoint.kind)
            if schema is not None and schema.custom:
                made_of.update(msgspec.json.encode(schema.shape.node))
        return made_of.hexdigest().upper()

    def v3_index(self) -> bytes:
        """GET /openapi/v3: `{"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=..."}}}`."""
        paths = {
            name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={self._hashes[name]}"}
            for name in sorted(self._hashes)
        }
        return msgspec.json.encode({"paths": paths})

    def v3_document(self, path: str) -> bytes | None:
        """GET /openapi/v3/{path}, such as `api/v1` or `apis/apps/v1`; None when there is none."""
        endpoints = self._endpoints.get(path)
        if endpoints is None:
            return None
        document = self._documents.get(path)
        if document is None:
            schemas = _Schemas(self._catalogue, _V3_PREFIX, version=3)
            content = {
                "openapi": "3.0.0",
                "info": self._info(),
                "paths": _paths(endpoints, schemas),
                "components": {"schemas": schemas.closure()},
            }
            document = self._documents[path] = msgspec.json.encode(content)
        return document

    def v2(self) -> bytes:
        """GET /openapi/v2 as JSON."""
        if self._v2 is None:
            self._v2 = msgspec.json.encode(self._v2_content())
        return self._v2

    def v2_protobuf(self) -> bytes:
        """GET /openapi/v2 as `openapi_protobuf.CONTENT_TYPE`, which older kubectl insists on."""
        if self._v2_protobuf is None:
            self._v2_protobuf = openapi_protobuf.encode(self._v2_content())
        return self._v2_protobuf

    def _v2_content(self) -> dict[str, Any]:
        schemas = _Schemas(self._catalogue, _V2_PREFIX, version=2)
        paths: dict[str, Any] = {}
        for name in sorted(self._endpoints):
            paths |= _paths(self._endpoints[name], schemas)
        return {"swagger": "2.0", "info": self._info(), "paths": paths, "definitions": schemas.closure()}

    def _info(self) -> dict[str, str]:
        return {"title": "Kubernetes", "version": f"v{self._catalogue.version}.0"}


class _Schemas:
    """The definitions of one document: those that were asked for, and all that these refer to."""

    def __init__(self, catalogue: Catalogue, prefix: str, *, version: int) -> None:
        self._catalogue = catalogue
        self._prefix = prefix
        self._version = version
        self._prose = definitions.descriptions(catalogue.version)
        self._names: dict[str, Schema | None] = {}
        self._waiting: deque[str] = deque()

    @property
    def is_v2(self) -> bool:
        return self._version == 2

    def of(self, group: str, version: str, kind: str) -> dict[str, Any] | None:
        """A reference to a kind's definition; None when there is no such kind."""
        schema = self._catalogue.get(group, version, kind)
        if schema is None:
            return None
        if not schema.custom:
            return self._refer(schema.shape.name)
        name = ".".join([*reversed(group.split(".")), version, kind])
        self._names.setdefault(name, schema)
        return {"$ref": self._prefix + name}

    def _refer(self, name: str) -> dict[str, Any]:
        if name not in self._names:
            self._names[name] = None
            self._waiting.append(name)
        return {"$ref": self._prefix + name}

    def closure(self) -> dict[str, Any]:
        rendered = {
            name: self._custom(schema) for name, schema in list(self._names.items()) if schema is not None
        }
        while self._waiting:
            name = self._waiting.popleft()
            node = self._catalogue.built_in.nodes[name]
            rendered[name] = self._built_in(name, node)
        return dict(sorted(rendered.items()))

    def _built_in(self, name: str, node: Mapping[str, Any]) -> dict[str, Any]:
        if self._version == 3:
            if name == _INT_OR_STRING:
                return {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
            if name == _QUANTITY:
                return self._described({"oneOf": [{"type": "string"}, {"type": "number"}]}, name, "")
        elif name == _QUANTITY:
            return self._described({"type": "string"}, name, "")
        return self._described(self._node(node, name), name, "")

    def _node(self, node: Mapping[str, Any], owner: str = "") -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in node.items():
            match key:
                case "$ref":
                    out |= self._refer(value)
                case "properties":
                    out[key] = {
                        name: self._described(self._node(child), owner, name) for name, child in value.items()
                    }
                case "items" | "additionalProperties" if isinstance(value, Mapping):
                    out[key] = self._node(value)
                case _:
                    out[key] = value
        return out

    def _described(self, node: dict[str, Any], owner: str, name: str) -> dict[str, Any]:
        prose = self._prose.get(owner, {}).get(name)
        if prose:
            node = {"description": prose, **node}
        if self._version == 3 and "$ref" in node and len(node) > 1:
            reference = node.pop("$ref")
            node["allOf"] = [{"$ref": reference}]  # beside a $ref OpenAPI 3.0 reads nothing
        return node

    def _custom(self, schema: Schema) -> dict[str, Any]:
        node = _published(schema.shape.node, version=self._version)
        node.pop("x-kubernetes-embedded-resource", None)
        metadata = {"description": _METADATA_PROSE, **self._refer(OBJECT_META)}
        properties = {
            **node.get("properties", {}),
            "apiVersion": {"description": _API_VERSION_PROSE, "type": "string"},
            "kind": {"description": _KIND_PROSE, "type": "string"},
            "metadata": self._described(metadata, "", ""),
        }
        gvk = {"group": schema.group, "kind": schema.kind, "version": schema.version}
        return {**node, "type": "object", "properties": properties, _GVK: [gvk]}


def _published(node: Mapping[str, Any], *, version: int) -> dict[str, Any]:
    """A CRD's schema as it is shown. v2 knows fewer words, so that it shows less rather than something wrong."""
    out: dict[str, Any] = {}
    for key, value in node.items():
        if version == 2 and key in ("oneOf", "anyOf", "allOf", "not", "nullable"):
            continue
        match key:
            case "properties":
                out[key] = {name: _published(child, version=version) for name, child in value.items()}
            case "items" | "additionalProperties" if isinstance(value, Mapping):
                out[key] = _published(value, version=version)
            case _:
                out[key] = value
    return out


# --- paths ---


def _paths(endpoints: Iterable[Endpoint], schemas: _Schemas) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        root = f"/{endpoint.document}"
        if endpoint.namespaced:
            paths[f"{root}/{endpoint.plural}"] = _operations(endpoint, ("list",), schemas)
            root += "/namespaces/{namespace}"
        collection = f"{root}/{endpoint.plural}"
        paths[collection] = _operations(endpoint, _ON_LIST, schemas)
        paths[f"{collection}/{{name}}"] = _operations(endpoint, _ON_ITEM, schemas)
        for subresource in endpoint.subresources:
            if subresource == "status":
                paths[f"{collection}/{{name}}/status"] = _operations(
                    endpoint, ("get", "update", "patch"), schemas
                )
    return {path: operations for path, operations in paths.items() if operations}


def _operations(endpoint: Endpoint, verbs: Iterable[str], schemas: _Schemas) -> dict[str, Any]:
    operations: dict[str, Any] = {}
    reference = schemas.of(endpoint.group, endpoint.version, endpoint.kind)
    for verb in verbs:
        if verb not in endpoint.verbs:
            continue
        method = "delete" if verb == "deletecollection" else _METHODS[verb]
        operations[method] = {
            "parameters": [_parameter(name, schemas) for name in (_WRITE_QUERY if verb in _WRITES else ())],
            "responses": {"200": _response(reference, schemas)},
            "x-kubernetes-action": _ACTIONS.get(verb, verb),
            _GVK: {"group": endpoint.group, "kind": endpoint.kind, "version": endpoint.version},
        }
    return operations


_WRITE_QUERY = ("dryRun", "fieldManager", "fieldValidation")


def _parameter(name: str, schemas: _Schemas) -> dict[str, Any]:
    if schemas.is_v2:
        return {"name": name, "in": "query", "type": "string", "uniqueItems": True}
    return {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}


def _response(reference: dict[str, Any] | None, schemas: _Schemas) -> dict[str, Any]:
    if reference is None:
        return {"description": "OK"}
    if schemas.is_v2:
        return {"description": "OK", "schema": reference}
    return {"description": "OK", "content": {"application/json": {"schema": reference}}}
