"""What expressions of admission speak of: `object`, `oldObject`, `request`, `authorizer`; their types and values."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from aliquot.emulator.admission.requests import request
from aliquot.emulator.admission.types import Admitted
from aliquot.emulator.authentication.tokens import service_account
from aliquot.emulator.cel import Environment
from aliquot.emulator.cel.library.authorization import (
    AUTHORIZER,
    RESOURCE_CHECK,
    Authorizer,
    Decision,
    Question,
    ResourceCheck,
)
from aliquot.emulator.cel.types import BOOL, DYN, STRING, Type, list_of, map_of, object_of
from aliquot.emulator.objects import Json
from aliquot.emulator.rbac import Attributes, User
from aliquot.emulator.rbac import Authorizer as Rbac
from aliquot.emulator.registry import Served

_KIND = object_of("kubernetes.GroupVersionKind", dict.fromkeys(("group", "version", "kind"), STRING))
_RESOURCE = object_of(
    "kubernetes.GroupVersionResource", dict.fromkeys(("group", "version", "resource"), STRING)
)
_USER = object_of(
    "kubernetes.UserInfo",
    {
        "username": STRING,
        "uid": STRING,
        "groups": list_of(STRING),
        "extra": map_of(STRING, list_of(STRING)),
    },
)
REQUEST = object_of(
    "kubernetes.AdmissionRequest",
    {
        "kind": _KIND,
        "resource": _RESOURCE,
        "subResource": STRING,
        "requestKind": _KIND,
        "requestResource": _RESOURCE,
        "requestSubResource": STRING,
        "name": STRING,
        "namespace": STRING,
        "operation": STRING,
        "userInfo": _USER,
        "dryRun": BOOL,
        "options": DYN,
    },
)
VARIABLES: Mapping[str, Type] = {
    "object": DYN,
    "oldObject": DYN,
    "request": REQUEST,
    "authorizer": AUTHORIZER,
    "authorizer.requestResource": RESOURCE_CHECK,
}


@cache
def environment(minor: int) -> Environment:
    """For expressions with nothing but VARIABLES: match conditions."""
    return Environment(VARIABLES, minor=minor)


def values(asked: Admitted, served: Served, obj: Json | None, old: Json | None, rbac: Rbac) -> dict[str, Any]:
    """Of VARIABLES. `obj` and `old` are in `served`'s version."""
    told = request(asked, served)
    resource = told["resource"]
    question = Question(
        "",
        group=resource["group"],
        resource=resource["resource"],
        subresource=asked.subresource,
        namespace=asked.namespace,
        name=asked.name,
    )
    authorizer = Authorizer(lambda question: _decide(rbac, asked.user, question))
    return {
        "object": obj,
        "oldObject": old,
        "request": {"name": "", **told},
        "authorizer": authorizer,
        "authorizer.requestResource": ResourceCheck(authorizer, question),
    }


def _decide(rbac: Rbac, user: User, question: Question) -> Decision:
    if question.service_account is not None:
        user = service_account(*question.service_account)
    asked = Attributes(
        verb=question.verb,
        group=question.group,
        version="*",
        resource=question.resource,
        subresource=question.subresource,
        namespace=question.namespace,
        name=question.name,
        path=question.path,
    )
    decision = rbac.authorize(user, asked)
    return Decision(decision.allowed, decision.reason)
