from typing import Any

import pytest

from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.terms import Ask
from aliquot.access.tickets.incoming.asking import Asked
from aliquot.access.tickets.incoming.contents import Content, TicketChanged, contents
from aliquot.access.tickets.incoming.deliveries import Delivery
from aliquot.access.tickets.incoming.settings import RafayGroup, RafaySettings, UserType
from aliquot.clock import parse_rfc3339, rfc3339
from tests.access.life.scenery import ISSUER, person

NOW_S = parse_rfc3339("2024-08-20T07:00:00Z")
RAFAY = RafaySettings(
    groups={
        "grp1": RafayGroup(
            template="pod-exec", cluster="prod-one", namespace="shop", parameters={"pod": "a"}
        ),
        "grp2": RafayGroup(template="pod-logs", cluster="prod-two", namespace="shop"),
    },
    people={
        UserType.LOCAL: {"user@test.co": Person("local", "user")},
        UserType.SSO: {"user@test.co": person("dev")},
    },
)


def said(
    body: dict[str, Any], *, may_ask: bool = True, rafay: RafaySettings | None = RAFAY
) -> tuple[Content, ...] | Refused:
    delivery = Delivery(hook="itsm", may_ask=may_ask, key="k", until_s=NOW_S, at_s=NOW_S, body=body)
    return contents(delivery, rafay, NOW_S)


def asked(**changed: Any) -> dict[str, Any]:
    ask = {"template": "pod-logs", "cluster": "prod-one", "justification": "down", "ticket": "CHG0031234"}
    return {
        "type": "access.asked",
        "person": {"issuer": ISSUER, "subject": "dev"},
        "ask": {name: value for name, value in (ask | changed).items() if value is not None},
    }


