"""What rules lead to, a row for each hazard: rules as `VERBS [GROUP:]RESOURCES [named NAMES]`, one place or the cluster, what is found."""

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.core.hazards import Hazard, Safeguard, Severity, hazards, kinds
from aliquot.access.core.hazards.dangers import ROWS, Reach, Row, first
from aliquot.access.core.hazards.spelling import READS, WRITES
from aliquot.access.core.rules import Rule, covers
from aliquot.access.core.templates.template import Tier

FINE = "fine"
REFUSED = "refused"
HIGH = "high"
CRITICAL = "critical"
WINDOW = "high ticket.withinWindow"


def rule(text: str) -> Rule:
    """Lists are of commas; `''` is an empty word."""
    verbs, what, *named = text.split(" ", 2)
    groups, colon, resources = what.rpartition(":")
    words = [one.split(",") for one in (groups if colon else "''", resources, verbs)]
    words += [named[0].removeprefix("named ").split(",")] if named else [[]]
    return Rule(*(tuple("" if word == "''" else word for word in some) for some in words))


def judged(found: tuple[Hazard, ...]) -> list[str]:
    return [f"{one.tier or REFUSED} {one.safeguard or ''}".strip() for one in found] or [FINE]


# The rule, what is found in a namespace, what is found in a cluster, and a part of why.
RIGHTS = [
    # wildcards and other spellings
    ("get *", REFUSED, REFUSED, "every resource there is"),
    ("* pods", REFUSED, REFUSED, "every verb, with escalate"),
    ("get *:pods", REFUSED, REFUSED, "every API there is"),
    ("get pods/*", REFUSED, REFUSED, "one resource of that very name"),
    ("get */log", REFUSED, REFUSED, "every resource there is"),
    ("get pod*", REFUSED, REFUSED, "one resource of that very name"),
    ("get Pods", REFUSED, REFUSED, "no resource has such a name"),
    ("get po", REFUSED, REFUSED, "none of that name"),
    ("get pods/logs", REFUSED, REFUSED, "none of that name"),
    ("get deployments.apps", REFUSED, REFUSED, "no resource has such a name"),
    ("get pods/exec/x", REFUSED, REFUSED, "no resource has such a name"),
    ("get deployments", REFUSED, REFUSED, "'' has none of that name"),
    ("get core:pods", REFUSED, REFUSED, "no group has that name"),
    ("get Apps:deployments", REFUSED, REFUSED, "no group has such a name"),
    ("get apps/v1:deployments", REFUSED, REFUSED, "no group has such a name"),
    ("get apps*:deployments", REFUSED, REFUSED, "every API there is"),
    ("GET pods", REFUSED, REFUSED, "no verb that is known"),
    ("frobnicate pods", REFUSED, REFUSED, "no verb that is known"),
    ("proxy services", REFUSED, REFUSED, "no verb that is known"),
    ("get pods named *", REFUSED, REFUSED, "names have no wildcards"),
    ("get pods named web-*", REFUSED, REFUSED, "names have no wildcards"),
    ("list pods named ''", REFUSED, REFUSED, "that of requests without one"),
    ("create configmaps named a", REFUSED, REFUSED, "has no name, so this allows nothing"),
    ("deletecollection pods named a", REFUSED, REFUSED, "has no name, so this allows nothing"),
    ("get nodes", REFUSED, FINE, "in no namespace"),
    ("get aliquot.dev:gpunodes", REFUSED, FINE, "in no namespace"),
    # verbs of their own
    ("escalate rbac.authorization.k8s.io:clusterroles", REFUSED, REFUSED, "roles that give more"),
    ("bind rbac.authorization.k8s.io:clusterroles named view", REFUSED, REFUSED, "give themselves any role"),
    ("impersonate users", REFUSED, REFUSED, "whoever they say they are"),
    ("impersonate serviceaccounts named a", REFUSED, REFUSED, "whoever they say they are"),
    ("impersonate:user-info authentication.k8s.io:users", REFUSED, REFUSED, "whoever they say"),
    ("impersonate:serviceaccount serviceaccounts", REFUSED, REFUSED, "whoever they say they are"),
    ("impersonate-on:user-info:list pods", REFUSED, REFUSED, "whoever they say they are"),
    ("impersonate:* serviceaccounts", REFUSED, REFUSED, "whoever they say they are"),
    ("approve certificates.k8s.io:signers", REFUSED, REFUSED, "can be anybody"),
    ("sign certificates.k8s.io:signers", REFUSED, REFUSED, "can be anybody"),
    ("attest certificates.k8s.io:signers", REFUSED, REFUSED, "whom all pods trust"),
    ("use policy:podsecuritypolicies", REFUSED, REFUSED, "how much a pod may be"),
    # roles, admission, tokens, certificates, APIs
    ("get,list rbac.authorization.k8s.io:roles", FINE, FINE, ""),
    ("create rbac.authorization.k8s.io:rolebindings", REFUSED, REFUSED, "give anybody anything"),
    ("patch rbac.authorization.k8s.io:roles named a", REFUSED, REFUSED, "give anybody anything"),
    ("delete rbac.authorization.k8s.io:clusterrolebindings", REFUSED, REFUSED, ""),
    ("create serviceaccounts/token", REFUSED, REFUSED, "makes tokens"),
    ("create serviceaccounts/token named a", REFUSED, REFUSED, "makes tokens"),
    ("patch serviceaccounts named a", HIGH, CRITICAL, ""),
    ("create certificates.k8s.io:certificatesigningrequests", REFUSED, CRITICAL, ""),
    ("update certificates.k8s.io:certificatesigningrequests/approval named a", REFUSED, REFUSED, ""),
    ("patch certificates.k8s.io:certificatesigningrequests/status", REFUSED, REFUSED, ""),
    ("create certificates.k8s.io:podcertificaterequests", REFUSED, REFUSED, "outlives the grant"),
    ("create authorization.openshift.io:rolebindings", REFUSED, REFUSED, "give anybody anything"),
    ("update user.openshift.io:groups named a", REFUSED, REFUSED, "who is in which group"),
    ("patch certificates.k8s.io:clustertrustbundles", REFUSED, CRITICAL, ""),
    ("update admissionregistration.k8s.io:validatingwebhookconfigurations named a", REFUSED, REFUSED, ""),
    ("delete admissionregistration.k8s.io:mutatingwebhookconfigurations", REFUSED, REFUSED, ""),
    ("create admissionregistration.k8s.io:validatingadmissionpolicies", REFUSED, REFUSED, ""),
    ("patch admissionregistration.k8s.io:mutatingadmissionpolicybindings", REFUSED, REFUSED, ""),
    ("get,list admissionregistration.k8s.io:validatingadmissionpolicies", REFUSED, FINE, ""),
    ("create apiregistration.k8s.io:apiservices", REFUSED, REFUSED, ""),
    ("delete apiregistration.k8s.io:apiservices", REFUSED, CRITICAL, "takes an API"),
    ("create apiextensions.k8s.io:customresourcedefinitions", REFUSED, CRITICAL, ""),
    ("patch apiextensions.k8s.io:customresourcedefinitions named a", REFUSED, CRITICAL, ""),
    # secrets
    ("get secrets", REFUSED, REFUSED, "reveal every Secret"),
    ("list secrets", REFUSED, REFUSED, "reveal every Secret"),
    ("watch secrets", REFUSED, REFUSED, "reveal every Secret"),
    ("patch secrets", REFUSED, REFUSED, "reveal every Secret"),
    ("delete secrets", REFUSED, REFUSED, ""),
    ("get secrets named db", HIGH, REFUSED, "reveal what is in it"),
    ("list,watch secrets named db", HIGH, REFUSED, "reveal what is in it"),
    ("patch secrets named db", HIGH, REFUSED, "reveal what is in it"),
    ("create secrets", REFUSED, REFUSED, "service-account-token"),
    ("deletecollection secrets", REFUSED, REFUSED, "the answer has what was in them"),
    # nodes
    ("get nodes/proxy", REFUSED, REFUSED, "past audit and admission"),
    ("create nodes/proxy named a", REFUSED, REFUSED, "past audit and admission"),
    ("get nodes/checkpoint", REFUSED, REFUSED, ""),
    ("get nodes/metrics,nodes/stats", REFUSED, FINE, ""),
    ("get nodes/log named a", REFUSED, HIGH, ""),
    ("patch nodes named a", REFUSED, HIGH, "how its GPUs are cut"),
    ("patch nodes", REFUSED, CRITICAL, "of all nodes"),
    ("delete nodes named a", REFUSED, CRITICAL, ""),
    ("patch nodes/status", REFUSED, CRITICAL, ""),
    # pods
    ("get,list,watch pods,pods/log", FINE, HIGH, "those of every namespace"),
    ("create pods/exec", CRITICAL, REFUSED, "whatever they run as"),
    ("get pods/exec", CRITICAL, REFUSED, "whatever they run as"),
    ("create pods/exec named a", FINE, REFUSED, "a shell"),
    ("create,get pods/attach named a", FINE, REFUSED, "a shell"),
    ("create pods/portforward named a", FINE, REFUSED, ""),
    ("create pods/portforward", HIGH, REFUSED, "NetworkPolicies"),
    ("get services/proxy named a", HIGH, REFUSED, ""),
    ("get pods/proxy", HIGH, REFUSED, ""),
    ("create pods", CRITICAL, CRITICAL, "root on its node"),
    ("patch pods named a", HIGH, CRITICAL, "another image"),
    ("update pods", CRITICAL, CRITICAL, "another image"),
    ("delete pods", FINE, CRITICAL, ""),
    ("delete pods named a", FINE, CRITICAL, ""),
    ("deletecollection pods", HIGH, CRITICAL, ""),
    ("create pods/eviction", FINE, HIGH, ""),
    ("patch pods/ephemeralcontainers", REFUSED, REFUSED, ""),
    ("update pods/ephemeralcontainers named a", CRITICAL, REFUSED, ""),
    ("create pods/binding", REFUSED, REFUSED, "past the scheduler"),
    ("create bindings", REFUSED, REFUSED, "past the scheduler"),
    ("patch pods/resize named a", HIGH, CRITICAL, ""),
    # what makes pods
    ("create apps:deployments", CRITICAL, CRITICAL, "mount every Secret"),
    ("create batch:jobs", CRITICAL, CRITICAL, "mount every Secret"),
    ("create batch:cronjobs", CRITICAL, CRITICAL, "mount every Secret"),
    ("patch apps:deployments named a", HIGH, CRITICAL, "mount every Secret"),
    ("patch apps:deployments", CRITICAL, CRITICAL, "of all of them"),
    ("update apps:daemonsets named a", HIGH, CRITICAL, "mount every Secret"),
    ("update apps:controllerrevisions named a", HIGH, CRITICAL, "mount every Secret"),
    ("patch replicationcontrollers named a", HIGH, CRITICAL, "mount every Secret"),
    ("patch batch:jobs named a", FINE, CRITICAL, ""),
    ("delete apps:deployments named a", HIGH, CRITICAL, ""),
    ("patch apps:deployments/scale named a", FINE, CRITICAL, ""),
    ("patch apps:deployments/scale", HIGH, CRITICAL, ""),
    # the cluster
    ("patch namespaces", CRITICAL, CRITICAL, "Pod Security"),
    ("patch namespaces named a", CRITICAL, CRITICAL, "Pod Security"),
    ("update namespaces/finalize", CRITICAL, CRITICAL, ""),
    ("get namespaces", FINE, FINE, ""),
    ("create persistentvolumes", REFUSED, CRITICAL, "any directory of a node"),
    ("patch storage.k8s.io:storageclasses named a", REFUSED, CRITICAL, ""),
    ("patch configmaps named a", FINE, CRITICAL, ""),
    ("patch configmaps", HIGH, CRITICAL, ""),
    ("create authorization.k8s.io:localsubjectaccessreviews", FINE, FINE, ""),
    ("create authentication.k8s.io:tokenreviews", REFUSED, CRITICAL, ""),
    # GPUs
    ("patch nvidia.com:clusterpolicies named a", REFUSED, CRITICAL, "root on every GPU node"),
    ("patch aliquot.dev:gpupolicies named a", REFUSED, CRITICAL, "root on every GPU node"),
    ("patch aliquot.dev:gpunodes named a", REFUSED, WINDOW, "cuts GPUs anew"),
    ("patch aliquot.dev:gpunodes", REFUSED, "critical ticket.withinWindow", "on every node"),
    ("patch aliquot.dev:queues named a", REFUSED, FINE, ""),
    ("patch kueue.x-k8s.io:localqueues named a", FINE, CRITICAL, ""),
    ("create kueue.x-k8s.io:localqueues", CRITICAL, CRITICAL, "not known here"),
    # what nobody has heard of
    ("get,list example.com:widgets", FINE, FINE, ""),
    ("get example.com:widgets/console", CRITICAL, CRITICAL, "not known here"),
    ("patch example.com:widgets named a", HIGH, CRITICAL, "not known here"),
    ("patch example.com:widgets", CRITICAL, CRITICAL, "not known here"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "here", "everywhere", "why"), RIGHTS, ids=[row[0] for row in RIGHTS])
