"""What the API server refuses of a GPUClass, in one line each."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aliquot.gpu.mps import MOST_CLIENTS
from aliquot.kube.crds import GPUCLASS_CRD
from aliquot.kube.resources import CRDS, GPUCLASSES
from tests.emulator.api import Api, FixedClock, new_api

MIG = {"mig": {"profile": "1g.10gb"}}
WHOLE: dict[str, Any] = {"whole": {}}


def mps(replicas: int) -> dict[str, Any]:
    return {"mps": {"replicas": replicas}}


def slices(replicas: int) -> dict[str, Any]:
    return {"timeSlicing": {"replicas": replicas}}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    made = await new_api(FixedClock())
    await made.ok("POST", CRDS.path(), GPUCLASS_CRD)
    yield made
    made.server.stop()
    await made.close()


def gpu_class(spec: dict[str, Any], name: str = "small") -> dict[str, Any]:
    return {
        "apiVersion": GPUCLASSES.api_version,
        "kind": "GPUClass",
        "metadata": {"name": name},
        "spec": spec,
    }


@pytest.mark.parametrize(
    "spec",
    [
        {"memory": "10Gi"},
        {"memory": "500M", "isolation": "Limits"},
        {"computePercent": 1},
        {"ways": [MIG, mps(4), slices(8), WHOLE]},
        {"ways": [MIG, WHOLE], "isolation": "Hardware", "memory": "9Gi"},
        {"ways": [mps(MOST_CLIENTS), slices(MOST_CLIENTS + 1)]},
        {"ways": [MIG, mps(4)], "isolation": "Limits", "computePercent": 25},
    ],
)
async def test_what_makes_sense_is_taken(api: Api, spec: dict[str, Any]) -> None:
    await api.ok("POST", GPUCLASSES.path(), gpu_class(spec))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "nothing is asked for: give memory, computePercent or ways"),
        (
            {"computePercent": 0, "ways": []},
            "nothing is asked for: give memory, computePercent or ways",
        ),
        ({"isolation": "Hardware"}, "nothing is asked for: give memory, computePercent or ways"),
        ({"memory": "10 GB"}, "memory is a quantity above zero, like 10Gi"),
        ({"memory": ""}, "memory is a quantity above zero, like 10Gi"),
        ({"memory": "0"}, "memory is a quantity above zero, like 10Gi"),
        ({"memory": "-1Gi"}, "memory is a quantity above zero, like 10Gi"),
        ({"memory": "1" * 33}, "Too long: may not be more than 32 bytes"),
        ({"computePercent": 101}, "should be less than or equal to 100"),
        ({"ways": [MIG | WHOLE]}, "each way is exactly one of mig, mps, timeSlicing and whole"),
        ({"ways": [{}]}, "each way is exactly one of mig, mps, timeSlicing and whole"),
        (
            {"ways": [WHOLE, mps(MOST_CLIENTS + 1)]},
            "an MPS server takes 48 clients: name no more replicas of mps, or use timeSlicing",
        ),
        (
            {"isolation": "Hardware", "ways": [MIG, mps(2)]},
            "isolation Hardware is what mps and timeSlicing do not give: leave them out of ways, or ask for less isolation",
        ),
        (
            {"isolation": "Limits", "ways": [slices(2)]},
            "isolation Limits is what timeSlicing does not give: leave it out of ways, or ask for isolation None",
        ),
        (
            {"computePercent": 34, "ways": [mps(3)]},
            "one of so many replicas has less than computePercent of a GPU: name fewer, or ask for less",
        ),
        (
            {"computePercent": 51, "ways": [WHOLE, slices(2)]},
            "one of so many replicas has less than computePercent of a GPU: name fewer, or ask for less",
        ),
    ],
)
async def test_what_makes_none_is_refused_with_the_reason(
    api: Api, spec: dict[str, Any], message: str
) -> None:
    status, answer = await api.send("POST", GPUCLASSES.path(), gpu_class(spec))
    assert status == 422
    assert message in answer["details"]["causes"][0]["message"]


async def test_a_name_has_to_fit_behind_the_prefix_of_the_resource(api: Api) -> None:
    await api.ok("POST", GPUCLASSES.path(), gpu_class({"memory": "1Gi"}, "n" * 45))
    status, answer = await api.send("POST", GPUCLASSES.path(), gpu_class({"memory": "1Gi"}, "n" * 46))
    assert status == 422 and "which leaves 45 characters" in answer["message"]
