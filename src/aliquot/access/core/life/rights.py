"""Who may do what to a request. It is asked before anything else, so that a refusal tells nobody more than that."""

from collections.abc import Container

from aliquot.access.core.life.events import (
    Activate,
    Approve,
    Deny,
    Event,
    Judge,
    Return,
    Revoke,
    Withdraw,
)
from aliquot.access.core.life.here import Here
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.policy import Policy
from aliquot.access.core.quorum import Quorum, Slot, may_approve
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.templates.template import Template


def may(here: Here, event: Event) -> Refused | None:
    match event:
        case Withdraw() | Activate() | Return():
            return _holder(here, event.by)
        case Approve():
            return _may_approve(here, event.by)
        case Deny():
            return _may_deny(here, event.by)
        case Revoke():
            return _may_revoke(here, event.by)
        case Judge():
            return _may_judge(here, event.by)
        case _:
            return None


def may_see(here: Here, by: Person) -> bool:
    """Whose it is, and whoever may agree to it, end it or judge it. To others there is none of its id."""
    return by == here.life.holder or _may_revoke(here, by) is None


def may_revoke(
    by: Person,
    identity: Identity | None,
    *,
    holder: Person,
    approvers: Container[Person],
    template: Template | None,
    policy: Policy | None,
) -> Refused | None:
    """Ending is safe: whoever agreed to it may, also when they could not agree any more."""
    if by in approvers or _is_security(policy, identity):
        return None
    if identity is not None and not may_approve(identity, holder, _reviewers(template, policy)):
        return None
    return _approving(by, identity, holder, template, policy)


def reviewers(here: Here) -> Quorum:
    """Without a template that names any it is one of those who look after all."""
    return _reviewers(here.template, here.around.policy)


def _reviewers(template: Template | None, policy: Policy | None) -> Quorum:
    if template is not None and template.review is not None:
        return template.review.reviewers
    if policy is None:
        return Quorum(slots=(Slot(),))
    return Quorum(slots=(Slot(groups=policy.security.groups, people=policy.security.people),))


def _holder(here: Here, by: Person) -> Refused | None:
    if by != here.life.holder:
        return Refused("it is not yours", Ground.FORBIDDEN)
    return None


def _may_approve(here: Here, by: Person) -> Refused | None:
    return _approving(by, here.known(by), here.life.holder, here.template, here.around.policy)


def _approving(
    by: Person, identity: Identity | None, holder: Person, template: Template | None, policy: Policy | None
) -> Refused | None:
    if identity is None:
        return _unknown(by)
    if policy is None:
        return _UNKNOWN_POLICY
    if template is None:
        return Refused("its template is not there any more: nobody may approve of it", Ground.FORBIDDEN)
    return _refused(may_approve(identity, holder, template.quorum))


def _may_deny(here: Here, by: Person) -> Refused | None:
    if _is_security(here.around.policy, here.known(by)):
        return None
    return _may_approve(here, by)


def _may_revoke(here: Here, by: Person) -> Refused | None:
    return may_revoke(
        by,
        here.known(by),
        holder=here.life.holder,
        approvers={one.person for one in here.life.approvals},
        template=here.template,
        policy=here.around.policy,
    )


def _may_judge(here: Here, by: Person) -> Refused | None:
    identity = here.known(by)
    if identity is None:
        return _unknown(by)
    if here.around.policy is None:
        return _UNKNOWN_POLICY
    if by == here.life.holder:
        return Refused("nobody judges what they had themselves", Ground.FORBIDDEN)
    if may_approve(identity, here.life.holder, reviewers(here)):
        return Refused("you are not of those who judge it", Ground.FORBIDDEN)
    return None


def _is_security(policy: Policy | None, identity: Identity | None) -> bool:
    return identity is not None and policy is not None and policy.security.has(identity)


def _unknown(person: Person) -> Refused:
    return Refused(f"{person} is not known to their issuer now", Ground.UNKNOWN)


def _refused(why: str) -> Refused | None:
    return Refused(why, Ground.FORBIDDEN) if why else None


_UNKNOWN_POLICY = Refused("it is not known what templates there are now", Ground.UNKNOWN)
