"""Each rule: what it finds, in which words, and what it lets pass."""

from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.access.audit import checks
from aliquot.access.audit.checks import CHECKS, Looked
from aliquot.access.audit.events import Event
from aliquot.access.audit.findings import DAY_S, Finding
from aliquot.access.audit.joining import How, Known, Whose, latest_use_s, whose
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.requests import Request, digest
from aliquot.access.core.rules import Rule
from aliquot.access.store.reading import Given
from tests.access.audit.samples import ACCOUNT, CREDENTIAL, GRANT, START_S, event, user
from tests.access.life.scenery import person

HOME = "aliquot-break-glass"
OTHER = "r01m8k6brv680ym5merp5and70y"
AGENT = "system:serviceaccount:aliquot-system:aliquot-access-agent"
SENTINEL = "system:serviceaccount:aliquot-system:aliquot-access-sentinel"
ANN = user("ann", "dev", credential="")
ROOT = user("kubernetes-admin", "system:masters", credential="X509SHA256=00ff")
RBAC, ADMISSION = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"
POLICY = "aliquot-break-glass-marks"


def life(grant: str = GRANT, **changed: Any) -> Life:
    request = Request(
        id=grant,
        template="shop-logs",
        template_digest="sha256:00",
        requester=person("dev"),
        cluster="one",
        namespace="shop",
        rules=(Rule(("",), ("pods",), ("get",)),),
        duration_s=3600,
        justification="checkout is down",
        asked_at_s=START_S - 60,
    )
    settings: dict[str, Any] = {
        "stage": Stage.ACTIVE,
        "seen_s": START_S - 30,
        "lapses_s": START_S,
        "began_at_s": START_S - 30,
        "end_s": START_S + 3600,
    }
    return Life(request=request, digest=digest(request), **(settings | changed))


KNOWN = Known({GRANT: life()}, {CREDENTIAL: Given(CREDENTIAL, GRANT, START_S, START_S + 600)})


def findings(one: Event, *, known: Known = KNOWN, cluster: str = "one") -> list[Finding]:
    return list(checks.found(Looked(event=one, cluster=cluster, whose=whose(one, known), known=known)))


def found(one: Event, **more: Any) -> dict[str, str]:
    return {each.rule: each.text for each in findings(one, **more)}


def account(name: str, credential: str = CREDENTIAL) -> dict[str, Any]:
    return user(f"system:serviceaccount:{HOME}:{name}", credential=credential)


def over(**changed: Any) -> Known:
    return Known({GRANT: life(stage=Stage.ENDED, **changed)}, KNOWN.credentials)


def test_use_of_a_grant_as_it_is_meant_is_no_finding() -> None:
    assert found(event()) == {}
    assert found(event(code=403)) == {}
    assert found(event("create", "pods/exec", code=101)) == {}
    assert found(event(at_s=START_S + 600 + 74)) == {}


# --- unknown_credential ---


@pytest.mark.parametrize(
    ("credential", "account_of", "text"),
    [
        ("JTI=other", GRANT, f"{ACCOUNT} was used with JTI=other, which was never given out"),
        (
            "",
            GRANT,
            f"{ACCOUNT} was used with a credential that has no id, and all that are given out have one",
        ),
        ("X509SHA256=00", GRANT, f"{ACCOUNT} was used with X509SHA256=00, which was never given out"),
    ],
)
def test_unknown_credential(credential: str, account_of: str, text: str) -> None:
    assert found(event(by=account(f"aliquot-bg-{account_of}", credential))) == {"unknown_credential": text}


def test_unknown_credential_is_also_one_of_another_grant() -> None:
    known = Known({**KNOWN.lives, OTHER: life(OTHER)}, KNOWN.credentials)
    told = found(event(by=account(f"aliquot-bg-{OTHER}")), known=known)["unknown_credential"]
    assert told.endswith(f"{OTHER} was used with {CREDENTIAL}, which was given out for {GRANT}")


def test_others_have_credentials_of_their_own() -> None:
    assert found(event(by=user("system:serviceaccount:shop:default", "system:serviceaccounts"))) == {}
    assert found(event(by=user("ann", "dev", credential=CREDENTIAL))) == {
        "unknown_credential": f"ann was used with {CREDENTIAL}, which was given out for {GRANT}"
    }


# --- used_after_end ---


@pytest.mark.parametrize(
    ("changed", "late_s", "is_found"),
    [
        ({"end_s": START_S + 100}, 105, False),
        ({"end_s": START_S + 100}, 106, True),
        ({"over_at_s": START_S + 100, "gone_at_s": START_S + 101}, 116, False),
        ({"over_at_s": START_S + 100, "gone_at_s": START_S + 101}, 117, True),
        ({"over_at_s": START_S + 100}, 300, False),
        ({"end_s": START_S + 100, "gone_at_s": START_S + 500}, 106, True),
    ],
)
def test_used_after_end(changed: dict[str, Any], late_s: float, is_found: bool) -> None:
    told = found(event(at_s=START_S + late_s), known=over(**changed))
    assert ("used_after_end" in told) is is_found
    if is_found:
        assert told["used_after_end"].startswith(f"grant {GRANT} was used at 2027-01-15T08:")


