import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey, RSAKey
from msgspec.structs import replace

from aliquot.access.core.people import Person
from aliquot.access.core.templates.template import StepUpLevel
from aliquot.access.identity.configuration import Accepted, IssuerStepUp, OidcIssuer
from aliquot.access.identity.oidc import claims
from aliquot.access.identity.oidc.keys import FORGET_S, LOOK_EVERY_S, REFRESH_S
from aliquot.access.identity.oidc.tokens import OidcTokens
from aliquot.access.identity.proof import IssuerSilent, NotProven
from aliquot.access.identity.step_up import of_sign_in
from aliquot.access.identity.web import Https
from aliquot.access.outside.calling import Unreached
from tests.access.identity.provider import START_S, Clock, Provider, b64, served


@pytest.fixture
def provider(clock: Clock) -> Provider:
    return Provider(clock)


@pytest.fixture
def tokens(provider: Provider, clock: Clock) -> OidcTokens:
    return OidcTokens(provider.configured, provider, clock=clock)


async def test_a_good_token_is_its_person_as_the_issuer_says(provider: Provider, tokens: OidcTokens) -> None:
    proof = await tokens.prove(
        provider.token(
            groups=["sre", "/tenant/admin"],
            name="Ann",
            jti="t1",
            auth_time=START_S - 7,
            acr="phr",
            amr=["hwk"],
        )
    )
    assert proof.person == Person("https://login.example.com", "ann")
    assert proof.identity.groups == {
        "https://login.example.com#sre",
        "https://login.example.com#/tenant/admin",
    }
    assert (proof.auth, proof.credential, proof.until_s) == ("oidc", "JTI=t1", START_S + 3600)
    assert (proof.signed_in_s, proof.acr, proof.amr) == (START_S - 7, "phr", frozenset({"hwk"}))


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (lambda one: one.unsigned(), "(alg)"),
        (lambda one: one.signed_by_what_all_know(), "(alg)"),
        (lambda one: one.token(iss="https://other.example.com"), "another issuer"),
        (lambda one: one.token(aud="somebody-else"), "somebody else"),
        (lambda one: one.token(aud=[]), "somebody else"),
        (lambda one: one.token(aud=["aliquot-access", "other"]), "does not say who asked"),
        (lambda one: one.token(aud=["aliquot-access", "other"], azp="other"), "not configured here"),
        (lambda one: one.token(azp="other"), "not configured here"),
        (lambda one: one.token(client_id="other"), "not configured here"),
        (lambda one: one.token(exp=START_S), "over"),
        (lambda one: one.token(exp=None), "claims are not"),
        (lambda one: one.token(exp="never"), "claims are not"),
        (lambda one: one.token(exp=True), "claims are not"),
        (lambda one: one.token(iat=None), "claims are not"),
        (lambda one: one.token(iat=START_S + 61), "does not count yet"),
        (lambda one: one.token(nbf=START_S + 61), "does not count yet"),
        (lambda one: one.token(exp=START_S + 86_401), "more than a day"),
        (lambda one: one.token(sub=""), "sub is empty"),
        (lambda one: one.token(sub=None), "claims are not"),
        (lambda one: one.token(sub="ann\nben"), "not printable"),
        (lambda one: one.token(groups=["sre", 1]), "no list of texts"),
        (lambda one: one.token(groups={"sre": 1}), "no list of texts"),
        (lambda one: one.token(groups=None, _claim_names={"groups": "src1"}), "too many"),
        (lambda one: one.token(header={"kid": "k9"}), "no key"),
        (lambda one: one.token(header={"crit": ["x"], "x": 1}), "signature"),
        (lambda one: one.token(name="x" * 20_000), "too long"),
        (lambda one: one.token() + "AAAA", "signature"),
        (lambda one: "", "no signed JWT"),
        (lambda one: "a.b.c", "no signed JWT"),
        (lambda one: "é.é.é", "no signed JWT"),
    ],
)
async def test_what_is_not_as_it_has_to_be_proves_nothing(
    provider: Provider, tokens: OidcTokens, forge: Callable[[Provider], str], said: str
) -> None:
    try:
        token = forge(provider)
    except Exception as error:  # joserfc does not sign what it would not take
        assert "crit" in repr(error) or "nsupported" in repr(error)
        return
    with pytest.raises(NotProven) as refused:
        await tokens.prove(token)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not token or token not in str(refused.value)


