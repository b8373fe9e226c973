"""Passkeys (WebAuthn): registered by invitation, and asked for what is to be done. The person behind one is always verified by it."""

import hashlib
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.identity import challenges, records
from aliquot.access.identity.book import Reader, Writer
from aliquot.access.identity.challenges import REGISTER, Purpose
from aliquot.access.identity.configuration import LocalUsers
from aliquot.access.identity.local.accounts import NOT_INVITED, RandomBytes, invited
from aliquot.access.identity.records import Account, Passkey
from aliquot.access.identity.server_key import ServerKey

if TYPE_CHECKING:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

MOST = 10
"""Of one person."""
_TOO_LATE = Refused(
    "that was not asked for by this server just now and for this: begin again", Ground.FORBIDDEN
)
_NOT_ACCEPTED = Refused("the passkey is not accepted", Ground.FORBIDDEN)

Credential = dict[str, Any]
"""What the browser gives, as PublicKeyCredential.toJSON writes it."""


class Options(Struct, frozen=True, rename="camel"):
    nonce: str
    """To be sent back with what the authenticator says."""
    public_key: dict[str, Any]
    """For `navigator.credentials`."""


def registration_options(
    tx: Reader, key: ServerKey, party: LocalUsers, person: Person, secret: str, random_bytes: RandomBytes
) -> Options | Refused:
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    account = invited(tx, person, secret)
    if account is None:
        return NOT_INVITED
    purpose = Purpose(person, REGISTER)
    nonce = challenges.new_nonce(key, purpose, tx.now_s, random_bytes)
    options = generate_registration_options(
        rp_id=party.relying_party,
        rp_name="Aliquot",
        user_id=hashlib.sha256(str(person).encode()).digest(),
        user_name=person.subject,
        user_display_name=account.name or person.subject,
        challenge=challenges.challenge(purpose, nonce),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[_described(one.id) for one in account.passkeys],
    )
    return Options(nonce, msgspec.json.decode(options_to_json(options)))


def register(
    tx: Writer,
    key: ServerKey,
    party: LocalUsers,
    person: Person,
    *,
    secret: str,
    nonce: str,
    credential: Credential,
    name: str,
) -> Account | Refused:
    """Uses the invitation up."""
    from webauthn import verify_registration_response

    account = invited(tx, person, secret)
    if account is None:
        return NOT_INVITED
    if len(account.passkeys) >= MOST:
        return Refused(f"{person} has {MOST} passkeys, which is the most", Ground.LIMITED)
    purpose = Purpose(person, REGISTER)
    if not _is_ours(tx, key, purpose, nonce):
        return _TOO_LATE
    try:
        found = verify_registration_response(
            credential=credential,
            expected_challenge=challenges.challenge(purpose, nonce),
            expected_rp_id=party.relying_party,
            expected_origin=list(party.origins),
            require_user_verification=True,
        )
    except Exception:  # whatever a library comes to with what a stranger sends
        return _NOT_ACCEPTED
    passkey = Passkey(
        id=urlsafe_b64encode(found.credential_id).decode().rstrip("="),
        public_key=found.credential_public_key,
        sign_count=found.sign_count,
        name=name[:63],
        added_s=tx.now_s,
    )
    if any(one.id == passkey.id for other in records.accounts(tx) for one in other.passkeys):
        return Refused("that passkey is registered already", Ground.CONFLICT)
    changed = replace(account, passkeys=(*account.passkeys, passkey), invitation=None)
    records.put(tx, changed)
    return changed


def assertion_options(
    tx: Reader, key: ServerKey, party: LocalUsers, purpose: Purpose, random_bytes: RandomBytes
) -> Options:
    """The same for those who have no account or no passkey: who asks learns of nobody whether they do."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import UserVerificationRequirement

    account = records.account(tx, purpose.person)
    ids = [one.id for one in account.passkeys] if account is not None and not account.is_off else []
    if not ids:
        made_up = key.mac(b"no passkey of " + str(purpose.person).encode())
        ids = [urlsafe_b64encode(made_up).decode().rstrip("=")]
    nonce = challenges.new_nonce(key, purpose, tx.now_s, random_bytes)
    options = generate_authentication_options(
        rp_id=party.relying_party,
        challenge=challenges.challenge(purpose, nonce),
        allow_credentials=[_described(one) for one in ids],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return Options(nonce, msgspec.json.decode(options_to_json(options)))


def asserted(
    tx: Writer, key: ServerKey, party: LocalUsers, purpose: Purpose, nonce: str, credential: Credential
) -> Account | Refused:
    """Whose passkey agreed to just this. It counts once."""
    from webauthn import verify_authentication_response

    account = records.account(tx, purpose.person)
    if not _is_ours(tx, key, purpose, nonce):
        return _TOO_LATE
    if account is None or account.is_off:
        return _NOT_ACCEPTED
    passkey = next((one for one in account.passkeys if one.id == credential.get("id")), None)
    if passkey is None:
        return _NOT_ACCEPTED
    try:
        found = verify_authentication_response(
            credential=credential,
            expected_challenge=challenges.challenge(purpose, nonce),
            expected_rp_id=party.relying_party,
            expected_origin=list(party.origins),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
        is_framed = _is_framed(credential)
    except Exception:  # as above
        return _NOT_ACCEPTED
    if is_framed:
        return _NOT_ACCEPTED
    if not tx.use_up("assertion", nonce, until_s=tx.now_s + 2 * challenges.FRESH_S):
        return Refused("that was used already: begin again", Ground.FORBIDDEN)
    counted = replace(passkey, sign_count=found.new_sign_count)
    changed = replace(account, passkeys=tuple(counted if one is passkey else one for one in account.passkeys))
    records.put(tx, changed)
    return changed


def _is_framed(credential: Credential) -> bool:
    """Another site showed ours within it, and may have shown something else over it."""
    from webauthn.helpers import base64url_to_bytes

    said = msgspec.json.decode(base64url_to_bytes(credential["response"]["clientDataJSON"]))
    return said.get("crossOrigin", False) is not False


def _is_ours(tx: Reader, key: ServerKey, purpose: Purpose, nonce: str) -> bool:
    given_s = challenges.given_s(key, purpose, nonce)
    return given_s is not None and challenges.is_fresh(given_s, tx.now_s)


def _described(passkey_id: str) -> "PublicKeyCredentialDescriptor":
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    return PublicKeyCredentialDescriptor(id=base64url_to_bytes(passkey_id))
