"""Rules against a plain reading of them, request by request."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.core.rules import Denial, Rule, covers, uncovered, without

# Of each kind of word one that rules never name stands for all that no cluster has yet.
GROUPS = ("", "apps", "unheard-of.example.com")
RESOURCES = (
    "pods",
    "pods/exec",
    "deployments",
    "deployments/scale",
    "unheard-of",
    "unheard-of/scale",
    "unheard-of/of",
)
VERBS = ("get", "list", "delete", "unheard-of")
NAMES = ("", "a", "b", "unheard-of")
REQUESTS = list(product(GROUPS, RESOURCES, VERBS, NAMES))


def allows(rules: tuple[Rule, ...], request: tuple[str, str, str, str]) -> bool:
    """As the authorizer does: k8s.io/kubernetes/pkg/apis/rbac/v1, VerbMatches and its neighbours."""
    group, resource, verb, name = request
    _, slash, sub = resource.partition("/")
    return any(
        (verb in rule.verbs or "*" in rule.verbs)
        and (group in rule.api_groups or "*" in rule.api_groups)
        and (resource in rule.resources or "*" in rule.resources or (slash and f"*/{sub}" in rule.resources))
        and (not rule.resource_names or name in rule.resource_names)
        for rule in rules
    )


def allowed(rules: tuple[Rule, ...]) -> set[tuple[str, str, str, str]]:
    return {request for request in REQUESTS if allows(rules, request)}


def some(words: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(words), unique=True, max_size=3).map(tuple)


KNOWN_RULES = st.lists(
    st.builds(
        Rule,
        some((*GROUPS[:2], "*")),
        some((*RESOURCES[:4], "*", "*/scale")),
        some((*VERBS[:3], "*")),
        some(NAMES[1:3]),
    ),
    max_size=4,
).map(tuple)
DENIALS = st.lists(
    st.builds(
        Denial, some((*VERBS[:3], "*")), some((*RESOURCES[:4], "*", "*/scale")), some((*GROUPS[:2], "*"))
    ),
    max_size=3,
)


def rule(verbs: str, resources: str, names: str = "", group: str = "") -> Rule:
    groups = tuple(group.split(",")) if group else ("",)
    return Rule(groups, tuple(resources.split()), tuple(verbs.split()), tuple(names.split()))


@pytest.mark.parametrize(
    ("outer", "inner", "covered"),
    [
        ([rule("get", "pods")], [rule("get", "pods")], True),
        ([rule("get", "pods")], [rule("get", "pods", "a")], True),
        ([rule("get", "pods", "a")], [rule("get", "pods")], False),
        ([rule("get", "pods", "a"), rule("get", "pods", "b")], [rule("get", "pods", "a b")], True),
        ([rule("get", "pods")], [rule("get", "pods/log")], False),
        ([rule("get", "*")], [rule("get", "pods/log")], True),
        ([rule("get", "*/scale")], [rule("get", "deployments/scale", group="apps")], False),
        ([rule("get", "*/scale", group="*")], [rule("get", "deployments/scale", group="apps")], True),
        ([rule("get", "pods/*")], [rule("get", "pods/log")], False),
        ([rule("get list", "pods"), rule("watch", "pods")], [rule("get list watch", "pods")], True),
        ([rule("get", "pods"), rule("list", "nodes")], [rule("list", "pods")], False),
        (
            [rule("get list watch create update patch delete deletecollection", "pods")],
            [rule("*", "pods")],
            False,
        ),
        ([rule("get", "pods")], [rule("get", "Pods")], False),
        ([], [], True),
        ([], [Rule((), (), ())], True),
    ],
)
def test_what_covers_what(outer: list[Rule], inner: list[Rule], covered: bool) -> None:
    assert covers(outer, inner) == covered
    assert (not uncovered(outer, inner)) == covered


def test_what_is_not_covered_is_named() -> None:
    outer = [rule("get list", "pods"), rule("get", "secrets", "a")]
    inner = [rule("get delete", "pods"), rule("get", "secrets", "a b")]
    assert uncovered(outer, inner) == (rule("delete", "pods"), rule("get", "secrets", "b"))


@given(KNOWN_RULES, KNOWN_RULES)
def test_covers_is_what_every_request_says(outer: tuple[Rule, ...], inner: tuple[Rule, ...]) -> None:
    assert covers(outer, inner) == (allowed(inner) <= allowed(outer))


@given(KNOWN_RULES, KNOWN_RULES, KNOWN_RULES)
def test_covering_is_an_order(a: tuple[Rule, ...], b: tuple[Rule, ...], c: tuple[Rule, ...]) -> None:
    assert covers(a, a)
    assert covers(a + b, a)
    if covers(a, b) and covers(b, c):
        assert covers(a, c)
    if covers(a, b) and covers(b, a):
        assert allowed(a) == allowed(b)


@given(KNOWN_RULES, KNOWN_RULES)
def test_what_is_not_covered_is_all_that_lacks(outer: tuple[Rule, ...], inner: tuple[Rule, ...]) -> None:
    lacking = uncovered(outer, inner)
    assert covers(outer + lacking, inner)
    assert allowed(lacking) <= allowed(inner)
    assert all(not covers(outer, (one,)) for one in lacking)


@given(KNOWN_RULES, DENIALS)
def test_what_is_denied_is_gone_and_nothing_else(rules: tuple[Rule, ...], denied: list[Denial]) -> None:
    refused = allowed(tuple(Rule(one.api_groups, one.resources, one.verbs) for one in denied))
    try:
        left = without(rules, denied)
    except ValueError:
        # Only of a rule that has a wildcard is some of it denied that it does not name.
        assert any("*" in one.api_groups + one.verbs or "*" in "".join(one.resources) for one in rules)
        return
    assert allowed(left) == allowed(rules) - refused
    assert covers(rules, left)


@pytest.mark.parametrize(
    ("given_rule", "denial", "left"),
    [
        (rule("get list", "pods secrets"), Denial(("get",), ("secrets",)), [rule("get list", "pods"), rule("list", "secrets")]),
        (rule("get list", "pods"), Denial(("watch",)), [rule("get list", "pods")]),
        (rule("get", "pods", "a"), Denial(("get",)), []),
        (rule("patch", "deployments/scale", "a", "apps"), Denial(("*",), ("*/scale",)), []),
    ],
)  # fmt: skip
def test_what_is_left(given_rule: Rule, denial: Denial, left: list[Rule]) -> None:
    assert list(without([given_rule], [denial])) == left


def test_everything_but_something_is_no_rule() -> None:
    with pytest.raises(ValueError, match="list what it allows"):
        without([rule("get", "*")], [Denial(("get",), ("secrets",))])


def test_a_rule_in_words() -> None:
    assert str(rule("get list", "pods/log", "a b")) == "get, list pods/log named a, b"
    assert str(rule("patch", "deployments/scale", group="apps")) == "patch deployments.apps/scale"
