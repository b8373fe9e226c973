"""Every call that a plan will make, against AWS' own model of the service, before anybody approves it."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.exceptions
import botocore.session
from botocore.model import OperationModel, OperationNotFoundError, Shape, StructureShape
from botocore.validate import ParamValidator

from aliquot.eks.plan.calls import call_of
from aliquot.eks.upgrade.steps import Step, token
from aliquot.eks.upgrade.verdicts import Call


def wrong(run: str, steps: tuple[Step, ...]) -> tuple[str, ...]:
    """A line for each call that AWS would not take."""
    return tuple(
        f"step {step.id}: {call.service}:{call.operation}: {line}"
        for step in steps
        if (call := call_of(step.act, token(run, step.id, 0))) is not None
        for line in against_model(call)
    )


def against_model(call: Call) -> Iterator[str]:
    try:
        shape = _operation(call.service, call.operation).input_shape
    except botocore.exceptions.UnknownServiceError:
        yield "AWS has no such service"
        return
    except OperationNotFoundError:
        yield "the service has no such operation"
        return
    if shape is None:
        return
    report = ParamValidator().validate(call.parameters, shape)
    if report.has_errors():
        yield from report.generate_report().splitlines()
    else:
        yield from _outside_enums(shape, call.parameters, "")


@cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


@cache
def _operation(service: str, operation: str) -> OperationModel:
    return _session().get_service_model(service).operation_model(operation)


def _outside_enums(shape: Shape, value: Any, where: str) -> Iterator[str]:
    """botocore's validator looks at no enumeration; AWS does."""
    if isinstance(shape, StructureShape):
        for name, one in value.items():
            yield from _outside_enums(shape.members[name], one, f"{where}.{name}".lstrip("."))
    elif shape.type_name == "list":
        for one in value:
            yield from _outside_enums(shape.member, one, where)
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{where}: {value!r} is none of {', '.join(shape.enum)}"
