import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.core.standard_webhooks import Unverified, Verified, key_of, signed, verify

KEY = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
NEW = key_of("whsec_" + "c2VjcmV0" * 5)
ID, AT_S, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
"""As the reference implementation has it in its tests."""


def headers(**changed: str) -> dict[str, str]:
    given = {"webhook-id": ID, "webhook-timestamp": str(AT_S), "webhook-signature": SIGNATURE}
    return given | {f"webhook-{name}": value for name, value in changed.items()}


def test_signed_as_everybody_does() -> None:
    assert signed([KEY], ID, AT_S, BODY) == headers()
    assert verify([KEY], headers(), BODY, AT_S) == Verified(ID, AT_S)


@pytest.mark.parametrize(
    "signature",
    [
        f"{SIGNATURE} v1,AAAA",
        f"v1,AAAA {SIGNATURE}",
        f"v1a,AAAA {SIGNATURE}",
        signed([NEW, KEY], ID, AT_S, BODY)["webhook-signature"],
        signed([NEW], ID, AT_S, BODY)["webhook-signature"],
    ],
)
def test_while_a_secret_takes_the_place_of_another(signature: str) -> None:
    assert verify([KEY, NEW], headers(signature=signature), BODY, AT_S).id == ID


@pytest.mark.parametrize(
    ("changed", "body", "now_s", "said"),
    [
        ({"signature": "v1,AAAA"}, BODY, AT_S, "not signed"),
        ({"signature": SIGNATURE.replace("v1,", "v2,")}, BODY, AT_S, "not signed"),
        ({"signature": SIGNATURE.removeprefix("v1,")}, BODY, AT_S, "not signed"),
        ({"signature": f"{SIGNATURE}="}, BODY, AT_S, "not signed"),
        ({"signature": "v1,ü\udc80"}, BODY, AT_S, "not signed"),
        ({"signature": ""}, BODY, AT_S, "webhook-signature is missing"),
        ({"signature": " ".join(["v1,AAAA"] * 16 + [SIGNATURE])}, BODY, AT_S, "not signed"),
        ({"id": "msg_2"}, BODY, AT_S, "not signed"),
        ({"id": f"{ID}\n"}, BODY, AT_S, "is no id"),
        ({"timestamp": str(AT_S + 1)}, BODY, AT_S, "not signed"),
        ({"timestamp": "soon"}, BODY, AT_S, "is no time"),
        ({"timestamp": "١٢"}, BODY, AT_S, "is no time"),
        ({}, BODY + b" ", AT_S, "not signed"),
        ({}, b"", AT_S, "not signed"),
        ({}, BODY, AT_S + 301, "301 s old"),
        ({}, BODY, AT_S - 301, "301 s ahead"),
    ],
)
def test_what_is_forged_or_stale(changed: dict[str, str], body: bytes, now_s: float, said: str) -> None:
    with pytest.raises(Unverified, match=said):
        verify([KEY], headers(**changed), body, now_s)


def test_without_a_key_nobody_is_believed() -> None:
    with pytest.raises(Unverified):
        verify([], headers(), BODY, AT_S)


@pytest.mark.parametrize("now_s", [AT_S - 300, AT_S + 300])
def test_clocks_may_differ(now_s: float) -> None:
    assert verify([KEY], headers(), BODY, now_s).at_s == AT_S


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_c2hvcnQ=", "not base64 at all!", "whsec_" + "QUFB" * 30]
)
def test_what_is_no_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="a signing secret"):
        key_of(secret)


@given(
    st.dictionaries(st.sampled_from(["id", "timestamp", "signature"]), st.text()),
    st.binary(),
    st.floats(0, 1e12),
)
def test_nothing_else_is_believed(changed: dict[str, str], body: bytes, now_s: float) -> None:
    if body == BODY and headers(**changed) == headers():
        return
    with pytest.raises(Unverified):
        verify([KEY], headers(**changed), body, now_s)
