"""Which way serves a need on a board, and what it wastes."""

import pytest

from aliquot.gpu import boards
from aliquot.kube.api.gpuclass import GPUClassSpec, Isolation
from aliquot.kube.api.gpunode import Sharing
from aliquot.kube.quantity import QuantityError
from aliquot.partition.mechanism import Needs, Priced, Unfit, choose, judge
from aliquot.partition.ways import GpuWay

GIB = 1024


def chosen(board: str, needs: Needs) -> list[str]:
    found, _ = choose(needs, *of(board))
    return [str(one.way) for one in found]


def of(key: str) -> tuple[tuple, int | None]:  # type: ignore[type-arg]
    board = boards.board(key)
    return board.mig.instance_profiles() if board.mig is not None else (), board.memory_mib


@pytest.mark.parametrize(
    ("board", "needs", "first"),
    [
        # 8 shares waste least; of two alike, the one that keeps its users further apart.
        ("h100-80gb", Needs(9 * GIB, 10), ["MPS share, 1 of 8", "time slice, 1 of 8", "MIG slice 1g.10gb"]),
        ("h100-80gb", Needs(9 * GIB, isolation=Isolation.HARDWARE), ["MIG slice 1g.10gb"]),
        # More memory than the smallest slice has, no more compute.
        ("h100-80gb", Needs(12 * GIB, isolation=Isolation.HARDWARE), ["MIG slice 1g.20gb"]),
        ("h100-80gb", Needs(0, 50, Isolation.HARDWARE), ["MIG slice 4g.40gb"]),
        # No MIG: a need for hardware isolation takes the whole.
        ("l4", Needs(4 * GIB, isolation=Isolation.HARDWARE), ["whole GPU"]),
        ("l4", Needs(0, 30), ["MPS share, 1 of 3", "time slice, 1 of 3", "whole GPU"]),
    ],
)
def test_the_way_that_wastes_least_goes_first(board: str, needs: Needs, first: list[str]) -> None:
    assert chosen(board, needs)[: len(first)] == first


def test_nothing_serves_what_no_gpu_has() -> None:
    found, unfit = choose(Needs(90 * GIB), *of("h100-80gb"))
    assert not found
    reasons = {one.what: one.reason for one in unfit}
    assert reasons["MPS share"] == "the need leaves no room for a second one on the GPU"
    assert reasons["MIG slice 1g.10gb"] == "it has 9.8 GiB, 90.0 are needed"
    assert reasons["whole GPU"] == "it has 79.6 GiB, 90.0 are needed"


def test_what_is_beyond_the_need_is_its_price() -> None:
    found, _ = choose(Needs(10 * GIB, 20), (), 40 * GIB)
    assert [(str(one.way), one.wasted_memory_mib, one.wasted_compute_percent) for one in found] == [
        ("MPS share, 1 of 4", 0, 5.0),
        ("time slice, 1 of 4", 0, 5.0),
        ("whole GPU", 30 * GIB, 80.0),
    ]
    assert found[0].waste == pytest.approx(0.025)
    assert str(found[2]) == "whole GPU: wastes 30.0 GiB and 80 % of the compute"


@pytest.mark.parametrize(
    ("needs", "way", "reason"),
    [
        (Needs(11 * GIB), GpuWay(Sharing.MPS, 4), "it has 10.0 GiB, 11.0 are needed"),
        (Needs(0, 26), GpuWay(Sharing.MPS, 4), "it has 25 % of the compute, 26 are needed"),
        (
            Needs(isolation=Isolation.LIMITS),
            GpuWay(Sharing.TIME_SLICING, 2),
            "its isolation is None, Limits is needed",
        ),
        (Needs(isolation=Isolation.LIMITS), GpuWay(Sharing.MPS, 2), ""),
        (Needs(), GpuWay(Sharing.MPS, 49), "49 shares, and an MPS server takes 48 clients"),
        (Needs(), GpuWay(Sharing.MPS, 48), ""),
        # Turns have no such end.
        (Needs(), GpuWay(Sharing.TIME_SLICING, 49), ""),
        (Needs(40 * GIB, 100, Isolation.HARDWARE), GpuWay(), ""),
    ],
)
def test_one_way_is_judged_by_the_first_thing_that_it_lacks(needs: Needs, way: GpuWay, reason: str) -> None:
    judged = judge(needs, way, (), 40 * GIB)
    if reason:
        assert judged == Unfit(str(way), reason)
    else:
        assert isinstance(judged, Priced) and judged.way == way


def test_before_volta_an_mps_server_takes_fewer() -> None:
    way = GpuWay(Sharing.MPS, 17)
    assert judge(Needs(), way, (), None, mps_clients=16) == Unfit(
        "MPS share, 1 of 17", "17 shares, and an MPS server takes 16 clients"
    )
    found, _ = choose(Needs(0, 2), (), None, mps_clients=16)
    assert [str(one.way) for one in found] == ["time slice, 1 of 48", "MPS share, 1 of 16", "whole GPU"]


def test_memory_that_nobody_published_serves_no_need_of_it() -> None:
    assert judge(Needs(1), GpuWay(), (), None) == Unfit("whole GPU", "how much memory it has is not known")
    assert isinstance(judge(Needs(0, 10), GpuWay(), (), None), Priced)


def test_needs_are_rounded_up_to_whole_mebibytes() -> None:
    assert Needs.of(GPUClassSpec(memory="1Gi", compute_percent=5)) == Needs(1024, 5)
    assert Needs.of(GPUClassSpec(memory="1500k")).memory_mib == 2
    with pytest.raises(QuantityError):
        Needs.of(GPUClassSpec(memory="much"))
