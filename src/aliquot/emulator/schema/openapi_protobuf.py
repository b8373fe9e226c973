"""The OpenAPI v2 document as protobuf: kubectl before 1.35 or so takes it in no other form.

The message types are those of gnostic's openapi.v2. Only what `openapi.py` puts in its documents is written;
extensions (`x-...`) travel as YAML text, for which JSON will do.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

CONTENT_TYPE = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"

_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}
_OPERATION_TEXTS = {"tags": 1, "produces": 6, "consumes": 7, "schemes": 10}
_SCHEMA_TEXT = {"$ref": 1, "format": 2, "title": 3, "description": 4, "pattern": 12}
_SCHEMA_NUMBERS = {
    "maxLength": 10,
    "minLength": 11,
    "maxItems": 13,
    "minItems": 14,
    "maxProperties": 16,
    "minProperties": 17,
}
_SCHEMA_FLAGS = {"uniqueItems": 15}


def encode(document: Mapping[str, Any]) -> bytes:
    """The bytes of an openapi.v2.Document."""
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    paths = b"".join(
        _field(2, _text(1, path) + _field(2, _path(item))) for path, item in document["paths"].items()
    )
    return b"".join(
        (
            _text(1, document["swagger"]),
            _field(2, info),
            _field(8, paths),
            _field(9, _named_schemas(document["definitions"])),
        )
    )


def _varint(value: int) -> bytes:
    out = bytearray()
    value &= 2**64 - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _text(number: int, value: str) -> bytes:
    return _field(number, value.encode())


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _any(value: Any) -> bytes:
    return _text(2, json.dumps(value, separators=(",", ":")) + "\n")


def _extensions(number: int, node: Mapping[str, Any]) -> bytes:
    return b"".join(
        _field(number, _text(1, key) + _field(2, _any(value)))
        for key, value in node.items()
        if key.startswith("x-")
    )


def _path(item: Mapping[str, Any]) -> bytes:
    operations = b"".join(
        _field(_METHODS[method], _operation(operation))
        for method, operation in item.items()
        if method != "parameters"
    )
    return operations + b"".join(_field(9, _parameter(one)) for one in item.get("parameters", ()))


def _operation(operation: Mapping[str, Any]) -> bytes:
    texts = b"".join(
        _text(number, text) for name, number in _OPERATION_TEXTS.items() for text in operation.get(name, ())
    )
    parameters = b"".join(_field(8, _parameter(parameter)) for parameter in operation.get("parameters", ()))
    responses = b"".join(
        _field(1, _text(1, code) + _field(2, _field(1, _response(response))))
        for code, response in operation["responses"].items()
    )
    return b"".join(
        (
            texts,
            _text(3, operation["description"]),
            _text(5, operation["operationId"]),
            parameters,
            _field(9, responses),
            _extensions(13, operation),
        )
    )


def _parameter(parameter: Mapping[str, Any]) -> bytes:
    place, required = parameter["in"], int(parameter.get("required", False))
    if place == "body":
        body = _text(2, place) + _text(3, parameter["name"]) + _number(4, required)
        return _field(1, _field(1, body + _field(5, _field(1, _schema(parameter["schema"])))))
    head = _number(1, required) + _text(2, place) + _text(3, parameter["description"])
    head += _text(4, parameter["name"])
    if place == "path":
        return _field(1, _field(2, _field(4, head + _text(5, parameter["type"]))))
    return _field(1, _field(2, _field(3, head + _text(6, parameter["type"]))))


def _response(response: Mapping[str, Any]) -> bytes:
    body = _text(1, response["description"])
    return body + _field(2, _field(1, _schema(response["schema"]))) if "schema" in response else body


def _named_schemas(schemas: Mapping[str, Any]) -> bytes:
    return b"".join(
        _field(1, _text(1, name) + _field(2, _schema(schema))) for name, schema in schemas.items()
    )


def _schema(node: Mapping[str, Any]) -> bytes:
    return b"".join(_schema_parts(node)) + _extensions(31, node)


def _schema_parts(node: Mapping[str, Any]) -> Iterable[bytes]:
    for key, value in node.items():
        if key in _SCHEMA_TEXT:
            yield _text(_SCHEMA_TEXT[key], value)
        elif key in _SCHEMA_NUMBERS:
            yield _number(_SCHEMA_NUMBERS[key], value)
        elif key in _SCHEMA_FLAGS:
            yield _number(_SCHEMA_FLAGS[key], int(value))
        else:
            match key:
                case "default":
                    yield _field(5, _any(value))
                case "required":
                    yield from (_text(19, name) for name in value)
                case "enum":
                    yield from (_field(20, _any(one)) for one in value)
                case "additionalProperties" if isinstance(value, Mapping):
                    yield _field(21, _field(1, _schema(value)))
                case "additionalProperties":
                    yield _field(21, _number(2, int(value)))
                case "type":
                    yield _field(22, _text(1, value))
                case "items":
                    yield _field(23, _field(1, _schema(value)))
                case "properties":
                    yield _field(25, _named_schemas(value))
