"""Templates as files: what is read, and what is refused, where and with which way out."""

import re

import pytest

from aliquot.access.core.people import Person, group
from aliquot.access.core.quorum import Quorum, Slot
from aliquot.access.core.rules import Denial, Rule
from aliquot.access.core.templates.bindings import parse_bindings
from aliquot.access.core.templates.file import parse
from aliquot.access.core.templates.template import (
    Circle,
    Need,
    Review,
    StepUpLevel,
    Template,
    Tier,
    digest,
    role_name,
)
from aliquot.document import DocumentError

ISSUER = "https://login.example.com"
BINDINGS = f"""\
roles:
  on-call: {{groups: ["{ISSUER}#sre-on-call"]}}
  lead: {{groups: ["{ISSUER}#leads"], people: [{{issuer: "{ISSUER}", subject: ada}}]}}
  security: {{groups: ["{ISSUER}#security"]}}
"""
PLAIN = """\
name: pod-logs
owner: platform
description: Read the logs of one
  namespace's pods.
tier: standard
requesters: [on-call]
rules:
- {apiGroups: [""], resources: [pods, pods/log], verbs: [get, list]}
clusters: ["*"]
namespaces: ["team-*"]
times: {default: 30m, most: 1h, withExtensions: 4h}
approval: {slots: [[lead, security]]}
stepUp: {request: none, approval: totp}
ticket: {need: optional}
"""
NAMED = PLAIN.replace("verbs: [get, list]}", 'verbs: [get], resourceNames: ["${pod}", fixed]}').replace(
    "clusters:", 'parameters: {pod: {pattern: "[a-z-]+", names: Pod}}\nclusters:'
)


def template(text: str, bindings: str = BINDINGS) -> Template:
    return parse(text, "t.yaml", parse_bindings(bindings, "who.yaml"))


def test_a_file_is_read() -> None:
    found = template(PLAIN)
    assert (found.name, found.owner, found.tier) == ("pod-logs", "platform", Tier.STANDARD)
    assert found.description == "Read the logs of one namespace's pods."
    assert found.requesters == Circle(groups=(group(f"{ISSUER}#sre-on-call"),))
    assert found.rules == (Rule(("",), ("pods", "pods/log"), ("get", "list")),)
    leads, security = group(f"{ISSUER}#leads"), group(f"{ISSUER}#security")
    assert found.quorum == Quorum(slots=(Slot(groups=(leads, security), people=(Person(ISSUER, "ada"),)),))
    assert (found.default_duration_s, found.max_duration_s, found.absolute_cap_s) == (1800, 3600, 14400)
    assert (found.start_window_s, found.approval_timeout_s, found.cool_down_s) == (3600, 3600, 0)
    assert (found.step_up.request, found.step_up.approval) == (StepUpLevel.NONE, StepUpLevel.TOTP)
    assert (found.ticket.need, found.emergency, found.review) == (Need.OPTIONAL, None, None)
    assert (found.most_per_person, found.most_at_once) == (1, 10)
    assert not found.is_pre_approved
    assert role_name(found) == "aliquot-bg:pod-logs"


def test_emergency_and_review_are_read() -> None:
    more = "emergency: {who: [on-call], most: 15m}\nreview: {within: 24h, slots: [[lead], [security]], everyUse: true}\n"
    found = template(PLAIN + more)
    assert found.emergency is not None
    assert (found.emergency.who, found.emergency.duration_s) == (found.requesters, 900)
    assert isinstance(found.review, Review)
    assert (found.review.within_s, found.review.every_use, len(found.review.reviewers.slots)) == (
        86400,
        True,
        2,
    )


def test_denied_is_of_every_resource_unless_it_says_which() -> None:
    denied = 'denied: [{verbs: [delete]}, {verbs: ["*"], resources: [secrets], apiGroups: [""]}]\n'
    assert template(PLAIN + denied).denied == (Denial(("delete",)), Denial(("*",), ("secrets",), ("",)))


def test_whoever_is_not_bound_is_nobody() -> None:
    found = template(PLAIN, "roles: {}")
    assert found.requesters == Circle()
    assert found.quorum == Quorum(slots=(Slot(),))
    assert not found.is_pre_approved


def test_only_what_has_parameters_has_a_role_for_each_grant() -> None:
    assert template(NAMED).has_own_role
    assert not template(PLAIN).has_own_role


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("owner: platform", "owner: platform-2"),
        ("verbs: [get, list]", "verbs: [list, get]"),
        ("most: 1h", "most: 61m"),
        ("[lead, security]", "[lead], [security]"),
        ("approval: totp", "approval: webauthn"),
        ("need: optional", "need: none"),
    ],
)
def test_whatever_is_changed_changes_the_digest(old: str, new: str) -> None:
    assert digest(template(PLAIN)) != digest(template(PLAIN.replace(old, new)))


def test_who_is_bound_is_in_the_digest_and_layout_is_not() -> None:
    assert digest(template(PLAIN)) == digest(template("# a comment\n" + PLAIN.replace("30m", "1800s")))
    assert digest(template(PLAIN)) != digest(template(PLAIN, BINDINGS.replace("sre-on-call", "everybody")))
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest(template(PLAIN)))


