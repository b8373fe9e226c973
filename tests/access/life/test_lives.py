"""Lives as they are led: what people and clusters do, and what comes of it, step by step."""

from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.life.asking import ask, extension
from aliquot.access.core.life.effects import (
    CommentTicket,
    Effect,
    MakeGrant,
    News,
    Notify,
    OpenReview,
    RemoveGrant,
)
from aliquot.access.core.life.events import (
    Activate,
    Approve,
    Deny,
    Event,
    Judge,
    Look,
    Made,
    MakeFailed,
    Removed,
    RemoveFailed,
    Return,
    Revoke,
    Withdraw,
)
from aliquot.access.core.life.here import Step
from aliquot.access.core.life.life import Life, Outcome, entitled
from aliquot.access.core.life.minting import Mint
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.core.life.steps import step
from aliquot.access.core.people import Identity
from aliquot.access.core.policy import Policy
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.templates.template import Need, StepUp, StepUpLevel, TicketRule
from aliquot.access.core.terms import Ask, Standing, TicketFound
from aliquot.access.core.times import MARGIN_S, TOKEN_FLOOR_S
from tests.access.life.scenery import FIX, HOUR_S, PEEK, PEOPLE, an_id, groups, person, policy_of, slots, who
from tests.access.life.world import World


def fix(**other: Any) -> Ask:
    asked: dict[str, Any] = {
        "template": "fix",
        "cluster": "prod-eu",
        "namespace": "team-a",
        "parameters": {"workload": "web"},
        "justification": "web hangs",
    }
    return Ask(**{**asked, **other})


def peek(**other: Any) -> Ask:
    return Ask(template="peek", cluster="prod-eu", namespace="team-a", justification="what hangs?", **other)


def asked(world: World, ask: Ask, by: str = "dev") -> str:
    done = world.ask(ask, person(by))
    assert isinstance(done, Step), done
    return done.life.id


def put(world: World, grant: str, event: Event) -> Step:
    done = world.put(grant, event)
    assert isinstance(done, Step), done
    return done


def approve(world: World, grant: str, *by: str) -> None:
    for one in by:
        put(world, grant, Approve(by=person(one), digest=world.lives[grant].digest))


def approved(world: World, **other: Any) -> str:
    grant = asked(world, fix(**other))
    approve(world, grant, "sara", "cleo")
    return grant


def active(world: World, **other: Any) -> str:
    grant = approved(world, **other)
    put(world, grant, Activate(by=person("dev")))
    world.settle()
    assert world.lives[grant].stage is Stage.ACTIVE
    return grant


def emergency(world: World, by: str = "dev") -> str:
    grant = asked(world, fix(emergency=True), by)
    world.settle()
    assert world.lives[grant].stage is Stage.ACTIVE
    return grant


def known(world: World, identity: Identity) -> None:
    world.identities[identity.person] = identity


def stands(world: World, grant: str) -> tuple[Stage, EndReason | None]:
    return world.lives[grant].stage, world.lives[grant].end_reason


def kinds(effects: tuple[Effect, ...]) -> list[type[Effect]]:
    return [type(one) for one in effects]


def refused(done: object, ground: Ground, words: str = "") -> None:
    assert isinstance(done, Refused), done
    assert done.ground is ground, done
    assert words in done.reason
    assert "\n" not in done.reason


