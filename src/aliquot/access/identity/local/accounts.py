"""Accounts, and the invitations by which somebody gets their first passkey or codes."""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.identity import records
from aliquot.access.identity.book import Reader, Writer
from aliquot.access.identity.records import Account, Invitation

INVITED_FOR_S = 86_400.0
NOT_INVITED = Refused(
    "there is no such invitation: it was used, is older than a day, or is somebody else's; ask for a new one",
    Ground.FORBIDDEN,
)
_SECRET_BYTES = 32
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_GROUP = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/:-]{0,61}[A-Za-z0-9])?")

RandomBytes = Callable[[int], bytes]


def add(
    tx: Writer,
    person: Person,
    *,
    local_issuer: str,
    name: str = "",
    email: str = "",
    groups: Iterable[str] = (),
    random_bytes: RandomBytes = secrets.token_bytes,
) -> str | Refused:
    """The secret of their invitation, which is told once and never kept."""
    groups = tuple(dict.fromkeys(groups))
    if person.issuer == local_issuer:
        if not _NAME.fullmatch(person.subject):
            return Refused(
                f"{person.subject!r} is no name of a user: small letters, digits, '.', '_' and '-', 63 at most",
                Ground.INVALID,
            )
        for group in groups:
            if not _GROUP.fullmatch(group):
                return Refused(f"{group!r} is no name of a group here", Ground.INVALID)
    elif groups:
        return Refused(f"what groups {person} is in, {person.issuer} says", Ground.INVALID)
    if records.account(tx, person) is not None:
        return Refused(f"{person} has an account: invite them again instead", Ground.CONFLICT)
    secret, invitation = _invitation(tx, random_bytes)
    records.put(tx, Account(person=person, name=name, email=email, groups=groups, invitation=invitation))
    return secret


def invite(tx: Writer, person: Person, *, random_bytes: RandomBytes = secrets.token_bytes) -> str | Refused:
    """For one more passkey, or new codes. An invitation that is open counts no more."""
    account = records.account(tx, person)
    if account is None:
        return Refused(f"{person} has no account: add one first", Ground.INVALID)
    secret, invitation = _invitation(tx, random_bytes)
    records.put(tx, replace(account, invitation=invitation))
    return secret


def switch(tx: Writer, person: Person, *, is_off: bool) -> Account | Refused:
    """Off: they are signed out, prove nothing, and are not known, whoever their issuer is."""
    account = records.account(tx, person)
    if account is None:
        return Refused(f"{person} has no account", Ground.INVALID)
    sessions = () if is_off else account.sessions
    changed = replace(account, is_off=is_off, sessions=sessions, invitation=None)
    records.put(tx, changed)
    return changed


def forget_factors(tx: Writer, person: Person) -> Account | Refused:
    """Something was lost: no passkey and no code of theirs counts any more, and they are signed out."""
    account = records.account(tx, person)
    if account is None:
        return Refused(f"{person} has no account", Ground.INVALID)
    changed = replace(account, passkeys=(), codes=None, sessions=(), invitation=None)
    records.put(tx, changed)
    return changed


def invited(tx: Reader, person: Person, secret: str) -> Account | None:
    """Whose invitation this is. Whoever then registers something puts the account without it."""
    account = records.account(tx, person)
    if account is None or account.is_off or account.invitation is None:
        return None
    if not hmac.compare_digest(account.invitation.digest, _digest(secret)):
        return None
    return account if tx.now_s < account.invitation.until_s else None


def _invitation(tx: Writer, random_bytes: RandomBytes) -> tuple[str, Invitation]:
    secret = urlsafe_b64encode(random_bytes(_SECRET_BYTES)).decode().rstrip("=")
    return secret, Invitation(_digest(secret), tx.now_s + INVITED_FOR_S)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
