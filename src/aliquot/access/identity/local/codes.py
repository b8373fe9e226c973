"""Codes of authenticator apps (TOTP, RFC 6238). Each counts once, and who guesses waits ever longer.

Weaker than a passkey: a code can be asked for by somebody who looks like us, and says nothing of what it is for.
"""

import hmac
from base64 import b32encode

from msgspec import Struct
from msgspec.structs import replace

from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.identity import records
from aliquot.access.identity.book import Reader, Writer
from aliquot.access.identity.local.accounts import NOT_INVITED, RandomBytes, invited
from aliquot.access.identity.records import Account, Codes
from aliquot.access.identity.server_key import ServerKey

STEP_S = 30
_STEPS_OFF = 1
"""A telephone's clock may be half a minute wrong."""
FREE_FAILURES = 5
_FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 3600.0
_SECRET_BYTES = 20
NOT_ACCEPTED = Refused(
    "the code is not accepted: it is wrong or was used, or so many were wrong that none counts for a while (an hour at most)",
    Ground.FORBIDDEN,
)
"""The same for all: who asks learns of nobody whether they have codes."""


class Offer(Struct, frozen=True, rename="camel"):
    uri: str
    """`otpauth://`, for the app."""
    sealed: str
    """To be sent back with the first code."""


def offer(
    tx: Reader, key: ServerKey, person: Person, secret: str, random_bytes: RandomBytes
) -> Offer | Refused:
    import pyotp

    if invited(tx, person, secret) is None:
        return NOT_INVITED
    shared = b32encode(random_bytes(_SECRET_BYTES)).decode()
    uri = pyotp.TOTP(shared).provisioning_uri(name=person.subject, issuer_name="Aliquot")
    return Offer(uri, key.seal(shared.encode(), _about(person), random_bytes))


def register(
    tx: Writer, key: ServerKey, person: Person, *, secret: str, sealed: str, code: str
) -> Account | Refused:
    """In place of those that were there. Uses the invitation up."""
    account = invited(tx, person, secret)
    if account is None:
        return NOT_INVITED
    step = _step(key, person, sealed, code, tx.now_s)
    if step is None:
        return Refused("that is not the code: look at the app again, and at its clock", Ground.FORBIDDEN)
    changed = replace(account, codes=Codes(secret=sealed, last_step=step), invitation=None)
    records.put(tx, changed)
    return changed


def checked(tx: Writer, key: ServerKey, person: Person, code: str) -> Account | Refused:
    """Whose code it is. A failure is written down as well: what this returns is to be committed."""
    account = records.account(tx, person)
    if account is None or account.is_off or account.codes is None:
        return NOT_ACCEPTED
    codes = account.codes
    if tx.now_s < codes.closed_until_s:
        return NOT_ACCEPTED
    step = _step(key, person, codes.secret, code, tx.now_s)
    is_new = (
        step is not None
        and step > codes.last_step
        and tx.use_up("totp", f"{person}:{step}", until_s=(step + _STEPS_OFF + 1) * STEP_S)
    )
    if step is None or not is_new:
        records.put(tx, replace(account, codes=_failed(codes, tx.now_s)))
        return NOT_ACCEPTED
    changed = replace(account, codes=Codes(secret=codes.secret, last_step=step))
    records.put(tx, changed)
    return changed


def _failed(codes: Codes, now_s: float) -> Codes:
    failures = codes.failures + 1
    beyond = min(failures - FREE_FAILURES, 10)
    wait_s = min(_FIRST_WAIT_S * 2**beyond, LONGEST_WAIT_S) if beyond >= 0 else 0.0
    return replace(codes, failures=failures, closed_until_s=now_s + wait_s if wait_s else 0.0)


def _step(key: ServerKey, person: Person, sealed: str, code: str, now_s: float) -> int | None:
    """Which it is of. All are looked at, whichever fits."""
    import pyotp

    shared = key.unseal(sealed, _about(person))
    if shared is None:
        return None
    now = int(now_s // STEP_S)
    codes = pyotp.TOTP(shared.decode(), interval=STEP_S)
    fitting = [
        step
        for step in range(now - _STEPS_OFF, now + _STEPS_OFF + 1)
        if hmac.compare_digest(codes.generate_otp(step).encode(), code.encode())
    ]
    return fitting[-1] if fitting else None


def _about(person: Person) -> str:
    return f"codes of {person}"