async def test_one_whose_second_audience_is_vouched_for_by_a_known_client_counts(
    provider: Provider, clock: Clock
) -> None:
    tokens = OidcTokens(replace(provider.configured, clients=("aliquot-cli",)), provider, clock=clock)
    token = provider.token(aud=["other", "aliquot-access"], azp="aliquot-cli")
    assert (await tokens.prove(token)).person.subject == "ann"


async def test_claims_that_are_swapped_after_signing_prove_nothing(
    provider: Provider, tokens: OidcTokens
) -> None:
    header, _, signature = provider.token().split(".")
    forged = b64(json.dumps(provider.said(sub="root")).encode())
    with pytest.raises(NotProven, match="signature"):
        await tokens.prove(f"{header}.{forged}.{signature}")


async def test_a_key_in_the_token_itself_is_no_key(provider: Provider, tokens: OidcTokens) -> None:
    own = RSAKey.generate_key(2048)
    provider.keys["mine"] = own
    for header in ({"jwk": own.as_dict(private=False)}, {"jku": "https://evil.example.com/keys"}):
        with pytest.raises(NotProven, match=r"signature|no signed"):
            await tokens.prove(provider.token(key="mine", header={"kid": "k1", **header}))


async def test_a_shared_secret_a_short_key_and_a_strange_one_among_the_published_do_not_count(
    provider: Provider, tokens: OidcTokens
) -> None:
    with pytest.warns():
        short = RSAKey.generate_key(1024)
    provider.keys["short"] = short
    provider.published += [
        {**short.as_dict(private=False), "kid": "short"},
        {**OctKey.generate_key(256).as_dict(private=True), "kid": "oct"},
        {"kty": "RSA", "kid": "broken", "n": 5},
        {"kty": "lattice"},
    ]
    assert await tokens.prove(provider.token())
    with pytest.raises(NotProven, match="no key"):
        await tokens.prove(provider.token(header={"kid": "broken"}))
    with pytest.raises(NotProven, match="no key"):
        await tokens.prove(provider.token(key="short"))


async def test_a_new_key_is_found_and_one_that_is_taken_back_stops_counting(
    provider: Provider, tokens: OidcTokens, clock: Clock
) -> None:
    await tokens.prove(provider.token())
    provider.new_key("k2", "EC", only=True)
    clock.now_s += LOOK_EVERY_S
    assert await tokens.prove(provider.token(key="k2"))
    with pytest.raises(NotProven, match="no key"):
        await tokens.prove(provider.token())


async def test_a_key_that_is_taken_back_stops_counting_though_nobody_comes_with_a_new_one(
    provider: Provider, tokens: OidcTokens, clock: Clock
) -> None:
    await tokens.prove(provider.token())
    provider.new_key("k2", "EC", only=True)
    clock.now_s += REFRESH_S
    with pytest.raises(NotProven, match="no key"):
        await tokens.prove(provider.token())


async def test_unknown_keys_cost_the_issuer_one_look_in_ten_seconds(
    provider: Provider, tokens: OidcTokens, clock: Clock
) -> None:
    for step in range(20):
        with pytest.raises(NotProven):
            await tokens.prove(provider.token(header={"kid": f"u{step}"}))
        clock.now_s += 1
    assert provider.asked.count(f"{provider.issuer}/keys") == 2


async def test_an_issuer_that_is_silent_is_believed_for_an_hour_and_then_not(
    provider: Provider, tokens: OidcTokens, clock: Clock
) -> None:
    await tokens.prove(provider.token())
    provider.down = True
    clock.now_s += FORGET_S - 1
    assert await tokens.prove(provider.token())
    clock.now_s += 1
    with pytest.raises(IssuerSilent) as silent:
        await tokens.prove(provider.token())
    assert "connection refused" in silent.value.detail and "refused" not in str(silent.value)
    provider.down = False
    clock.now_s += LOOK_EVERY_S
    assert await tokens.prove(provider.token())


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://other.example.com"},
        {"jwks_uri": 5},
        {"jwks_uri": "http://keys.example.com"},
        {"jwks_uri": "file:///etc/keys"},
    ],
)
async def test_a_discovery_document_that_is_not_the_issuers_gives_no_keys(
    provider: Provider, tokens: OidcTokens, discovery: dict[str, Any]
) -> None:
    provider.discovery = discovery
    with pytest.raises(IssuerSilent):
        await tokens.prove(provider.token())


