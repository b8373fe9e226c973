"""Questions about permissions that are not sound, in kube-apiserver's words."""

from typing import Any

import pytest

from aliquot.emulator.verbs.review_rules import problems
from tests.emulator.api import Api

PODS = {"verb": "get", "resource": "pods", "namespace": "ns"}
PATH = {"path": "/", "verb": "get"}
LABELS = "spec.resourceAttributes.labelSelector"


def selecting(**selector: Any) -> dict[str, Any]:
    return {"user": "x", "resourceAttributes": {**PODS, "labelSelector": selector}}


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("SubjectAccessReview", {"user": "x", "resourceAttributes": PODS}, []),
        ("SubjectAccessReview", {"groups": ["g"], "nonResourceAttributes": PATH}, []),
        ("SelfSubjectAccessReview", {"resourceAttributes": PODS}, []),
        (
            "SelfSubjectAccessReview",
            {},
            [
                "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or "
                "resourceAttributes must be specified"
            ],
        ),
        (
            "SubjectAccessReview",
            {"resourceAttributes": PODS, "nonResourceAttributes": PATH},
            [
                'spec.nonResourceAttributes: Invalid value: {"Path":"/","Verb":"get"}: cannot be specified in '
                "combination with resourceAttributes",
                'spec.user: Invalid value: "": at least one of user or group must be specified',
            ],
        ),
        (
            "LocalSubjectAccessReview",
            {"user": "x", "resourceAttributes": {**PODS, "namespace": "other"}},
            ['spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace'],
        ),
        (
            "LocalSubjectAccessReview",
            {"user": "x", "nonResourceAttributes": PATH},
            [
                'spec.nonResourceAttributes: Invalid value: {"Path":"/","Verb":"get"}: disallowed on this kind of '
                "request"
            ],
        ),
        (
            "SubjectAccessReview",
            selecting(),
            [
                f"{LABELS}.requirements: Required value: when {LABELS} is specified, requirements or rawSelector is "
                "required"
            ],
        ),
        (
            "SubjectAccessReview",
            selecting(rawSelector="a=b", requirements=[{"key": "a", "operator": "In", "values": ["b"]}]),
            [
                f'{LABELS}.rawSelector: Invalid value: "a=b": may not specified at the same time as requirements'
            ],
        ),
        (
            "SubjectAccessReview",
            selecting(requirements=[{"key": "a", "operator": "Exists", "values": ["b"]}]),
            [
                f"{LABELS}.requirements[0].values: Forbidden: may not be specified when `operator` is 'Exists' or "
                "'DoesNotExist'"
            ],
        ),
        (
            "SubjectAccessReview",
            selecting(requirements=[{"key": "a", "operator": "In", "values": ["b", "c-"]}]),
            [
                f'{LABELS}.requirements[0].values[1]: Invalid value: "c-": a valid label must be an empty string or '
                "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
                "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
                "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            ],
        ),
    ],
)
def test_a_question_says_enough_and_not_too_much(
    kind: str, spec: dict[str, Any], expected: list[str]
) -> None:
    assert [str(problem) for problem in problems(kind, {"spec": spec}, "ns")] == expected


def test_a_question_has_no_name() -> None:
    review = {"metadata": {"name": "n"}, "spec": {"user": "x", "resourceAttributes": PODS}}
    (problem,) = problems("SubjectAccessReview", review, "")
    assert str(problem) == 'metadata: Invalid value: {"name":"n"}: must be empty'


IS, IS_NOT = (
    {"key": "a", "operator": "In", "values": ["b"]},
    {"key": "a", "operator": "NotIn", "values": ["b"]},
)


