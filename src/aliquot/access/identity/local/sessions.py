"""Sessions of local users: short tokens that this server signs. One that is not in its user's account is over, whatever it says."""

import secrets
from base64 import urlsafe_b64encode

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Refused
from aliquot.access.identity import records
from aliquot.access.identity.book import Reader, Writer
from aliquot.access.identity.challenges import LOGIN, Purpose
from aliquot.access.identity.configuration import LocalUsers
from aliquot.access.identity.local import codes, passkeys
from aliquot.access.identity.local.accounts import RandomBytes
from aliquot.access.identity.local.passkeys import Credential
from aliquot.access.identity.oidc.tokens import unchecked, verified
from aliquot.access.identity.proof import NotProven, Proof
from aliquot.access.identity.records import Account, Session
from aliquot.access.identity.server_key import ServerKey

SESSION_S = 3600.0
MOST = 10
"""Of one person; the oldest ends first."""
_ALGORITHM, _TYPE = "Ed25519", "aliquot-session+jwt"
_OVER = "the session is over: sign in again"


class Opened(Struct, frozen=True):
    token: str
    credential: str
    """By which the log names it."""
    until_s: float


class _Claims(Struct, frozen=True):
    iss: str
    sub: str
    aud: str
    iat: float
    exp: float
    jti: str
    how: str


def by_passkey(
    tx: Writer,
    key: ServerKey,
    party: LocalUsers,
    name: str,
    nonce: str,
    credential: Credential,
    *,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> Opened | Refused:
    person = Person(party.issuer, name)
    found = passkeys.asserted(tx, key, party, Purpose(person, LOGIN), nonce, credential)
    return found if isinstance(found, Refused) else opened(tx, key, found, "passkey", random_bytes)


def by_code(
    tx: Writer,
    key: ServerKey,
    party: LocalUsers,
    name: str,
    code: str,
    *,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> Opened | Refused:
    found = codes.checked(tx, key, Person(party.issuer, name), code)
    return found if isinstance(found, Refused) else opened(tx, key, found, "totp", random_bytes)


def opened(tx: Writer, key: ServerKey, account: Account, how: str, random_bytes: RandomBytes) -> Opened:
    """A session of somebody who has just proven who they are. `how`: by a `passkey`, by a code (`totp`)."""
    from joserfc import jws

    session = Session(urlsafe_b64encode(random_bytes(18)).decode(), tx.now_s + SESSION_S)
    live = tuple(one for one in account.sessions if one.until_s > tx.now_s)[-(MOST - 1) :]
    records.put(tx, replace(account, sessions=(*live, session)))
    issuer = account.person.issuer
    claims = _Claims(
        issuer, account.person.subject, issuer, tx.now_s, session.until_s, jti=session.id, how=how
    )
    header = {"alg": _ALGORITHM, "typ": _TYPE}
    token = jws.serialize_compact(header, msgspec.json.encode(claims), key.signing, algorithms=[_ALGORITHM])
    return Opened(token, _credential(session.id), session.until_s)


def prove(tx: Reader, key: ServerKey, party: LocalUsers, token: str) -> Proof:
    """Raises NotProven."""
    claims, account = _found(tx, key, party, token)
    return _proof(claims, account, tx.now_s)


def close(tx: Writer, key: ServerKey, party: LocalUsers, token: str) -> Proof:
    """Whose it was. Raises NotProven: it is over already."""
    claims, account = _found(tx, key, party, token)
    left = tuple(one for one in account.sessions if one.id != claims.jti)
    records.put(tx, replace(account, sessions=left))
    return _proof(claims, account, tx.now_s)


def _found(tx: Reader, key: ServerKey, party: LocalUsers, token: str) -> tuple[_Claims, Account]:
    header, _ = unchecked(token)
    payload = verified(token, key.signing, _ALGORITHM) if header.get("typ") == _TYPE else None
    if payload is None:
        raise NotProven("the token is none of this server's")
    claims = msgspec.json.decode(payload, type=_Claims)
    if claims.iss != party.issuer or claims.aud != party.issuer:
        raise NotProven("the token is none of this server's")
    account = records.account(tx, Person(claims.iss, claims.sub))
    if account is None or account.is_off or tx.now_s >= claims.exp:
        raise NotProven(_OVER)
    if not any(one.id == claims.jti and one.until_s > tx.now_s for one in account.sessions):
        raise NotProven(_OVER)
    return claims, account


def _proof(claims: _Claims, account: Account, now_s: float) -> Proof:
    return Proof(
        identity=account.identity,
        auth=claims.how,
        credential=_credential(claims.jti),
        said_s=now_s,
        until_s=claims.exp,
        signed_in_s=claims.iat,
    )


def _credential(session_id: str) -> str:
    return f"JTI={session_id}"