def test_from_asking_to_gone() -> None:
    world = World()
    grant = asked(world, fix())
    approve(world, grant, "sara")
    assert stands(world, grant) == (Stage.PENDING, None)
    approve(world, grant, "cleo")
    assert stands(world, grant) == (Stage.APPROVED, None)
    assert world.lives[grant].end_s is None
    world.now_s += 600
    done = put(world, grant, Activate(by=person("dev")))
    assert done.life.stage is Stage.ACTIVATING
    assert done.life.end_s == world.now_s + HOUR_S
    make = next(one for one in done.effects if isinstance(one, MakeGrant))
    assert (make.spec.end_s, make.spec.max_end_s) == (done.life.end_s, world.now_s + 3 * HOUR_S)
    assert make.spec.role == "", "it has a parameter, so a role of its own"
    assert not entitled(done.life, world.now_s)
    world.settle()
    assert entitled(world.lives[grant], world.now_s)
    mint = world.mint(grant, person("dev"))
    assert isinstance(mint, Mint)
    assert mint.lifetime_s == TOKEN_FLOOR_S
    world.now_s += HOUR_S
    assert not entitled(world.lives[grant], world.now_s), "whatever its stage"
    refused(world.mint(grant, person("dev")), Ground.CONFLICT, "end has come")
    world.look()
    assert stands(world, grant) == (Stage.ENDING, EndReason.EXPIRED)
    world.settle()
    assert stands(world, grant) == (Stage.ENDED, EndReason.EXPIRED)
    assert not world.cluster.made


def test_what_needs_nobodys_consent_waits_for_its_holder_alone() -> None:
    world = World()
    grant = asked(world, peek())
    assert stands(world, grant) == (Stage.APPROVED, None)
    done = put(world, grant, Activate(by=person("dev")))
    make = next(one for one in done.effects if isinstance(one, MakeGrant))
    assert make.spec.role == "aliquot-bg:peek"


DEV, SARA, CLEO, SEAN, MAX = (person(name) for name in ("dev", "sara", "cleo", "sean", "max"))


@pytest.mark.parametrize(
    ("by", "ground", "words"),
    [
        ("dev", Ground.FORBIDDEN, "themselves"),
        ("deputy", Ground.FORBIDDEN, "delegate"),
        ("stranger", Ground.FORBIDDEN, "none of their groups"),
        ("nobody", Ground.UNKNOWN, "not known to their issuer"),
    ],
)
def test_who_may_not_agree(by: str, ground: Ground, words: str) -> None:
    world = World()
    grant = asked(world, fix())
    refused(world.put(grant, Approve(by=person(by), digest=world.lives[grant].digest)), ground, words)
    assert not world.lives[grant].approvals


def test_who_agrees_names_what_they_agree_to() -> None:
    world = World()
    one, two = asked(world, fix()), asked(world, fix(justification="web hangs again"))
    assert world.lives[one].digest != world.lives[two].digest
    forged = Approve(by=SARA, digest=world.lives[two].digest)
    refused(world.put(one, forged), Ground.CONFLICT, "another request")
    assert not world.lives[one].approvals


def test_one_who_is_in_both_groups_is_one_of_two() -> None:
    world = World()
    grant = asked(world, fix())
    approve(world, grant, "sean", "sean")
    assert stands(world, grant) == (Stage.PENDING, None)
    approve(world, grant, "sara")
    assert stands(world, grant) == (Stage.APPROVED, None)


def test_who_has_lost_their_group_counts_no_more() -> None:
    world = World()
    grant = asked(world, fix())
    approve(world, grant, "sara")
    known(world, who("sara", "dev"))
    approve(world, grant, "cleo")
    assert stands(world, grant) == (Stage.PENDING, None)
    known(world, PEOPLE[SARA])
    world.look()
    assert stands(world, grant) == (Stage.APPROVED, None), "they count again"
    del world.identities[CLEO]
    refused(world.put(grant, Activate(by=DEV)), Ground.CONFLICT, "not enough any more")


def test_a_fresh_proof_is_asked_of_who_agrees() -> None:
    world = World(policy=policy_of((replace(FIX, step_up=StepUp(approval=StepUpLevel.WEBAUTHN)),)))
    grant = asked(world, fix())
    approval = Approve(by=SARA, digest=world.lives[grant].digest, step_up=StepUpLevel.TOTP)
    refused(world.put(grant, approval), Ground.FORBIDDEN, "fresh proof")
    put(world, grant, replace(approval, step_up=StepUpLevel.WEBAUTHN))
    assert len(world.lives[grant].approvals) == 1


