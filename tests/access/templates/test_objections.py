"""What speaks against a template, a row for each: a sound one, what is changed in it, and where it is told."""

import re

import pytest

from aliquot import document
from aliquot.access.core.templates.bindings import parse_bindings
from aliquot.access.core.templates.file import read
from aliquot.access.core.templates.objections import objections

ISSUER = "https://login.example.com"
BINDINGS = f"""\
roles:
  on-call: {{groups: ["{ISSUER}#on-call"]}}
  leads: {{groups: ["{ISSUER}#leads"]}}
  also-leads: {{groups: ["{ISSUER}#leads"]}}
  security: {{groups: ["{ISSUER}#security"]}}
  ada: {{people: [{{issuer: "{ISSUER}", subject: ada}}]}}
  nobody: {{}}
"""
STANDARD = """\
name: t
owner: platform
description: One of the second tier.
tier: standard
requesters: [on-call]
rules:
- {apiGroups: [""], resources: [pods], verbs: [get, delete], resourceNames: [a]}
clusters: ["*"]
namespaces: ["*"]
exceptNamespaces: [kube-*, aliquot-*, "nvidia*", "*operator"]
times: {default: 15m, most: 30m, withExtensions: 1h}
approval: {slots: [[leads]]}
stepUp: {request: none, approval: none}
ticket: {need: none}
"""
HIGH = (
    STANDARD.replace("tier: standard", "tier: high")
    .replace("verbs: [get, delete]", "verbs: [get, patch]")
    .replace("[[leads]]", "[[leads], [security]]")
    .replace("{request: none, approval: none}", "{request: totp, approval: totp}")
)
CRITICAL = (
    HIGH.replace("tier: high", "tier: critical")
    .replace("verbs: [get, patch], resourceNames: [a]", "verbs: [get, create]")
    .replace("{request: totp, approval: totp}", "{request: webauthn, approval: webauthn}")
    .replace("need: none", "need: optional")
    + "review: {within: 24h, slots: [[security]], everyUse: true}\n"
)
EMERGENCY = (
    STANDARD.replace("request: none", "request: totp")
    + "emergency: {who: [on-call], most: 15m}\nreview: {within: 24h, slots: [[leads]]}\n"
)


def against(text: str) -> list[tuple[int | None, str]]:
    found = document.parse(text, source="t.yaml")
    template = read(found, parse_bindings(BINDINGS, "who.yaml"))
    return [(found.line(one.path), one.message) for one in objections(template)]


@pytest.mark.parametrize(
    "text", [STANDARD, HIGH, CRITICAL, EMERGENCY], ids=["standard", "high", "critical", "emergency"]
)
def test_nothing_speaks_against_these(text: str) -> None:
    assert against(text) == []