WRONG = [
    ("unknown field", "owner:", "ownr:", r"t.yaml:2: unknown field 'ownr'; did you mean 'owner'\?"),
    ("no approval", "approval: {slots: [[lead, security]]}\n", "", "field 'approval' is missing"),
    ("nobody to approve", "[[lead, security]]", "[]", r"t.yaml:12: approval.slots: .*length >= 1"),
    ("a slot of nobody", "[[lead, security]]", "[[]]", r"t.yaml:12: approval.slots\[0\]: .*length >= 1"),
    ("approved, and not", "{slots: [[lead, security]]}", "{}", "t.yaml:12: either 'slots'.*or 'preApproved: true'"),
    ("approved twice", "[[lead, security]]}", "[[lead]], preApproved: true}", "t.yaml:12: either 'slots'"),
    ("no step-up", "stepUp: {request: none, approval: totp}", "stepUp: {request: none}", "'approval' is missing"),
    ("a step-up of another name", "totp", "sms", "t.yaml:13: stepUp.approval: 'sms' is not a known value"),
    ("no such tier", "tier: standard", "tier: hgh", r"t.yaml:5: .*'hgh' is not a known value; did you mean 'high'\?"),
    ("no rules", '- {apiGroups: [""], resources: [pods, pods/log], verbs: [get, list]}', "  []", "rules.*length >= 1"),
    ("no verbs", "verbs: [get, list]", "verbs: []", r"rules\[0\].verbs.*length >= 1"),
    ("no names, which is every name", "verbs: [get, list]", "verbs: [get], resourceNames: []", "resourceNames.*length >= 1"),
    ("nowhere", 'namespaces: ["team-*"]\n', "", "field 'namespaces' is missing"),
    ("both everywhere and somewhere", "namespaces:", "clusterWide: true\nnamespaces:", "t.yaml:11: .*clusterWide"),
    ("no duration", "default: 30m", "default: 30", "t.yaml:11: .*text is expected"),
    ("a negative duration", "default: 30m", "default: -30m", "t.yaml:11: '-30m' is not a duration"),
    ("part of a second", "default: 30m", "default: 1800.5s", "t.yaml:11: .*whole number of seconds"),
    ("too short", "default: 30m", "default: 1m", "t.yaml:11: 1m is too short: no grant is shorter than 12m"),
    ("less than the default", "most: 1h", "most: 20m", "t.yaml:11: 20m is too short: default is 30m"),
    ("a cap below the most", "withExtensions: 4h", "withExtensions: 50m", "t.yaml:11: 50m is too short: most is 1h"),
    ("for ever", "withExtensions: 4h", "withExtensions: 720h", "t.yaml:11: 24h are the most"),
    ("no time to approve", "4h}", "4h, approveWithin: 0s}", "t.yaml:11: no time at all"),
    ("an emergency that nobody looks at", "ticket:", "emergency: {who: [lead], most: 20m}\nticket:", "'review' is missing"),
    ("a name that is a path", "name: pod-logs", "name: ../x", "t.yaml:1: name"),
    ("a name that goes on", "name: pod-logs", 'name: "pod-logs\\n"', "t.yaml:1: name"),
    ("a window without a ticket", "need: optional", "need: optional, withinWindow: true", "t.yaml:14: .*'required'"),
    ("denied altogether", "ticket:", "denied: [{verbs: ['*']}]\nticket:", "t.yaml:8: all of it is denied"),
    ("a word for people as a group", "requesters: [on-call]", f"requesters: ['{ISSUER}#x']", r"t.yaml:6: requesters\[0\]"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_file_is_told_where(old: str, new: str, message: str) -> None:
    assert old in PLAIN
    with pytest.raises(DocumentError, match=message):
        template(PLAIN.replace(old, new))


WRONG_PARAMETERS = [
    (
        "none of that name",
        '"${pod}"',
        '"${pd}"',
        r"t.yaml:8: there is no parameter 'pd'; did you mean 'pod'\?",
    ),
    (
        "part of a name",
        '"${pod}"',
        '"x-${pod}"',
        "t.yaml:8: 'x-\\$\\{pod\\}': a parameter stands for a whole name",
    ),
    ("used by no rule", '"${pod}", ', "", r"t.yaml:9: no rule uses 'pod'"),
    ("no regular expression", "[a-z-]+", "[a-z", "t.yaml:9: not a regular expression"),
    ("one that never ends", "[a-z-]+", "([a-z]+)+", "t.yaml:9: a group is repeated"),
    ("no parameter's name", "{pod:", "{Pod:", "t.yaml:9: 'Pod' is no parameter's name"),
]


@pytest.mark.parametrize(
    ("old", "new", "message"), [row[1:] for row in WRONG_PARAMETERS], ids=[row[0] for row in WRONG_PARAMETERS]
)
def test_a_wrong_parameter_is_told_where(old: str, new: str, message: str) -> None:
    assert old in NAMED
    with pytest.raises(DocumentError, match=message):
        template(NAMED.replace(old, new))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("roles: {on-call: {groups: [sre]}}", "who.yaml:1: 'sre' is no group: write ISSUER#NAME"),
        ("roles: {on-call: {group: ['https://x#sre']}}", r"who.yaml:1: unknown field 'group'.*'groups'"),
        ("roles: {on-call: {people: [{issuer: x}]}}", "'subject' is missing"),
        ("roles: {on-call: {people: [{issuer: x, subject: ''}]}}", "who.yaml:1: an issuer and its subject"),
        ("roles: {a: {}, a: {}}", "who.yaml:1: 'a' is given twice"),
    ],
)
def test_wrong_bindings_are_told_where(text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        parse_bindings(text, "who.yaml")