def test_what_a_right_leads_to(text: str, here: str, everywhere: str, why: str) -> None:
    in_a_namespace = hazards([rule(text)], namespaced=True)
    in_the_cluster = hazards([rule(text)], namespaced=False)
    assert (set(judged(in_a_namespace)), set(judged(in_the_cluster))) == ({here}, {everywhere})
    found = (*in_a_namespace, *in_the_cluster)
    assert all(one.what and one.why and one.instead for one in found)
    assert not why or any(why in one.why for one in found)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (Rule((), ("pods",), ("get",)), "apiGroups"),
        (Rule(("",), (), ("get",)), "resources"),
        (Rule(("",), ("pods",), ()), "verbs"),
    ],
)
def test_an_empty_list_is_refused(wrong: Rule, field: str) -> None:
    (found,) = hazards([wrong], namespaced=True)
    assert (found.what, found.severity) == (f"no {field}", Severity.REFUSED)


def test_what_is_found_is_named_in_words() -> None:
    found = hazards([rule("get pods"), rule("get,create apps,batch:deployments,cronjobs")], namespaced=True)
    assert [(one.rule, one.what) for one in found] == [(1, "create deployments.apps, cronjobs.batch")]


def test_a_misspelt_word_is_told_what_it_may_have_been() -> None:
    found = hazards([rule("gett pods/logs")], namespaced=True)
    assert [one.instead for one in found] == ["did you mean 'pods/log'?", "did you mean 'get'?"]


