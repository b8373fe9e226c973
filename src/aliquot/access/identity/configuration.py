"""The `identity` section of the server's configuration:

identity:
  knownForSeconds: 28800                    # what an issuer said of somebody counts for that long
  keyFile: /var/lib/aliquot/identity.key    # made when it is not there; what signs sessions and challenges
  oidc:
  - issuer: https://login.example.com
    audience: aliquot-access                # tokens for anybody else are refused
    clients: [aliquot-access, aliquot-cli]  # who may have asked for them (`azp`)
    groupsClaim: groups
    stepUp:                                 # what of a sign-in within five minutes counts; nothing unless written here
      totp: {amr: [mfa]}
      webauthn: {acr: ["phrh"]}
  kubernetes:
  - cluster: prod
    issuer: https://kubernetes/prod
  local:                                    # users of this server's own, for laptops
    issuer: https://access.example.com
    relyingParty: access.example.com        # the domain that passkeys belong to
    origins: ["https://access.example.com"]
"""

from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from aliquot import document
from aliquot.access.outside.calling import url_trouble
from aliquot.document import Document

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"
]
"""Public-key ones alone: neither `none` nor a shared secret can be written."""
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)

_Text = Annotated[str, Meta(min_length=1, max_length=255)]
_Age = Annotated[int, Meta(ge=300, le=86_400)]


class _Part(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class Accepted(_Part, frozen=True):
    """How somebody has to have signed in. All that is written has to be so."""

    acr: tuple[_Text, ...] = ()
    """One of these."""
    amr: tuple[_Text, ...] = ()
    """Each of these."""


class IssuerStepUp(_Part, frozen=True):
    totp: Accepted | None = None
    webauthn: Accepted | None = None


class OidcIssuer(_Part, frozen=True):
    issuer: _Text
    audience: _Text
    clients: tuple[_Text, ...] = ()
    """Who may have asked for a token; none: only whom it is for."""
    groups_claim: _Text = "groups"
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = ("RS256", "ES256")
    authority_file: str = ""
    """PEM of whom to trust when it is asked; empty for those whom the machine trusts."""
    step_up: IssuerStepUp = IssuerStepUp()


class ClusterIssuer(_Part, frozen=True):
    cluster: _Text
    issuer: _Text
    """What its people are known by here. A name, nothing is asked there."""
    audience: _Text = "aliquot-access"
    """A token has to be for it, so that one that was given to us is of no use at the API server."""


class LocalUsers(_Part, frozen=True):
    issuer: _Text
    relying_party: _Text
    origins: Annotated[tuple[_Text, ...], Meta(min_length=1)]


class IdentitySection(_Part, frozen=True):
    key_file: _Text
    known_for_seconds: _Age = 28_800
    oidc: tuple[OidcIssuer, ...] = ()
    kubernetes: tuple[ClusterIssuer, ...] = ()
    local: LocalUsers | None = None
    groups_file: str = ""

    @property
    def issuers(self) -> frozenset[str]:
        """Of everybody who is not the server's own."""
        return frozenset([*(one.issuer for one in self.oidc), *(one.issuer for one in self.kubernetes)])


def parse_identity(text: str, source: str) -> IdentitySection:
    """Of a document that is this section alone. Raises DocumentError."""
    found = document.parse(text, source=source)
    section = found.into(IdentitySection)
    check_identity(found, (), section)
    return section


def check_identity(found: Document, path: tuple[str | int, ...], section: IdentitySection) -> None:
    """What types do not say, of the section that stands at `path`. Raises DocumentError."""
    if not section.oidc and not section.kubernetes and section.local is None:
        raise found.error(
            path, "nobody could prove who they are: name an issuer under oidc, kubernetes or local"
        )
    seen: set[str] = set()
    for at, issuer in _issuers(section):
        if issuer in seen:
            raise found.error(
                (*path, *at), f"{issuer} is there twice: people of two issuers are different people"
            )
        seen.add(issuer)
        if "#" in issuer:
            raise found.error((*path, *at), f"{issuer} has a '#', which parts an issuer from its groups")
    for number, one in enumerate(section.oidc):
        if trouble := url_trouble(one.issuer):
            raise found.error((*path, "oidc", number, "issuer"), trouble)
        for level in ("totp", "webauthn"):
            accepted: Accepted | None = getattr(one.step_up, level)
            if accepted is not None and not (accepted.acr or accepted.amr):
                raise found.error(
                    (*path, "oidc", number, "stepUp", level),
                    "would take any sign-in for a fresh proof: name its acr or amr",
                )
    clusters = [one.cluster for one in section.kubernetes]
    for number, cluster in enumerate(clusters):
        if cluster in clusters[:number]:
            raise found.error((*path, "kubernetes", number, "cluster"), f"{cluster} is there twice")
    if section.local is not None:
        _check_local(found, (*path, "local"), section.local)


def _check_local(found: Document, path: tuple[str | int, ...], local: LocalUsers) -> None:
    domain = local.relying_party
    for number, origin in enumerate(local.origins):
        at = (*path, "origins", number)
        if trouble := url_trouble(origin):
            raise found.error(at, trouble)
        parts = urlsplit(origin)
        if parts.path or parts.query:
            raise found.error(at, f"{origin} is no origin: nothing follows its host and port")
        host = parts.hostname or ""
        if host != domain and not host.endswith("." + domain):
            raise found.error(at, f"{origin} is not of the relying party {domain}: browsers would refuse it")


def _issuers(section: IdentitySection) -> list[tuple[tuple[str | int, ...], str]]:
    found: list[tuple[tuple[str | int, ...], str]] = []
    for number, one in enumerate(section.oidc):
        found.append((("oidc", number, "issuer"), one.issuer))
    for number, cluster in enumerate(section.kubernetes):
        found.append((("kubernetes", number, "issuer"), cluster.issuer))
    if section.local is not None:
        found.append((("local", "issuer"), section.local.issuer))
    return found
