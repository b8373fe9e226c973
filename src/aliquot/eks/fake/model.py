"""Botocore's model of a REST-JSON service, read from the server's side: which operation a request is, what it may hold, how it is answered."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

from aliquot.eks.fake.refusals import Refused, wrong

_LABEL = re.compile(r"\{(\w+)(\+?)\}")


class Model:
    def __init__(self, service: str = "eks") -> None:
        session = botocore.session.Session()
        self._service: ServiceModel = session.get_service_model(service)
        self._pages = session.get_paginator_model(service)
        self._validator = ParamValidator()
        self.operations: dict[str, OperationModel] = {
            name: self._service.operation_model(name) for name in self._service.operation_names
        }
        self._routes = sorted(
            (
                (operation.http["method"], _pattern(operation.http["requestUri"]), name)
                for name, operation in self.operations.items()
            ),
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
        shape = self.operations[operation].input_shape
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

    def check(self, operation: str, parameters: Mapping[str, Any]) -> None:
        """Raises Refused where they are not what the model has."""
        shape = self.operations[operation].input_shape
        if shape is None:
            return
        report = self._validator.validate(dict(parameters), shape)
        if report.has_errors():
            raise wrong(" ".join(report.generate_report().split()))
        _check_enums(shape, parameters, "")

    def answer(self, operation: str, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, as it goes out. Raises AssertionError where it is not what the model has: that is a defect of the fake."""
        shape = self.operations[operation].output_shape
        if shape is None:
            assert not answer, f"{operation} answers nothing"
            return {}
        report = self._validator.validate(dict(answer), shape)
        assert not report.has_errors(), f"{operation}: {report.generate_report()}"
        unknown = set(answer) - set(shape.members)
        assert not unknown, f"{operation}: the model has no {unknown}"
        _assert_known(shape, answer, operation)
        return {name: _out(value) for name, value in answer.items()}

    def status(self, code: str) -> int:
        metadata = self._service.shape_for(code).metadata
        return int(metadata["error"]["httpStatusCode"])

    def list_of(self, operation: str) -> str | None:
        """Which part of the answer comes in pages; None: none does."""
        try:
            result: str = self._pages.get_paginator(operation)["result_key"]
        except ValueError:
            return None
        return result


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


def _check_enums(shape: Shape, value: Any, where: str) -> None:
    """The validator looks at no enumerations; EKS does."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name, member in shape.members.items():
            if name in value:
                _check_enums(member, value[name], f"{where}.{name}".lstrip("."))
    elif shape.type_name == "list" and isinstance(value, list):
        for item in value:
            _check_enums(shape.member, item, where)
    elif getattr(shape, "enum", None) and value not in shape.enum:
        raise wrong(f"{where}: {value!r} is none of {', '.join(shape.enum)}")


def _assert_known(shape: Shape, value: Any, where: str) -> None:
    try:
        _check_enums(shape, value, where)
    except Refused as error:
        raise AssertionError(error.message) from None
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        unknown = set(value) - set(shape.members)
        assert not unknown, f"{where}: the model has no {unknown}"
        for name, one in value.items():
            _assert_known(shape.members[name], one, f"{where}.{name}")
    elif shape.type_name == "list":
        for item in value:
            _assert_known(shape.member, item, where)


def _out(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return {key: _out(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_out(one) for one in value]
    return value