def test_in_a_rule_of_two_groups_only_what_there_is_counts() -> None:
    assert hazards([rule("get '',apps:pods,deployments")], namespaced=True) == ()
    (found,) = hazards([rule("get '',apps:pods,deploymants")], namespaced=True)
    assert found.instead == "did you mean 'deployments'?"


def test_a_parameter_counts_as_a_name() -> None:
    (found,) = hazards([Rule(("",), ("secrets",), ("get",), ("${secret}",))], namespaced=True)
    assert found.tier is Tier.HIGH


JEWELS = [
    rule("escalate rbac.authorization.k8s.io:clusterroles"),
    rule("bind rbac.authorization.k8s.io:clusterroles named cluster-admin"),
    rule("create rbac.authorization.k8s.io:clusterrolebindings"),
    rule("impersonate groups named system-masters"),
    rule("create serviceaccounts/token named default"),
    rule("list secrets"),
    rule("get nodes/proxy named node-1"),
    rule("update certificates.k8s.io:certificatesigningrequests/approval named a"),
    rule("patch admissionregistration.k8s.io:mutatingwebhookconfigurations named a"),
    rule("impersonate-on:user-info:get example.com:whatever"),
]
_GROUPS = sorted({group for one in JEWELS for group in one.api_groups} | {"*", "apps"})
_RESOURCES = sorted({what for one in JEWELS for what in one.resources} | {"*", "*/token", "*/proxy", "pods"})
_VERBS = sorted({verb for one in JEWELS for verb in one.verbs} | {"*", "get", "watch"})
_NAMES = sorted({name for one in JEWELS for name in one.resource_names} | {"a", "${p}"})


