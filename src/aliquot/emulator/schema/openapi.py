"""The OpenAPI documents that kubectl reads: v3 (an index and one document for each group version) and v2.

kubectl reads three things in them: that PATCH takes `fieldValidation` (else it wants `--validate=false`), the
merge keys of lists, and the prose that `kubectl explain` shows. Every `$ref` resolves within its document.
Documents are rendered when they are first asked for and kept as bytes; the hashes in the index come from what a
document is made of, so that an index costs no rendering.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from aliquot.emulator.discovery import ResourceType
from aliquot.emulator.schema import definitions, openapi_protobuf, operations
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.definitions import GroupVersionKind
from aliquot.emulator.schema.kind import Schema
from aliquot.emulator.schema.operations import LIST_META, TEXT, Content, Operation, Parameter, Path
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
_LIST_METADATA_PROSE = "Standard list metadata. More info: " + _KIND_PROSE.rpartition(" ")[2]
_CODES = {200: "OK", 201: "Created", 202: "Accepted"}
_UNAUTHORIZED = {"401": {"description": "Unauthorized"}}
_BEARER = {
    "BearerToken": {
        "type": "apiKey",
        "description": "Bearer Token authentication",
        "name": "authorization",
        "in": "header",
    }
}


class OpenApi:
    """Renders and keeps the documents of a catalogue; `set_resources` is called again when a CRD comes or goes."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._resources: dict[str, list[ResourceType]] = {}
        self._hashes: dict[str, str] = {}
        self._changed = False
        self._documents: dict[str, bytes] = {}
        self._v2: bytes | None = None
        self._v2_protobuf: bytes | None = None

    def set_resources(self, resources: Iterable[ResourceType]) -> None:
        """What the server serves now."""
        self._resources = {}
        for resource in resources:
            self._resources.setdefault(operations.root(resource), []).append(resource)
        self._changed = True

    def _catch_up(self) -> None:
        """Drops the documents that changed. Put off until somebody asks for one: CRDs come by the dozen."""
        if not self._changed:
            return
        hashes = {name: self._hash(listed) for name, listed in self._resources.items()}
        self._documents = {
            name: body for name, body in self._documents.items() if hashes.get(name) == self._hashes[name]
        }
        if hashes != self._hashes:
            self._v2 = self._v2_protobuf = None
        self._hashes, self._changed = hashes, False

    def _hash(self, resources: list[ResourceType]) -> str:
        made_of = hashlib.sha512(self._catalogue.version.encode())
        for resource in resources:
            made_of.update(repr(resource).encode())
            schema = self._catalogue.get(resource.group, resource.version, resource.kind)
            if schema is not None and schema.custom:
                made_of.update(msgspec.json.encode(schema.shape.node))
        return made_of.hexdigest().upper()

    def v3_index(self) -> bytes:
        """GET /openapi/v3: `{"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=..."}}}`."""
        self._catch_up()
        paths = {
            name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={self._hashes[name]}"}
            for name in sorted(self._hashes)
        }
        return msgspec.json.encode({"paths": paths})

    def v3_document(self, path: str) -> bytes | None:
        """GET /openapi/v3/{path}, such as `api/v1` or `apis/apps/v1`; None when there is none."""
        self._catch_up()
        resources = self._resources.get(path)
        if resources is None:
            return None
        document = self._documents.get(path)
        if document is None:
            schemas = _Schemas(self._catalogue, _V3_PREFIX, version=3)
            content = {
                "openapi": "3.0.0",
                "info": self._info(),
                "paths": {path.path: _v3_path(path, schemas) for path in operations.paths(resources)},
                "components": {"schemas": schemas.closure(), "securitySchemes": _BEARER},
            }
            document = self._documents[path] = msgspec.json.encode(content)
        return document

    def v2(self) -> bytes:
        """GET /openapi/v2 as JSON."""
        self._catch_up()
        if self._v2 is None:
            self._v2 = msgspec.json.encode(self._v2_content())
        return self._v2

    def v2_protobuf(self) -> bytes:
        """GET /openapi/v2 as `openapi_protobuf.CONTENT_TYPE`, which older kubectl insists on."""
        self._catch_up()
        if self._v2_protobuf is None:
            self._v2_protobuf = openapi_protobuf.encode(self._v2_content())
        return self._v2_protobuf

    def _v2_content(self) -> dict[str, Any]:
        schemas = _Schemas(self._catalogue, _V2_PREFIX, version=2)
        paths: dict[str, Any] = {}
        for name in sorted(self._resources):
            paths |= {path.path: _v2_path(path, schemas) for path in operations.paths(self._resources[name])}
        return {
            "swagger": "2.0",
            "info": self._info(),
            "paths": paths,
            "definitions": schemas.closure(),
            "securityDefinitions": _BEARER,
            "security": [{"BearerToken": []}],
        }

    def _info(self) -> dict[str, str]:
        return {"title": "Kubernetes", "version": f"v{self._catalogue.version}.0"}


