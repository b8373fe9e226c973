"""While the database is gone: who may end what, by what is known without it. Nothing is ever given by what stands here.

Whose a grant is, is known from what the database said last, or from the grant's own objects in its cluster; who may end it, from the
last policy that could be read. Less may be known than with the database, never more: whoever may end something here may there.
"""

from msgspec import Struct

from aliquot.access.core import killing
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.rights import may_revoke
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.policy import Policy
from aliquot.access.core.refusals import Ground, Refused

_NOBODY = Person("", "")


class KnownGrant(Struct, frozen=True, kw_only=True):
    """A grant, as far as it is known."""

    id: str
    cluster: str
    namespace: str
    """Empty: cluster-wide, or not known; all that carries the grant's label goes in either case."""
    template: str
    holder: Person | None
    """None: it cannot be told, and only those who look after all may end it."""
    approvers: frozenset[Person] = frozenset()
    """Those who are known."""


def known_of(life: Life) -> KnownGrant:
    request = life.request
    return KnownGrant(
        id=life.id,
        cluster=request.cluster,
        namespace=request.namespace,
        template=request.template,
        holder=life.holder,
        approvers=frozenset(one.person for one in life.approvals),
    )


def may_end(known: KnownGrant, by: Identity, policy: Policy | None) -> Refused | None:
    # Whoever it is must not agree to end what may be their own, as if they were somebody else.
    template = None
    if policy is not None and known.holder is not None:
        template = policy.templates.get(known.template)
    return may_revoke(
        by.person,
        by,
        holder=known.holder or _NOBODY,
        approvers=known.approvers,
        template=template,
        policy=policy,
    )


def may_return(known: KnownGrant, by: Identity) -> Refused | None:
    if by.person != known.holder:
        return Refused("it is not yours", Ground.FORBIDDEN)
    return None


def may_see(known: KnownGrant, by: Identity, policy: Policy | None) -> bool:
    """As with the database: to others there is none of its id."""
    return by.person == known.holder or may_end(known, by, policy) is None


def may_pull(by: Identity, policy: Policy | None) -> Refused | None:
    if policy is None:
        return Refused("it is not known who may", Ground.UNKNOWN)
    return killing.may_pull(by, policy)


def holder_in(annotation: str) -> Person | None:
    """As it is written on a grant's objects: ISSUER#SUBJECT. No issuer has a '#' in its name."""
    issuer, separator, subject = annotation.partition("#")
    return Person(issuer, subject) if issuer and separator and subject else None
