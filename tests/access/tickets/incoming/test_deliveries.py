import base64
import hmac
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.standard_webhooks import key_of, signed
from aliquot.access.outside.secrets import NoSecret
from aliquot.access.store.database import Database
from aliquot.access.store.store import Store
from aliquot.access.tickets.incoming.deliveries import (
    MOST_AGE_S,
    MOST_BYTES,
    REMEMBERED_S,
    Delivery,
    Hook,
    hook_of,
    receive,
)
from aliquot.access.tickets.incoming.settings import BodyHook, Encoding, StandardHook
from aliquot.access.tickets.incoming.strict_json import read_object

NOW_S = 1_800_000_000.0
JIRA_KEY = b"It's a Secret to Everybody"
KEY = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
JIRA = Hook(name="jira", settings=BodyHook(secret_file="f"), keys=(b"the one before it", JIRA_KEY))
STANDARD = Hook(name="itsm", settings=StandardHook(secret_file="f", may_ask=True), keys=(KEY,))
BODY = json.dumps({"timestamp": int(NOW_S * 1000), "issue": {"key": "OPS-17"}}).encode()


def of_jira(body: bytes = BODY, *, key: bytes = JIRA_KEY, now_s: float = NOW_S) -> Delivery | Refused:
    signature = "sha256=" + hmac.digest(key, body, "sha256").hex()
    return receive(JIRA, {"x-hub-signature": signature}, body, now_s)


def taken(found: Delivery | Refused) -> Delivery:
    assert isinstance(found, Delivery), found
    return found


def reason(found: Delivery | Refused) -> str:
    assert isinstance(found, Refused), found
    assert "\n" not in found.reason
    return found.reason


def test_jiras_signature_is_the_one_that_it_documents() -> None:
    signature = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    found = receive(JIRA, {"x-hub-signature": signature}, b"Hello World!", NOW_S)
    assert "not JSON" in reason(found), "so it was believed"


def test_jiras_deliveries() -> None:
    found = taken(of_jira())
    assert (found.hook, found.may_ask, found.at_s) == ("jira", False, NOW_S)
    assert found.body["issue"] == {"key": "OPS-17"}
    assert found.until_s > NOW_S + MOST_AGE_S, "longer than it would be taken"
    later = taken(of_jira(now_s=NOW_S + 900))
    assert later.key == found.key, "another attempt is the same delivery"


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("", "X-Hub-Signature is missing"),
        ("sha256=", "not signed"),
        ("sha256=" + "0" * 64, "not signed"),
        ("sha1=" + hmac.digest(JIRA_KEY, BODY, "sha1").hex(), "not signed"),
        (hmac.digest(JIRA_KEY, BODY, "sha256").hex(), "not signed"),
        ("sha256=" + hmac.digest(JIRA_KEY, BODY + b" ", "sha256").hex(), "not signed"),
        ("sha256=" + hmac.digest(b"another secret of 20", BODY, "sha256").hex(), "not signed"),
        ("ü\udc80", "not signed"),
    ],
)
def test_what_is_forged(header: str, said: str) -> None:
    assert said in reason(receive(JIRA, {"x-hub-signature": header}, BODY, NOW_S))
    assert said in reason(receive(JIRA, {"x-hub-signature-256": "", "x-hub-signature": header}, BODY, NOW_S))


@pytest.mark.parametrize(
    ("timestamp", "said"),
    [
        ((NOW_S - MOST_AGE_S - 1) * 1000, "'timestamp'"),
        (int((NOW_S - MOST_AGE_S - 1) * 1000), "s old"),
        (int((NOW_S + 301) * 1000), "ahead of the clock"),
        (int(NOW_S), "s old"),
        (10**15, "'timestamp'"),
        (-1, "'timestamp'"),
        (True, "'timestamp'"),
        (None, "'timestamp'"),
        ("yesterday", "Invalid isoformat"),
        ("2027-01-15T08:00:00", "no time zone"),
    ],
)
def test_what_is_stale_or_says_no_time(timestamp: object, said: str) -> None:
    assert said in reason(of_jira(json.dumps({"timestamp": timestamp}).encode()))


