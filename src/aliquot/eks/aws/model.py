"""AWS' own models of its services, as botocore has them: would a call be read?"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.exceptions
import botocore.session
from botocore.model import OperationModel, OperationNotFoundError, Shape, StructureShape
from botocore.validate import ParamValidator

from aliquot.eks.aws import sessions


def against_model(service: str, operation: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    """A line for each thing that is wrong with it; none: AWS would read it."""
    try:
        shape = _operation(service, operation).input_shape
    except botocore.exceptions.UnknownServiceError:
        yield "AWS has no such service"
        return
    except OperationNotFoundError:
        yield "the service has no such operation"
        return
    if shape is None:
        return
    report = ParamValidator().validate(parameters, shape)
    if report.has_errors():
        yield from report.generate_report().splitlines()
    else:
        yield from _outside_enums(shape, parameters, "")


@cache
def _session() -> botocore.session.Session:
    return sessions.session()


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
