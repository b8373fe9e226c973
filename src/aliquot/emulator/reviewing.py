"""Reviews: questions about identity and permissions, answered at once and never stored."""

from collections.abc import Mapping
from typing import Any

from aliquot.emulator import rbac, statuses
from aliquot.emulator.call import Call, read_body, typed
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.rbac import Authorizer
from aliquot.emulator.tokens import ISSUER, ServiceAccountTokens, TokenRefused
from aliquot.emulator.writing import Writer

GROUPS = ("authentication.k8s.io", "authorization.k8s.io")
"""Every resource of these groups is a review."""


async def review(
    call: Call, writer: Writer, authorizer: Authorizer, tokens: ServiceAccountTokens | None
) -> Json:
    """The review with its answer as status. Raises StatusError."""
    asked = typed(read_body(call.content_type, call.body), call.served.schema)
    resource = call.served.resource
    question = await writer.admit(call, {**asked, "kind": resource.kind, "apiVersion": resource.api_version})
    try:
        match resource.kind:
            case "SelfSubjectReview":
                return rbac.identity_review(call.user, question)
            case "SelfSubjectRulesReview":
                return rbac.rules_review(authorizer, call.user, question)
            case "TokenReview":
                return _token_review(question, tokens)
            case _:
                return rbac.access_review(authorizer, call.user, question, namespace=call.request.namespace)
    except rbac.ReviewInvalid as error:
        name = str(metadata(question).get("name", ""))
        message = f'{resource.kind}.{resource.group} "{name}" is invalid: {error}'
        found = {"group": resource.group, "kind": resource.kind, "name": name}
        raise statuses.failure(422, "Invalid", message, found) from error


def _token_review(question: Mapping[str, Any], tokens: ServiceAccountTokens | None) -> Json:
    spec = question.get("spec") or {}
    status: Json = {"user": {}}
    try:
        if tokens is None:
            raise TokenRefused("this server has no key for tokens")
        user, audiences = tokens.authenticate(
            str(spec.get("token", "")), tuple(spec.get("audiences") or (ISSUER,))
        )
    except TokenRefused as error:
        status["error"] = str(error)
    else:
        extra = {"extra": {key: list(values) for key, values in user.extra.items()}} if user.extra else {}
        found = {"username": user.name, "uid": user.uid, "groups": list(user.groups), **extra}
        status = {"authenticated": True, "user": found, "audiences": list(audiences)}
    return {**question, "metadata": dict(metadata(question)), "status": status}
