"""Whatever happens to messages and to those who carry them: once everything has been delivered, all is as if nothing had (I11)."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aliquot.access.core.life.asking import extension
from aliquot.access.core.life.events import Activate, Approve, Look, Return, Revoke
from aliquot.access.core.life.life import Life, Review
from aliquot.access.core.life.stages import FINAL, Stage
from aliquot.access.core.people import Person
from aliquot.access.core.terms import Ask
from tests.access.life.scenery import person
from tests.access.life.world import World

COMMANDS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                "ask",
                "peek",
                "emergency",
                "approve",
                "activate",
                "activate",
                "return",
                "revoke",
                "extend",
                "look",
            )
        ),
        st.integers(0, 5),
        st.sampled_from((0, 1, 100, 900, 2000)),
    ),
    min_size=4,
    max_size=25,
)
DEV = person("dev")


def command(world: World, what: str, which: int) -> None:
    if what in ("ask", "peek", "emergency"):
        is_peek = what == "peek"
        asked = Ask(
            template="peek" if is_peek else "fix",
            cluster="prod-eu",
            namespace="team-a",
            parameters={} if is_peek else {"workload": "web"},
            justification="it hangs",
            emergency=what == "emergency",
        )
        world.ask(asked, DEV)
        return
    if not world.lives:
        return
    life = list(world.lives.values())[which % len(world.lives)]
    match what:
        case "approve":
            for one in ("sara", "cleo"):
                world.put(life.id, Approve(by=person(one), digest=life.digest))
        case "activate":
            world.put(life.id, Activate(by=DEV))
        case "return":
            world.put(life.id, Return(by=DEV))
        case "revoke":
            world.put(life.id, Revoke(by=person("max"), why="enough"))
        case "extend" if life.stage is Stage.ACTIVE:
            world.ask(extension(life, duration_s=600, justification="not done yet"), DEV)
        case _:
            world.put(life.id, Look())


def trouble(world: World, rng: random.Random) -> None:
    """Messages come twice, late and in another order; whoever carries them dies and has them sent again."""
    for _ in range(rng.randrange(8)):
        match rng.randrange(4):
            case 0:
                world.send()
            case 1 if world.sent:
                world.deliver(rng.choice(world.sent))
            case 2 if world.reported:
                grant, event = rng.choice(world.reported)
                world.put(grant, event)
            case 3 if rng.random() < 0.3:
                world.agent_dies()
            case _:
                pass


def lead(commands: list[tuple[str, int, int]], rng: random.Random | None) -> dict[Person | str, Life]:
    world = World()
    for what, which, seconds in commands:
        command(world, what, which)
        if rng is not None:
            trouble(world, rng)
        world.settle()
        world.now_s += seconds
        world.look()
        world.settle()
    world.now_s += 10_000_000
    world.look()
    world.settle()
    assert not world.cluster.made
    return {life.id: bare(life) for life in world.lives.values()}


def bare(life: Life) -> Life:
    """Without how often it was tried."""
    assert life.stage in FINAL
    review: Review | None = life.review
    return replace(life, version=0, fence=0, made=0, review=review)


@settings(max_examples=25, deadline=None)
@given(COMMANDS, st.integers(0, 2**32))
def test_trouble_changes_nothing_in_the_end(commands: list[tuple[str, int, int]], seed: int) -> None:
    assert lead(commands, random.Random(seed)) == lead(commands, None)
