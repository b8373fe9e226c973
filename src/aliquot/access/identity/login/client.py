"""Who signs people in: a public client of a provider, without a secret. Its proof that it is the one who began is PKCE."""

from collections.abc import Callable

from msgspec import Struct

from aliquot.access.identity.configuration import ALGORITHMS, OidcIssuer
from aliquot.access.identity.login.answers import NotSignedIn, SignedIn, asked_for
from aliquot.access.identity.oidc.discovery import Provider, discover
from aliquot.access.identity.oidc.tokens import OidcTokens
from aliquot.access.identity.web import Web
from aliquot.clock import Clock

RandomBytes = Callable[[int], bytes]


class LoginClient(Struct, frozen=True, kw_only=True, rename="camel"):
    issuer: str
    client_id: str
    scopes: tuple[str, ...] = ("openid", "profile", "groups", "offline_access")


class Ready(Struct, frozen=True):
    client: LoginClient
    provider: Provider
    web: Web
    tokens: OidcTokens


async def ready(client: LoginClient, web: Web, *, clock: Clock) -> Ready:
    """Raises Unreached."""
    # Which of them the server takes, it says itself.
    issuer = OidcIssuer(issuer=client.issuer, audience=client.client_id, algorithms=ALGORITHMS)
    return Ready(client, await discover(client.issuer, web), web, OidcTokens(issuer, web, clock=clock))


async def refreshed(here: Ready, refresh: str) -> SignedIn:
    """Raises NotSignedIn, NotProven and Unreached."""
    if not refresh:
        raise NotSignedIn("the sign-in is over: sign in again")
    form = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": here.client.client_id}
    signed_in, _ = await asked_for(here.web, here.provider.token_endpoint, form, here.tokens, refresh=refresh)
    return signed_in
