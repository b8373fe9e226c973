"""Every call that a plan will make, against AWS' own model of the service, before anybody approves it."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import botocore.exceptions
import botocore.session
from botocore.model import OperationModel, OperationNotFoundError, Shape, StructureShape
from botocore.validate import ParamValidator

from aliquot.eks.upgrade.acts import (
    addon,
    control_plane,
    group_config,
    group_roll,
    insights_refresh,
    support_policy,
)
from aliquot.eks.upgrade.acts.addon import AddonBuild
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.group_config import GroupConfig
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.acts.insights_refresh import InsightsRefresh
from aliquot.eks.upgrade.acts.support_policy import SupportPolicy
from aliquot.eks.upgrade.acts.table import Act
from aliquot.eks.upgrade.steps import Step, token
from aliquot.eks.upgrade.verdicts import Call

CALLS: Mapping[type, Callable[[Any, str], Call]] = {
    ControlPlane: control_plane.call_of,
    AddonBuild: addon.call_of,
    GroupRoll: group_roll.call_of,
    GroupConfig: group_config.call_of,
    InsightsRefresh: insights_refresh.call_of,
    SupportPolicy: support_policy.call_of,
}
"""Acts that are one call: what the runner will ask for is what is checked and shown. The others have none, or decide when they look."""


def call_of(act: Act, run: str, step: str) -> Call | None:
    found = CALLS.get(type(act))
    return None if found is None else found(act, token(run, step, 0))


def wrong(run: str, steps: tuple[Step, ...]) -> tuple[str, ...]:
    """A line for each call that AWS would not take."""
    return tuple(
        f"step {step.id}: {call.service}:{call.operation}: {line}"
        for step in steps
        if (call := call_of(step.act, run, step.id)) is not None
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
