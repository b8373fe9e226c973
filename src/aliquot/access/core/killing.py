"""The kill switch: one person pulls it, and nobody gets in or stays in. It takes two to clear it.

Whoever pulled it may be one of the two: what matters is that nobody lets people in again on their own.
"""

from msgspec import Struct
from msgspec.structs import replace

from aliquot.access.core.people import Identity, Person
from aliquot.access.core.policy import Policy
from aliquot.access.core.quorum import fill
from aliquot.access.core.refusals import Ground, Refused

_NOBODY = Person("", "")
"""Asked for it: whoever may clear may agree to it."""


class KillSwitch(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pulls: int = 0
    """How often it has been pulled, ever. Who agrees to clear it says which of them they mean."""
    pull_id: str = ""
    """Of the command that pulled it last: that may come again."""
    is_pulled: bool = False
    pulled_by: Person | None = None
    pulled_at_s: float | None = None
    why: str = ""
    clearing: tuple[Person, ...] = ()
    """Who has agreed to clear it."""
    version: int = 1


def pull(
    switch: KillSwitch, by: Identity, why: str, *, pull_id: str, now_s: float, policy: Policy
) -> KillSwitch | Refused:
    """The same switch where it changes nothing."""
    if no := may_pull(by, policy):
        return no
    return pulled(switch, by.person, why, pull_id=pull_id, now_s=now_s)


def may_pull(by: Identity, policy: Policy) -> Refused | None:
    if not policy.security.has(by):
        return Refused(f"{by.person} is not of those who may pull the kill switch", Ground.FORBIDDEN)
    return None


def pulled(switch: KillSwitch, by: Person, why: str, *, pull_id: str, now_s: float) -> KillSwitch:
    """By somebody who may, or who might when they did. The same switch where it changes nothing."""
    if switch.is_pulled or pull_id == switch.pull_id:
        return switch
    return replace(
        switch,
        pulls=switch.pulls + 1,
        pull_id=pull_id,
        is_pulled=True,
        pulled_by=by,
        pulled_at_s=now_s,
        why=why,
        clearing=(),
        version=switch.version + 1,
    )


def clear(
    switch: KillSwitch, by: Identity, known: dict[Person, Identity], *, pull: int, policy: Policy
) -> KillSwitch | Refused:
    """`known`: those who have agreed so far, as their issuers know them now; who is not there counts no more. The same switch
    where it changes nothing."""
    if not fill(policy.clearing, [by], _NOBODY):
        return Refused(f"{by.person} is not of those who may clear the kill switch", Ground.FORBIDDEN)
    if pull != switch.pulls:
        return Refused(
            f"this would clear pull {pull} of the kill switch, and the last one is {switch.pulls}: look at it again",
            Ground.CONFLICT,
        )
    if not switch.is_pulled or by.person in switch.clearing:
        return switch
    agreed = (*switch.clearing, by.person)
    identities = [by, *(known[one] for one in switch.clearing if one in known)]
    is_clear = len(fill(policy.clearing, identities, _NOBODY)) == len(policy.clearing.slots)
    return replace(switch, clearing=agreed, is_pulled=not is_clear, version=switch.version + 1)