def _some(words: list[str], least: int = 1) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(words), min_size=least, max_size=3, unique=True).map(tuple)


@given(
    st.builds(Rule, _some(_GROUPS), _some(_RESOURCES), _some(_VERBS), _some(_NAMES, 0)),
    st.sampled_from(JEWELS),
    st.booleans(),
)
def test_no_rule_that_gives_everything_away_passes(one: Rule, jewel: Rule, namespaced: bool) -> None:
    if covers([one], [jewel]):
        assert any(found.severity is Severity.REFUSED for found in hazards([one], namespaced))


@pytest.mark.parametrize("jewel", JEWELS, ids=str)
def test_whatever_covers_a_jewel_is_refused(jewel: Rule) -> None:
    wider = (
        jewel,
        Rule(("*",), jewel.resources, jewel.verbs, jewel.resource_names),
        Rule(jewel.api_groups, ("*",), jewel.verbs, jewel.resource_names),
        Rule(jewel.api_groups, jewel.resources, ("*",), jewel.resource_names),
        Rule(jewel.api_groups, jewel.resources, jewel.verbs),
        Rule(("*",), ("*",), ("*",)),
    )
    for one, namespaced in product(wider, (True, False)):
        assert covers([one], [jewel])
        assert any(found.severity is Severity.REFUSED for found in hazards([one], namespaced))


def _fitting(row: Row) -> Iterator[tuple[str, str, str, Reach]]:
    """Rights that it is about: of each kind of word its own, or where it has none all."""
    groups = row.groups or kinds.GROUPS
    of_groups = {word for group in groups & kinds.GROUPS for word in kinds.known(group)}
    return product(groups, row.resources or of_groups or {"any"}, row.verbs or (*READS, *WRITES), row.reach)


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_no_row_is_hidden_behind_another_and_each_says_why(row: Row) -> None:
    assert any(first(*right, is_known=True) is row for right in _fitting(row))
    assert (row.tier is Tier.STANDARD and not row.safeguard) != bool(row.why and row.instead)


def test_a_safeguard_is_a_field_of_a_templates_file() -> None:
    assert {one.value for one in Safeguard} == {"ticket.withinWindow"}
