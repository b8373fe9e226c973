import random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from aliquot.emulator.tokens import BoundTo, ServiceAccountTokens, SigningKey, TokenRefused


class Hands:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def now(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def objects() -> dict[tuple[str, str, str], dict[str, Any]]:
    return {("ServiceAccount", "ns", "sa"): {"uid": "u1"}, ("Pod", "ns", "p"): {"uid": "u2"}}


def make(
    clock: Hands, objects: dict[tuple[str, str, str], dict[str, Any]], key: SigningKey | None = None
) -> ServiceAccountTokens:
    return ServiceAccountTokens(
        key or ec.generate_private_key(ec.SECP256R1()),
        lambda kind, namespace, name: objects.get((kind, namespace, name)),
        clock=clock,
        rng=random.Random(1),
    )


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_token_names_its_service_account(
    clock: Hands, objects: Any, rsa_key: rsa.RSAPrivateKey, algorithm: str
) -> None:
    tokens = make(clock, objects, rsa_key if algorithm == "RS256" else None)
    assert tokens.algorithm == algorithm
    token, expires = tokens.issue("ns", "sa", "u1", expires_in_s=600, bound_to=BoundTo("Pod", "p", "u2"))
    user, _ = tokens.authenticate(token)
    assert user.name == "system:serviceaccount:ns:sa"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
    assert user.extra["authentication.kubernetes.io/pod-name"] == ("p",)
    assert expires == clock.time + 600


def test_a_token_ends_a_minute_after_its_expiry(clock: Hands, objects: Any) -> None:
    tokens = make(clock, objects)
    token, _ = tokens.issue("ns", "sa", "u1", expires_in_s=600)
    clock.time += 660
    tokens.authenticate(token)
    clock.time += 11
    with pytest.raises(TokenRefused, match="expired"):
        tokens.authenticate(token)


@pytest.mark.parametrize("kind", ["ServiceAccount", "Pod"])
def test_a_token_ends_with_its_objects_ten_seconds_late_at_most(
    clock: Hands, objects: Any, kind: str
) -> None:
    tokens = make(clock, objects)
    token, _ = tokens.issue("ns", "sa", "u1", expires_in_s=600, bound_to=BoundTo("Pod", "p", "u2"))
    tokens.authenticate(token)
    objects[kind, "ns", "sa" if kind == "ServiceAccount" else "p"] = {"uid": "another"}
    clock.time += 9
    tokens.authenticate(token)
    clock.time += 2
    with pytest.raises(TokenRefused, match="gone"):
        tokens.authenticate(token)


def test_a_deleted_account_is_honoured_for_the_leeway(clock: Hands, objects: Any) -> None:
    tokens = make(clock, objects)
    token, _ = tokens.issue("ns", "sa", "u1", expires_in_s=6000)
    objects["ServiceAccount", "ns", "sa"]["deletionTimestamp"] = "1970-01-12T13:46:40Z"
    clock.time += 59
    tokens.authenticate(token)
    clock.time += 11
    with pytest.raises(TokenRefused, match="being deleted"):
        tokens.authenticate(token)


def test_a_token_for_others_is_refused(clock: Hands, objects: Any) -> None:
    tokens = make(clock, objects)
    token, _ = tokens.issue("ns", "sa", "u1", expires_in_s=600, audiences=["vault"])
    with pytest.raises(TokenRefused, match="for vault"):
        tokens.authenticate(token)
    assert tokens.authenticate(token, ["vault", "x"])[1] == ("vault",)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda token: token[:-8] + "AAAAAAAA", id="signature"),
        pytest.param(lambda token: "e30." + token.split(".", 1)[1], id="header"),
        pytest.param(lambda token: "eyJhbGciOiJub25lIn0." + token.split(".")[1] + ".", id="no algorithm"),
        pytest.param(lambda token: "", id="empty"),
        pytest.param(lambda token: "a.b", id="two parts"),
        pytest.param(lambda token: "ä.ö.ü", id="no base64"),
        pytest.param(lambda token: token * 100, id="endless"),
    ],
)
def test_a_spoilt_token_is_refused(clock: Hands, objects: Any, spoil: Any) -> None:
    tokens = make(clock, objects)
    token, _ = tokens.issue("ns", "sa", "u1", expires_in_s=600)
    with pytest.raises(TokenRefused):
        tokens.authenticate(spoil(token))


def test_another_servers_token_is_refused(clock: Hands, objects: Any) -> None:
    token, _ = make(clock, objects).issue("ns", "sa", "u1", expires_in_s=600)
    with pytest.raises(TokenRefused, match="another key"):
        make(clock, objects).authenticate(token)
