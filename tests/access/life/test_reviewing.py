"""Emergencies, and what others say of them afterwards."""

from msgspec.structs import replace

from aliquot.access.core.life.asking import ask
from aliquot.access.core.life.effects import (
    OpenReview,
)
from aliquot.access.core.life.events import (
    Approve,
    Judge,
    Look,
    Return,
    Withdraw,
)
from aliquot.access.core.life.here import Step
from aliquot.access.core.life.life import Outcome
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.life.steps import step
from aliquot.access.core.refusals import Ground
from aliquot.access.core.templates.template import Need, TicketRule
from aliquot.access.core.terms import Standing, TicketFound
from tests.access.life.leading import DEV, SARA, asked, emergency, fix, known, outcome_of, peek, put, refused
from tests.access.life.scenery import FIX, HOUR_S, PEEK, an_id, person, policy_of, slots, who
from tests.access.life.world import World


def test_an_emergency_begins_at_once_and_is_judged() -> None:
    world = World()
    done = world.ask(fix(emergency=True), DEV)
    assert isinstance(done, Step)
    grant = done.life.id
    life = world.lives[grant]
    assert life.stage is Stage.ACTIVATING
    assert life.end_s == world.now_s + HOUR_S // 2
    assert life.review is not None
    assert life.review.state == "due"
    world.settle()
    refused(world.put(grant, _judge(world, grant, "rita")), Ground.CONFLICT, "once it is over")
    put(world, grant, Return(by=DEV))
    world.settle()
    refused(world.put(grant, _judge(world, grant, "dev")), Ground.FORBIDDEN, "themselves")
    refused(world.put(grant, _judge(world, grant, "sara")), Ground.FORBIDDEN, "not of those who judge")
    put(world, grant, _judge(world, grant, "rita"))
    assert outcome_of(world, grant) is Outcome.JUSTIFIED
    refused(
        world.put(grant, _judge(world, grant, "rob", Outcome.UNJUSTIFIED)), Ground.CONFLICT, "been judged"
    )


def _judge(
    world: World, grant: str, by: str, outcome: Outcome = Outcome.JUSTIFIED, ticket: str = ""
) -> Judge:
    return Judge(
        by=person(by), digest=world.lives[grant].digest, outcome=outcome, note="I saw the log", ticket=ticket
    )


def test_an_emergency_is_for_who_is_on_call_and_is_not_agreed_to() -> None:
    world = World()
    refused(world.ask(fix(emergency=True), SARA), Ground.FORBIDDEN, "in an emergency")
    refused(world.ask(peek(emergency=True), DEV), Ground.FORBIDDEN, "gives nothing in an emergency")
    grant = emergency(world)
    refused(
        world.put(grant, Approve(by=SARA, digest=world.lives[grant].digest)), Ground.CONFLICT, "begun already"
    )


def test_an_emergency_that_cannot_begin_does_not_begin_later() -> None:
    world = World()
    known(world, who("dev", "on-call"))
    around = world.around(emergency(world, "dave"), Look(), DEV)
    done = ask(fix(emergency=True), request_id=an_id(9), by=DEV, now_s=world.now_s, around=around)
    assert isinstance(done, Step)
    life = done.life
    unknown = replace(around, switch=None)
    assert isinstance(step(life, Look(), world.now_s, unknown), Step)
    for seconds, stage in ((59, Stage.ACTIVATING), (60, Stage.LAPSED)):
        later = step(life, Look(), world.now_s + seconds, around)
        assert isinstance(later, Step)
        assert later.life.stage is stage


def test_while_a_review_is_overdue_nobody_does_it_again() -> None:
    world = World()
    grant = emergency(world)
    put(world, grant, Return(by=DEV))
    world.settle()
    review = world.lives[grant].review
    assert review is not None
    world.now_s = review.due_s - 1
    world.ask(fix(emergency=True), DEV, number=7)
    world.now_s = review.due_s
    refused(world.ask(fix(emergency=True), DEV, number=8), Ground.LIMITED, "overdue")
    assert isinstance(world.ask(fix(emergency=True), person("dave"), number=9), Step), "only they"
    other = world.ask(fix(), DEV, number=10)
    assert isinstance(other, Step), "others may still agree"
    put(world, other.life.id, Withdraw(by=DEV))
    world.look()
    review = world.lives[grant].review
    assert review is not None
    assert review.state == "overdue"
    put(world, grant, _judge(world, grant, "rita", Outcome.UNJUSTIFIED))
    assert outcome_of(world, grant) is Outcome.UNJUSTIFIED
    assert isinstance(world.ask(fix(emergency=True), DEV, number=11), Step)


def test_reviewers_who_differ() -> None:
    review = FIX.review
    assert review is not None
    two = replace(FIX, review=replace(review, reviewers=slots("audit", "audit", distinct=False)))
    world = World(policy=policy_of((two,)))
    grant = emergency(world)
    put(world, grant, Return(by=DEV))
    put(world, grant, _judge(world, grant, "rita"))
    assert outcome_of(world, grant) is None
    put(world, grant, _judge(world, grant, "rita"))
    refused(
        world.put(grant, _judge(world, grant, "rita", Outcome.UNJUSTIFIED)), Ground.CONFLICT, "you have said"
    )
    put(world, grant, _judge(world, grant, "rob", Outcome.UNJUSTIFIED))
    assert outcome_of(world, grant) is Outcome.INCONCLUSIVE


def test_a_review_asks_for_the_ticket_that_there_was_no_time_for() -> None:
    ticketed = replace(FIX, ticket=TicketRule(need=Need.REQUIRED))
    world = World(policy=policy_of((ticketed,)))
    refused(world.ask(fix(), DEV), Ground.INVALID, "asks for a ticket")
    grant = emergency(world)
    put(world, grant, Return(by=DEV))
    refused(world.put(grant, _judge(world, grant, "rita")), Ground.INVALID, "name it")
    refused(world.put(grant, _judge(world, grant, "rita", ticket="CHG1")), Ground.CONFLICT, "not there")
    world.tickets["CHG1"] = TicketFound(ticket="CHG1", standing=Standing.CLOSED)
    put(world, grant, _judge(world, grant, "rita", ticket="CHG1"))
    review = world.lives[grant].review
    assert review is not None
    assert (review.outcome, review.ticket) == (Outcome.JUSTIFIED, "CHG1")


def test_where_no_template_names_reviewers_those_who_look_after_all_judge() -> None:
    world = World()
    grant = emergency(world)
    world.policy = policy_of((PEEK,))
    world.look()
    world.settle()
    refused(world.put(grant, _judge(world, grant, "rita")), Ground.FORBIDDEN)
    put(world, grant, _judge(world, grant, "max", Outcome.INCONCLUSIVE))
    assert outcome_of(world, grant) is Outcome.INCONCLUSIVE


def test_what_opens_a_review_is_told() -> None:
    world = World()
    grant = asked(world, fix(emergency=True))
    review = world.lives[grant].review
    assert review is not None
    opened = [fact.details["effect"]["id"] for fact in world.log if fact.action == "intends.openReview"]
    assert opened == [grant]
    assert OpenReview(id=grant, due_s=review.due_s).due_s == world.now_s + HOUR_S // 2 + 24 * HOUR_S
