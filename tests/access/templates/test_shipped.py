"""The templates that are shipped, and an installation's own beside them."""

from itertools import product

import pytest

from aliquot import document
from aliquot.access.core.hazards import hazards
from aliquot.access.core.people import Group, Identity, Person
from aliquot.access.core.rules import Rule, covers
from aliquot.access.core.templates import file
from aliquot.access.core.templates.bindings import parse_bindings
from aliquot.access.core.templates.catalogue import catalogue, shipped, shipped_documents, shipped_text
from aliquot.access.core.templates.objections import objections
from aliquot.access.core.templates.resolving import resolve
from aliquot.access.core.templates.template import StepUpLevel, Template, Tier, digest
from aliquot.document import DocumentError

ISSUER = "https://login.example.com"
WORDS = tuple(dict.fromkeys(word for one in shipped_documents() for _, word in file.words(one)))
BINDINGS = parse_bindings(
    "roles:\n" + "".join(f"  {word}: {{groups: ['{ISSUER}#{word}']}}\n" for word in WORDS), "who.yaml"
)
BY_NAME = {one.name: one for one in shipped(BINDINGS)}
TIERS = {
    "pod-logs": Tier.STANDARD,
    "pod-exec": Tier.STANDARD,
    "port-forward": Tier.STANDARD,
    "pod-restart": Tier.STANDARD,
    "restart-rollout": Tier.HIGH,
    "scale": Tier.STANDARD,
    "configmap-edit": Tier.STANDARD,
    "secret-read": Tier.HIGH,
    "node-drain": Tier.HIGH,
    "gpu-node-inspect": Tier.STANDARD,
    "gpu-agent-logs": Tier.STANDARD,
    "gpu-reset-workflow": Tier.STANDARD,
    "mig-change": Tier.HIGH,
    "queue-admin": Tier.STANDARD,
    "local-queue-admin": Tier.STANDARD,
    "stuck-job-kill": Tier.STANDARD,
    "cluster-admin-emergency": Tier.CRITICAL,
}
EMERGENCY = BY_NAME["cluster-admin-emergency"]
each = pytest.mark.parametrize("template", BY_NAME.values(), ids=BY_NAME)


def test_all_are_there() -> None:
    assert {name: one.tier for name, one in BY_NAME.items()} == TIERS
    assert [one.source for one in shipped_documents()] == sorted(f"shipped/{name}.yaml" for name in TIERS)


def test_words_are_few_and_known() -> None:
    assert set(WORDS) == {"developers", "on-call", "leads", "platform", "security", "gpu-admins", "auditors"}


@each
def test_nothing_speaks_against_it_and_it_says_all_that_a_template_should(template: Template) -> None:
    assert objections(template) == ()
    assert template.owner and template.description.endswith(".")
    assert template.denied
    assert template.step_up.request is not StepUpLevel.NONE
    only_reads = all(set(rule.verbs) <= {"get", "list", "watch"} for rule in template.rules)
    assert template.quorum.slots or only_reads
    assert template.absolute_cap_s <= 8 * 3600


@each
def test_it_uses_a_tier_only_where_its_rules_need_it(template: Template) -> None:
    needed = [one.tier or Tier.CRITICAL for one in hazards(template.rules, not template.cluster_wide)]
    assert max(needed, key=lambda tier: tier.rank, default=Tier.STANDARD) == template.tier


@each
def test_unbound_it_is_for_nobody(template: Template) -> None:
    unbound = next(one for one in shipped({}) if one.name == template.name)
    everybody = Identity(
        person=Person(ISSUER, "me"), groups=frozenset(Group(f"{ISSUER}#{word}") for word in WORDS)
    )
    assert template.requesters.has(everybody)
    assert not unbound.requesters.has(everybody)
    assert all(not slot.groups and not slot.people for slot in unbound.quorum.slots)
    assert len(unbound.quorum.slots) == len(template.quorum.slots)
    assert digest(unbound) != digest(template)


