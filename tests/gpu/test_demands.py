import pytest

from aliquot.gpu import boards
from aliquot.gpu.arrangement import Demand
from aliquot.gpu.demands import counted, demands, present
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.profiles import BadProfileName, UnknownProfile
from aliquot.gpu.simulated import SimulatedDriver

MIG = boards.board("h100-80gb").mig
assert MIG
H100 = MIG.instance_profiles()


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"3g.40gb": 2}, [Demand(9), Demand(9)], id="wholes"),
        pytest.param({"3g.40gb": 0, "1g.10gb": 1}, [Demand(19)], id="none of one"),
        pytest.param({"1c.3g.40gb": 3}, [Demand(9, (1, 1, 1))], id="parts that share an instance"),
        pytest.param({"1c.3g.40gb": 4}, [Demand(9, (1, 1, 1)), Demand(9, (1,))], id="parts of two instances"),
        pytest.param(
            {"1c.3g.40gb": 2, "2c.3g.40gb": 2},
            [Demand(9, (2, 1)), Demand(9, (2, 1))],
            id="parts that fill up",
        ),
        pytest.param({"3c.3g.40gb": 1}, [Demand(9)], id="a part that is the whole"),
        pytest.param({"1c.4g.40gb": 1, "3g.40gb": 1}, [Demand(9), Demand(5, (1,))], id="both"),
    ],
)
def test_names_become_instances(counts: dict[str, int], expected: list[Demand]) -> None:
    found = demands(counted(counts, H100), H100)
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_a_profile_of_another_board_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownProfile, match=r"no profile '1g.5gb'"):
        counted({"1g.5gb": 1}, H100)
    with pytest.raises(BadProfileName):
        counted({"huge": 1}, H100)


def test_what_is_there_is_counted_alike() -> None:
    driver = SimulatedDriver([InventoryGpus("h100-80gb", mig=True)], node="n")
    gpu = driver.gpus()[0].uuid
    for start, parts in ((4, (0, 1)), (0, (2,))):
        made = driver.create_gpu_instance(gpu, 9, start)
        for part in parts:
            driver.create_compute_instance(gpu, made.gi_id, part)
    wanted = counted({"3g.40gb": 1, "1c.3g.40gb": 1, "2c.3g.40gb": 1}, H100)
    assert present(driver.instances(gpu), H100) == wanted
