import pytest

from aliquot.gpu.arrangement import Demand
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.mig_config.file import Entry, ExplicitInstance
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.inventory import ObservedGpu, observe_gpu
from aliquot.node.mig.goals import goal
from aliquot.node.mig.reconfiguration import Goal, Refused


@pytest.fixture
def h100() -> ObservedGpu:
    driver = SimulatedDriver([InventoryGpus("h100-80gb", mig=True)], node="n")
    return observe_gpu(driver, driver.gpus()[0])


def test_an_entry_means_what_the_board_can_be(h100: ObservedGpu) -> None:
    found = goal(Entry(True, counts={"3g.40gb": 1, "1c.3g.40gb": 2}), h100)
    assert found == Goal(True, (Demand(9), Demand(9, (1, 1))), {(9, 3): 1, (9, 1): 2})
    explicit = (ExplicitInstance("3g.40gb", 4, ("3g.40gb",)), ExplicitInstance("2g.20gb"))
    assert goal(Entry(True, instances=explicit), h100) == Goal(True, (Demand(9, (), 4), Demand(14)))
    assert goal(Entry(False), h100) == Goal(False)
    assert goal(Entry(True, counts={"3g.40gb": 1}), h100, mode_only=True) == Goal(True, None)


@pytest.mark.parametrize(
    ("entry", "reason", "message"),
    [
        (Entry(True, counts={"1g.5gb": 1}), "UnknownProfile", "the board has no profile '1g.5gb'"),
        (
            Entry(True, counts={"1g.10gb": 10**30}),
            "TooMany",
            f"{10**30} x 1g.10gb do not fit on one GPU: at most 7 1g.10gb fit",
        ),
        (
            Entry(True, counts={"1c.3g.40gb": 7}),
            "TooMany",
            "7 x 1c.3g.40gb do not fit on one GPU: at most 6 1c.3g.40gb fit",
        ),
        (
            Entry(True, instances=(ExplicitInstance("1g.10gb"),) * 5000),
            "TooMany",
            "5000 slices, and the board has 8 slots",
        ),
    ],
)
def test_what_no_board_can_be_is_refused_before_anything_is_made_of_it(
    h100: ObservedGpu, entry: Entry, reason: str, message: str
) -> None:
    found = goal(entry, h100)
    assert isinstance(found, Refused)
    assert (found.reason, message in found.message) == (reason, True)
