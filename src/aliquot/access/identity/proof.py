"""What somebody proved when they came, and that they did not."""

from msgspec import Struct

from aliquot.access.core.people import Identity, Person


class Proof(Struct, frozen=True, kw_only=True):
    identity: Identity
    auth: str
    """How: `oidc`, `kubernetes`, `passkey`, `totp`."""
    credential: str
    """Which of their credentials: `JTI=...`, or `SHA256=...` where it has no id of its own."""
    said_s: float
    """When their issuer said so. What it said later counts more."""
    until_s: float
    signed_in_s: float | None = None
    """When they last proved it to their issuer themselves, not by a cookie."""
    acr: str = ""
    amr: frozenset[str] = frozenset()

    @property
    def person(self) -> Person:
        return self.identity.person


class NotProven(Exception):
    """One line for whoever asked, which tells them nothing that they did not know. `detail` is for the operator alone."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


class IssuerSilent(NotProven):
    """Nobody could say: not now, perhaps later."""
