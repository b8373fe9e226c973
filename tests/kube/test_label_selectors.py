import pytest

from aliquot.kube.selectors import SelectorError, from_object, parse_labels

WEB = {"app": "web", "tier": "gold", "count": "7"}

NAME_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    " (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
    " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", {}, True),
        ("  ", WEB, True),
        ("app=web", WEB, True),
        ("app==web", WEB, True),
        ("app=db", WEB, False),
        ("app=", {"app": ""}, True),
        ("app=,tier=gold", {"app": "", "tier": "gold"}, True),
        ("app!=db", WEB, True),
        ("app!=db", {}, True),
        ("app!=web", WEB, False),
        ("app", WEB, True),
        ("nope", WEB, False),
        ("!nope", WEB, True),
        ("!app", WEB, False),
        ("app in (web, db)", WEB, True),
        ("app in (db)", WEB, False),
        ("app in (web)", {}, False),
        ("app notin (db)", WEB, True),
        ("app notin (db)", {}, True),
        ("app notin (web,db)", WEB, False),
        ("app in ()", {"app": ""}, True),
        ("app in (,web)", {"app": ""}, True),
        ("app in (web,)", {"app": ""}, True),
        ("in in (in,notin)", {"in": "notin"}, True),
        ("count>6", WEB, True),
        ("count>7", WEB, False),
        ("count<8", WEB, True),
        ("app>1", WEB, False),
        ("nope<1", WEB, False),
        ("app=web,tier in (gold,iron),!canary", WEB, True),
        ("app=web,tier=iron", WEB, False),
        ("nvidia.com/gpu.present=true", {"nvidia.com/gpu.present": "true"}, True),
    ],
)
def test_matches(text: str, labels: dict[str, str], expected: bool) -> None:
    assert parse_labels(text).matches(labels) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("a in (b,=)", "unable to parse requirement: found '=', expected: ',', or identifier"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a==(", "unable to parse requirement: found '(', expected: identifier"),
        (
            "a>b",
            "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, "
            "the value must be an integer",
        ),
        ("a@=b", f'unable to parse requirement: <nil>: Invalid value: "a@": name part {NAME_RULE}'),
        ("/a", 'unable to parse requirement: <nil>: Invalid value: "/a": prefix part must be non-empty'),
        (
            "a=b@",
            'unable to parse requirement: values[0][a]: Invalid value: "b@": a valid label must be an empty string or '
            "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
            "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
            "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as refused:
        parse_labels(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("b,a", "a,b"),
        ("a notin (z, b)", "a notin (b,z)"),
        ("!x,y!=1,k>3", "k>3,!x,y!=1"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    assert str(parse_labels(text)) == canonical


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        (None, WEB, False),
        ({}, WEB, True),
        ({"matchLabels": {"app": "web"}}, WEB, True),
        ({"matchLabels": {"app": "web", "tier": "iron"}}, WEB, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, WEB, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, WEB, False),
        ({"matchExpressions": [{"key": "nope", "operator": "Exists"}]}, WEB, False),
        ({"matchExpressions": [{"key": "nope", "operator": "DoesNotExist"}]}, WEB, True),
    ],
)
def test_selector_objects(selector: dict[str, object] | None, labels: dict[str, str], expected: bool) -> None:
    assert from_object(selector).matches(labels) is expected


def test_selector_object_refuses_unknown_operator() -> None:
    with pytest.raises(SelectorError, match='"Like" is not a valid label selector operator'):
        from_object({"matchExpressions": [{"key": "a", "operator": "Like"}]})


def test_nothing_is_not_empty() -> None:
    assert not from_object(None).empty
    assert from_object({}).empty
