from aliquot.cli.scheduler import _PLACEMENTS
from aliquot.scheduler.core.placement import Placement


def test_the_choices_are_those_that_there_are_the_default_first() -> None:
    assert list(_PLACEMENTS) == list(Placement)
    assert _PLACEMENTS[0] == Placement.WORTH
