import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jws
from joserfc.jwk import KeySet

from aliquot.emulator.authentication.tokens import (
    ISSUER,
    BoundTo,
    ServiceAccountTokens,
    SigningKey,
    TokenRefused,
    TokenSigner,
)
from aliquot.emulator.rbac import User

Objects = dict[tuple[str, str, str], dict[str, Any]]
NOW = 1_000_000.0
DELETED = {"deletionTimestamp": "1970-01-12T13:46:40Z"}
"""At NOW."""


class Hands:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def objects() -> Objects:
    return {
        ("ServiceAccount", "ns", "sa"): {"metadata": {"uid": "u1"}},
        ("Pod", "ns", "p"): {"metadata": {"uid": "u2"}},
        ("Secret", "ns", "s"): {"metadata": {"uid": "u3"}},
        ("Node", "", "n"): {"metadata": {"uid": "u4"}},
    }


def make(clock: Hands, objects: Objects, key: SigningKey | None = None) -> ServiceAccountTokens:
    return ServiceAccountTokens(
        TokenSigner(key or ec.generate_private_key(ec.SECP256R1())),
        lambda kind, namespace, name: objects.get((kind, namespace, name)),
        clock=clock,
        rng=random.Random(1),
    )


async def user_of(tokens: ServiceAccountTokens, token: str, audiences: Sequence[str] = (ISSUER,)) -> User:
    found = await tokens.authenticate(token, audiences)
    assert found is not None
    return found[0]


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
async def test_a_token_names_its_service_account(
    clock: Hands, objects: Objects, rsa_key: rsa.RSAPrivateKey, algorithm: str
) -> None:
    tokens = make(clock, objects, rsa_key if algorithm == "RS256" else None)
    assert tokens.signer.algorithm == algorithm
    bound = BoundTo("Pod", "p", "u2", ("n", "u4"))
    user = await user_of(tokens, tokens.issue("ns", "sa", "u1", expires_in_s=600, bound_to=bound))
    assert (user.name, user.uid) == ("system:serviceaccount:ns:sa", "u1")
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
    prefix = "authentication.kubernetes.io/"
    credential = user.extra[f"{prefix}credential-id"][0]
    assert credential.startswith("JTI=")
    assert user.extra == {
        f"{prefix}credential-id": (credential,),
        f"{prefix}pod-name": ("p",),
        f"{prefix}pod-uid": ("u2",),
        f"{prefix}node-name": ("n",),
        f"{prefix}node-uid": ("u4",),
    }


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_others_can_check_a_token_by_the_published_keys(
    clock: Hands, objects: Objects, rsa_key: rsa.RSAPrivateKey, algorithm: str
) -> None:
    tokens = make(clock, objects, rsa_key if algorithm == "RS256" else None)
    token = tokens.issue("ns", "sa", "u1", expires_in_s=600)
    published = tokens.signer.key_set()
    assert published["keys"][0]["alg"] == algorithm
    assert "d" not in published["keys"][0]
    signed = jws.deserialize_compact(token, KeySet.import_key_set(published), algorithms=[algorithm])
    assert signed.headers()["kid"] == published["keys"][0]["kid"]


@pytest.mark.parametrize(
    ("later_s", "refusal"),
    [
        (0, ""),
        (600, ""),
        (660, ""),
        (661, "service account token has expired"),
        (-60, ""),
        (-61, "service account token is not valid yet"),
    ],
)
async def test_times_have_a_minute_of_leeway(
    clock: Hands, objects: Objects, later_s: int, refusal: str
) -> None:
    tokens = make(clock, objects)
    token = tokens.issue("ns", "sa", "u1", expires_in_s=600)
    clock.time += later_s
    if not refusal:
        await user_of(tokens, token)
        return
    with pytest.raises(TokenRefused, match=refusal):
        await user_of(tokens, token)


POD, SECRET, NODE = ("Pod", "ns", "p"), ("Secret", "ns", "s"), ("Node", "", "n")
ACCOUNT = ("ServiceAccount", "ns", "sa")
BOUND = {
    POD: BoundTo("Pod", "p", "u2", ("n", "u4")),
    SECRET: BoundTo("Secret", "s", "u3"),
    NODE: BoundTo("Node", "n", "u4"),
}
INVALIDATED = "service account token has been invalidated"


@pytest.mark.parametrize(
    ("bound", "change", "became", "later_s", "refusal"),
    [
        (POD, POD, None, 0, INVALIDATED),
        (POD, POD, {"uid": "x"}, 0, r"pod UID \(x\) does not match service account pod ref claim \(u2\)"),
        (POD, POD, {"uid": "u2", **DELETED}, 60, ""),
        (POD, POD, {"uid": "u2", **DELETED}, 61, INVALIDATED),
        (POD, NODE, None, 0, ""),
        (SECRET, SECRET, None, 0, INVALIDATED),
        (SECRET, SECRET, {"uid": "x"}, 0, "secret UID"),
        (SECRET, SECRET, {"uid": "u3", **DELETED}, 60, ""),
        (SECRET, SECRET, {"uid": "u3", **DELETED}, 61, INVALIDATED),
        (NODE, NODE, None, 0, INVALIDATED),
        (NODE, NODE, {"uid": "x"}, 0, "node UID"),
        (NODE, POD, None, 0, ""),
        (POD, ACCOUNT, None, 0, 'serviceaccounts "sa" not found'),
        (POD, ACCOUNT, {"uid": "x"}, 0, r"service account UID \(x\) does not match claim \(u1\)"),
        (POD, ACCOUNT, {"uid": "u1", **DELETED}, 60, ""),
        (POD, ACCOUNT, {"uid": "u1", **DELETED}, 61, "service account ns/sa has been deleted"),
    ],
)
async def test_a_token_ends_with_what_it_hangs_on(
    clock: Hands,
    objects: Objects,
    bound: tuple[str, str, str],
    change: tuple[str, str, str],
    became: dict[str, Any] | None,
    later_s: int,
    refusal: str,
) -> None:
    tokens = make(clock, objects)
    token = tokens.issue("ns", "sa", "u1", expires_in_s=6000, bound_to=BOUND[bound])
    await user_of(tokens, token)
    if became is None:
        del objects[change]
    else:
        objects[change] = {"metadata": became}
    clock.time += later_s
    if not refusal:
        await user_of(tokens, token)
        return
    with pytest.raises(TokenRefused, match=refusal):
        await user_of(tokens, token)


