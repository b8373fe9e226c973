"""Choices are written beside the options: they have to be those that there are."""

from collections.abc import Iterable
from typing import Any

import pytest

from aliquot.cli.scheduler import run_scheduler
from aliquot.cli.scheduling import choices
from aliquot.scheduler.announcing import Events
from aliquot.scheduler.core.backfill.stage import Style
from aliquot.scheduler.core.placement import Placement
from aliquot.scheduler.settings import Settings
from aliquot.scheduler.simulation.policies import POLICIES
from aliquot.scheduler.simulation.timed.estimates import Estimates


@pytest.mark.parametrize(
    ("written", "there_are"),
    [
        (choices.PLACEMENTS, Placement),
        (choices.BACKFILLS, (choices.NO_BACKFILL, *Style)),
        (choices.EVENTS, Events),
        (choices.ESTIMATES, Estimates),
        (choices.PACKING_POLICIES, POLICIES),
    ],
)
def test_the_choices_are_those_that_there_are(written: tuple[str, ...], there_are: Iterable[str]) -> None:
    assert written == tuple(there_are)


def test_what_is_left_out_is_as_the_scheduler_has_it() -> None:
    default: dict[str | None, Any] = {option.name: option.default for option in run_scheduler.params}
    assert Settings() == Settings(
        placement=Placement(default["placement"]),
        backfill=Style(default["backfill"]),
        events=Events(default["events"]),
        consolidation=default["consolidation"],
    )