def test_used_after_end_is_when_it_begins_not_how_long_it_goes_on() -> None:
    shell = event("get", "pods/exec", code=101, at_s=START_S + 90, done_s=START_S + 4000)
    assert found(shell, known=over(end_s=START_S + 100)) == {}


def test_used_after_end_is_also_use_of_a_credential_that_has_run_out() -> None:
    told = found(event(at_s=START_S + 600 + 76))
    assert told == {
        "used_after_end": f"{CREDENTIAL} of grant {GRANT} was used at 2027-01-15T08:11:16Z, and ran out at 2027-01-15T08:10:00Z"
    }


# --- unknown_grant ---


def test_unknown_grant() -> None:
    told = found(event(by=account(f"aliquot-bg-{OTHER}", "JTI=x")))
    assert told["unknown_grant"].endswith(f"which is of grant {OTHER}, and there is no such grant")
    told = found(event(by=account("default", "JTI=x")))
    assert "default was used, which is of no grant, and the namespace" in told["unknown_grant"]
    said = user("ann", "dev", credential="", **{"aliquot_dev__break-glass": OTHER})
    assert "unknown_grant" in found(event(by=said))


# --- other_cluster ---


def test_other_cluster() -> None:
    assert found(event(), cluster="two") == {
        "other_cluster": f"grant {GRANT} is of cluster one, and was used in two"
    }


# --- system_masters ---


def test_system_masters() -> None:
    assert found(event("get", "nodes", "n1", namespace="", by=ROOT)) == {
        "system_masters": "kubernetes-admin came as one of system:masters, whom nothing is refused and nobody can put out: "
        "get nodes n1"
    }
    acting = {"username": "x", "groups": ["system:masters"]}
    assert found(event(by=ANN, impersonatedUser=acting)) == {
        "system_masters": "ann acted as one of system:masters, whom nothing is refused: get pods web in shop"
    }


def test_the_servers_own_are_masters_too() -> None:
    assert found(event(by=user("system:apiserver", "system:masters", credential=""))) == {}
    assert "system_masters" in found(event(by=user("system:admin", "system:masters", credential="")))


# --- impersonated ---


def test_impersonated() -> None:
    told = found(event(by=ANN, impersonatedUser={"username": ACCOUNT}))
    assert told == {
        "impersonated": f"ann acted as {ACCOUNT}, which no grant lets anybody do: get pods web in shop"
    }
    by_group = {"username": "x", "groups": [f"system:serviceaccounts:{HOME}"]}
    assert "impersonated" in found(event(by=ANN, impersonatedUser=by_group))
    assert found(event(by=ANN, impersonatedUser={"username": "ben", "groups": ["dev"]})) == {}


# --- token_request ---


@pytest.mark.parametrize(
    ("by", "code", "text"),
    [
        (ANN, 201, f"ann asked for a token of aliquot-bg-{GRANT}, which Aliquot's agent alone does"),
        (
            ANN,
            403,
            f"ann asked for a token of aliquot-bg-{GRANT}, which Aliquot's agent alone does, and was refused",
        ),
        (user(AGENT), 201, ""),
    ],
)
def test_token_request(by: dict[str, Any], code: int, text: str) -> None:
    asked = event("create", "serviceaccounts/token", f"aliquot-bg-{GRANT}", namespace=HOME, code=code, by=by)
    assert found(asked).get("token_request", "") == text


def test_tokens_of_others_are_theirs() -> None:
    assert found(event("create", "serviceaccounts/token", "default", by=ANN)) == {}


# --- foreign_hand ---


@pytest.mark.parametrize(
    ("verb", "resource", "name", "namespace", "group"),
    [
        ("create", "rolebindings", f"aliquot-bg-{GRANT}", "shop", RBAC),
        ("delete", "rolebindings", f"aliquot-bg-{GRANT}", "shop", RBAC),
        ("patch", "clusterrolebindings", f"aliquot-bg-{GRANT}", "", RBAC),
        ("update", "roles", f"aliquot-bg-{GRANT}", "shop", RBAC),
        ("create", "roles", "mine", HOME, RBAC),
        ("create", "secrets", "mine", HOME, ""),
        ("delete", "secrets", f"aliquot-bg-{GRANT}", HOME, ""),
        ("deletecollection", "secrets", "", HOME, ""),
        ("create", "serviceaccounts", "mine", HOME, ""),
        ("patch", "jobs", f"aliquot-bg-{GRANT}", "shop", "batch"),
        ("delete", "namespaces", HOME, HOME, ""),
    ],
)
def test_foreign_hand(verb: str, resource: str, name: str, namespace: str, group: str) -> None:
    def done(by: dict[str, Any], **more: Any) -> dict[str, str]:
        return found(event(verb, resource, name, namespace=namespace, group=group, by=by, **more))

    told = done(ANN)["foreign_hand"]
    assert told.startswith(f"ann did what Aliquot's agent and sentinel alone do: {verb} {resource}")
    for who in (
        AGENT,
        SENTINEL,
        "system:serviceaccount:kube-system:job-controller",
        "system:kube-controller-manager",
    ):
        assert done(user(who)) == {}
    assert done(ANN, code=403) == {}
    assert done(ANN, code=409) == {}


