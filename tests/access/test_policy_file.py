"""The policy as a file: what is read, and what is refused, where."""

import pytest

from aliquot.access.core import policy_file
from aliquot.access.core.people import Identity, Person, group
from aliquot.access.core.policy import Policy
from aliquot.access.core.policy_file import parse_policy
from aliquot.access.core.rules import Rule
from aliquot.access.core.templates.bindings import parse_bindings
from aliquot.access.core.templates.catalogue import catalogue
from aliquot.document import DocumentError

ISSUER = "https://login.example.com"
BINDINGS = parse_bindings(
    f"""\
roles:
  platform: {{groups: ["{ISSUER}#platform"]}}
  security: {{groups: ["{ISSUER}#security"]}}
  also-security: {{groups: ["{ISSUER}#security"]}}
""",
    "who.yaml",
)
TEXT = """\
security: [security]
clearing: {slots: [[platform], [security]]}
ceiling:
- {apiGroups: [""], resources: [pods, pods/log], verbs: [get, list, watch]}
"""


def read(text: str = TEXT) -> Policy:
    return parse_policy(text, "policy.yaml", catalogue((), BINDINGS).values(), BINDINGS)


def test_a_policy_is_read() -> None:
    found = read()
    assert "pod-logs" in found.templates
    assert found.security.groups == (group(f"{ISSUER}#security"),)
    assert [slot.groups for slot in found.clearing.slots] == [
        (group(f"{ISSUER}#platform"),),
        (group(f"{ISSUER}#security"),),
    ]
    assert found.ceiling == (Rule(("",), ("pods", "pods/log"), ("get", "list", "watch")),)
    assert found.digest != read(TEXT.replace(", watch", "")).digest


@pytest.mark.parametrize(
    ("line", "of", "may"),
    [
        ("", "security", True),
        ("", "platform", False),
        ("auditors: [platform]", "security", True),
        ("auditors: [platform]", "platform", True),
        ("auditors: [unbound]", "platform", False),
    ],
)
def test_who_may_have_reports(line: str, of: str, may: bool) -> None:
    somebody = Identity(person=Person(ISSUER, "ann"), groups=frozenset({group(f"{ISSUER}#{of}")}))
    assert read(f"{TEXT}{line}\n").may_have_reports(somebody) is may


def test_the_example_is_one() -> None:
    text = policy_file.__doc__ or ""
    assert read(text.partition("\n\n")[2]).ceiling == (Rule(("*",), ("*",), ("*",)),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("security: [security]\n", "", "policy.yaml:1: field 'security' is missing"),
        ("security: [security]", "security: []", r"policy.yaml:1: security: .*length >= 1"),
        ("[[platform], [security]]", "[[platform]]", "policy.yaml:2: .*at least 2 people, not 1"),
        ("[[platform], [security]]", "[[security], [also-security]]", "policy.yaml:2: can never be met"),
        ("verbs:", "verb:", "policy.yaml:4: unknown field 'verb'.*'verbs'"),
        ("ceiling:\n- {", "ceiling: []\nx: {", "policy.yaml:4: unknown field 'x'"),
    ],
)
def test_a_wrong_one_is_told_where(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(DocumentError, match=message):
        read(TEXT.replace(old, new))