@each
def test_a_grant_of_it_can_be_made(template: Template) -> None:
    namespace = "" if template.cluster_wide else template.namespaces[0].replace("*", "shop")
    parameters = dict.fromkeys(template.parameters, "gpu-reset-1")
    found = resolve(template, parameters, namespace)
    assert covers([Rule(one.api_groups, one.resources, one.verbs) for one in template.rules], found)
    assert template.has_own_role == bool(template.parameters)
    named = [name for one in found for name in one.resource_names]
    assert set(named) == set(parameters.values())


FORBIDDEN = [
    Rule(("",), ("secrets",), ("get",), ("a",)),
    Rule(("",), ("secrets",), ("list",), ("a",)),
    Rule(("",), ("serviceaccounts/token",), ("create",), ("a",)),
    Rule(("",), ("nodes/proxy",), ("get",), ("a",)),
    Rule(("",), ("pods/exec",), ("create",), ("a",)),
    Rule(("",), ("pods/ephemeralcontainers",), ("patch",), ("a",)),
    Rule(("certificates.k8s.io",), ("certificatesigningrequests/approval",), ("update",), ("a",)),
    Rule(("",), ("pods",), ("deletecollection",)),
    *(Rule(("",), ("users",), (verb,), ("a",)) for verb in ("impersonate", "impersonate:user-info")),
    *(
        Rule((group,), (resource,), (verb,), ("a",))
        for group, resource, verb in product(
            ("rbac.authorization.k8s.io",),
            ("roles", "rolebindings", "clusterroles", "clusterrolebindings"),
            ("create", "update", "patch", "delete", "bind", "escalate"),
        )
    ),
    *(
        Rule(("admissionregistration.k8s.io",), (resource,), (verb,), ("a",))
        for resource, verb in product(
            ("validatingwebhookconfigurations", "validatingadmissionpolicies"),
            ("create", "update", "patch", "delete"),
        )
    ),
]


@pytest.mark.parametrize("right", FORBIDDEN, ids=str)
def test_even_the_emergency_does_not_give(right: Rule) -> None:
    assert not covers(resolve(EMERGENCY, {}, ""), [right])


def test_the_emergency_asks_for_all_that_there_is_to_ask() -> None:
    assert len(EMERGENCY.quorum.slots) == 2
    assert EMERGENCY.quorum.distinct_groups
    assert not set(EMERGENCY.quorum.slots[0].groups) & set(EMERGENCY.quorum.slots[1].groups)
    assert EMERGENCY.max_duration_s == 1800
    assert EMERGENCY.emergency is None
    assert EMERGENCY.review is not None
    assert (EMERGENCY.review.every_use, EMERGENCY.review.within_s) == (True, 86400)
    words = [
        word
        for rule in EMERGENCY.rules
        for field in (rule.api_groups, rule.resources, rule.verbs)
        for word in field
    ]
    assert not [word for word in words if "*" in word]


def own(text: str) -> document.Document:
    return document.parse(text, source="own.yaml")


SCALE = shipped_text("scale")


def test_ones_own_takes_the_place_of_the_shipped_of_its_name() -> None:
    found = catalogue([own(SCALE.replace("owner: platform", "owner: shop"))], BINDINGS)
    assert found["scale"].owner == "shop"
    assert set(found) == set(TIERS)
    more = catalogue([own(SCALE.replace("name: scale", "name: shop-scale"))], BINDINGS)
    assert set(more) == {*TIERS, "shop-scale"}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([SCALE, SCALE], "own.yaml:1: there is another template 'scale'"),
        ([SCALE.replace("[get]", "[get, escalate]")], "own.yaml:7: refused: verbs 'escalate'"),
        ([SCALE.replace("verbs: [get, update, patch]", 'verbs: ["*"]')], "own.yaml:8: "),
    ],
)
def test_a_catalogue_has_none_that_something_speaks_against(texts: list[str], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        catalogue([own(text) for text in texts], BINDINGS)
