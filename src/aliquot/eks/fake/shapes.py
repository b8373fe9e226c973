"""What a service's operations take and answer, by botocore's own model of it."""

import base64
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

from aliquot.eks.fake.refusals import Refused, wrong


@dataclass(frozen=True)
class Paging:
    """How an operation's answer comes in pages."""

    asked: str
    """The member of the call that says where to go on."""
    told: str
    limit: str
    result: str


class Shapes:
    def __init__(self, service: str) -> None:
        session = botocore.session.Session()
        self.service: ServiceModel = session.get_service_model(service)
        self._pages = session.get_paginator_model(service)
        self._validator = ParamValidator()

    @functools.cached_property
    def names(self) -> frozenset[str]:
        return frozenset(self.service.operation_names)

    def operation(self, name: str) -> OperationModel:
        return self.service.operation_model(name)

    def check(self, operation: str, parameters: Mapping[str, Any]) -> None:
        """Raises Refused where they are not what the model has."""
        shape = self.operation(operation).input_shape
        if shape is None:
            return
        report = self._validator.validate(dict(parameters), shape)
        if report.has_errors():
            raise wrong(" ".join(report.generate_report().split()))
        _check_bounds(shape, parameters, "")

    def assert_answer(self, operation: str, answer: Mapping[str, Any]) -> None:
        """Raises AssertionError where it is not what the model has: that is a defect of the fake."""
        shape = self.operation(operation).output_shape
        if shape is None:
            assert not answer, f"{operation} answers nothing"
            return
        # AWS answers with empty lists where its model wants one item at least.
        report = self._validator.validate({key: one for key, one in answer.items() if one != []}, shape)
        assert not report.has_errors(), f"{operation}: {report.generate_report()}"
        try:
            _check_bounds(shape, answer, operation)
        except Refused as error:
            raise AssertionError(error.message) from None
        _assert_known(shape, answer, operation)

    def paging(self, operation: str) -> Paging | None:
        try:
            pages = self._pages.get_paginator(operation)
        except ValueError:
            return None
        return Paging(pages["input_token"], pages["output_token"], pages["limit_key"], pages["result_key"])

    def page(
        self, operation: str, parameters: Mapping[str, Any], answer: dict[str, Any], most: int
    ) -> dict[str, Any]:
        """The part of the answer that is asked for: at most so many items. Raises Refused."""
        paging = self.paging(operation)
        if paging is None or paging.result not in answer:
            return answer
        first = _decoded(parameters.get(paging.asked))
        last = first + min(parameters.get(paging.limit, most), most)
        items = answer[paging.result]
        page = {**answer, paging.result: items[first:last]}
        if last < len(items):
            page[paging.told] = base64.urlsafe_b64encode(str(last).encode()).decode()
        return page


@functools.cache
def shapes(service: str) -> Shapes:
    """Read once: that of EC2 is large."""
    return Shapes(service)


def _decoded(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token.encode()))
    except ValueError:
        raise wrong("The nextToken is none of ours") from None


def _check_bounds(shape: Shape, value: Any, where: str) -> None:
    """The validator looks at no enumerations, and at no upper bounds; AWS does."""
    most = shape.metadata.get("max")
    size = value if shape.type_name in ("integer", "long") else len(value) if shape.type_name == "list" else 0
    if most is not None and size > most:
        raise wrong(f"{where}: {size} is more than {most}")
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name, member in shape.members.items():
            if name in value:
                _check_bounds(member, value[name], f"{where}.{name}".lstrip("."))
    elif shape.type_name == "list" and isinstance(value, list):
        for item in value:
            _check_bounds(shape.member, item, where)
    elif getattr(shape, "enum", None) and value not in shape.enum:
        raise wrong(f"{where}: {value!r} is none of {', '.join(shape.enum)}")


def _assert_known(shape: Shape, value: Any, where: str) -> None:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        unknown = set(value) - set(shape.members)
        assert not unknown, f"{where}: the model has no {unknown}"
        for name, one in value.items():
            _assert_known(shape.members[name], one, f"{where}.{name}")
    elif shape.type_name == "list":
        for item in value:
            _assert_known(shape.member, item, where)
