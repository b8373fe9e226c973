"""What a pod counts in its queue: each row a thing that can be asked for."""

import pytest

from aliquot.gpu.boards import board as catalogue
from aliquot.kube.api.gpuclass import GPUClassSpec, MigWay, SharesWay, Way, WholeWay
from aliquot.partition.gpus import GpuFacts
from aliquot.scheduler.core.pod import Amounts, DeviceChoice
from aliquot.scheduler.core.queues.currency import Board, Given, Prices, asked, placed, slice_milli
from aliquot.scheduler.core.queues.terms import of_model


def board(key: str) -> Board:
    found = catalogue(key)
    profiles = found.mig.instance_profiles() if found.mig is not None else ()
    kind = GpuFacts("g0", board=key, memory_mib=found.memory_mib, profiles=profiles)
    return Board(found.product.replace(" ", "-"), kind)


H100, T4 = board("h100-80gb"), board("t4")
CLASSES = {
    "small": GPUClassSpec(ways=[Way(mig=MigWay(profile="1g.10gb")), Way(whole=WholeWay())]),
    "quarter": GPUClassSpec(ways=[Way(mps=SharesWay(replicas=4))]),
    "there": GPUClassSpec(ways=[Way(whole=WholeWay())], boards=["h100-80gb"]),
}


@pytest.mark.parametrize(
    ("profile", "milli"),
    [
        # Compute decides: 1 of 7 against 1 of 8.
        ("1g.10gb", 142),
        # Memory decides: 2 of 8 against 1 of 7.
        ("1g.20gb", 250),
        ("2g.20gb", 285),
        ("3g.40gb", 500),
        ("4g.40gb", 571),
        ("7g.80gb", 1000),
    ],
)
def test_a_slice_counts_the_larger_of_its_parts(profile: str, milli: int) -> None:
    found = next(one for one in H100.kind.profiles if one.name == profile)
    assert slice_milli(found, H100.kind.profiles) == milli


def test_all_slices_of_a_gpu_fit_into_a_quota_of_one() -> None:
    for profile in H100.kind.profiles:
        assert slice_milli(profile, H100.kind.profiles) * profile.max_instances <= 1000


@pytest.mark.parametrize(
    ("request_", "boards", "expected"),
    [
        ({"cpu": 500, "memory": 1 << 30, "pods": 1}, [H100], {"cpu": 500, "memory": 1 << 30}),
        ({"nvidia.com/gpu": 2}, [H100], {"gpu": 2000, of_model(H100.product): 2000}),
        # Whose it will be is not known yet.
        ({"nvidia.com/gpu": 2}, [H100, T4], {"gpu": 2000}),
        ({"nvidia.com/mig-1g.10gb": 3}, [H100, T4], {"gpu": 426, of_model(H100.product): 426}),
        ({"nvidia.com/gpu.shared": 1}, [T4], {"gpu": 250, of_model(T4.product): 250}),
        # A class by its first way on each board, the least of them.
        ({"class.aliquot.dev/small": 1}, [H100], {"gpu": 142, of_model(H100.product): 142}),
        ({"class.aliquot.dev/small": 1}, [H100, T4], {"gpu": 142}),
        ({"class.aliquot.dev/small": 1}, [T4], {"gpu": 1000, of_model(T4.product): 1000}),
        ({"class.aliquot.dev/quarter": 2}, [T4], {"gpu": 500, of_model(T4.product): 500}),
        ({"class.aliquot.dev/there": 1}, [H100, T4], {"gpu": 1000, of_model(H100.product): 1000}),
        # What nothing here could be counts as whole GPUs.
        ({"nvidia.com/mig-1g.10gb": 1}, [T4], {"gpu": 1000}),
        ({"class.aliquot.dev/unheard-of": 1}, [H100], {"gpu": 1000}),
        ({"nvidia.com/gpu": 1}, [], {"gpu": 1000}),
        # What is no part of a GPU does not count.
        ({"example.com/fpga": 4}, [H100], {}),
    ],
)
def test_what_is_asked_for(request_: Amounts, boards: list[Board], expected: Amounts) -> None:
    assert asked(request_, Prices(boards, CLASSES, {"nvidia.com/gpu.shared": 4})) == expected


def whole(resource: str, *, shares: int = 0, gpu: str = "g0") -> DeviceChoice:
    return DeviceChoice("main", resource, gpu, shares=shares)


def cut(resource: str, profile: str, start: int = 0, *, shares: int = 0) -> DeviceChoice:
    return DeviceChoice("main", resource, "g0", profile, start, shares)


@pytest.mark.parametrize(
    ("request_", "given", "expected"),
    [
        (
            {"cpu": 1, "nvidia.com/gpu": 2},
            [Given(whole("nvidia.com/gpu"), H100), Given(whole("nvidia.com/gpu", gpu="g1"), T4)],
            {"cpu": 1, "gpu": 2000, of_model(H100.product): 1000, of_model(T4.product): 1000},
        ),
        # The class got a slice here, a whole GPU there.
        (
            {"class.aliquot.dev/small": 1},
            [Given(cut("class.aliquot.dev/small", "1g.10gb"), H100)],
            {"gpu": 142, of_model(H100.product): 142},
        ),
        (
            {"class.aliquot.dev/small": 1},
            [Given(whole("class.aliquot.dev/small"), T4)],
            {"gpu": 1000, of_model(T4.product): 1000},
        ),
        (
            {"nvidia.com/gpu.shared": 3},
            [Given(whole("nvidia.com/gpu.shared", shares=3), T4, 8)],
            {"gpu": 375, of_model(T4.product): 375},
        ),
        # A share of a slice.
        (
            {"nvidia.com/mig-3g.40gb.shared": 1},
            [Given(cut("nvidia.com/mig-3g.40gb.shared", "3g.40gb", shares=1), H100, 4)],
            {"gpu": 125, of_model(H100.product): 125},
        ),
        # A compute instance counts as the GPU instance that it is in.
        (
            {"nvidia.com/mig-1c.3g.40gb": 1},
            [Given(cut("nvidia.com/mig-1c.3g.40gb", "1c.3g.40gb"), H100)],
            {"gpu": 500, of_model(H100.product): 500},
        ),
        # One after the other, two containers had the same device.
        (
            {"nvidia.com/gpu": 1},
            [Given(whole("nvidia.com/gpu"), H100), Given(whole("nvidia.com/gpu"), H100)],
            {"gpu": 1000, of_model(H100.product): 1000},
        ),
        # Devices that are not known count as what was asked for.
        (
            {"nvidia.com/gpu": 2},
            [Given(whole("nvidia.com/gpu"), T4)],
            {"gpu": 2000, of_model(T4.product): 1000},
        ),
        ({"nvidia.com/mig-1g.10gb": 1}, [], {"gpu": 142, of_model(H100.product): 142}),
    ],
)
def test_what_a_placed_pod_counts(request_: Amounts, given: list[Given], expected: Amounts) -> None:
    assert placed(request_, given, Prices([H100, T4], CLASSES)) == expected
