import asyncio
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

from aliquot.document import parse
from aliquot.emulator.authentication import Issuer, OidcTokens
from aliquot.emulator.authentication.configuration import from_options, read
from aliquot.emulator.authentication.tokens import ISSUER, TokenRefused
from aliquot.emulator.network import CallFailed, Endpoint, Reply
from aliquot.emulator.rbac import User
from tests.emulator.api import FixedClock

URL = "https://issuer.example"
RSA = RSAKey.import_key(rsa.generate_private_key(65537, 2048), {"kid": "r1"})
EC = ECKey.import_key(ec.generate_private_key(ec.SECP256R1()), {"kid": "e1"})
NEW = ECKey.import_key(ec.generate_private_key(ec.SECP256R1()), {"kid": "e2"})
NOW = int(FixedClock().time)
CLAIMS: dict[str, Any] = {"iss": URL, "aud": "kubernetes", "sub": "ada", "exp": NOW + 300}


class Provider:
    """An issuer on the network: answers what it is asked, and counts."""

    def __init__(self, *keys: RSAKey | ECKey, issuer: str = URL) -> None:
        self.keys = list(keys)
        self.issuer = issuer
        self.down = False
        self.asked: list[str] = []

    async def get(self, endpoint: Endpoint, *, timeout_s: float) -> Reply:
        self.asked.append(endpoint.url)
        await asyncio.sleep(0)
        if self.down:
            raise CallFailed(f'Get "{endpoint.url}": connection refused')
        if endpoint.url == f"{URL}/keys":
            keys = [{**key.as_dict(private=False), "use": "sig"} for key in self.keys]
            return Reply(200, json.dumps({"keys": keys}).encode())
        return Reply(200, json.dumps({"issuer": self.issuer, "jwks_uri": f"{URL}/keys"}).encode())

    async def post(self, endpoint: Endpoint, body: bytes, *, timeout_s: float) -> Reply:
        raise AssertionError("nothing is sent to an issuer")

    async def close(self) -> None:
        pass


def token(claims: dict[str, Any], key: RSAKey | ECKey | OctKey = RSA, algorithm: str = "RS256") -> str:
    header = {"alg": algorithm, "kid": key.kid or "r1"}
    return jws.serialize_compact(header, json.dumps(claims).encode(), key, algorithms=[algorithm])


def configured(text: str) -> Issuer:
    whole = f"""
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer: {{url: {URL}, audiences: [kubernetes]}}
{text}"""
    return read(parse(whole, source="config.yaml"), minor=36)[0][0]


async def user_of(issuer: Issuer, text: str, provider: Provider | None = None) -> User:
    found = await OidcTokens(issuer, provider or Provider(RSA, EC), clock=FixedClock()).authenticate(
        text, (ISSUER,)
    )
    assert found is not None
    assert found[1] == (ISSUER,)
    return found[0]


DEFAULT = from_options(URL, "kubernetes", algorithms=("RS256", "ES256"))


@pytest.mark.parametrize(
    ("options", "claims", "name", "groups"),
    [
        ({}, {}, f"{URL}#ada", ()),
        ({"username_prefix": "-"}, {}, "ada", ()),
        ({"username_prefix": "oidc:"}, {}, "oidc:ada", ()),
        ({"username_claim": "email"}, {"email": "ada@x.example"}, "ada@x.example", ()),
        ({"groups_claim": "g"}, {"g": ["dev", "ops"]}, f"{URL}#ada", ("dev", "ops")),
        ({"groups_claim": "g", "groups_prefix": "oidc:"}, {"g": "dev"}, f"{URL}#ada", ("oidc:dev",)),
        ({"groups_claim": "g"}, {}, f"{URL}#ada", ()),
        (
            {"groups_claim": "g", "groups_prefix": "o:"},
            {"g": ["system:masters"]},
            f"{URL}#ada",
            ("o:system:masters",),
        ),
        ({"required": {"hd": "x"}}, {"hd": "x"}, f"{URL}#ada", ()),
    ],
)
async def test_claims_become_a_user(
    options: dict[str, Any], claims: dict[str, Any], name: str, groups: tuple[str, ...]
) -> None:
    user = await user_of(from_options(URL, "kubernetes", **options), token({**CLAIMS, **claims}))
    assert (user.name, user.groups) == (name, groups)


@pytest.mark.parametrize(
    ("options", "claims", "refusal"),
    [
        ({}, {"exp": NOW - 1}, "token is expired"),
        ({}, {"exp": None}, "token is expired"),
        ({}, {"nbf": NOW + 61}, "before the nbf"),
        ({}, {"aud": "other"}, "expected audience"),
        ({}, {"aud": ["a", "b"]}, "expected audience"),
        ({}, {"sub": 7}, "username is not a string"),
        ({}, {"sub": ""}, "empty username"),
        ({"username_claim": "email"}, {}, "claim not present"),
        ({"username_claim": "email"}, {"email": "a@x", "email_verified": False}, "email not verified"),
        ({"groups_claim": "g"}, {"g": {"a": 1}}, "groups is no string"),
        ({"required": {"hd": "x"}}, {}, "required claim hd not present"),
        ({"required": {"hd": "x"}}, {"hd": "y"}, "Got = y, want = x"),
        # What would be the cluster's own.
        ({"username_prefix": "-"}, {"sub": "system:admin"}, "the cluster's own"),
        ({"groups_claim": "g"}, {"g": ["dev", "system:masters"]}, "the cluster's own"),
        ({"groups_claim": "g", "groups_prefix": "system:"}, {"g": ["masters"]}, "the cluster's own"),
    ],
)
async def test_what_is_refused(options: dict[str, Any], claims: dict[str, Any], refusal: str) -> None:
    with pytest.raises(TokenRefused, match=refusal):
        await user_of(from_options(URL, "kubernetes", **options), token({**CLAIMS, **claims}))


