"""What somebody asks for becomes names in rules, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aliquot.access.core.rules import Denial, Rule, covers
from aliquot.access.core.templates.file import parse
from aliquot.access.core.templates.resolving import Refused, is_name, resolve
from aliquot.access.core.templates.template import Parameter, Template, parameter_of

BASE = parse(
    """\
name: pod-exec
owner: platform
description: A shell in one pod.
tier: standard
requesters: [on-call]
rules:
- {apiGroups: [""], resources: [pods], verbs: [get], resourceNames: ["${pod}", "${other}", sidecar]}
- {apiGroups: [""], resources: [pods/exec], verbs: [create], resourceNames: ["${pod}"]}
- {apiGroups: [""], resources: [events], verbs: [list]}
parameters:
  pod: {pattern: "[a-z0-9.-]+", names: Pod}
  other: {pattern: "web-[0-9]+", names: Pod}
clusters: ["*"]
namespaces: ["team-*", "shop"]
exceptNamespaces: ["team-payments*"]
times: {default: 30m, most: 1h, withExtensions: 4h}
approval: {preApproved: true}
stepUp: {request: none, approval: none}
ticket: {need: none}
""",
    "pod-exec.yaml",
    {},
)
ASKED = {"pod": "api-0", "other": "web-1"}


def test_values_take_the_place_of_names() -> None:
    assert resolve(BASE, ASKED, "team-a") == (
        Rule(("",), ("pods",), ("get",), ("api-0", "web-1", "sidecar")),
        Rule(("",), ("pods/exec",), ("create",), ("api-0",)),
        Rule(("",), ("events",), ("list",)),
    )


def test_the_same_name_twice_is_once_in_a_rule() -> None:
    assert resolve(BASE, {"pod": "web-1", "other": "web-1"}, "shop")[0].resource_names == ("web-1", "sidecar")


def test_what_is_denied_is_not_given() -> None:
    found = resolve(replace(BASE, denied=(Denial(("create",)),)), ASKED, "shop")
    assert [one.resources for one in found] == [("pods",), ("events",)]


@pytest.mark.parametrize(
    ("parameters", "namespace", "message"),
    [
        ({"pod": "a"}, "shop", "asks for parameter 'other': which Pod"),
        ({**ASKED, "podd": "a"}, "shop", r"no parameter 'podd'; did you mean 'pod'\?"),
        ({**ASKED, "pod": ""}, "shop", "'' is not the name of a Pod"),
        ({**ASKED, "pod": "*"}, "shop", r"'\*' is not the name of a Pod"),
        ({**ASKED, "pod": "a\n"}, "shop", "is not the name of a Pod"),
        ({**ASKED, "pod": "${other}"}, "shop", "is not the name of a Pod"),
        ({**ASKED, "pod": 'a", "b'}, "shop", "is not the name of a Pod"),
        ({**ASKED, "pod": "a/exec"}, "shop", "is not the name of a Pod"),
        ({**ASKED, "pod": "\u0430pi"}, "shop", "is not the name of a Pod"),
        ({**ASKED, "pod": "a" * 254}, "shop", "is not the name of a Pod"),
        (
            {**ASKED, "other": "db-1"},
            "shop",
            r"'db-1' is none that template 'pod-exec' takes \(web-\[0-9\]\+\)",
        ),
        ({**ASKED, "other": "web-1x"}, "shop", "'web-1x' is none"),
        (ASKED, "", "is for one namespace: say which"),
        (ASKED, "kube-system", "not for namespace 'kube-system'"),
        (ASKED, "team-payments-eu", r"not for namespace 'team-payments-eu': .* but not team-payments\*"),
        (ASKED, "team-*", "is not a namespace's name"),
        (ASKED, "team-a\n", "is not a namespace's name"),
        (ASKED, "team-" + "a" * 60, "is not a namespace's name"),
    ],
)
def test_what_does_not_fit_is_refused(parameters: dict[str, str], namespace: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        resolve(BASE, parameters, namespace)


def test_a_cluster_wide_one_has_no_namespace() -> None:
    wide = replace(BASE, cluster_wide=True, namespaces=(), except_namespaces=())
    assert resolve(wide, ASKED, "") == resolve(BASE, ASKED, "shop")
    with pytest.raises(Refused, match="ask without a namespace"):
        resolve(wide, ASKED, "shop")


_WORDS = st.sampled_from(["pods", "pods/exec", "pods/log", "events", "deployments/scale"])
_VERBS = st.lists(st.sampled_from(["get", "list", "create", "delete"]), min_size=1, unique=True).map(tuple)
_NAMES = st.lists(st.sampled_from(["${a}", "${b}", "fixed", "x"]), max_size=3, unique=True).map(tuple)
_RULES = st.lists(
    st.builds(Rule, st.just(("",)), st.lists(_WORDS, min_size=1, unique=True).map(tuple), _VERBS, _NAMES),
    min_size=1,
    max_size=4,
).map(tuple)
_DENIED = st.lists(st.builds(Denial, _VERBS, st.lists(_WORDS, min_size=1).map(tuple)), max_size=2).map(tuple)
_VALUES = st.one_of(
    st.from_regex(r"[a-z0-9.-]{1,5}", fullmatch=True), st.text(max_size=5), st.sampled_from(["*", "${a}"])
)


def generalised(template: Template) -> tuple[Rule, ...]:
    """Its rules with every name where it leaves open which."""
    return tuple(
        replace(one, resource_names=() if any(map(parameter_of, one.resource_names)) else one.resource_names)
        for one in template.rules
    )


@given(_RULES, _DENIED, _VALUES, _VALUES)
def test_a_grant_has_nothing_that_its_template_has_not(
    rules: tuple[Rule, ...], denied: tuple[Denial, ...], a: str, b: str
) -> None:
    free = Parameter(pattern="(?s).*", names="Pod")
    template = replace(BASE, rules=rules, denied=denied, parameters={"a": free, "b": free})
    try:
        found = resolve(template, {"a": a, "b": b}, "shop")
    except Refused:
        assert not (is_name(a) and is_name(b))
        return
    assert covers(generalised(template), found)
    for one in found:
        assert set(one.resource_names) <= {a, b, "fixed", "x"}
        assert all(map(is_name, one.resource_names))
        assert not any(
            set(one.verbs) & set(no.verbs) and set(one.resources) & set(no.resources) for no in denied
        )
    open_before = [one for one in rules if not one.resource_names]
    assert covers(open_before, [one for one in found if not one.resource_names])


@given(st.one_of(st.text(max_size=6), st.text("ab0.-*$", max_size=6)))
def test_a_name_is_nothing_but_its_letters(text: str) -> None:
    sound = bool(text) and set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
    assert is_name(text) == (sound and all(one and one[0] != "-" != one[-1] for one in text.split(".")))