def test_another_system_signs_in_its_own_header(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret that is long\n")
    settings = BodyHook(
        secret_file=str(tmp_path / "secret"), header="X-Mac", prefix="", encoding=Encoding.BASE64
    )
    body = b'{"timestamp": "2027-01-15T08:00:00Z"}'
    mac = base64.b64encode(hmac.digest(b"a secret that is long", body, "sha256")).decode()
    assert taken(receive(hook_of("snow", settings), {"x-mac": mac}, body, NOW_S)).at_s == NOW_S
    for text, said in (("short", "can be guessed"), ("", "empty"), ("a\x00" * 20, "control")):
        (tmp_path / "secret").write_text(text)
        with pytest.raises(NoSecret, match=said):
            hook_of("snow", settings)
    with pytest.raises(NoSecret, match="cannot be read"):
        hook_of("snow", StandardHook(secret_file=str(tmp_path / "none")))
    (tmp_path / "secret").write_text("a secret that is long\n")
    with pytest.raises(NoSecret, match="secret 1: a signing secret"):
        hook_of("snow", StandardHook(secret_file=str(tmp_path / "secret")))


def test_standard_webhooks() -> None:
    body = b'{"type": "ticket.changed", "ticket": "CHG0031234"}'
    found = taken(receive(STANDARD, signed([KEY], "msg_1", NOW_S, body), body, NOW_S + 10))
    assert (found.key, found.at_s, found.may_ask) == ("msg_1", NOW_S, True)
    assert found.until_s == NOW_S + 10 + REMEMBERED_S
    stale = receive(STANDARD, signed([KEY], "msg_1", NOW_S, body), body, NOW_S + 400)
    assert isinstance(stale, Refused)
    assert (stale.ground, stale.reason) == (Ground.FORBIDDEN, "it is 400 s old: 300 s are the most")


class _Now:
    def now(self) -> float:
        return NOW_S


async def test_the_second_time_nothing_is_done() -> None:
    database = Database("sqlite://")
    database.prepare()
    store = Store(database, clock=_Now(), salt=bytes, threads=False)
    found = taken(of_jira())
    again = taken(of_jira(now_s=NOW_S + 60))
    other = taken(of_jira(BODY.replace(b"17", b"18")))
    fresh = [
        await store.write(lambda tx, one=one: tx.use_up(one.hook, one.key, until_s=one.until_s))  # type: ignore[misc]
        for one in (found, again, other)
    ]
    assert fresh == [True, False, True]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"x" * (MOST_BYTES + 1), "more than 1048576 bytes"),
        (b"{" + b" " * 10_000_000 + b"}", "more than 1048576 bytes"),
        (b"", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"\xff", "not UTF-8"),
        (b'{"a": "\\ud800"}', "not UTF-8"),
        (b'{"a": 1, "a": 2}', "has the field 'a' twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"a": ' + b"[" * 200_000, "nested too deep"),
        (b"{'a': 1}", "not JSON"),
    ],
)
def test_bodies_that_are_none(body: bytes, said: str) -> None:
    found = of_jira(body)
    assert said in reason(found)
    assert isinstance(found, Refused)
    assert found.ground is Ground.INVALID


@given(
    st.dictionaries(st.sampled_from(["x-hub-signature", "webhook-id"]), st.text()), st.binary(max_size=200)
)
def test_only_who_knows_a_secret_is_believed(headers: dict[str, str], body: bytes) -> None:
    for hook in (JIRA, STANDARD):
        assert isinstance(receive(hook, headers, body, NOW_S), Refused)


@given(st.binary(max_size=200))
def test_a_body_is_an_object_or_one_line(body: bytes) -> None:
    try:
        read_object(body)
    except ValueError as error:
        assert "\n" not in str(error)