def rafay(*groups: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """As its documentation shows one."""
    manifest = {
        "apiVersion": "system.k8smgmt.io/v3",
        "kind": "BreakGlassAccess",
        "metadata": {"name": "user@test.co"},
        "spec": {"groups": list(groups)},
    } | changed
    return {
        "type": "rafay.breakglassaccess",
        "ticket": "CHG0031234",
        "justification": "down",
        "object": manifest,
    }


def group(
    *names: str, expiry: Any = 11, start: str = "2024-08-20T08:00:00Z", kind: str = "local"
) -> dict[str, Any]:
    return {
        "groupExpiry": [{"expiry": expiry, "name": name} for name in names],
        "startTime": start,
        "userType": kind,
    }


@pytest.mark.parametrize(
    "body",
    [
        {"type": "ticket.changed", "ticket": "OPS-17"},
        {"type": "ticket.changed", "ticket": "OPS-17", "timestamp": 1_724_137_200_000},
        {
            "webhookEvent": "jira:issue_updated",
            "timestamp": 1,
            "issue": {"id": "1", "key": "OPS-17", "fields": {}},
        },
    ],
)
def test_a_ticket_changed(body: dict[str, Any]) -> None:
    assert said(body, may_ask=False) == (TicketChanged("OPS-17"),)


def test_what_is_of_no_concern() -> None:
    assert said({"webhookEvent": "sprint_started", "sprint": {}}) == ()


def test_an_ask_is_one_like_any_other() -> None:
    ask = Ask(
        template="pod-logs", cluster="prod-one", justification="down", ticket="CHG0031234", duration_s=3600
    )
    assert said(asked(durationSeconds=3600)) == (Asked(person("dev"), ask),)


@pytest.mark.parametrize(
    ("body", "reason", "ground"),
    [
        ({}, "type", Ground.INVALID),
        ({"type": "approval.given"}, "approval.given", Ground.INVALID),
        ({"type": "ticket.changed", "ticket": "OPS-17\n"}, "is not a ticket's name", Ground.INVALID),
        (
            {"type": "ticket.changed", "ticket": "OPS-17", "state": "x"},
            "unknown field 'state'",
            Ground.INVALID,
        ),
        ({"webhookEvent": "jira:issue_updated", "issue": {"key": 5}}, "has no key", Ground.INVALID),
        (
            {"webhookEvent": "jira:issue_updated", "issue": {"key": "a b"}},
            "not a ticket's name",
            Ground.INVALID,
        ),
        (asked(emergency=True), "an emergency is declared by", Ground.FORBIDDEN),
        (asked(ticket=None), "with a ticket, or not at all", Ground.INVALID),
        (asked(approvedBy="sara"), "unknown field 'approvedBy' in ask", Ground.INVALID),
        (
            asked(duration_s=60),
            "unknown field 'duration_s' in ask; did you mean 'durationSeconds'?",
            Ground.INVALID,
        ),
        (asked() | {"person": {"issuer": "", "subject": "dev"}}, "names nobody", Ground.INVALID),
        (asked() | {"person": {"issuer": "a", "subject": "b\x00"}}, "names nobody", Ground.INVALID),
    ],
)
def test_what_is_refused(body: dict[str, Any], reason: str, ground: Ground) -> None:
    found = said(body)
    assert isinstance(found, Refused)
    assert (reason in found.reason, found.ground) == (True, ground), found


def test_only_who_may_asks() -> None:
    for body in (asked(), rafay(group("grp1"))):
        found = said(body, may_ask=False)
        assert isinstance(found, Refused)
        assert (found.ground, "mayAsk" in found.reason) == (Ground.FORBIDDEN, True)


def test_rafays_groups_are_asks_of_their_own() -> None:
    found = said(rafay(group("grp2", "grp1"), group("grp2", expiry=1, kind="sso")))
    assert not isinstance(found, Refused)
    start_s = parse_rfc3339("2024-08-20T08:00:00Z")
    logs = Ask(
        template="pod-logs",
        cluster="prod-two",
        namespace="shop",
        duration_s=11 * 3600,
        start_s=start_s,
        justification="down",
        ticket="CHG0031234",
    )
    assert [one.person for one in found if isinstance(one, Asked)] == [
        Person("local", "user"),
        Person("local", "user"),
        person("dev"),
    ]
    first, second, third = (one.ask for one in found if isinstance(one, Asked))
    assert first == logs
    assert (second.template, second.parameters) == ("pod-exec", {"pod": "a"})
    assert (third.template, third.duration_s) == ("pod-logs", 3600)


@pytest.mark.parametrize("late_s", [0, 200])
def test_a_start_that_is_now(late_s: int) -> None:
    found = said(rafay(group("grp1", start=rfc3339(NOW_S - late_s))))
    assert not isinstance(found, Refused)
    assert [one.ask.start_s for one in found if isinstance(one, Asked)] == [None]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (rafay(group("grp3")), "what group 'grp3' is here; did you mean 'grp"),
        (rafay(group("grp1"), group("nobody")), "what group 'nobody' is here"),
        (rafay(group("grp1"), metadata={"name": "else@test.co"}), "who the local user 'else@test.co' is"),
        (rafay(group("grp1"), metadata={"name": "user@test.co", "project": "p"}), "unknown field 'project'"),
        (rafay(group("grp1", kind="oidc")), "'oidc' is not a known value"),
        (rafay(group("grp1", expiry=0)), ">= 1"),
        (rafay(group("grp1", expiry=1.5)), "a whole number"),
        (rafay(group("grp1", expiry="11")), "a whole number"),
        (rafay(group("grp1", start="2024-08-20T06:00:00Z")), "startTime '2024-08-20T06:00:00Z' has passed"),
        (rafay(group("grp1", start="2024-08-20T08:00:00")), "no time zone"),
        (rafay(group("grp1", start="at eight")), "Invalid isoformat"),
        (rafay(group("grp1") | {"namespaces": ["a"]}), "unknown field 'namespaces' in spec.groups[0]"),
        (rafay(group()), "length >= 1"),
        (rafay(), "length >= 1"),
        (rafay(*[group("grp1")] * 21), "21 groups: 20 are the most"),
        (rafay(group("grp1"), apiVersion="system.k8smgmt.io/v2"), "system.k8smgmt.io/v2"),
        (rafay(group("grp1"), kind="Group"), "'Group'"),
        (rafay(group("grp1"), status={}), "unknown field 'status'"),
    ],
)
def test_what_has_no_counterpart_is_refused_whole(body: dict[str, Any], reason: str) -> None:
    found = said(body)
    assert isinstance(found, Refused)
    assert reason in found.reason
    assert found.reason.startswith("BreakGlassAccess: ")
    assert "\n" not in found.reason


def test_without_a_mapping_rafays_shape_means_nothing() -> None:
    found = said(rafay(group("grp1")), rafay=None)
    assert isinstance(found, Refused)
    assert "tickets.rafay" in found.reason
