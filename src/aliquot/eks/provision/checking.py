"""Whether the calls of a plan are ones that AWS' own models know, before any is made."""

from functools import cache
from typing import Any

import botocore.session
from botocore.model import Shape, StructureShape
from botocore.validate import ParamValidator

from aliquot.eks.provision.resources import Call, Ref


@cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


@cache
def _input(service: str, operation: str) -> Shape:
    return _session().get_service_model(service).operation_model(operation).input_shape


def wrong(call: Call) -> str:
    """What is wrong with it, in one line; empty: nothing is. A Ref is taken for some text."""
    shape, parameters = _input(call.service, call.operation), shown(call.parameters)
    report = ParamValidator().validate(parameters, shape)
    if report.has_errors():
        return " ".join(str(report.generate_report()).split())
    return _not_listed(shape, call.parameters, call.operation)


def shown(value: Any) -> Any:
    """With Refs as they are written for people."""
    if isinstance(value, Ref):
        return str(value)
    if isinstance(value, dict):
        return {key: shown(one) for key, one in value.items()}
    return [shown(one) for one in value] if isinstance(value, list) else value


def _not_listed(shape: Shape, value: Any, where: str) -> str:
    """botocore's validator looks at no enumerations."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        parts = ((shape.members[name], one, f"{where}.{name}") for name, one in value.items())
        return next((found for part in parts if (found := _not_listed(*part))), "")
    if shape.type_name == "list" and isinstance(value, list):
        parts = ((shape.member, one, where) for one in value)
        return next((found for part in parts if (found := _not_listed(*part))), "")
    listed = getattr(shape, "enum", None)
    if listed and isinstance(value, str) and value not in listed:
        return f"{where}: {value!r} is none of {', '.join(listed)}"
    return ""
