"""What others say afterwards of what somebody gave themselves. Each reviewer has one say; where they differ it is inconclusive."""

from msgspec.structs import replace

from aliquot.access.core.life.effects import Audience, News
from aliquot.access.core.life.events import Judge
from aliquot.access.core.life.here import Here, Step
from aliquot.access.core.life.life import Finding, Outcome, Review
from aliquot.access.core.life.rights import reviewers
from aliquot.access.core.quorum import fill
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.terms import Standing, is_ticket
from aliquot.kube.quoted import quoted


def judge(here: Here, event: Judge) -> Step | Refused:
    review = here.life.review
    if review is None:
        return here.conflict("there is nothing to judge: it asks for no review")
    if review.outcome is not None:
        return here.conflict(f"it has been judged: {review.outcome.value}")
    if any(one.person == event.by for one in review.findings):
        return here.conflict("you have said what you think of it")
    ticket = _ticket(here, review, event)
    if isinstance(ticket, Refused):
        return ticket
    finding = Finding(person=event.by, outcome=event.outcome, note=event.note, at_s=here.now_s)
    findings = (*review.findings, finding)
    outcome = _outcome(here, findings)
    return here.go(
        here.life.stage,
        "review.finding" if outcome is None else "review.closed",
        by=event.by,
        news=None if outcome is None else News.REVIEWED,
        to=(Audience.HOLDER, Audience.SECURITY),
        review=replace(review, findings=findings, outcome=outcome, ticket=ticket),
    )


def _outcome(here: Here, findings: tuple[Finding, ...]) -> Outcome | None:
    """None: not all who have to have said."""
    quorum = reviewers(here)
    known = [identity for one in findings if (identity := here.known(one.person)) is not None]
    filled = fill(quorum, known, here.life.holder)
    if len(filled) < len(quorum.slots):
        return None
    people = {one.person for one in filled}
    said = {one.outcome for one in findings if one.person in people}
    return said.pop() if len(said) == 1 else Outcome.INCONCLUSIVE


def _ticket(here: Here, review: Review, event: Judge) -> str | Refused:
    if not review.needs_ticket or review.ticket:
        return review.ticket
    ticket = event.ticket or here.life.request.ticket
    if not ticket:
        return Refused("there was no time for a ticket, and there is now: name it", Ground.INVALID)
    if not is_ticket(ticket):
        return Refused(f"{quoted(ticket)} is not a ticket's name, like CHG0031234 or OPS-17", Ground.INVALID)
    found = here.around.ticket
    if found is None or found.ticket != ticket or found.standing is Standing.UNREACHABLE:
        return Refused(f"nobody could be asked about ticket {ticket}", Ground.UNKNOWN)
    if found.standing is Standing.MISSING:
        return here.conflict(f"ticket {ticket} is not there")
    return ticket
