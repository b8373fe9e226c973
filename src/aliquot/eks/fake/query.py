"""AWS' query protocols (EC2's, and that of IAM), from the server's side: a form comes in, XML goes out."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from aliquot.eks.fake.refusals import Refused, wrong

_REQUEST = "00000000-0000-4000-8000-000000000000"


def read(operation: OperationModel, form: Mapping[str, str]) -> dict[str, Any]:
    """The parameters that a form has. Raises Refused."""
    shape = operation.input_shape
    if shape is None:
        return {}
    ec2 = operation.service_model.protocol == "ec2"
    found: dict[str, Any] = _read(shape, form, "", ec2) or {}
    return found


def _read(shape: Shape, form: Mapping[str, str], at: str, ec2: bool) -> Any:
    """None: nothing of it is there."""
    if at and not any(key == at or key.startswith(f"{at}.") for key in form):
        return None
    if isinstance(shape, StructureShape):
        found = {}
        for name, member in shape.members.items():
            key = _key(name, member, ec2)
            value = _read(member, form, f"{at}.{key}" if at else key, ec2)
            if value is not None:
                found[name] = value
        return found or None
    if isinstance(shape, ListShape):
        base = at if ec2 or shape.serialization.get("flattened") else f"{at}.member"
        items: list[Any] = []
        while True:
            item = _read(shape.member, form, f"{base}.{len(items) + 1}", ec2)
            if item is None:
                return items or None
            items.append(item)
    return _scalar(shape, form.get(at, ""), at)


def _key(name: str, member: Shape, ec2: bool) -> str:
    serialized = member.serialization
    if not ec2:
        return str(serialized.get("name", name))
    if "queryName" in serialized:
        return str(serialized["queryName"])
    key = str(serialized.get("name", name))
    return key[0].upper() + key[1:]


def _scalar(shape: Shape, text: str, at: str) -> Any:
    try:
        if shape.type_name in ("integer", "long"):
            return int(text)
        if shape.type_name in ("float", "double"):
            return float(text)
        if shape.type_name == "timestamp":
            return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        raise wrong(f"{at}: {text!r} is no {shape.type_name}") from None
    return text.lower() == "true" if shape.type_name == "boolean" else text


def write(operation: OperationModel, answer: Mapping[str, Any]) -> str:
    """The document that says it."""
    name, namespace = operation.name, operation.service_model.metadata["xmlNamespace"]
    ec2 = operation.service_model.protocol == "ec2"
    shape = operation.output_shape
    inner = _write(shape, answer, ec2) if shape is not None else ""
    if ec2:
        body = f"<requestId>{_REQUEST}</requestId>{inner}"
    else:
        body = (
            f"<{name}Result>{inner}</{name}Result>"
            f"<ResponseMetadata><RequestId>{_REQUEST}</RequestId></ResponseMetadata>"
        )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}Response xmlns="{namespace}">{body}</{name}Response>'
    )


def _write(shape: Shape, value: Any, ec2: bool) -> str:
    """What is within the element of a value."""
    if isinstance(shape, StructureShape):
        return "".join(
            _element(str(member.serialization.get("name", name)), member, value[name], ec2)
            for name, member in shape.members.items()
            if name in value
        )
    if isinstance(shape, ListShape):
        name = str(shape.member.serialization.get("name", "item" if ec2 else "member"))
        return "".join(f"<{name}>{_write(shape.member, one, ec2)}</{name}>" for one in value)
    if isinstance(shape, MapShape):
        return "".join(
            f"<entry><key>{escape(key)}</key><value>{_write(shape.value, one, ec2)}</value></entry>"
            for key, one in value.items()
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return re.sub(r"\+00:00$", "Z", value.astimezone(UTC).isoformat(timespec="milliseconds"))
    return escape(str(value))


def _element(name: str, shape: Shape, value: Any, ec2: bool) -> str:
    if isinstance(shape, ListShape) and shape.serialization.get("flattened"):
        return "".join(f"<{name}>{_write(shape.member, one, ec2)}</{name}>" for one in value)
    return f"<{name}>{_write(shape, value, ec2)}</{name}>"


def refusal(protocol: str, error: Refused) -> str:
    inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    if protocol == "ec2":
        return (
            f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{_REQUEST}</RequestID></Response>"
        )
    return f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>{_REQUEST}</RequestId></ErrorResponse>"
