"""authorizer.group('apps').resource('deployments').check('create').allowed().

Who decides comes in with the `Authorizer` value that the environment's owner binds to `authorizer`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from aliquot.emulator.cel.errors import EvaluationError
from aliquot.emulator.cel.library.overload import member
from aliquot.emulator.cel.types import BOOL, STRING, opaque
from aliquot.emulator.cel.values import Opaque
from aliquot.emulator.schema.validation import names


@dataclass(frozen=True, slots=True)
class Question:
    """May somebody do this? `service_account` is NAMESPACE, NAME in place of the user of the request."""

    verb: str
    path: str = ""
    """Of a request for no resource."""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    service_account: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Decision(Opaque):
    cel_type: ClassVar[str] = "kubernetes.authorization.Decision"
    allowed: bool
    reason: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Authorizer(Opaque):
    cel_type: ClassVar[str] = "kubernetes.authorization.Authorizer"
    decide: Callable[[Question], Decision] = field(repr=False)
    service_account: tuple[str, str] | None = None

    def asks(self, **about: str) -> Question:
        return Question("", service_account=self.service_account, **about)


@dataclass(frozen=True, slots=True)
class PathCheck(Opaque):
    cel_type: ClassVar[str] = "kubernetes.authorization.PathCheck"
    authorizer: Authorizer
    question: Question


@dataclass(frozen=True, slots=True)
class GroupCheck(Opaque):
    cel_type: ClassVar[str] = "kubernetes.authorization.GroupCheck"
    authorizer: Authorizer
    question: Question


@dataclass(frozen=True, slots=True)
class ResourceCheck(Opaque):
    cel_type: ClassVar[str] = "kubernetes.authorization.ResourceCheck"
    authorizer: Authorizer
    question: Question


AUTHORIZER, PATH_CHECK, GROUP_CHECK, RESOURCE_CHECK, DECISION = (
    opaque(one.cel_type) for one in (Authorizer, PathCheck, GroupCheck, ResourceCheck, Decision)
)


def _path(authorizer: Authorizer, path: str) -> PathCheck:
    if not path.strip():
        raise EvaluationError("path must not be empty")
    return PathCheck(authorizer, authorizer.asks(path=path))


def _service_account(authorizer: Authorizer, namespace: str, name: str) -> Authorizer:
    if names.dns_subdomain(name):
        raise EvaluationError("Invalid service account name")
    if names.dns_label(namespace):
        raise EvaluationError("Invalid service account namespace")
    return replace(authorizer, service_account=(namespace, name))


def _resource(check: GroupCheck, resource: str) -> ResourceCheck:
    if not resource.strip():
        raise EvaluationError("resource must not be empty")
    return ResourceCheck(check.authorizer, replace(check.question, resource=resource))


def _narrowed(part: str) -> Callable[[ResourceCheck, str], ResourceCheck]:
    def narrow(check: ResourceCheck, value: str) -> ResourceCheck:
        narrower: dict[str, Any] = {part: value}
        return replace(check, question=replace(check.question, **narrower))

    return narrow


def _check(check: PathCheck | ResourceCheck, verb: str) -> Decision:
    return check.authorizer.decide(replace(check.question, verb=verb))


_SINCE, _SELECTORS = 27, 31
_ON_RESOURCE = (RESOURCE_CHECK, STRING)
OVERLOADS = (
    member("path", "authorizer_path", (AUTHORIZER, STRING), PATH_CHECK, _path, _SINCE),
    member(
        "group",
        "authorizer_group",
        (AUTHORIZER, STRING),
        GROUP_CHECK,
        lambda authorizer, group: GroupCheck(authorizer, authorizer.asks(group=group)),
        _SINCE,
    ),
    member(
        "serviceAccount",
        "authorizer_serviceaccount",
        (AUTHORIZER, STRING, STRING),
        AUTHORIZER,
        _service_account,
        _SINCE,
    ),
    member("resource", "groupcheck_resource", (GROUP_CHECK, STRING), RESOURCE_CHECK, _resource, _SINCE),
    member(
        "subresource",
        "resourcecheck_subresource",
        _ON_RESOURCE,
        RESOURCE_CHECK,
        _narrowed("subresource"),
        _SINCE,
    ),
    member(
        "namespace", "resourcecheck_namespace", _ON_RESOURCE, RESOURCE_CHECK, _narrowed("namespace"), _SINCE
    ),
    member("name", "resourcecheck_name", _ON_RESOURCE, RESOURCE_CHECK, _narrowed("name"), _SINCE),
    member(
        "fieldSelector",
        "authorizer_fieldselector",
        _ON_RESOURCE,
        RESOURCE_CHECK,
        _narrowed("field_selector"),
        _SELECTORS,
    ),
    member(
        "labelSelector",
        "authorizer_labelselector",
        _ON_RESOURCE,
        RESOURCE_CHECK,
        _narrowed("label_selector"),
        _SELECTORS,
    ),
    member("check", "pathcheck_check", (PATH_CHECK, STRING), DECISION, _check, _SINCE),
    member("check", "resourcecheck_check", _ON_RESOURCE, DECISION, _check, _SINCE),
    member("errored", "decision_errored", (DECISION,), BOOL, lambda decision: bool(decision.error), _SINCE),
    member("error", "decision_error", (DECISION,), STRING, lambda decision: decision.error, _SINCE),
    member("allowed", "decision_allowed", (DECISION,), BOOL, lambda decision: decision.allowed, _SINCE),
    member("reason", "decision_reason", (DECISION,), STRING, lambda decision: decision.reason, _SINCE),
)