@pytest.mark.parametrize(
    ("verb", "resource", "name", "namespace", "group"),
    [
        ("get", "secrets", f"aliquot-bg-{GRANT}", HOME, ""),
        ("create", "rolebindings", "theirs", "shop", RBAC),
        ("create", "configmaps", "kube-root-ca.crt", HOME, ""),
        ("delete", "namespaces", "shop", "shop", ""),
        ("update", "secrets", f"aliquot-bg-{GRANT}", "shop", "example.com"),
    ],
)
def test_what_is_not_ours_may_be_changed(
    verb: str, resource: str, name: str, namespace: str, group: str
) -> None:
    assert found(event(verb, resource, name, namespace=namespace, group=group, by=ANN)) == {}


# --- policies_touched ---


@pytest.mark.parametrize("resource", ["validatingadmissionpolicies", "validatingadmissionpolicybindings"])
@pytest.mark.parametrize("who", ["ann", AGENT])
def test_policies_touched(resource: str, who: str) -> None:
    def done(verb: str, name: str, **more: Any) -> dict[str, str]:
        by = user(who, "dev", credential="")
        return found(event(verb, resource, name, namespace="", group=ADMISSION, by=by, **more))

    assert done("patch", POLICY) == {
        "policies_touched": f"{who} touched the admission policies that guard grants: patch {resource} {POLICY}"
    }
    assert "policies_touched" in done("delete", POLICY)
    assert "policies_touched" in done("deletecollection", "")
    assert done("get", POLICY) == {}
    assert done("patch", "theirs") == {}
    assert done("patch", POLICY, code=403) == {}


# --- all of them ---


def test_every_rule_has_a_test_of_its_name() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert {f"test_{name}" for name in names} <= set(globals())


def test_an_event_that_no_rule_and_no_grant_has_to_do_with_is_passed_over() -> None:
    for one in (
        event(by=ANN),
        event("get", "secrets", "x", namespace=HOME, by=ANN),
        event("patch", "nodes", "n", by=ANN),
    ):
        assert not checks.concerns(one)
        assert found(one) == {}


def test_a_finding_is_one_each_day_for_who_did_it_to_what() -> None:
    (first,) = findings(event("get", "nodes", "n1", by=ROOT))
    (again,) = findings(event("get", "nodes", "n2", by=ROOT, at_s=START_S + 60))
    (next_day,) = findings(event("get", "nodes", "n1", by=ROOT, at_s=START_S + DAY_S))
    (another,) = findings(event("get", "nodes", "n1", by=user("ops", "system:masters")))
    assert first.key == again.key
    assert len({first.key, next_day.key, another.key}) == 3
    assert first + again == again + first
    assert (first + again).text == first.text
    assert (first + again).last_s == START_S + 60


# --- whose it is ---


@pytest.mark.parametrize(
    ("by", "more", "expected"),
    [
        (
            user("ann", "dev", credential=CREDENTIAL, **{"aliquot_dev__break-glass": OTHER}),
            {},
            Whose(OTHER, How.SAID),
        ),
        (user("somebody", "dev", credential=CREDENTIAL), {}, Whose(GRANT, How.CREDENTIAL)),
        (account(f"aliquot-bg-{OTHER}", "JTI=x"), {}, Whose(OTHER, How.ACCOUNT)),
        (ANN, {"impersonatedUser": {"username": ACCOUNT}}, Whose(GRANT, How.IMPERSONATED)),
        (ANN, {"impersonatedUser": {"username": ACCOUNT}, "at_s": START_S - 60}, None),
        (ANN, {"impersonatedUser": {"username": ACCOUNT}, "at_s": START_S + 4000}, None),
        (ANN, {}, None),
        (user("ann", "dev", credential="", **{"aliquot_dev__break-glass": "nonsense"}), {}, None),
    ],
)
def test_whose_it_is_goes_by_what_says_it_best(by: dict[str, Any], more: Any, expected: Whose | None) -> None:
    assert whose(event(by=by, **more), KNOWN) == expected


def test_until_when_it_may_be_used() -> None:
    assert latest_use_s(life()) == START_S + 3605
    assert latest_use_s(life(gone_at_s=START_S + 10)) == START_S + 25
    assert latest_use_s(replace(life(), end_s=None)) is None