def test_a_no_is_the_end_of_it() -> None:
    world = World()
    grant = asked(world, fix())
    approve(world, grant, "sara")
    no = Deny(by=CLEO, digest=world.lives[grant].digest, why="use the pipeline")
    put(world, grant, no)
    assert stands(world, grant)[0] is Stage.DENIED
    before = world.lives[grant]
    assert put(world, grant, no).life is before
    assert put(world, grant, Approve(by=SARA, digest=before.digest)).life is before
    refused(world.put(grant, Approve(by=SEAN, digest=before.digest)), Ground.CONFLICT, "denied already")
    refused(world.put(grant, Activate(by=DEV)), Ground.CONFLICT, "denied already")


@pytest.mark.parametrize(
    ("make", "stage"),
    [
        (lambda world: asked(world, fix()), Stage.PENDING),
        (approved, Stage.APPROVED),
        (lambda world: approved(world, start_s=world.now_s + 7200), Stage.SCHEDULED),
    ],
)
def test_what_has_not_begun_is_withdrawn(make: Any, stage: Stage) -> None:
    world = World()
    grant = make(world)
    assert world.lives[grant].stage is stage
    refused(world.put(grant, Withdraw(by=person("dave"))), Ground.FORBIDDEN, "not yours")
    refused(world.put(grant, Return(by=DEV)), Ground.CONFLICT, "withdraw it")
    put(world, grant, Withdraw(by=DEV))
    assert stands(world, grant)[0] is Stage.WITHDRAWN
    before = world.lives[grant]
    assert put(world, grant, Withdraw(by=DEV)).life is before


def test_it_lapses() -> None:
    world = World()
    grant = asked(world, fix())
    approve(world, grant, "sara")
    world.now_s += HOUR_S
    refused(world.put(grant, Approve(by=CLEO, digest=world.lives[grant].digest)), Ground.CONFLICT, "lapsed")
    assert stands(world, grant) == (Stage.LAPSED, EndReason.WINDOW_PASSED)


def test_it_is_begun_within_its_window_or_never() -> None:
    world = World()
    early, late = approved(world), approved(world, justification="later")
    world.now_s += FIX.start_window_s - 0.001
    put(world, early, Activate(by=DEV))
    world.now_s += 0.001
    refused(world.put(late, Activate(by=DEV)), Ground.CONFLICT, "over")
    assert stands(world, late) == (Stage.ENDED, EndReason.WINDOW_PASSED)


def test_a_start_fixes_the_end() -> None:
    world = World()
    start_s = world.now_s + 7200
    grant = asked(world, fix(start_s=start_s))
    assert world.lives[grant].lapses_s == world.now_s + HOUR_S
    approve(world, grant, "sara", "cleo")
    assert world.lives[grant].end_s == start_s + HOUR_S
    refused(world.put(grant, Activate(by=DEV)), Ground.CONFLICT, "not come yet")
    world.now_s = start_s + 60
    world.look()
    assert stands(world, grant)[0] is Stage.ACTIVATING
    assert world.lives[grant].end_s == start_s + HOUR_S, "late is not longer"


def test_one_that_would_begin_too_late_for_a_credential_does_not_begin() -> None:
    world = World(policy=policy_of((replace(FIX, start_window_s=2 * HOUR_S),)))
    start_s = world.now_s + 7200
    grant = approved(world, start_s=start_s)
    world.now_s = start_s + HOUR_S - TOKEN_FLOOR_S - MARGIN_S + 1
    world.look()
    assert stands(world, grant) == (Stage.ENDED, EndReason.WINDOW_PASSED)


def test_at_its_start_the_holder_has_to_be_known() -> None:
    world = World()
    start_s = world.now_s + 600
    grant = approved(world, start_s=start_s)
    del world.identities[DEV]
    world.now_s = start_s
    world.look()
    assert stands(world, grant)[0] is Stage.SCHEDULED, "not known: it waits"
    known(world, PEOPLE[DEV])
    put(world, grant, Activate(by=DEV))
    assert stands(world, grant)[0] is Stage.ACTIVATING


