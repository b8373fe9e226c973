"""Grants that are made longer: a request of its own, and never beyond the cap."""

from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.access.core.life.asking import extension
from aliquot.access.core.life.effects import (
    MakeGrant,
)
from aliquot.access.core.life.events import (
    Approve,
    MakeFailed,
)
from aliquot.access.core.life.life import entitled
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.core.refusals import Ground, Refused
from tests.access.life.leading import (
    CLEO,
    DEV,
    active,
    approve,
    kinds,
    longer,
    put,
    refused,
    stands,
)
from tests.access.life.scenery import FIX, HOUR_S, person
from tests.access.life.world import World


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
