"""What people do with a request and a grant, in a line each, for tests."""

from typing import Any

from aliquot.access.core.life.asking import extension
from aliquot.access.core.life.effects import (
    Effect,
)
from aliquot.access.core.life.events import (
    Activate,
    Approve,
    Event,
)
from aliquot.access.core.life.here import Step
from aliquot.access.core.life.life import Outcome
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.core.people import Identity
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.terms import Ask
from tests.access.life.scenery import HOUR_S, person
from tests.access.life.world import World

DEV, SARA, CLEO, SEAN, MAX = (person(name) for name in ("dev", "sara", "cleo", "sean", "max"))


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


def longer(world: World, grant: str, duration_s: int = HOUR_S) -> str:
    return asked(world, extension(world.lives[grant], duration_s=duration_s, justification="not done yet"))


def outcome_of(world: World, grant: str) -> Outcome | None:
    review = world.lives[grant].review
    assert review is not None
    return review.outcome
