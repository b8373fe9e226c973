"""Answers to questions about permissions: `kubectl auth can-i`, `can-i --list`, `whoami` and SubjectAccessReviews."""

from collections.abc import Iterable, Mapping
from typing import Any

from aliquot.emulator.rbac.authorizer import Authorizer
from aliquot.emulator.rbac.rules import Attributes, Rule, User
from aliquot.emulator.selectors import SelectorError, Term, field_terms


class ReviewInvalid(Exception):
    """The review cannot be answered: `field` and `message` are the cause of an Invalid Status."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        self.message = message
        super().__init__(f"{field}: {message}")


def access_review(
    authorizer: Authorizer, user: User, review: Mapping[str, Any], *, namespace: str = ""
) -> dict[str, Any]:
    """Answers a SelfSubjectAccessReview, SubjectAccessReview or LocalSubjectAccessReview.

    `user` is who asks: it is also who is asked about in the Self form. `namespace` is that of the request path
    (Local form). Raises ReviewInvalid.
    """
    spec = review.get("spec") or {}
    asked = _attributes(spec)
    if review.get("kind") != "SelfSubjectAccessReview":
        user = _subject(spec)
    if review.get("kind") == "LocalSubjectAccessReview" and asked.namespace != namespace:
        raise ReviewInvalid(
            "spec.resourceAttributes.namespace",
            f'Invalid value: "{asked.namespace}": must match metadata.namespace',
        )
    decision = authorizer.authorize(user, asked)
    status: dict[str, Any] = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    return {**review, "metadata": dict(review.get("metadata") or {}), "status": status}


def _attributes(spec: Mapping[str, Any]) -> Attributes:
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and other is not None:
        raise ReviewInvalid(
            "spec.nonResourceAttributes",
            "Invalid value: cannot be specified in combination with resourceAttributes",
        )
    if resource is not None:
        return Attributes(
            verb=resource.get("verb", ""),
            group=resource.get("group", ""),
            version=resource.get("version", ""),
            resource=resource.get("resource", ""),
            subresource=resource.get("subresource", ""),
            namespace=resource.get("namespace", ""),
            name=resource.get("name", ""),
            fields=_fields(resource.get("fieldSelector") or {}),
        )
    if other is not None:
        return Attributes(verb=other.get("verb", ""), path=other.get("path", ""))
    raise ReviewInvalid(
        "spec.resourceAttributes",
        "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
    )


def _fields(selector: Mapping[str, Any]) -> tuple[Term, ...]:
    """What a review's field selector says; what cannot be read limits nothing. Raises ReviewInvalid."""
    raw, listed = selector.get("rawSelector"), selector.get("requirements")
    where = "spec.resourceAttributes.fieldSelector"
    if raw and listed:
        raise ReviewInvalid(
            f"{where}.rawSelector", "Invalid value: may not be specified at the same time as requirements"
        )
    if raw:
        try:
            return tuple(field_terms(raw))
        except SelectorError:
            return ()
    return tuple(
        Term(one.get("key", ""), one["values"][0], one.get("operator") == "In")
        for one in listed or ()
        if one.get("operator") in ("In", "NotIn") and len(one.get("values") or ()) == 1
    )


def _subject(spec: Mapping[str, Any]) -> User:
    name, groups = spec.get("user", ""), tuple(spec.get("groups") or ())
    if not name and not groups:
        raise ReviewInvalid("spec.user", 'Invalid value: "": at least one of user or group must be specified')
    extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return User(name, groups, spec.get("uid", ""), extra)


def rules_review(authorizer: Authorizer, user: User, review: Mapping[str, Any]) -> dict[str, Any]:
    """Answers a SelfSubjectRulesReview. Raises ReviewInvalid when it names no namespace."""
    namespace = (review.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise ReviewInvalid("spec.namespace", "no namespace on request")
    rules, errors = authorizer.rules(user, namespace)
    errors = [*authorizer.unresolved(user), *errors]
    status: dict[str, Any] = {
        "resourceRules": list(_resource_rules(rules)),
        "nonResourceRules": [
            {"verbs": list(rule.verbs), "nonResourceURLs": list(rule.urls)} for rule in rules if rule.urls
        ],
        "incomplete": bool(errors),
    }
    if errors:
        status["evaluationError"] = ", ".join(errors)
    return {**review, "metadata": dict(review.get("metadata") or {}), "status": status}


def _resource_rules(rules: Iterable[Rule]) -> Iterable[dict[str, Any]]:
    for rule in rules:
        if not rule.resources:
            continue
        row: dict[str, Any] = {
            "verbs": list(rule.verbs),
            "apiGroups": list(rule.groups),
            "resources": list(rule.resources),
        }
        if rule.names:
            row["resourceNames"] = list(rule.names)
        yield row


def identity_review(user: User, review: Mapping[str, Any]) -> dict[str, Any]:
    """Answers a SelfSubjectReview: who the server takes the caller for."""
    status = {"userInfo": user_info(user)}
    return {**review, "metadata": dict(review.get("metadata") or {}), "status": status}


def user_info(user: User) -> dict[str, Any]:
    """An authentication.k8s.io UserInfo."""
    info: dict[str, Any] = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info
