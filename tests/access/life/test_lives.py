"""Lives as they are led: what people and clusters do, and what comes of it, step by step."""

from typing import Any

from aliquot.access.core.life.effects import MakeGrant
from aliquot.access.core.life.events import Activate, Approve
from aliquot.access.core.life.here import Step
from aliquot.access.core.life.life import entitled
from aliquot.access.core.life.minting import Mint
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.core.refusals import Refused
from aliquot.access.core.terms import Ask
from tests.access.life.scenery import HOUR_S, person
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


def approve(world: World, grant: str, *by: str) -> None:
    for one in by:
        done = world.put(grant, Approve(by=person(one), digest=world.lives[grant].digest))
        assert isinstance(done, Step), done


def an_active_grant(world: World) -> str:
    grant = asked(world, fix())
    approve(world, grant, "sara", "cleo")
    assert isinstance(world.put(grant, Activate(by=person("dev"))), Step)
    world.settle()
    assert world.lives[grant].stage is Stage.ACTIVE
    return grant


def test_from_asking_to_gone() -> None:
    world = World()
    grant = asked(world, fix())
    assert world.lives[grant].stage is Stage.PENDING
    approve(world, grant, "sara")
    assert world.lives[grant].stage is Stage.PENDING
    approve(world, grant, "cleo")
    assert world.lives[grant].stage is Stage.APPROVED
    assert world.lives[grant].end_s is None
    world.now_s += 600
    done = world.put(grant, Activate(by=person("dev")))
    assert isinstance(done, Step)
    assert done.life.stage is Stage.ACTIVATING
    assert done.life.end_s == world.now_s + HOUR_S
    make = next(one for one in done.effects if isinstance(one, MakeGrant))
    assert (make.spec.end_s, make.spec.role) == (done.life.end_s, "")
    assert not entitled(done.life, world.now_s)
    world.settle()
    assert entitled(world.lives[grant], world.now_s)
    mint = world.mint(grant, person("dev"))
    assert isinstance(mint, Mint)
    assert mint.lifetime_s == 600
    world.now_s += HOUR_S
    assert not entitled(world.lives[grant], world.now_s)
    assert isinstance(world.mint(grant, person("dev")), Refused)
    world.look()
    assert (world.lives[grant].stage, world.lives[grant].end_reason) == (Stage.ENDING, EndReason.EXPIRED)
    world.settle()
    assert world.lives[grant].stage is Stage.ENDED
    assert not world.cluster.made