def test_who_may_not_have_it_any_more_has_it_no_more() -> None:
    world = World()
    waiting, running = approved(world), active(world, justification="another")
    known(world, who("dev", "on-call"))
    refused(world.mint(running, DEV), Ground.FORBIDDEN, "not of those who may ask")
    world.look()
    assert stands(world, waiting) == (Stage.ENDED, EndReason.NOT_ELIGIBLE)
    assert stands(world, running) == (Stage.ENDING, EndReason.NOT_ELIGIBLE)


def test_nobody_agrees_to_what_its_holder_may_not_have_any_more() -> None:
    world = World()
    grant = asked(world, fix())
    approve(world, grant, "sara")
    known(world, who("dev", "on-call"))
    last = Approve(by=CLEO, digest=world.lives[grant].digest)
    refused(world.put(grant, last), Ground.FORBIDDEN, "not of those who may ask")
    del world.identities[DEV]
    refused(world.put(grant, last), Ground.UNKNOWN, "not known to their issuer")
    assert [(one.person, one.groups) for one in world.lives[grant].approvals] == [(SARA, groups("sre"))]


def test_who_is_not_known_gets_no_credential_and_keeps_the_grant() -> None:
    world = World()
    grant = active(world)
    world.unknown.add("identities")
    refused(world.mint(grant, DEV), Ground.UNKNOWN, "not known to their issuer")
    world.look()
    assert stands(world, grant)[0] is Stage.ACTIVE


NARROWER = policy_of((replace(FIX, rules=FIX.rules[:1]), PEEK))
POLICIES = [
    ("fewer rules", NARROWER),
    ("a lower ceiling", policy_of(ceiling=FIX.rules[1:])),
    ("other clusters", policy_of((replace(FIX, clusters=("test",)),))),
    ("other namespaces", policy_of((replace(FIX, except_namespaces=("team-a",)),))),
    ("no such template", policy_of((PEEK,))),
]


@pytest.mark.parametrize("policy", [policy for _, policy in POLICIES], ids=[name for name, _ in POLICIES])
def test_what_is_not_given_any_more(policy: Policy) -> None:
    world = World()
    pending, waiting = asked(world, fix()), approved(world, justification="another")
    world.policy = policy
    done = world.put(pending, Approve(by=SARA, digest=world.lives[pending].digest))
    assert isinstance(done, Refused)
    refused(world.put(waiting, Activate(by=DEV)), Ground.CONFLICT)
    assert stands(world, waiting) == (Stage.ENDED, EndReason.POLICY_CHANGED)
    world = World()
    running = active(world)
    world.policy = policy
    assert isinstance(world.mint(running, DEV), Refused), "before anybody has looked"
    world.look()
    assert stands(world, running) == (Stage.ENDING, EndReason.POLICY_CHANGED)


def test_a_shorter_template_shortens_nothing_that_runs_and_lets_nothing_longer_begin() -> None:
    world = World()
    running, waiting = active(world), approved(world, justification="another")
    world.policy = policy_of((replace(FIX, max_duration_s=1800),))
    world.look()
    assert stands(world, running)[0] is Stage.ACTIVE
    assert stands(world, waiting) == (Stage.ENDED, EndReason.POLICY_CHANGED)


def test_more_have_to_agree_than_when_it_was_approved() -> None:
    world = World()
    grant = approved(world)
    world.policy = policy_of((replace(FIX, quorum=slots("sre", "sec", "audit")),))
    refused(world.put(grant, Activate(by=DEV)), Ground.CONFLICT, "not enough any more")


@pytest.mark.parametrize("what", ["policy", "switch", "usage", "identities", "dev", "sara", "ticket"])
def test_what_is_not_known_lets_nobody_in(what: str) -> None:
    world = World(tickets={"CHG1": TicketFound(ticket="CHG1", standing=Standing.OPEN)})
    grant = approved(world, ticket="CHG1")
    world.unknown.add(what)
    done = world.put(grant, Activate(by=DEV))
    assert isinstance(done, Refused)
    assert done.ground in (Ground.UNKNOWN, Ground.CONFLICT)
    assert stands(world, grant)[0] is Stage.APPROVED
    world.unknown.clear()
    put(world, grant, Activate(by=DEV))


