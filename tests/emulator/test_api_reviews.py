"""Questions about permissions that are not sound, in kube-apiserver's words."""

from typing import Any

import pytest

from aliquot.emulator.verbs.review_rules import problems

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
