"""Before there is access: who asks, who agrees, and when it begins."""

from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.access.core.life.effects import (
    CommentTicket,
    MakeGrant,
)
from aliquot.access.core.life.events import (
    Activate,
    Approve,
    Deny,
    Look,
    Return,
    Revoke,
    Withdraw,
)
from aliquot.access.core.life.here import Step
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.core.people import Identity
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.templates.template import StepUp, StepUpLevel
from aliquot.access.core.terms import Standing, TicketFound
from aliquot.access.core.times import MARGIN_S, TOKEN_FLOOR_S
from tests.access.life.leading import (
    CLEO,
    DEV,
    SARA,
    SEAN,
    approve,
    approved,
    asked,
    fix,
    known,
    peek,
    put,
    refused,
    stands,
)
from tests.access.life.scenery import FIX, HOUR_S, PEEK, PEOPLE, groups, person, policy_of, slots, who
from tests.access.life.world import World


def test_what_needs_nobodys_consent_waits_for_its_holder_alone() -> None:
    world = World()
    grant = asked(world, peek())
    assert stands(world, grant) == (Stage.APPROVED, None)
    done = put(world, grant, Activate(by=person("dev")))
    make = next(one for one in done.effects if isinstance(one, MakeGrant))
    assert make.spec.role == "aliquot-bg:peek"


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


def test_caps_and_cool_down() -> None:
    world = World()
    grant = asked(world, peek())
    refused(world.ask(peek(), DEV), Ground.LIMITED, "nobody has more than 1")
    assert isinstance(world.ask(peek(), person("dave"), number=50), Step)
    put(world, grant, Activate(by=DEV))
    put(world, grant, Return(by=DEV))
    world.settle()
    refused(world.ask(peek(), DEV), Ground.LIMITED, "ask again in 10m")
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


def test_groups_are_compared_whole() -> None:
    world = World()
    known(world, Identity(person=DEV, groups=frozenset(groups("team/dev"))))
    refused(world.ask(fix(), DEV), Ground.FORBIDDEN)
