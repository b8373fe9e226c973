"""Credentials end before their grant does, whatever the moment (I1)."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aliquot.access.core.life.minting import Mint
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.times import CACHE_S, FORBIDDEN_S, LEEWAY_S, MOST_SKEW_S, TOKEN_FLOOR_S
from tests.access.life.leading import active
from tests.access.life.scenery import HOUR_S, person
from tests.access.life.world import World


@given(
    st.floats(0, 2 * HOUR_S, allow_nan=False),
    st.floats(-MOST_SKEW_S, MOST_SKEW_S),
)
def test_nobody_is_let_in_after_the_end(passed_s: float, skew_s: float) -> None:
    world = World()
    life = world.lives[active(world)]
    assert life.end_s is not None
    server_s = world.now_s + passed_s
    world.now_s = server_s + skew_s
    done = world.mint(life.id, person("dev"))
    if isinstance(done, Mint):
        assert done.lifetime_s >= TOKEN_FLOOR_S
        assert done.lifetime_s != FORBIDDEN_S
        assert server_s + done.lifetime_s + LEEWAY_S + CACHE_S <= life.end_s
        assert [fact.action for fact in done.facts] == ["intends.mint"]


def test_only_its_holder_is_given_one_and_only_while_it_is_active() -> None:
    world = World()
    life = world.lives[active(world)]
    for other in ("dave", "sara", "max", "deputy"):
        done = world.mint(life.id, person(other))
        assert isinstance(done, Refused)
        assert done.ground is Ground.FORBIDDEN
    for stage in Stage:
        world.lives[life.id] = replace(life, stage=stage)
        assert isinstance(world.mint(life.id, person("dev")), Mint) == (stage is Stage.ACTIVE)