@pytest.mark.parametrize("what", ["policy", "switch", "usage", "identities", "dev", "ticket"])
def test_what_is_not_known_lets_nobody_ask(what: str) -> None:
    world = World(tickets={"CHG1": TicketFound(ticket="CHG1", standing=Standing.OPEN)}, unknown={what})
    refused(world.ask(fix(ticket="CHG1"), DEV), Ground.UNKNOWN)
    assert not world.lives
    assert not world.log


@pytest.mark.parametrize(
    ("standing", "ground"),
    [
        (Standing.CLOSED, Ground.CONFLICT),
        (Standing.MISSING, Ground.CONFLICT),
        (Standing.UNREACHABLE, Ground.UNKNOWN),
    ],
)
def test_a_ticket_that_changes_in_between(standing: Standing, ground: Ground) -> None:
    world = World(tickets={"CHG1": TicketFound(ticket="CHG1", standing=Standing.OPEN)})
    grant = approved(world, ticket="CHG1")
    world.tickets["CHG1"] = TicketFound(ticket="CHG1", standing=standing)
    refused(world.put(grant, Activate(by=DEV)), ground, "CHG1")
    assert stands(world, grant)[0] is Stage.APPROVED, "it may stand again"
    world.tickets["CHG1"] = TicketFound(ticket="CHG1", standing=Standing.OPEN)
    done = put(world, grant, Activate(by=DEV))
    assert [one.ticket for one in done.effects if isinstance(one, CommentTicket)] == ["CHG1"]


def test_it_is_returned_early() -> None:
    world = World()
    grant = active(world)
    refused(world.put(grant, Withdraw(by=DEV)), Ground.CONFLICT, "return it")
    done = put(world, grant, Return(by=DEV))
    assert stands(world, grant) == (Stage.ENDING, EndReason.RETURNED)
    assert RemoveGrant in kinds(done.effects)
    assert not entitled(done.life, world.now_s)
    again = put(world, grant, Return(by=DEV))
    assert again.life is world.lives[grant]
    assert not again.effects


@pytest.mark.parametrize("by", ["sara", "cleo", "sean", "max", "rita"])
def test_others_revoke_it(by: str) -> None:
    world = World()
    grant, waiting = active(world), approved(world, justification="another")
    put(world, grant, Revoke(by=person(by), why="enough"))
    put(world, waiting, Revoke(by=person(by), why="enough"))
    assert stands(world, grant) == (Stage.ENDING, EndReason.REVOKED)
    assert stands(world, waiting) == (Stage.ENDED, EndReason.REVOKED)
    assert world.lives[grant].ended_by == person(by)


def test_who_agreed_may_revoke_whatever_they_are_now() -> None:
    world = World()
    grant = active(world)
    del world.identities[SARA]
    world.unknown.add("policy")
    put(world, grant, Revoke(by=SARA, why="I was wrong"))
    assert stands(world, grant) == (Stage.ENDING, EndReason.REVOKED)


@pytest.mark.parametrize("by", ["dave", "stranger", "deputy", "nobody"])
def test_not_everybody_revokes_it(by: str) -> None:
    world = World()
    grant = active(world)
    assert isinstance(world.put(grant, Revoke(by=person(by), why="enough")), Refused)
    assert stands(world, grant)[0] is Stage.ACTIVE


def test_what_cannot_be_made_is_removed_and_told() -> None:
    world = World()
    grant = approved(world)
    fence = put(world, grant, Activate(by=DEV)).life.fence
    done = put(world, grant, MakeFailed(fence=fence, why="no such namespace"))
    assert stands(world, grant) == (Stage.ENDING, EndReason.ACTIVATION_FAILED)
    assert world.lives[grant].why == "no such namespace"
    assert RemoveGrant in kinds(done.effects)
    assert put(world, grant, MakeFailed(fence=fence, why="no such namespace")).facts == ()
    world.settle()
    assert stands(world, grant) == (Stage.ENDED, EndReason.ACTIVATION_FAILED)


