"""What an issuer says of itself."""

import msgspec
from msgspec import Struct

from aliquot.access.identity.web import Web
from aliquot.access.outside.calling import Unreached, url_trouble

WELL_KNOWN = "/.well-known/openid-configuration"


class Provider(Struct, frozen=True, kw_only=True):
    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    device_authorization_endpoint: str = ""
    authorization_response_iss_parameter_supported: bool = False


async def discover(issuer: str, web: Web) -> Provider:
    """Raises Unreached."""
    url = issuer.rstrip("/") + WELL_KNOWN
    try:
        found = msgspec.json.decode(await web.get(url), type=Provider)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreached(f"{url} is no discovery document: {error}") from None
    if found.issuer != issuer:
        raise Unreached(f"{url} is of the issuer {found.issuer!r}, not of {issuer}")
    for address in (found.jwks_uri, found.token_endpoint, found.authorization_endpoint):
        if address and (trouble := url_trouble(address)):
            raise Unreached(f"{url}: {trouble}")
    return found