ROWS = [
    ("a hazard of every tier", CRITICAL, "[pods]", "[serviceaccounts/token]", 7, "refused: .*makes tokens"),
    ("a hazard of the second tier", STANDARD, "delete]", "patch]", 7, "needs tier high: patch pods: another image"),
    ("a hazard of the third tier", HIGH, "verbs: [get, patch], resourceNames: [a]", "verbs: [create]", 7, "needs tier critical: create pods"),
    ("our own namespace", STANDARD, "aliquot-*", "aliquot-system", 9, "refused: aliquot-break-glass has the credentials"),
    ("the system's namespace", STANDARD, "kube-*, ", "", 9, "needs tier critical: rule 1 changes or enters what is in kube-system, kube-public"),
    ("the agents' namespace", STANDARD, "aliquot-*", "aliquot-break-glass", 9, "changes or enters what is in aliquot-system, whose pods are root"),
    ("the drivers' namespace", STANDARD, ', "nvidia*", "*operator"', "", 9, "in gpu-operator, nvidia-gpu-operator"),
    ("to enter is not to read", STANDARD, 'resources: [pods], verbs: [get, delete], resourceNames: [a]}\nclusters: ["*"]\nnamespaces: ["*"]\nexceptNamespaces: [kube-*, aliquot-*, "nvidia*", "*operator"]', 'resources: [pods/portforward], verbs: [get], resourceNames: [a]}\nclusters: ["*"]\nnamespaces: [gpu-operator]', 9, "rule 1 changes or enters what is in gpu-operator"),
    ("one who approves", HIGH, "[[leads], [security]]", "[[leads, security]]", 12, "two people from two groups"),
    ("two of whatever groups", HIGH, "[security]]", "[security]], distinctGroups: false", 12, "two people from two groups"),
    ("approved beforehand", HIGH, "slots: [[leads], [security]]", "preApproved: true", 12, "two people from two groups"),
    ("no proof of who asks", HIGH, "request: totp", "request: none", 13, "tier high asks for totp, not none"),
    ("no proof of who approves", HIGH, "approval: totp", "approval: none", 13, "tier high asks for totp, not none"),
    ("a proof that can be phished", CRITICAL, "request: webauthn", "request: totp", 13, "tier critical asks for webauthn, not totp"),
    ("nobody lets themselves in", HIGH, "ticket:", "emergency: {who: [on-call], most: 15m}\nreview: {within: 1h, slots: [[leads]]}\nticket:", 14, "so nobody lets themselves in"),
    ("too long", HIGH, "most: 30m, withExtensions: 1h", "most: 3h, withExtensions: 4h", 11, "tier high asks for no more than 2h"),
    ("too long with extensions", HIGH, "withExtensions: 1h", "withExtensions: 5h", 11, "tier high asks for no more than 4h"),
    ("much too long", CRITICAL, "most: 30m", "most: 45m", 11, "tier critical asks for no more than 30m"),
    ("much too long with extensions", CRITICAL, "withExtensions: 1h", "withExtensions: 2h", 11, "tier critical asks for no more than 1h"),
    ("nobody looks afterwards", CRITICAL, "review: {within: 24h, slots: [[security]], everyUse: true}\n", "", 1, "a look at every use within 24h"),
    ("somebody looks at emergencies", CRITICAL, ", everyUse: true", "", 15, "a look at every use within 24h"),
    ("somebody looks next week", CRITICAL, "within: 24h", "within: 168h", 15, "a look at every use within 24h"),
    ("no ticket at all", CRITICAL, "need: optional", "need: none", 14, "asks for a ticket"),
    ("an emergency without a proof", EMERGENCY, "request: totp", "request: none", 13, "proves anew who they are"),
    ("one group for two slots", HIGH, "[security]", "[also-leads]", 12, "can never be met"),
    ("one person for two slots", HIGH, "[[leads], [security]]", "[[ada], [ada]]", 12, "can never be met"),
    ("one group for two slots of a review", CRITICAL, "[[security]]", "[[leads], [also-leads]]", 15, "can never be met"),
    ("a slot for nobody is nobody's fault", HIGH, "[security]", "[nobody]", None, None),
    ("one by name and one of a group", HIGH, "[security]", "[ada]", None, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sound", "old", "new", "line", "message"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_what_speaks_against_it(
    sound: str, old: str, new: str, line: int | None, message: str | None
) -> None:
    assert old in sound
    found = against(sound.replace(old, new))
    if message is None:
        assert found == []
    else:
        assert [at for at, told in found if re.search(message, told)] == [line]


def test_gpus_are_cut_within_a_window() -> None:
    text = HIGH.replace('[""], resources: [pods]', "[aliquot.dev], resources: [gpunodes]")
    start, end = text.index("namespaces:"), text.index("times:")
    text = f"{text[:start]}clusterWide: true\n{text[end:]}"
    ((line, told),) = against(text)
    assert (line, told.partition(":")[0]) == (7, "needs ticket.withinWindow")
    assert against(text.replace("{need: none}", "{need: required, withinWindow: true}")) == []
