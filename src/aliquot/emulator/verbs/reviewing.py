"""Reviews: questions about identity and permissions, answered at once and never stored."""

from collections.abc import Mapping
from typing import Any

from aliquot.clock import Clock, rfc3339
from aliquot.emulator import rbac, statuses
from aliquot.emulator.authentication import Authenticator
from aliquot.emulator.authentication.tokens import TokenRefused
from aliquot.emulator.objects import Json, metadata, with_metadata
from aliquot.emulator.rbac import Authorizer
from aliquot.emulator.schema.errors import invalid_status
from aliquot.emulator.statuses import StatusError
from aliquot.emulator.verbs import review_rules
from aliquot.emulator.verbs.bodies import read_typed
from aliquot.emulator.verbs.call import Call
from aliquot.emulator.verbs.writing import Writer

GROUPS = ("authentication.k8s.io", "authorization.k8s.io")
"""Every resource of these groups is a review."""


async def review(
    call: Call, writer: Writer, authorizer: Authorizer, authenticator: Authenticator, *, clock: Clock
) -> Json:
    """The review with its answer as status. Raises StatusError."""
    resource = call.served.resource
    schema = call.served.schema
    asked = _without_empty_texts(schema.default(read_typed(call, schema)))
    named = {**asked, "kind": resource.kind, "apiVersion": resource.api_version}
    question = await writer.admit(call, writer.signed(call, named))
    match resource.kind:
        case "SelfSubjectReview":
            return rbac.identity_review(
                call.user, {**question, "metadata": {"creationTimestamp": rfc3339(clock.now())}}
            )
        case "SelfSubjectRulesReview":
            if not (question.get("spec") or {}).get("namespace"):
                raise statuses.bad_request("no namespace on request")
            return {**rbac.rules_review(authorizer, call.user, question), "metadata": {}, "spec": {}}
        case "TokenReview":
            return await _token_review(question, authenticator)
        case _:
            return _access_review(call, question, authorizer)


def _access_review(call: Call, question: Json, authorizer: Authorizer) -> Json:
    resource, namespace = call.served.resource, call.request.namespace
    named = metadata(question).get("namespace")
    if resource.namespaced and named not in (None, "", namespace):
        raise statuses.other_namespace()
    if errors := review_rules.problems(resource.kind, question, namespace):
        # Of no kind: kube-apiserver does not say it here either.
        raise StatusError(invalid_status(resource.group, "", "", errors))
    answer = rbac.access_review(authorizer, call.user, question)
    return with_metadata(answer, namespace=namespace) if resource.namespaced else answer


def _without_empty_texts(value: Any) -> Any:
    """In a question, a text of nothing is nothing said."""
    if isinstance(value, dict):
        return {key: _without_empty_texts(child) for key, child in value.items() if child != ""}
    return [_without_empty_texts(one) for one in value] if isinstance(value, list) else value


async def _token_review(question: Mapping[str, Any], authenticator: Authenticator) -> Json:
    spec = question.get("spec") or {}
    if not spec.get("token"):
        raise statuses.bad_request("token is required for TokenReview in authentication")
    status: Json = {"user": {}}
    try:
        user, audiences = await authenticator.authenticate_token(
            str(spec["token"]), tuple(spec.get("audiences") or ())
        )
    except TokenRefused as error:
        status["error"] = str(error)
    else:
        status = {"authenticated": True, "user": rbac.user_info(user), "audiences": list(audiences)}
    return {**question, "metadata": dict(metadata(question)), "status": status}