def test_removal_is_tried_until_nothing_is_left_and_told_once() -> None:
    world = World()
    grant = active(world)
    put(world, grant, Return(by=DEV))
    told = 0
    for number in range(1, 4):
        fence = world.lives[grant].fence
        done = put(world, grant, RemoveFailed(fence=fence, why="a finalizer holds it"))
        (again,) = (one for one in done.effects if isinstance(one, RemoveGrant))
        assert (again.failures, again.fence > fence) == (number, True)
        told += sum(isinstance(one, Notify) and one.news is News.NOT_REMOVED for one in done.effects)
        assert put(world, grant, Removed(fence=fence)).life is done.life, "of a time before it failed"
    assert told == 1
    world.settle()
    assert stands(world, grant)[0] is Stage.ENDED


def test_what_is_made_after_the_end_is_removed_again() -> None:
    world = World()
    grant = approved(world)
    late = put(world, grant, Activate(by=DEV)).life.fence
    gone = put(world, grant, Return(by=DEV)).life.fence
    done = put(world, grant, Made(fence=late))
    assert RemoveGrant in kinds(done.effects)
    assert put(world, grant, Removed(fence=gone)).life is done.life, "it may have been made after that"
    put(world, grant, Removed(fence=done.life.fence))
    assert stands(world, grant)[0] is Stage.ENDED
    world = World()
    grant = approved(world)
    late = put(world, grant, Activate(by=DEV)).life.fence
    put(world, grant, Removed(fence=put(world, grant, Return(by=DEV)).life.fence))
    ended = world.lives[grant]
    done = put(world, grant, Made(fence=late))
    assert done.life is ended
    assert kinds(done.effects) == [RemoveGrant]
    assert [fact.action for fact in done.facts] == ["intends.removeGrant"]


def longer(world: World, grant: str, duration_s: int = HOUR_S) -> str:
    return asked(world, extension(world.lives[grant], duration_s=duration_s, justification="not done yet"))


def test_an_extension_is_agreed_to_like_the_grant() -> None:
    world = World()
    grant = active(world)
    end_s = world.lives[grant].end_s
    assert end_s is not None
    more = longer(world, grant)
    refused(world.put(more, Approve(by=DEV, digest=world.lives[more].digest)), Ground.FORBIDDEN, "themselves")
    approve(world, more, "sara")
    assert world.lives[grant].end_s == end_s
    done = put(world, more, Approve(by=CLEO, digest=world.lives[more].digest))
    assert stands(world, more) == (Stage.ENDED, EndReason.EXTENDED)
    assert world.lives[grant].end_s == end_s + HOUR_S
    (make,) = (one for one in done.effects if isinstance(one, MakeGrant))
    assert (make.spec.id, make.spec.end_s) == (grant, end_s + HOUR_S)
    before = world.lives[grant]
    put(world, more, Approve(by=CLEO, digest=world.lives[more].digest))
    assert world.lives[grant] is before, "once"
    world.settle()
    world.now_s = end_s + 1
    world.look()
    assert entitled(world.lives[grant], world.now_s)


def test_no_extension_goes_beyond_the_cap() -> None:
    world = World()
    grant = active(world)
    life = world.lives[grant]
    assert life.began_at_s is not None
    approve(world, longer(world, grant, 2 * HOUR_S), "sara", "cleo")
    assert world.lives[grant].end_s == life.began_at_s + FIX.absolute_cap_s
    more = extension(world.lives[grant], duration_s=600, justification="and more")
    refused(world.ask(more, DEV), Ground.CONFLICT, "as long as it may be")


def test_an_end_that_comes_first_is_the_end() -> None:
    world = World()
    grant = active(world)
    more = longer(world, grant)
    approve(world, more, "sara")
    world.now_s += HOUR_S
    done = world.put(more, Approve(by=CLEO, digest=world.lives[more].digest))
    refused(done, Ground.CONFLICT, "lapsed")
    assert stands(world, more) == (Stage.LAPSED, EndReason.WINDOW_PASSED)
    world.look()
    assert stands(world, grant) == (Stage.ENDING, EndReason.EXPIRED)
    assert isinstance(
        world.ask(extension(world.lives[grant], duration_s=600, justification="x"), DEV), Refused
    )