async def test_a_token_may_come_a_minute_early_and_is_good_to_its_last_second() -> None:
    await user_of(DEFAULT, token({**CLAIMS, "nbf": NOW + 60, "exp": NOW}))


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(token(CLAIMS, OctKey.generate_key(256), "HS256"), id="shared secret"),
        pytest.param("eyJhbGciOiJub25lIn0." + token(CLAIMS).split(".")[1] + ".", id="no algorithm"),
        pytest.param(token(CLAIMS, RSA, "PS256"), id="an algorithm that is not accepted"),
        pytest.param(token(CLAIMS)[:-8] + "AAAAAAAA", id="signature"),
        pytest.param(token(CLAIMS, NEW, "ES256"), id="unknown key"),
    ],
)
async def test_a_token_that_the_issuer_did_not_sign_is_refused(spoilt: str) -> None:
    with pytest.raises(TokenRefused):
        await user_of(DEFAULT, spoilt)


async def test_both_algorithms_are_known() -> None:
    assert (await user_of(DEFAULT, token(CLAIMS, EC, "ES256"))).name == f"{URL}#ada"


@pytest.mark.parametrize("other", ["", "a.b.c", token({**CLAIMS, "iss": "https://other.example"})])
async def test_tokens_of_others_are_left_to_others(other: str) -> None:
    provider = Provider(RSA)
    assert await OidcTokens(DEFAULT, provider, clock=FixedClock()).authenticate(other, (ISSUER,)) is None
    assert not provider.asked


async def test_keys_are_kept_and_asked_for_anew_when_one_is_unknown() -> None:
    clock, provider = FixedClock(), Provider(RSA)
    tokens = OidcTokens(DEFAULT, provider, clock=clock)
    for _ in range(3):
        await tokens.authenticate(token(CLAIMS), (ISSUER,))
    assert provider.asked == [f"{URL}/.well-known/openid-configuration", f"{URL}/keys"]
    provider.keys = [NEW]
    rotated = token(CLAIMS, NEW, "ES256")
    with pytest.raises(TokenRefused):
        await tokens.authenticate(rotated, (ISSUER,))
    assert len(provider.asked) == 2, "asked again though it was asked just now"
    clock.time += 10
    await tokens.authenticate(rotated, (ISSUER,))
    assert provider.asked[2:] == [f"{URL}/keys"]


async def test_an_issuer_that_cannot_be_asked_lets_nobody_in_and_what_is_known_stays() -> None:
    clock, provider = FixedClock(), Provider(RSA)
    tokens = OidcTokens(DEFAULT, provider, clock=clock)
    provider.down = True
    with pytest.raises(TokenRefused, match="connection refused"):
        await tokens.authenticate(token(CLAIMS), (ISSUER,))
    provider.down = False
    clock.time += 10
    await tokens.authenticate(token(CLAIMS), (ISSUER,))
    provider.down = True
    clock.time += 10
    await tokens.authenticate(token(CLAIMS), (ISSUER,))
    with pytest.raises(TokenRefused):
        await tokens.authenticate(token(CLAIMS, NEW, "ES256"), (ISSUER,))
    await tokens.authenticate(token(CLAIMS), (ISSUER,))


async def test_a_document_of_another_issuer_is_not_believed() -> None:
    with pytest.raises(TokenRefused, match="issuer did not match"):
        await user_of(DEFAULT, token(CLAIMS), Provider(RSA, issuer="https://evil.example"))


MAPPED = """
  claimMappings:
    username: {expression: 'claims.sub + "@bg"'}
    groups: {expression: 'claims.roles.map(r, "bg:" + r)'}
    uid: {claim: sub}
    extra:
    - {key: aliquot.dev/grant, valueExpression: claims.grant}
  claimValidationRules:
  - {claim: hd, requiredValue: x.example}
  - {expression: 'claims.exp - claims.iat <= 300', message: lives too long}
  userValidationRules:
  - {expression: '!user.groups.exists(g, g == "bg:root")', message: root is nobody}
"""
FULL = {**CLAIMS, "roles": ["a"], "grant": "g1", "hd": "x.example", "iat": NOW, "jti": "t1"}


async def test_expressions_make_a_user_with_extra_fields() -> None:
    user = await user_of(configured(MAPPED), token(FULL))
    assert user == User(
        "ada@bg",
        ("bg:a",),
        "ada",
        {"aliquot.dev/grant": ("g1",), "authentication.kubernetes.io/credential-id": ("JTI=t1",)},
    )


@pytest.mark.parametrize(
    ("claims", "refusal"),
    [
        ({"iat": NOW - 1}, "lives too long"),
        ({"roles": ["root"]}, "root is nobody"),
        ({"roles": 7}, "claims.roles.map"),
        ({"hd": "y"}, "required claim hd"),
    ],
)
async def test_rules_that_do_not_hold_let_nobody_in(claims: dict[str, Any], refusal: str) -> None:
    with pytest.raises(TokenRefused, match=refusal):
        await user_of(configured(MAPPED), token({**FULL, **claims}))