async def test_over_a_wire_redirects_and_endless_answers_are_not_followed() -> None:
    clock = Clock()
    async with served(clock) as provider:
        web = Https()
        tokens = OidcTokens(provider.configured, web, clock=clock)
        assert (await tokens.prove(provider.token())).person == Person(provider.issuer, "ann")
        with pytest.raises(Unreached, match="HTTP 302"):
            await web.get(f"{provider.issuer}/elsewhere")
        with pytest.raises(Unreached, match="ClientPayloadError"):
            await web.get(f"{provider.issuer}/endless")
        with pytest.raises(Unreached, match="in the clear"):
            await web.get("http://login.example.com/keys")
        await web.close()


_ISSUERS = st.sampled_from(["https://a", "https://a/b", "https://ab"])


@given(st.lists(st.tuples(_ISSUERS, st.text(min_size=1)), min_size=2, max_size=2, unique=True))
def test_no_two_groups_are_ever_one(pairs: list[tuple[str, str]]) -> None:
    """Whatever an issuer calls its groups: `a#b` too."""
    found = []
    for issuer, name in pairs:
        said = {"iss": issuer, "sub": "ann", "aud": "x", "iat": 0, "exp": 9, "groups": [name]}
        try:
            payload = msgspec.json.encode(said)
        except UnicodeEncodeError:
            return
        proof = claims.prove(payload, "t", OidcIssuer(issuer=issuer, audience="x"), 1.0)
        found.append(proof.identity.groups)
    assert found[0] != found[1]


@given(st.binary())
def test_whatever_is_signed_is_claims_or_refused(payload: bytes) -> None:
    with pytest.raises(NotProven):
        claims.prove(payload, "t", OidcIssuer(issuer="https://a", audience="x"), 1.0)


ACCEPTED = IssuerStepUp(totp=Accepted(amr=("mfa",)), webauthn=Accepted(acr=("phrh",), amr=("hwk", "pin")))


@pytest.mark.parametrize(
    ("signed_in_s", "acr", "amr", "accepted", "level"),
    [
        (START_S, "", ["mfa"], ACCEPTED, StepUpLevel.TOTP),
        (START_S - 300, "", ["mfa", "pwd"], ACCEPTED, StepUpLevel.TOTP),
        (START_S - 301, "", ["mfa"], ACCEPTED, StepUpLevel.NONE),
        (START_S + 61, "", ["mfa"], ACCEPTED, StepUpLevel.NONE),
        (None, "", ["mfa"], ACCEPTED, StepUpLevel.NONE),
        (START_S, "", ["pwd"], ACCEPTED, StepUpLevel.NONE),
        (START_S, "phrh", ["hwk", "pin"], ACCEPTED, StepUpLevel.WEBAUTHN),
        (START_S, "phrh", ["hwk", "mfa"], ACCEPTED, StepUpLevel.TOTP),
        (START_S, "phr", ["hwk", "pin"], ACCEPTED, StepUpLevel.NONE),
        (START_S, "phrh", ["hwk", "pin", "mfa"], IssuerStepUp(), StepUpLevel.NONE),
        (START_S, "", [], IssuerStepUp(totp=Accepted()), StepUpLevel.NONE),
    ],
)
async def test_a_sign_in_at_the_issuer_counts_as_far_as_is_configured(
    provider: Provider,
    tokens: OidcTokens,
    signed_in_s: float | None,
    acr: str,
    amr: list[str],
    accepted: IssuerStepUp,
    level: StepUpLevel,
) -> None:
    proof = await tokens.prove(provider.token(auth_time=signed_in_s, acr=acr, amr=amr))
    assert of_sign_in(proof, accepted, START_S) is level
