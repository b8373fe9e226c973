import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.audit import events
from aliquot.access.audit.events import (
    MOST_EVENT_BYTES,
    Target,
    items_of,
    read,
    read_items,
    read_lines,
    stripped,
)
from tests.access.audit.samples import CREDENTIAL, START_S, encoded, event, raw, user


def line(*args: Any, **kwargs: Any) -> bytes:
    return json.dumps(raw(*args, **kwargs)).encode()


def test_what_is_kept_of_an_event() -> None:
    found = event("patch", "deployments/scale", "web", group="apps", at_s=START_S)
    assert found.target == Target("apps", "deployments/scale", "shop", "web")
    assert (found.verb, found.code, found.denied) == ("patch", 200, "")
    assert found.user.credential == CREDENTIAL
    assert found.addresses == ("10.0.0.7",)
    assert (found.received_s, found.at_s) == (START_S, START_S + 0.004)


@pytest.mark.parametrize(
    ("stage", "verb", "resource", "counts"),
    [
        ("RequestReceived", "get", "pods", False),
        ("ResponseStarted", "get", "pods", False),
        ("ResponseComplete", "get", "pods", True),
        ("Panic", "get", "pods", True),
        ("RequestReceived", "watch", "pods", False),
        ("ResponseStarted", "watch", "pods", True),
        ("ResponseStarted", "create", "pods/exec", True),
        ("ResponseStarted", "get", "pods/exec", True),
        ("ResponseStarted", "get", "pods/portforward", True),
        ("ResponseStarted", "get", "pods/log", True),
        ("ResponseStarted", "get", "deployments/status", False),
        ("SomethingNew", "get", "pods/exec", False),
    ],
)
def test_a_request_is_known_when_it_is_over_or_goes_on_for_long(
    stage: str, verb: str, resource: str, counts: bool
) -> None:
    assert (read(line(verb, resource, stage=stage)) is not None) is counts


def test_the_moments_of_a_request_have_one_id_and_other_requests_others() -> None:
    begun = event("get", "pods/exec", stage="ResponseStarted", code=101)
    over = event("get", "pods/exec", code=101, done_s=START_S + 60)
    assert begun.id == over.id
    # Whoever calls may send an Audit-ID of their own, the same one always.
    assert event("get", "pods", "one").id != event("get", "pods", "two").id
    assert event("get", "pods").id != event("get", "pods", at_s=START_S + 1).id
    assert event("get", "pods").id != event("get", "pods", by=user("ann", "dev")).id


@pytest.mark.parametrize(
    ("code", "decision", "denied"),
    [
        (200, "allow", ""),
        (404, "allow", ""),
        (403, "forbid", "rights"),
        (403, "allow", "admission"),
        (403, "", "rights"),
        (0, "forbid", "rights"),
    ],
)
def test_who_refused_it(code: int, decision: str, denied: str) -> None:
    annotations = {"authorization.k8s.io/decision": decision} if decision else {}
    assert event(code=code, annotations=annotations).denied == denied


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        (
            'users "root" is forbidden: User "x" cannot impersonate resource "users" in API group "" at the cluster scope',
            ("impersonate", "users"),
        ),
        (
            'pods is forbidden: User "x" cannot impersonate-on:user-info:list resource "pods" in API group "" in the namespace "shop"',
            ("impersonate-on:user-info:list", "pods"),
        ),
        (
            'forbidden: User "x" cannot impersonate-on:user-info:get path "/version"',
            ("impersonate-on:user-info:get", ""),
        ),
        ('pods is forbidden: User "x" cannot list resource "pods" in API group ""', None),
    ],
)
def test_what_somebody_would_have_needed_to_impersonate_is_told(
    message: str, missing: tuple[str, str] | None
) -> None:
    status = {"code": 403, "status": "Failure", "message": message}
    assert event(code=403, responseStatus=status).cannot_act == missing
    assert event(code=403).cannot_act is None


def test_a_request_that_panicked_may_have_been_done() -> None:
    assert event(code=500, stage="Panic").code == 0


def test_of_a_query_the_container_is_kept() -> None:
    query = "command=sh&command=-c&command=echo+geheim&container=app&stdin=true"
    assert event("create", "pods/exec", query=query).container == "app"
    assert event("create", "pods/exec", query="container=Geheim%20Wort").container == ""
    assert event("get", "", "/healthz", query="token=geheim").path == "/healthz"


