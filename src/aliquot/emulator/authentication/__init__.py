"""Who asks: from a client certificate, a bearer token or nothing to a user with groups.

Certificates first, then tokens: those of a file, of ServiceAccounts, of configured OpenID Connect issuers. Whoever
shows nothing is `system:anonymous`; whoever shows something that is no good is refused, not taken for anonymous. A
token that was accepted is not looked at again for ten seconds: until then the end of what it hangs on is not felt.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aliquot.emulator.authentication.authenticator import (
    ANONYMOUS,
    IDENTITY,
    TLS,
    Anonymous,
    Authenticator,
    StaticTokens,
    TokenSource,
)
from aliquot.emulator.authentication.client_certificates import CertificateRefused, ClientCertificates
from aliquot.emulator.authentication.impersonation import impersonated
from aliquot.emulator.authentication.oidc import Issuer, OidcTokens
from aliquot.emulator.rbac import User

__all__ = [
    "ANONYMOUS",
    "IDENTITY",
    "TLS",
    "Accepted",
    "Anonymous",
    "Authenticator",
    "CertificateRefused",
    "ClientCertificates",
    "Issuer",
    "OidcTokens",
    "StaticTokens",
    "TokenSource",
    "impersonated",
]


@dataclass(frozen=True, slots=True)
class Accepted:
    """Whom a server lets in beside holders of its own certificates and of ServiceAccount tokens."""

    tokens: Mapping[str, User] = field(default_factory=dict)
    """Given out with the cluster, each with its user."""
    issuers: tuple[Issuer, ...] = ()
    anonymous: Anonymous = field(default_factory=Anonymous)
