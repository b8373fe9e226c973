"""What is written down of people: accounts, by which they prove themselves to this server, and what their issuers said of them last."""

import msgspec
from msgspec import Struct

from aliquot.access.core.people import Group, Identity, Person
from aliquot.access.identity.book import Reader, Writer


class Passkey(Struct, frozen=True, kw_only=True):
    id: str
    """base64url, as browsers write it."""
    public_key: bytes
    sign_count: int
    name: str
    added_s: float


class Codes(Struct, frozen=True, kw_only=True):
    """An authenticator app."""

    secret: str
    """Sealed with the server's key: who has the database alone has no codes."""
    last_step: int = 0
    failures: int = 0
    """Since the last that was right."""
    closed_until_s: float = 0.0


class Invitation(Struct, frozen=True):
    digest: str
    until_s: float


class Session(Struct, frozen=True):
    id: str
    until_s: float


class Account(Struct, frozen=True, kw_only=True, tag="account"):
    """Of a local user, or of somebody with an issuer of their own who has a passkey or codes here as well."""

    person: Person
    name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    """Of a local user, without the issuer."""
    is_off: bool = False
    """A name is never given to somebody else: an account is switched off, and stays."""
    invitation: Invitation | None = None
    passkeys: tuple[Passkey, ...] = ()
    codes: Codes | None = None
    sessions: tuple[Session, ...] = ()

    @property
    def identity(self) -> Identity:
        """Of a local user."""
        return Identity(
            person=self.person,
            groups=frozenset(Group(f"{self.person.issuer}#{name}") for name in self.groups),
            name=self.name,
            email=self.email,
        )


class Seen(Struct, frozen=True, kw_only=True, tag="seen"):
    identity: Identity
    said_s: float


def account(tx: Reader, person: Person) -> Account | None:
    found = tx.user(f"account:{person}")
    return msgspec.json.decode(found[1], type=Account) if found is not None else None


def accounts(tx: Reader) -> tuple[Account, ...]:
    records = (msgspec.json.decode(body, type=Account | Seen) for body in tx.users())
    return tuple(one for one in records if isinstance(one, Account))


def seen(tx: Reader, person: Person) -> Seen | None:
    found = tx.user(f"seen:{person}")
    return msgspec.json.decode(found[1], type=Seen) if found is not None else None


def put(tx: Writer, record: Account | Seen) -> None:
    """In place of the one that is there."""
    key = f"account:{record.person}" if isinstance(record, Account) else f"seen:{record.identity.person}"
    found = tx.user(key)
    tx.put_user(key, msgspec.json.encode(record), version=found[0] if found is not None else 0)