_words = st.text(st.sampled_from("SECRT0123456789 -_/.&=%?#+;\n\x1b\u202e"), max_size=12).map(
    lambda text: f"GEHEIM{text}"
)


@given(
    commands=st.lists(_words, min_size=1, max_size=4),
    others=st.dictionaries(st.sampled_from(["token", "x", "COMMAND", "password", "container", ""]), _words),
    resource=st.sampled_from(["pods/exec", "pods/attach", "pods/proxy", "services/proxy", "pods", ""]),
    escaped=st.booleans(),
    message=_words,
)
def test_no_command_and_no_body_is_let_through(
    commands: list[str], others: dict[str, str], resource: str, escaped: bool, message: str
) -> None:
    write = quote if escaped else str
    query = "&".join(
        f"{name}={write(word)}" for name, word in [*(("command", one) for one in commands), *others.items()]
    )
    name = "web" if resource else "/healthz"
    sent = json.dumps(
        raw(
            *("create", resource, name),
            query=query,
            level="RequestResponse",
            requestObject={"kind": "Secret", "data": {"a": message}},
            responseObject={"kind": "Secret", "data": {"a": message}},
            responseStatus={"code": 403, "message": message, "details": {"name": message}},
            annotations={"authorization.k8s.io/reason": message, "other": message},
        )
    ).encode()
    kept, sent_on = read(sent), stripped(sent)
    assert kept is not None
    assert sent_on is not None
    assert "GEHEIM" not in repr(kept)
    assert b"GEHEIM" not in sent_on
    assert read(sent_on) == kept


@given(
    text=st.text(max_size=2000),
    groups=st.lists(st.text(max_size=600), max_size=400),
    more=st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8) | st.none(), max_size=4),
)
def test_what_is_kept_is_bounded_and_printable_and_what_is_unknown_is_passed_over(
    text: str, groups: list[str], more: dict[str, Any]
) -> None:
    sent = raw(
        "get", "pods", userAgent=text, by=user(text, *groups), sourceIPs=[text] * 20, auditID=text, new=more
    )
    sent["objectRef"] |= {"name": text, "namespace": text, "resource": text}
    found = read(json.dumps(sent).encode())
    assert found is not None
    assert len(repr(found)) < 4 * 320 * 300
    for kept in (found.agent, found.user.name, *found.user.groups, *found.addresses, repr(found.target)):
        assert kept.isprintable() or all(
            ord(one) > 127 or one == " " for one in kept if not one.isprintable()
        )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"nonsense", "no audit event: JSON is malformed"),
        (b"[]", "no audit event: Expected `object`, got `array`"),
        (b"{}", "no audit event: Object missing required field"),
        (b"[" * 100_000, "no audit event"),
        (b"x" * MOST_EVENT_BYTES, "an event of more than 4194304 bytes, which are the most that are read"),
        (line(kind="Pod"), "a Pod of audit.k8s.io/v1, no event of audit.k8s.io/v1"),
        (line(apiVersion="v1"), "a Event of v1, no event of audit.k8s.io/v1"),
        (line(requestReceivedTimestamp="yesterday"), "no audit event: its timestamps are no times"),
        (line(stageTimestamp="2026-01-01T00:00:00"), "no audit event: its timestamps are no times"),
        (line(verb=7), "no audit event: Expected `str`, got `int` - at `$.verb`"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_the_rest_goes_on(text: bytes, why: str) -> None:
    found, unread = read_lines([line(number=1), text + b"\n", b"\n", line(number=2)], "audit.log")
    assert len(found) == 2
    (said,) = unread
    assert str(said).startswith(f"audit.log:2: {why}")
    assert "\n" not in str(said)


def test_an_event_of_a_list_that_cannot_be_read_spoils_no_other() -> None:
    found, unread = read_items(items_of(encoded(raw(number=1), {"kind": "Event"}, raw(number=2))), first=4)
    assert len(found) == 2
    assert [one.place for one in unread] == ["item 5"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it is no EventList"),
        (b"[]", "it is no EventList: Expected `object`, got `array`"),
        (b'{"kind":"PodList","items":[]}', "it is a PodList, not an EventList of audit.k8s.io/v1"),
        (b'{"kind":"EventList"}', "it is no EventList: Object missing required field `items`"),
    ],
)
def test_what_is_no_list_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        items_of(body)


def test_a_list_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_EVENTS", 2)
    with pytest.raises(ValueError, match="it has 3 events, and 2 are read at once"):
        items_of(encoded(raw(), raw(), raw()))
