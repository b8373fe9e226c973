import pytest
from msgspec.structs import replace

from aliquot.eks.plan import wording
from aliquot.eks.plan.plan import Options
from aliquot.eks.plan.planning import plan
from aliquot.eks.versions.minor import Minor
from tests.eks.plan.estates import M132, M133, M134, TARGETS, at, estate, group


def test_out_of_extended_support_is_cheaper() -> None:
    made = plan(estate(cluster=at(M133), addons=()), M134, TARGETS, Options())
    assert (made.costs.now_per_hour, made.costs.then_per_hour) == (0.6, 0.1)
    assert made.costs.saved_per_year == pytest.approx(0.5 * 24 * 365)
    assert wording.costs(made)[0] == (
        "control plane: 0.60 USD an hour now, 0.10 afterwards; 4,380.00 USD less a year"
    )
    assert wording.costs(made)[-1] == (
        "staying: 1.33 costs 3,612.00 USD more than standard support until its end on 2027-07-29"
    )


def test_in_standard_support_it_is_told_when_it_becomes_dearer() -> None:
    made = plan(estate(cluster=at(M134), addons=()), Minor(1, 35), TARGETS, Options())
    assert made.costs.staying.startswith("1.34 costs 4,380.00 USD more a year from 2026-12-02")


def test_nodes_on_top_are_priced_where_prices_could_be_read() -> None:
    of = estate(group("web", 3))
    priced = replace(TARGETS, usd_per_hour={"m7i.large": 0.12})
    (surge,) = plan(of, M132, priced, Options()).costs.surge
    # Two for each of two zones, for as long as the roll is expected to take.
    assert (surge.nodes, surge.hours) == (4, round(22 / 60, 3))
    assert surge.usd == round(4 * 22 / 60 * 0.12, 2)
    unpriced = plan(of, M132, TARGETS, Options()).costs
    assert unpriced.surge_usd is None
    assert unpriced.surge_node_hours == pytest.approx(4 * 22 / 60, rel=0.01)
