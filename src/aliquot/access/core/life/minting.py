"""Whether somebody is given a credential for a grant now, and for how long. It is asked for each: what held for the last one may not
hold any more."""

from msgspec import Struct

from aliquot.access.core.life.facts import Fact
from aliquot.access.core.life.here import Here
from aliquot.access.core.life.life import Life, entitled
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.life.surroundings import Surroundings
from aliquot.access.core.limits import stopped
from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.spelling import to_ms
from aliquot.access.core.terms import ineligible, not_given
from aliquot.access.core.times import lifetime_s


class Mint(Struct, frozen=True, kw_only=True):
    """To be written, if the life still has this version, before the cluster is asked for one."""

    life: Life
    lifetime_s: int
    facts: tuple[Fact, ...]


def may_mint(life: Life, asker: Person, now_s: float, around: Surroundings) -> Mint | Refused:
    """A ticket is not asked again: it stood when the grant began."""
    here = Here(life, to_ms(max(now_s, life.seen_s)), around)
    request = life.request
    if asker != request.requester:
        return Refused("it is not yours", Ground.FORBIDDEN)
    if not entitled(life, here.now_s):
        return Refused(_why_not(life), Ground.CONFLICT)
    if no := stopped(around.switch):
        return no
    if around.policy is None:
        return Refused("it is not known what templates there are now", Ground.UNKNOWN)
    if why := not_given(request, around.policy, running=True):
        return Refused(why, Ground.CONFLICT)
    identity = here.known(asker)
    if identity is None:
        return Refused(f"{asker} is not known to their issuer now", Ground.UNKNOWN)
    template = around.policy.templates[request.template]
    if why := ineligible(template, identity, emergency=request.emergency):
        return Refused(why, Ground.FORBIDDEN)
    lifetime = lifetime_s(life.end_s, here.now_s)
    if not lifetime:
        return Refused(
            "it ends too soon for another credential: those that were given last until shortly before its end",
            Ground.CONFLICT,
        )
    return Mint(
        life=life, lifetime_s=lifetime, facts=(here.told("intends.mint", by=asker, lifetimeSeconds=lifetime),)
    )


def _why_not(life: Life) -> str:
    if life.stage is Stage.ACTIVE:
        return "its end has come"
    return f"it is {life.stage.value}, not active"