@pytest.mark.parametrize(
    ("selectors", "unread"),
    [
        ({}, []),
        ({"fieldSelector": {"requirements": [IS, IS_NOT]}, "labelSelector": {"requirements": [IS]}}, []),
        (
            {"fieldSelector": {"requirements": [{"key": "a", "operator": "Exists"}]}},
            ["fieldSelector ignored"],
        ),
        ({"fieldSelector": {"requirements": [{**IS, "values": ["b", "c"]}]}}, ["fieldSelector ignored"]),
        (
            {"fieldSelector": {"requirements": [IS, {**IS, "operator": "Like"}]}},
            ["fieldSelector partially ignored"],
        ),
        ({"labelSelector": {"requirements": [{"key": "a", "operator": "Exists"}]}}, []),
        ({"labelSelector": {"requirements": [{**IS, "operator": "Like"}]}}, ["labelSelector ignored"]),
        (
            {"fieldSelector": {"rawSelector": "a,b"}, "labelSelector": {"rawSelector": "a=b,=="}},
            ["fieldSelector ignored", "labelSelector ignored"],
        ),
    ],
)
async def test_selectors_that_cannot_be_read_are_said_to_be_ignored(
    api: Api, selectors: dict[str, Any], unread: list[str]
) -> None:
    kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    review = await api.ok("POST", path, {**kind, "spec": {"resourceAttributes": {**PODS, **selectors}}})
    text = "; ".join(f"spec.resourceAttributes.{one} due to parse error" for one in unread)
    assert review["status"].get("evaluationError", "") == text


REVIEWS = "/apis/authorization.k8s.io/v1"
IDENTITIES = "/apis/authentication.k8s.io/v1"


@pytest.mark.parametrize(
    ("path", "spec", "shown", "owned"),
    [
        (
            f"{REVIEWS}/subjectaccessreviews",
            {"user": "", "groups": ["g"], "resourceAttributes": {"verb": "get", "namespace": ""}},
            {"groups": ["g"], "resourceAttributes": {"verb": "get"}},
            {"f:groups": {}, "f:resourceAttributes": {".": {}, "f:verb": {}}},
        ),
        (
            f"{REVIEWS}/subjectaccessreviews",
            {"user": "u", "groups": [], "extra": {}, "nonResourceAttributes": {"path": "", "verb": ""}},
            {"user": "u", "nonResourceAttributes": {}},
            {"f:user": {}, "f:nonResourceAttributes": {}},
        ),
        (f"{REVIEWS}/selfsubjectaccessreviews", {"resourceAttributes": {}}, {"resourceAttributes": {}}, {"f:resourceAttributes": {}}),
        (f"{IDENTITIES}/tokenreviews", {"token": "t"}, {"token": "t"}, {"f:token": {}}),
    ],
)  # fmt: skip
async def test_a_question_is_shown_as_it_was_read_with_who_asked_it(
    api: Api, path: str, spec: dict[str, Any], shown: dict[str, Any], owned: dict[str, Any]
) -> None:
    review = await api.ok("POST", path, {"spec": spec}, fieldManager="me")
    (entry,) = review["metadata"]["managedFields"]
    assert (review["spec"], entry["manager"], entry["fieldsV1"]) == (shown, "me", {"f:spec": owned})


async def test_a_question_about_a_namespace_does_not_tell_whether_it_is_there(api: Api) -> None:
    asked = {"spec": {"user": "u", "resourceAttributes": {**PODS, "namespace": "nowhere"}}}
    review = await api.ok("POST", f"{REVIEWS}/namespaces/nowhere/localsubjectaccessreviews", asked)
    assert (review["status"], review["metadata"]["namespace"]) == ({"allowed": False}, "nowhere")


async def test_who_asks_who_it_is_learns_when_it_asked(api: Api) -> None:
    review = await api.ok("POST", f"{IDENTITIES}/selfsubjectreviews", {"metadata": {"labels": {"a": "b"}}})
    assert review["metadata"] == {"creationTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("path", "kind", "version", "status"),
    [
        (f"{REVIEWS}/subjectaccessreviews", "SubjectAccessReview", "authorization.k8s.io/v1beta1", 400),
        (f"{REVIEWS}/subjectaccessreviews", "SelfSubjectAccessReview", "authorization.k8s.io/v1", 400),
        (f"{IDENTITIES}/selfsubjectreviews", "SelfSubjectReview", "authentication.k8s.io/v1beta1", 400),
        ("/api/v1/namespaces/default/pods/p/binding", "Binding", "v2", 400),
        ("/api/v1/namespaces/default/pods/p/eviction", "Eviction", "policy/v1beta1", 404),
    ],
)
async def test_a_body_is_of_the_version_that_is_asked(
    api: Api, path: str, kind: str, version: str, status: int
) -> None:
    body = {"kind": kind, "apiVersion": version, "metadata": {"name": "p"}}
    assert (await api.send("POST", path, body))[0] == status
