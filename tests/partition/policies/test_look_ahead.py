"""Expected values beside those of all the ways in which instances may leave."""

import random
from itertools import product
from math import isclose, prod

from aliquot.partition.divisions import divisions_of
from aliquot.partition.policies.capability import slot_capability
from aliquot.partition.policies.look_ahead import expected
from tests.partition.boards import states


def test_what_is_expected_is_the_mean_of_what_may_come() -> None:
    tables = states()
    divisions = divisions_of(tables)
    value = slot_capability(tables)
    found = expected(divisions, value, leaving=0.3)
    for number in random.Random(1).sample(range(len(divisions)), 40):
        instances = sorted(divisions.instances[number])
        mean = sum(
            prod(0.7 if there else 0.3 for there in stays)
            * value(sum(mask for mask, there in zip(instances, stays, strict=True) if there))
            for stays in product((False, True), repeat=len(instances))
        )
        assert isclose(found[number], mean)


def test_nobody_leaving_is_what_there_is() -> None:
    tables = states("a30-24gb")
    divisions = divisions_of(tables)
    value = slot_capability(tables)
    assert expected(divisions, value, leaving=0.0) == [value(taken) for taken in divisions.occupancies]