async def test_a_token_for_others_is_refused(clock: Hands, objects: Objects) -> None:
    tokens = make(clock, objects)
    token = tokens.issue("ns", "sa", "u1", expires_in_s=600, audiences=["vault"])
    with pytest.raises(
        TokenRefused, match=r'token audiences \["vault"\] is invalid for the target audiences'
    ):
        await user_of(tokens, token)
    found = await tokens.authenticate(token, ["vault", "x"])
    assert found is not None
    assert found[1] == ("vault",)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda token: token[:-8] + "AAAAAAAA", id="signature"),
        pytest.param(lambda token: "e30." + token.split(".", 1)[1], id="header"),
        pytest.param(lambda token: "eyJhbGciOiJub25lIn0." + token.split(".")[1] + ".", id="no algorithm"),
        pytest.param(lambda token: "eyJhbGciOiJIUzI1NiJ9." + token.split(".", 1)[1], id="another algorithm"),
        pytest.param(lambda token: "AAAA." + token.split(".", 1)[1], id="header is no JSON"),
    ],
)
async def test_a_spoilt_token_is_refused(clock: Hands, objects: Objects, spoil: Callable[[str], str]) -> None:
    tokens = make(clock, objects)
    with pytest.raises(TokenRefused):
        await user_of(tokens, spoil(tokens.issue("ns", "sa", "u1", expires_in_s=600)))


@pytest.mark.parametrize("other", ["", "a.b", "ä.ö.ü", "a.b.c", "e30.e30.", "e30.bnVsbA.", "." * 20_000])
async def test_what_is_no_token_of_a_service_account_is_left_to_others(
    clock: Hands, objects: Objects, other: str
) -> None:
    assert await make(clock, objects).authenticate(other, (ISSUER,)) is None


async def test_another_servers_token_is_refused(clock: Hands, objects: Objects) -> None:
    token = make(clock, objects).issue("ns", "sa", "u1", expires_in_s=600)
    with pytest.raises(TokenRefused, match="bad_signature"):
        await user_of(make(clock, objects), token)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": ISSUER},
        {"iss": ISSUER, "aud": [ISSUER], "exp": "soon", "nbf": 0, "iat": 0},
        {"iss": ISSUER, "aud": [ISSUER], "exp": 2e9, "nbf": 0, "iat": 0, "kubernetes.io": "?"},
        {"iss": "kubernetes/serviceaccount"},
    ],
)
async def test_claims_that_are_not_there_are_not_made_up(
    clock: Hands, objects: Objects, claims: dict[str, Any]
) -> None:
    tokens = make(clock, objects)
    with pytest.raises(TokenRefused, match="could not be validated"):
        await user_of(tokens, tokens.signer.sign(claims))


def legacy_secret(token: str) -> dict[str, Any]:
    from base64 import b64encode

    return {"metadata": {"uid": "u3"}, "data": {"token": b64encode(token.encode()).decode()}}


async def test_the_token_of_a_secret_has_no_end_of_its_own(clock: Hands, objects: Objects) -> None:
    tokens = make(clock, objects)
    token = tokens.signer.legacy("ns", "sa", "u1", "s")
    objects[SECRET] = legacy_secret(token)
    clock.time += 1e9
    user = await user_of(tokens, token)
    assert (user.name, user.extra) == ("system:serviceaccount:ns:sa", {})


@pytest.mark.parametrize(
    ("secret", "refusal"),
    [
        (None, INVALIDATED),
        ({"metadata": {"uid": "u3", **DELETED}}, INVALIDATED),
        ({"metadata": {"uid": "u3"}}, "does not match server's copy"),
    ],
)
async def test_it_ends_with_its_secret(
    clock: Hands, objects: Objects, secret: dict[str, Any] | None, refusal: str
) -> None:
    tokens = make(clock, objects)
    token = tokens.signer.legacy("ns", "sa", "u1", "s")
    del objects[SECRET]
    if secret is not None:
        objects[SECRET] = secret
    with pytest.raises(TokenRefused, match=refusal):
        await user_of(tokens, token)


async def test_it_ends_with_its_account(clock: Hands, objects: Objects) -> None:
    tokens = make(clock, objects)
    token = tokens.signer.legacy("ns", "sa", "u1", "s")
    objects[SECRET] = legacy_secret(token)
    objects[ACCOUNT] = {"metadata": {"uid": "another"}}
    with pytest.raises(TokenRefused, match="does not match claim"):
        await user_of(tokens, token)