@pytest.mark.parametrize(
    ("change", "ground", "words"),
    [
        ({"namespace": "team-b"}, Ground.INVALID, "for the same"),
        ({"parameters": {"workload": "db"}}, Ground.INVALID, "for the same"),
        ({"emergency": True}, Ground.INVALID, "leave 'emergency' out"),
    ],
)
def test_an_extension_of_something_else(change: dict[str, Any], ground: Ground, words: str) -> None:
    world = World()
    grant = active(world)
    more = extension(world.lives[grant], duration_s=600, justification="more")
    refused(world.ask(replace(more, **change), DEV), ground, words)


def test_an_extension_of_somebody_elses() -> None:
    world = World()
    grant = active(world)
    more = extension(world.lives[grant], duration_s=600, justification="more")
    refused(world.ask(more, person("dave")), Ground.FORBIDDEN, "not yours")
    longer(world, grant)
    refused(world.ask(more, DEV), Ground.LIMITED, "another extension")


def test_what_cannot_be_made_longer_is_tried_again() -> None:
    world = World()
    grant = active(world)
    approve(world, longer(world, grant), "sara", "cleo")
    fence = world.lives[grant].fence
    done = put(world, grant, MakeFailed(fence=fence, why="the API server does not answer"))
    assert stands(world, grant)[0] is Stage.ACTIVE
    assert done.life.fence > fence
    assert MakeGrant in kinds(done.effects)
    world.settle()
    assert world.lives[grant].failures == 0


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
    refused(world.put(grant, _judge(world, grant, "sara")), Ground.FORBIDDEN, "none of their groups")
    put(world, grant, _judge(world, grant, "rita"))
    assert _outcome(world, grant) is Outcome.JUSTIFIED
    refused(
        world.put(grant, _judge(world, grant, "rob", Outcome.UNJUSTIFIED)), Ground.CONFLICT, "been judged"
    )


def _judge(
    world: World, grant: str, by: str, outcome: Outcome = Outcome.JUSTIFIED, ticket: str = ""
) -> Judge:
    return Judge(
        by=person(by), digest=world.lives[grant].digest, outcome=outcome, note="I saw the log", ticket=ticket
    )


def _outcome(world: World, grant: str) -> Outcome | None:
    review = world.lives[grant].review
    assert review is not None
    return review.outcome


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
    assert _outcome(world, grant) is Outcome.UNJUSTIFIED
    assert isinstance(world.ask(fix(emergency=True), DEV, number=11), Step)


def test_reviewers_who_differ() -> None:
    review = FIX.review
    assert review is not None
    two = replace(FIX, review=replace(review, reviewers=slots("audit", "audit", distinct=False)))
    world = World(policy=policy_of((two,)))
    grant = emergency(world)
    put(world, grant, Return(by=DEV))
    put(world, grant, _judge(world, grant, "rita"))
    assert _outcome(world, grant) is None
    put(world, grant, _judge(world, grant, "rita"))
    refused(
        world.put(grant, _judge(world, grant, "rita", Outcome.UNJUSTIFIED)), Ground.CONFLICT, "you have said"
    )
    put(world, grant, _judge(world, grant, "rob", Outcome.UNJUSTIFIED))
    assert _outcome(world, grant) is Outcome.INCONCLUSIVE


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
    assert _outcome(world, grant) is Outcome.INCONCLUSIVE


def test_the_kill_switch_ends_all_there_is() -> None:
    world = World()
    grants = {
        "pending": asked(world, fix()),
        "active": active(world, justification="another"),
        "other": emergency(world, "dave"),
    }
    world.switch = KillSwitch(pulls=1, is_pulled=True)
    refused(world.mint(grants["active"], DEV), Ground.STOPPED, "kill switch")
    world.look()
    assert stands(world, grants["pending"]) == (Stage.LAPSED, EndReason.KILLED)
    assert stands(world, grants["active"]) == (Stage.ENDING, EndReason.KILLED)
    assert stands(world, grants["other"]) == (Stage.ENDING, EndReason.KILLED)
    refused(world.ask(fix(), DEV), Ground.STOPPED, "kill switch")
    world.settle()
    assert not world.cluster.made
    assert _outcome(world, grants["other"]) is None, "it is judged all the same"


