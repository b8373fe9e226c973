"""While there is access, and after: how it is had, how it ends, and that it is gone."""

import pytest
from msgspec.structs import replace

from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.life.effects import (
    MakeGrant,
    News,
    Notify,
    RemoveGrant,
)
from aliquot.access.core.life.events import (
    Activate,
    Approve,
    EndedInOutage,
    Look,
    Made,
    MakeFailed,
    Removed,
    RemoveFailed,
    Return,
    Revoke,
    Withdraw,
)
from aliquot.access.core.life.life import Life, entitled
from aliquot.access.core.life.minting import Mint
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.core.policy import Policy
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.times import TOKEN_FLOOR_S
from tests.access.life.leading import (
    DEV,
    SARA,
    active,
    approve,
    approved,
    asked,
    emergency,
    fix,
    kinds,
    known,
    outcome_of,
    put,
    refused,
    stands,
)
from tests.access.life.scenery import FIX, HOUR_S, PEEK, person, policy_of, who
from tests.access.life.world import World


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


def test_who_may_not_have_it_any_more_has_it_no_more() -> None:
    world = World()
    waiting, running = approved(world), active(world, justification="another")
    known(world, who("dev", "on-call"))
    refused(world.mint(running, DEV), Ground.FORBIDDEN, "not of those who may ask")
    world.look()
    assert stands(world, waiting) == (Stage.ENDED, EndReason.NOT_ELIGIBLE)
    assert stands(world, running) == (Stage.ENDING, EndReason.NOT_ELIGIBLE)


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


@pytest.mark.parametrize("reason", [EndReason.REVOKED, EndReason.RETURNED])
def test_what_was_ended_while_the_database_was_gone_is_over_whoever_may_what_by_then(
    reason: EndReason,
) -> None:
    world = World()
    grant, waiting = active(world), approved(world, justification="another")
    world.unknown.add("policy")
    world.identities.clear()
    event = EndedInOutage(by=person("somebody-who-left"), reason=reason, why="enough")
    done = put(world, grant, event)
    assert RemoveGrant in kinds(done.effects)
    put(world, waiting, event)
    assert stands(world, grant) == (Stage.ENDING, reason)
    assert stands(world, waiting) == (Stage.ENDED, reason)
    assert (done.life.ended_by, done.life.why) == (event.by, "enough")
    again = put(world, grant, event)
    assert again.life is world.lives[grant]
    assert not again.facts


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
    assert outcome_of(world, grants["other"]) is None, "it is judged all the same"


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


def test_a_life_without_an_end_lets_nobody_in() -> None:
    world = World()
    life: Life = replace(world.lives[active(world)], end_s=None)
    assert not entitled(life, world.now_s)
    world.lives[life.id] = life
    refused(world.mint(life.id, DEV), Ground.CONFLICT)
    put(world, life.id, Look())
    assert stands(world, life.id) == (Stage.ENDING, EndReason.EXPIRED)