class _Schemas:
    """The definitions of one document: those that were asked for, and all that these refer to."""

    def __init__(self, catalogue: Catalogue, prefix: str, *, version: int) -> None:
        self._catalogue = catalogue
        self._prefix = prefix
        self._version = version
        self._prose = definitions.descriptions(catalogue.version)
        self._custom: dict[str, GroupVersionKind] = {}
        self._asked: set[str] = set()
        self._waiting: deque[str] = deque()

    def of_content(self, content: Content) -> dict[str, Any]:
        """What a body is: a reference, or plain text."""
        if content == TEXT:
            return {"type": "string"}
        if isinstance(content, str):
            return self._refer(content)
        schema = self._catalogue.get(*content)
        if schema is not None and not schema.custom:
            return self._refer(schema.shape.name)
        name = _custom_name(*content)
        self._custom.setdefault(name, content)
        return {"$ref": self._prefix + name}

    def _refer(self, name: str) -> dict[str, Any]:
        if name not in self._asked:
            self._asked.add(name)
            self._waiting.append(name)
        return {"$ref": self._prefix + name}

    def closure(self) -> dict[str, Any]:
        rendered: dict[str, Any] = {}
        for name, kind in list(self._custom.items()):
            schema = self._catalogue.get(*kind)
            rendered[name] = self._kind(schema) if schema is not None else self._list(*kind)
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

    def _kind(self, schema: Schema) -> dict[str, Any]:
        """A custom kind."""
        node = _published(schema.shape.node, version=self._version)
        node.pop("x-kubernetes-embedded-resource", None)
        properties = {**node.get("properties", {}), **self._head(OBJECT_META, _METADATA_PROSE)}
        return {**node, "type": "object", "properties": properties, _GVK: [_gvk(*schema.key)]}

    def _list(self, group: str, version: str, list_kind: str) -> dict[str, Any]:
        """Of a custom kind."""
        kind = list_kind.removesuffix("List")
        items = {"type": "array", "items": self.of_content((group, version, kind))}
        return {
            "description": f"{list_kind} is a list of {kind}",
            "type": "object",
            "required": ["items"],
            "properties": {"items": items, **self._head(LIST_META, _LIST_METADATA_PROSE)},
            _GVK: [_gvk(group, version, list_kind)],
        }

    def _head(self, metadata: str, prose: str) -> dict[str, Any]:
        """The properties that everything has."""
        return {
            "apiVersion": {"description": _API_VERSION_PROSE, "type": "string"},
            "kind": {"description": _KIND_PROSE, "type": "string"},
            "metadata": self._described({"description": prose, **self._refer(metadata)}, "", ""),
        }


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


def _v3_path(path: Path, schemas: _Schemas) -> dict[str, Any]:
    item: dict[str, Any] = {one.method: _v3_operation(one, schemas) for one in path.operations}
    if path.parameters:
        item["parameters"] = [_v3_parameter(one) for one in path.parameters]
    return item


def _v3_operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    content = _v3_content(operation.answer, operation.media, schemas)
    found: dict[str, Any] = {
        "tags": [operation.tag],
        "description": operation.prose,
        "operationId": operation.id,
    }
    if operation.parameters:
        found["parameters"] = [_v3_parameter(one) for one in operation.parameters]
    if (body := operation.body) is not None:
        found["requestBody"] = {"content": _v3_content(body.content, body.media, schemas)}
        if body.required:
            found["requestBody"]["required"] = True
    found["responses"] = {
        str(code): {"description": _CODES[code], "content": content} for code in operation.codes
    } | _UNAUTHORIZED
    return found | _extensions(operation)


def _v3_content(content: Content, media: Iterable[str], schemas: _Schemas) -> dict[str, Any]:
    schema = schemas.of_content(content)
    return {one: {"schema": schema} for one in media}


def _v3_parameter(parameter: Parameter) -> dict[str, Any]:
    return _parameter_head(parameter) | {"schema": {"type": parameter.type, "uniqueItems": True}}


def _v2_path(path: Path, schemas: _Schemas) -> dict[str, Any]:
    item: dict[str, Any] = {one.method: _v2_operation(one, schemas) for one in path.operations}
    if path.parameters:
        item["parameters"] = [_v2_parameter(one) for one in path.parameters]
    return item


def _v2_operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    parameters = [_v2_parameter(one) for one in operation.parameters]
    body = operation.body
    if body is not None:
        place: dict[str, Any] = {"name": "body", "in": "body", "schema": schemas.of_content(body.content)}
        parameters.insert(0, place | {"required": True} if body.required else place)
    answer = schemas.of_content(operation.answer)
    found: dict[str, Any] = {
        "tags": [operation.tag],
        "description": operation.prose,
        "operationId": operation.id,
        "consumes": list(body.media if body is not None else ("*/*",)),
        "produces": list(operation.media),
        "schemes": ["https"],
    }
    if parameters:
        found["parameters"] = parameters
    found["responses"] = {
        str(code): {"description": _CODES[code], "schema": answer} for code in operation.codes
    } | _UNAUTHORIZED
    return found | _extensions(operation)


def _v2_parameter(parameter: Parameter) -> dict[str, Any]:
    return _parameter_head(parameter) | {"type": parameter.type, "uniqueItems": True}


def _parameter_head(parameter: Parameter) -> dict[str, Any]:
    place = {"in": "path", "required": True} if parameter.in_path else {"in": "query"}
    return {"name": parameter.name, "description": parameter.prose, **place}


def _extensions(operation: Operation) -> dict[str, Any]:
    if operation.kind is None:
        return {}
    return {
        "x-kubernetes-action": operation.action,
        _GVK: _gvk(*operation.kind),
    }


def _gvk(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "kind": kind, "version": version}


def _custom_name(group: str, version: str, kind: str) -> str:
    return ".".join([*reversed(group.split(".")), version, kind])
