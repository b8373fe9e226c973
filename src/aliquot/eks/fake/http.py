"""How a request is read and answered over HTTP, by the protocol of the service that it is signed for."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

from aliquot.eks.fake import query
from aliquot.eks.fake.model import as_json
from aliquot.eks.fake.refusals import Refused, wrong
from aliquot.eks.fake.shapes import shapes

Headers = Iterable[tuple[bytes, bytes]]
_SCOPE = re.compile(rb"Credential=[^,]*/([a-z0-9-]+)/aws4_request")
_SERVICES = {"servicequotas": "service-quotas"}
"""By the name that a request is signed with, where botocore has another."""
_PRECONDITION_FAILED = 412


def service(headers: Headers) -> str:
    """Empty: it is signed for none."""
    for name, value in headers:
        found = _SCOPE.search(value) if name.lower() == b"authorization" else None
        if found is not None:
            signed = found[1].decode()
            return _SERVICES.get(signed, signed)
    return ""


def operation(headers: Headers, body: bytes) -> str:
    """Of a JSON service by its header, of a query service by its form; empty: by neither."""
    for name, value in headers:
        if name.lower() == b"x-amz-target":
            return value.decode("latin-1").rpartition(".")[2]
    return _form(body).get("Action", "")


def parameters(service_name: str, name: str, body: bytes) -> dict[str, Any]:
    """Raises Refused."""
    model = shapes(service_name)
    if model.service.protocol != "json":
        return query.read(model.operation(name), _form(body))
    try:
        parsed = json.loads(body) if body else {}
    except ValueError:
        raise wrong("the body is no JSON") from None
    if not isinstance(parsed, dict):
        raise wrong("the body is no JSON object")
    return parsed


def answer(service_name: str, name: str, told: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Its type, and the body."""
    model = shapes(service_name)
    if model.service.protocol == "json":
        return b"application/x-amz-json-1.1", json.dumps(as_json(told)).encode()
    return b"text/xml", query.write(model.operation(name), told).encode()


def refusal(service_name: str, error: Refused) -> tuple[int, bytes, bytes]:
    """Status, type, body."""
    protocol = shapes(service_name).service.protocol
    status = _PRECONDITION_FAILED if error.code == "DryRunOperation" else 400
    if protocol == "json":
        body = json.dumps({"__type": error.code, "message": error.message}).encode()
        return status, b"application/x-amz-json-1.1", body
    return status, b"text/xml", query.refusal(protocol, error).encode()


def _form(body: bytes) -> dict[str, str]:
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True)
    except UnicodeDecodeError:
        return {}
    return {key: values[-1] for key, values in fields.items()}
