"""From what is asked for by name to the ways to provide it."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from aliquot.gpu import boards
from aliquot.kube.api.gpuclass import GPUClassSpec
from aliquot.partition.demand import could_be_made, judged, ways
from aliquot.partition.gpus import GpuFacts

H100 = boards.board("h100-80gb")
assert H100.mig is not None
PROFILES = H100.mig.instance_profiles()
ON_H100 = GpuFacts("", "h100-80gb", H100.memory_mib, PROFILES)


def spec(**fields: Any) -> GPUClassSpec:
    return msgspec.convert(fields, GPUClassSpec)


def mig(profile: str) -> dict[str, Any]:
    return {"mig": {"profile": profile}}


MPS = {"mps": {"replicas": 4}}
WHOLE: dict[str, Any] = {"whole": {}}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"ways": [mig("1g.10gb"), MPS, WHOLE]}, ["MIG slice 1g.10gb", "MPS share, 1 of 4", "whole GPU"]),
        # In the order in which they are named, whatever they waste.
        ({"ways": [WHOLE, mig("1g.10gb")]}, ["whole GPU", "MIG slice 1g.10gb"]),
        # Of another board.
        ({"ways": [mig("1g.5gb"), WHOLE]}, ["whole GPU"]),
        # Named, and too small for what is asked for beside it.
        ({"memory": "15Gi", "ways": [mig("1g.10gb"), mig("1g.20gb")]}, ["MIG slice 1g.20gb"]),
        ({"memory": "much", "ways": [WHOLE]}, []),
        ({"boards": ["l4"], "ways": [WHOLE]}, []),
        ({"boards": ["l4", "h100-80gb"], "ways": [WHOLE]}, ["whole GPU"]),
    ],
)
def test_the_ways_of_a_class_on_a_board(given: dict[str, Any], found: list[str]) -> None:
    classes = {"c": spec(**given)}
    made = ways("class.aliquot.dev/c", classes, ON_H100)
    assert [str(way) for way in made] == found


@pytest.mark.parametrize(
    ("given", "with_mps", "without"),
    [
        ({"ways": [MPS, WHOLE]}, ["MPS share, 1 of 4", "whole GPU"], ["whole GPU"]),
        ({"ways": [MPS]}, ["MPS share, 1 of 4"], []),
        (
            {"memory": "30Gi", "isolation": "Limits", "computePercent": 45},
            ["MPS share, 1 of 2", "MIG slice 4g.40gb"],
            ["MIG slice 4g.40gb", "MIG slice 7g.80gb"],
        ),
    ],
)
def test_mps_is_no_way_where_the_node_has_none(
    given: dict[str, Any], with_mps: list[str], without: list[str]
) -> None:
    classes = {"c": spec(**given)}
    for gpu, expected in ((ON_H100, with_mps), (replace(ON_H100, mps_clients=0), without)):
        found = [str(way) for way in ways("class.aliquot.dev/c", classes, gpu)]
        assert found[:2] == expected


def test_why_mps_is_no_way_is_told() -> None:
    _, unfit = judged(spec(ways=[MPS]), replace(ON_H100, mps_clients=0))
    assert [(one.what, one.reason) for one in unfit] == [
        ("MPS share, 1 of 4", "the agent of its node has no mpsRoot")
    ]


def test_a_class_that_is_not_there_has_no_ways() -> None:
    assert ways("class.aliquot.dev/c", {}, ON_H100) == ()


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        ("nvidia.com/mig-1g.10gb", ["MIG slice 1g.10gb"]),
        ("nvidia.com/mig-1g.10gb.me", ["MIG slice 1g.10gb+me"]),
        ("nvidia.com/mig-1g.5gb", []),
        ("nvidia.com/gpu", ["whole GPU"]),
        ("nvidia.com/gpu.shared", []),
    ],
)
def test_slices_are_asked_for_by_profile(resource: str, found: list[str]) -> None:
    assert [str(way) for way in ways(resource, {}, GpuFacts("", "h100-80gb", None, PROFILES))] == found
    assert could_be_made(resource) is (resource != "nvidia.com/gpu.shared")


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ("1g.10bg", "the board has no such profile; did you mean '1g.10gb'?"),
        ("1g.5gb", "the board has no such profile; the nearest is 1g.10gb"),
        ("2g.10gb", "the board has no such profile; the nearest is 2g.20gb"),
        ("1g.10gb+gfx", "the board has no such profile; the nearest is 1g.10gb"),
        ("1g.10gb", "it has 9.8 GiB, 15.0 are needed"),
    ],
)
def test_what_is_named_and_does_not_serve_says_why(profile: str, reason: str) -> None:
    _, (unfit,) = judged(spec(memory="15Gi", ways=[mig(profile)]), ON_H100)
    assert (unfit.what, unfit.reason) == (f"MIG slice {profile}", reason)


def test_a_board_without_mig() -> None:
    _, (unfit,) = judged(spec(ways=[mig("1g.10gb")]), GpuFacts("", memory_mib=24 * 1024))
    assert unfit.reason == "no MIG profile is to be had there"
