"""What is written to the log: it tells all, and what people wrote in their own words can be taken out of it."""

from typing import Any

from msgspec.structs import replace

from aliquot.access.core.life.events import Activate, Deny, Judge, MakeFailed, Return, Revoke
from aliquot.access.core.life.facts import Fact, replay
from aliquot.access.core.life.life import Life, Outcome
from aliquot.access.core.spelling import read, spell
from aliquot.access.log.entries import Actor, Draft, sealed
from tests.access.life.leading import active, approve, approved, asked, emergency, fix, longer, put
from tests.access.life.scenery import person
from tests.access.life.world import World

DEV = person("dev")
OWN_WORDS = ("because of Alice", "Bob did it", "Carol was there")


def a_world_in_which_much_has_happened() -> World:
    world = World()
    grant = active(world, justification=OWN_WORDS[0])
    approve(world, longer(world, grant), "sara", "cleo")
    world.settle()
    put(world, grant, Revoke(by=person("max"), why=OWN_WORDS[1]))
    other = emergency(world, "dave")
    put(world, other, Return(by=person("dave")))
    world.settle()
    digest = world.lives[other].digest
    put(world, other, Judge(by=person("rita"), digest=digest, outcome=Outcome.JUSTIFIED, note=OWN_WORDS[2]))
    third = asked(world, fix(justification=OWN_WORDS[0]))
    put(world, third, Deny(by=person("sara"), digest=world.lives[third].digest, why=OWN_WORDS[1]))
    fourth = approved(world)
    fence = put(world, fourth, Activate(by=DEV)).life.fence
    put(world, fourth, MakeFailed(fence=fence, why="no such namespace"))
    return world


def facts_of(world: World) -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for fact in world.log:
        found.setdefault(fact.grant, []).append(fact)
    return found


def test_the_log_tells_every_life_again() -> None:
    world = a_world_in_which_much_has_happened()
    for grant, facts in facts_of(world).items():
        assert replay(facts) == world.lives[grant]
        assert read(spell(world.lives[grant]), Life) == world.lives[grant]
    assert replay([]) is None


def test_what_people_wrote_is_kept_apart() -> None:
    world = a_world_in_which_much_has_happened()
    apart = {text for fact in world.log for text in fact.personal.values()}
    assert apart >= set(OWN_WORDS)
    for fact in world.log:
        for words in OWN_WORDS:
            assert words not in repr(replace(fact, personal={}))


def test_it_can_be_forgotten_and_the_rest_stays() -> None:
    world = a_world_in_which_much_has_happened()
    for grant, facts in facts_of(world).items():
        blank = [replace(fact, personal=dict.fromkeys(fact.personal, "")) for fact in facts]
        life = replay(blank)
        assert life is not None
        assert (life.stage, life.end_s) == (world.lives[grant].stage, world.lives[grant].end_s)


def test_the_log_can_write_it() -> None:
    for number, fact in enumerate(a_world_in_which_much_has_happened().log):
        draft = Draft(
            time_s=fact.at_s,
            actor=Actor(iss="", sub="")
            if fact.by is None
            else Actor(iss=fact.by.issuer, sub=fact.by.subject),
            action=fact.action,
            grant=fact.grant,
            request_digest=fact.request_digest,
            policy_digest=fact.policy_digest,
            before=fact.before or "",
            after=fact.after,
            details=fact.details,
            personal=fact.personal,
        )
        body: Any = sealed(draft, number, "2026-11-29T00:00:00.000Z", "", bytes).body
        assert body
