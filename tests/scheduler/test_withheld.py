"""Devices that are there and given to nobody: the reason counts them by cause, and counts none twice."""

import pytest

from aliquot.scheduler.testing import node, pod
from tests.scheduler.placement_cases import Case, check, rows

BIG = "class.aliquot.dev/big"
IN_USE = [(pod(f"r{index}", gpu=1), f"a gpu{index}") for index in range(4)]


@rows(
    Case(
        "in use counts before what is to come",
        [node("a", *["whole!recut=default/x"] * 4, *["whole!recut"] * 3, "whole")],
        [pod("p", gpu=2)],
        wait={
            "p": "1 node matches, it is full: needs 2 nvidia.com/gpu, 1 free, 4 in use, 3 to be cut otherwise"
        },
    ),
    Case(
        "assigned is in use",
        [node("a", *["whole!recut"] * 7)],
        [pod("p", gpu=1)],
        bound=IN_USE,
        wait={
            "p": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free, 4 in use, 3 to be cut otherwise"
        },
    ),
    Case(
        "not placed yet is in use",
        [node("a", "whole", "whole!unadvertised")],
        [pod("p", gpu=1)],
        bound=[(pod("r", gpu=1), "a")],
        wait={"p": "1 node matches, it is full: needs 1 nvidia.com/gpu, 0 free, 1 in use, 1 not advertised"},
    ),
    Case(
        "nothing in use: not full",
        [node("a", "whole!unhealthy", "whole!recut", "whole!unadvertised")],
        [pod("p", gpu=1)],
        wait={
            "p": "1 node matches, it has not enough to give: needs 1 nvidia.com/gpu, 0 free, "
            "1 unhealthy, 1 to be cut otherwise, 1 not advertised"
        },
    ),
    Case(
        "of a class that was changed, beside one that is as it asks",
        [node("a", "whole:big!outdated", "whole:big=default/x")],
        [pod("p", wants={BIG: 1})],
        wait={
            "p": f"1 node matches, it is full: needs 1 {BIG}, 0 free, 1 in use, 1 not what the GPUClass asks for"
        },
    ),
    Case(
        "over several nodes",
        [node("a", "whole!recut", "whole"), node("b", "whole!unhealthy", "whole")],
        [pod("p", gpu=2)],
        wait={
            "p": "2 nodes match, none has enough to give: needs 2 nvidia.com/gpu, most free on one node 1, "
            "1 unhealthy, 1 to be cut otherwise"
        },
    ),
    Case(
        "nothing withheld: full says it all",
        [node("a", "whole", "whole")],
        [pod("p", gpu=2)],
        running=[(pod("r", gpu=1), "a gpu0")],
        wait={"p": "1 node matches, it is full: needs 2 nvidia.com/gpu, 1 free"},
    ),
)
def test_the_reason_counts_devices_by_cause(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("flaw", ["unhealthy", "recut", "unadvertised", "outdated"])
def test_what_is_withheld_is_given_to_nobody(flaw: str) -> None:
    check(Case(flaw, [node("a", f"whole!{flaw}", "whole")], [pod("p", gpu=1)], go={"p": "a gpu1"}))
