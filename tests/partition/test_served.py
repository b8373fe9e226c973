"""Whether a class can be had of the boards that there are, in a sentence."""

from typing import Any

import msgspec
import pytest

from aliquot.gpu import boards
from aliquot.kube.api.gpuclass import GPUClassSpec
from aliquot.partition.served import BoardHere, board_here, class_verdict, verdict


def here(*keys: str) -> list[BoardHere]:
    found = [boards.board(key) for key in keys]
    return [
        board_here(one.key, one.mig.instance_profiles() if one.mig is not None else (), one.memory_mib)
        for one in found
    ]


def mig(profile: str) -> dict[str, Any]:
    return {"mig": {"profile": profile}}


@pytest.mark.parametrize(
    ("spec", "keys", "reason", "message"),
    [
        (
            {"memory": "30Gi", "isolation": "Hardware"},
            ["l4", "h100-80gb"],
            "Served",
            "on h100-80gb: MIG slice 3g.40gb, else MIG slice 4g.40gb, else MIG slice 7g.80gb and 1 more",
        ),
        (
            {"ways": [mig("1g.10gb"), {"timeSlicing": {"replicas": 4}}]},
            ["l4", "h100-80gb"],
            "Served",
            "on h100-80gb: MIG slice 1g.10gb, else time slice, 1 of 4; on l4: time slice, 1 of 4",
        ),
        (
            {"ways": [mig("1g.5gb")]},
            ["h100-80gb"],
            "NoSuchProfile",
            "MIG slice 1g.5gb on h100-80gb: the board has no such profile; the nearest is 1g.10gb",
        ),
        (
            {"ways": [mig("1g.10gb")]},
            ["l4"],
            "NoSuchProfile",
            "MIG slice 1g.10gb on l4: no MIG profile is to be had there",
        ),
        (
            {"memory": "15Gi", "ways": [mig("1g.10gb")]},
            ["h100-80gb"],
            "NoWay",
            "MIG slice 1g.10gb on h100-80gb: it has 9.8 GiB, 15.0 are needed",
        ),
        ({"memory": "much"}, ["l4"], "BadQuantity", "memory: 'much' is not a quantity"),
        (
            {"memory": "1Gi", "boards": ["h100-80g"]},
            ["h100-80gb", "l4"],
            "NoBoard",
            "no node has a GPU of h100-80g: there are h100-80gb, l4; did you mean 'h100-80gb'?",
        ),
        ({"memory": "1Gi"}, [], "NoBoard", "no node that takes pods has a GPU"),
    ],
)
def test_verdicts(spec: dict[str, Any], keys: list[str], reason: str, message: str) -> None:
    found = verdict(msgspec.convert(spec, GPUClassSpec), here(*keys))
    assert found.reason == reason
    assert found.message.startswith(message)
    assert found.ready is (reason == "Served")


def test_a_class_that_is_not_there() -> None:
    classes = {"small": GPUClassSpec(memory="1Gi")}
    found = class_verdict("smal", classes, here("l4"))
    assert (found.ready, found.message) == (False, "there is no GPUClass smal; did you mean 'small'?")
    assert class_verdict("small", classes, here("l4")).message.startswith("GPUClass small: on l4: ")


MPS = {"mps": {"replicas": 4}}


@pytest.mark.parametrize(
    ("ways", "reason", "message"),
    [
        (
            [MPS, {"whole": {}}],
            "Served",
            "on h100-80gb: MPS share, 1 of 4, else whole GPU; on h100-80gb without MPS: whole GPU",
        ),
        # What has nothing to do with MPS is told once.
        ([mig("1g.10gb")], "Served", "on h100-80gb: MIG slice 1g.10gb"),
        ([mig("1g.5gb")], "NoSuchProfile", "MIG slice 1g.5gb on h100-80gb: the board has no such profile"),
    ],
)
def test_nodes_with_and_without_mps(ways: list[dict[str, Any]], reason: str, message: str) -> None:
    (board,) = here("h100-80gb")
    both = [board, board_here(board.board, board.profiles, board.memory_mib, mps_clients=0)]
    found = verdict(msgspec.convert({"ways": ways}, GPUClassSpec), both)
    assert (found.reason, found.message.partition("; the nearest")[0]) == (reason, message)


def test_a_board_whose_mps_takes_fewer_clients() -> None:
    old = board_here("", (), 16384, mps_clients=16)
    spec = msgspec.convert({"ways": [{"mps": {"replicas": 17}}]}, GPUClassSpec)
    found = verdict(spec, [old])
    assert (found.reason, found.message) == (
        "NoWay",
        "MPS share, 1 of 17 on a board that is not in the catalogue: 17 shares, and an MPS server takes 16 clients",
    )
    assert verdict(spec, [old, *here("l4")]).message == "on l4: MPS share, 1 of 17"


def test_no_node_has_mps() -> None:
    (board,) = here("h100-80gb")
    without = board_here(board.board, board.profiles, board.memory_mib, mps_clients=0)
    found = verdict(msgspec.convert({"ways": [MPS]}, GPUClassSpec), [without])
    assert (found.reason, found.message) == (
        "NoWay",
        "MPS share, 1 of 4 on h100-80gb: the agent of its node has no mpsRoot",
    )
