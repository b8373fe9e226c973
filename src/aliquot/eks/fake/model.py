"""EKS' own protocol, REST with JSON, read from the server's side: which operation a request is, and how it is answered."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from botocore.model import Shape

from aliquot.eks.fake.shapes import Shapes

_LABEL = re.compile(r"\{(\w+)(\+?)\}")


class Model(Shapes):
    def __init__(self) -> None:
        super().__init__("eks")
        operations = [self.operation(name) for name in self.names]
        self._routes = sorted(
            ((one.http["method"], _pattern(one.http["requestUri"]), one.name) for one in operations),
            # The longer path first: an access policy's is below its entry's.
            key=lambda route: -len(route[1].pattern),
        )

    def route(self, method: str, path: str) -> tuple[str, dict[str, str]] | None:
        """The operation and its labels; None: EKS has no such path. `path` is as it was sent, escapes and all."""
        for wanted, pattern, name in self._routes:
            match = pattern.fullmatch(path) if wanted == method else None
            if match is not None:
                return name, {label: unquote(value) for label, value in match.groupdict().items()}
        return None

    def read(
        self, operation: str, labels: Mapping[str, str], query: Mapping[str, list[str]], body: Any
    ) -> dict[str, Any]:
        """Parameters as the client gave them. Raises Refused."""
        shape = self.operation(operation).input_shape
        if shape is None:
            return {}
        found: dict[str, Any] = {}
        for name, member in shape.members.items():
            location, key = member.serialization.get("location"), member.serialization.get("name", name)
            if location == "uri" and key in labels:
                found[name] = labels[key]
            elif location == "querystring" and key in query:
                found[name] = _from_query(member, query[key])
            elif location is None and isinstance(body, dict) and key in body:
                found[name] = body[key]
        self.check(operation, found)
        return found

    def status(self, code: str) -> int:
        metadata = self.service.shape_for(code).metadata
        return int(metadata["error"]["httpStatusCode"])


def _pattern(uri: str) -> re.Pattern[str]:
    return re.compile(_LABEL.sub(lambda label: f"(?P<{label[1]}>[^/]+)", uri.partition("?")[0]))


def _from_query(shape: Shape, values: list[str]) -> Any:
    if shape.type_name == "list":
        return values
    value = values[-1]
    if shape.type_name == "integer" and re.fullmatch(r"-?\d+", value):
        return int(value)
    if shape.type_name == "boolean":
        return value == "true"
    return value


def as_json(value: Any) -> Any:
    """An answer, as AWS' JSON protocols write it."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return {key: as_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [as_json(one) for one in value]
    return value