def test_a_clock_that_goes_back_brings_nothing_back() -> None:
    world = World()
    grant = active(world)
    end_s = world.lives[grant].end_s
    world.now_s += HOUR_S
    world.look()
    world.now_s -= 5 * HOUR_S
    assert not entitled(world.lives[grant], world.now_s)
    world.settle()
    assert stands(world, grant) == (Stage.ENDED, EndReason.EXPIRED)
    assert world.lives[grant].gone_at_s == end_s
    grant = approved(world, justification="another")
    world.now_s -= 5 * HOUR_S
    done = put(world, grant, Activate(by=DEV))
    assert done.life.began_at_s == done.life.approved_at_s


def test_caps_and_cool_down() -> None:
    world = World()
    grant = asked(world, peek())
    refused(world.ask(peek(), DEV), Ground.LIMITED, "nobody has more than 1")
    assert isinstance(world.ask(peek(), person("dave"), number=50), Step)
    put(world, grant, Activate(by=DEV))
    put(world, grant, Return(by=DEV))
    world.settle()
    refused(world.ask(peek(), DEV), Ground.LIMITED, "ask again in 600 s")
    world.now_s += 600
    assert isinstance(world.ask(peek(), DEV, number=60), Step)


def test_of_more_than_may_be_only_as_many_begin() -> None:
    """As a store that does not hold others off while it counts would have it."""
    world = World()
    usage = world.around(asked(world, peek()), Look()).usage
    for number in (70, 71):
        assert isinstance(world.ask(peek(), DEV, number=number, usage=usage), Step)
    begun = [world.put(grant, Activate(by=DEV)) for grant in list(world.lives)]
    assert sum(isinstance(one, Step) for one in begun) == PEEK.most_per_person
    refused(begun[-1], Ground.LIMITED)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("x" * 2001, "2001 characters"),
        ("nul\0", "U+0000"),
        ("turned \u202etxet", "U+202E"),
    ],
)
def test_what_is_written_has_to_be_readable(text: str, words: str) -> None:
    world = World()
    grant = asked(world, fix())
    refused(world.ask(fix(justification=text), DEV), Ground.INVALID, words)
    no = Deny(by=SARA, digest=world.lives[grant].digest, why=text)
    refused(world.put(grant, no), Ground.INVALID, words)
    refused(world.put(grant, Revoke(by=SARA, why=text)), Ground.INVALID, words)


def test_the_same_ask_twice_is_one_request() -> None:
    world = World()
    one = world.ask(fix(), DEV, number=5)
    two = world.ask(fix(), DEV, number=5)
    assert isinstance(one, Step)
    assert isinstance(two, Step)
    assert (len(world.lives), two.facts) == (1, ())


def test_what_opens_a_review_is_told() -> None:
    world = World()
    grant = asked(world, fix(emergency=True))
    review = world.lives[grant].review
    assert review is not None
    opened = [fact.details["effect"]["id"] for fact in world.log if fact.action == "intends.openReview"]
    assert opened == [grant]
    assert OpenReview(id=grant, due_s=review.due_s).due_s == world.now_s + HOUR_S // 2 + 24 * HOUR_S


def test_a_life_without_an_end_lets_nobody_in() -> None:
    world = World()
    life: Life = replace(world.lives[active(world)], end_s=None)
    assert not entitled(life, world.now_s)
    world.lives[life.id] = life
    refused(world.mint(life.id, DEV), Ground.CONFLICT)
    put(world, life.id, Look())
    assert stands(world, life.id) == (Stage.ENDING, EndReason.EXPIRED)


def test_groups_are_compared_whole() -> None:
    world = World()
    known(world, Identity(person=DEV, groups=frozenset(groups("team/dev"))))
    refused(world.ask(fix(), DEV), Ground.FORBIDDEN)
