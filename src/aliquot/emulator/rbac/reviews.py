"""Answers to questions about permissions: `kubectl auth can-i`, `can-i --list`, `whoami` and SubjectAccessReviews."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from aliquot.emulator.field_selectors import Term, field_terms
from aliquot.emulator.rbac.authorizer import Authorizer
from aliquot.emulator.rbac.rules import Attributes, Rule, User
from aliquot.kube.selectors import SelectorError, parse_labels


def access_review(authorizer: Authorizer, user: User, review: Mapping[str, Any]) -> dict[str, Any]:
    """Answers a SelfSubjectAccessReview, SubjectAccessReview or LocalSubjectAccessReview that is known to be sound.

    `user` is who asks: it is also who is asked about in the Self form.
    """
    spec = review.get("spec") or {}
    asked = _attributes(spec)
    if review.get("kind") != "SelfSubjectAccessReview":
        user = _subject(spec)
    decision = authorizer.authorize(user, asked)
    status: dict[str, Any] = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    if unread := "; ".join(_unread_selectors(spec.get("resourceAttributes") or {})):
        status["evaluationError"] = unread
    return {**review, "metadata": dict(review.get("metadata") or {}), "status": status}


def _attributes(spec: Mapping[str, Any]) -> Attributes:
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes") or {}
    if resource is None:
        return Attributes(verb=other.get("verb", ""), path=other.get("path", ""))
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


def _fields(selector: Mapping[str, Any]) -> tuple[Term, ...]:
    """What a review's field selector says; what cannot be read limits nothing."""
    raw, listed = selector.get("rawSelector"), selector.get("requirements")
    if raw:
        try:
            return tuple(field_terms(raw))
        except SelectorError:
            return ()
    return tuple(
        Term(one.get("key", ""), one["values"][0], one.get("operator") == "In")
        for one in listed or ()
        if _has_one_value(one)
    )


def _unread_selectors(resource: Mapping[str, Any]) -> Iterator[str]:
    """Of what in the selectors limits nothing, for it cannot be read."""
    for name in ("fieldSelector", "labelSelector"):
        selector = resource.get(name) or {}
        listed = selector.get("requirements") or ()
        sound = sum(map(_SOUND[name], listed))
        if not _parses(name, selector.get("rawSelector", "")) or sound < len(listed):
            yield f"spec.resourceAttributes.{name} {'partially ' if sound else ''}ignored due to parse error"


def _parses(name: str, raw: str) -> bool:
    try:
        field_terms(raw) if name == "fieldSelector" else parse_labels(raw)
    except SelectorError:
        return False
    return True


def _has_one_value(requirement: Mapping[str, Any]) -> bool:
    """Fields are compared with one value only."""
    return requirement.get("operator") in ("In", "NotIn") and len(requirement.get("values") or ()) == 1


def _has_operator(requirement: Mapping[str, Any]) -> bool:
    return requirement.get("operator") in ("In", "NotIn", "Exists", "DoesNotExist")


_SOUND: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "fieldSelector": _has_one_value,
    "labelSelector": _has_operator,
}


def _subject(spec: Mapping[str, Any]) -> User:
    name, groups = spec.get("user", ""), tuple(spec.get("groups") or ())
    extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return User(name, groups, spec.get("uid", ""), extra)


def rules_review(authorizer: Authorizer, user: User, review: Mapping[str, Any]) -> dict[str, Any]:
    """Answers a SelfSubjectRulesReview, which names a namespace."""
    namespace = (review.get("spec") or {}).get("namespace", "")
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
