"""A fresh proof for just what somebody is doing. How much it counts for is decided here; how much is needed, a template says."""

from msgspec import Struct

from aliquot.access.core.refusals import Refused
from aliquot.access.core.templates.template import StepUpLevel
from aliquot.access.identity.book import Writer
from aliquot.access.identity.challenges import FRESH_S, Purpose
from aliquot.access.identity.configuration import Accepted, IssuerStepUp, LocalUsers
from aliquot.access.identity.local import codes, passkeys
from aliquot.access.identity.local.passkeys import Credential
from aliquot.access.identity.oidc.claims import SKEW_S
from aliquot.access.identity.proof import Proof
from aliquot.access.identity.server_key import ServerKey


class ByPasskey(Struct, frozen=True, tag="passkey", forbid_unknown_fields=True):
    nonce: str
    credential: Credential


class ByCode(Struct, frozen=True, tag="totp", forbid_unknown_fields=True):
    """Not bound to anything by itself: it counts for what it is sent along with, once."""

    code: str


def step_up(
    tx: Writer, key: ServerKey, party: LocalUsers, purpose: Purpose, given: ByPasskey | ByCode
) -> StepUpLevel | Refused:
    """What it is good for. Refusals are to be committed as well: wrong codes are counted."""
    if isinstance(given, ByPasskey):
        found = passkeys.asserted(tx, key, party, purpose, given.nonce, given.credential)
        level = StepUpLevel.WEBAUTHN
    else:
        found = codes.checked(tx, key, purpose.person, given.code)
        level = StepUpLevel.TOTP
    return found if isinstance(found, Refused) else level


def of_sign_in(proof: Proof, accepted: IssuerStepUp, now_s: float) -> StepUpLevel:
    """What a sign-in at one's own issuer is good for, which is nothing unless it is written in the configuration: it is known when and
    how they proved themselves, not what for."""
    if proof.signed_in_s is None or not -SKEW_S <= now_s - proof.signed_in_s <= FRESH_S:
        return StepUpLevel.NONE
    if _is_met(proof, accepted.webauthn):
        return StepUpLevel.WEBAUTHN
    return StepUpLevel.TOTP if _is_met(proof, accepted.totp) else StepUpLevel.NONE


def _is_met(proof: Proof, accepted: Accepted | None) -> bool:
    if accepted is None or not (accepted.acr or accepted.amr):
        return False
    return (not accepted.acr or proof.acr in accepted.acr) and proof.amr.issuperset(accepted.amr)
