"""What the API server refuses of a Queue, in one line each."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aliquot.kube.crds import QUEUE_CRD
from aliquot.kube.resources import CRDS, QUEUES
from tests.emulator.api import Api, FixedClock, new_api


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    made = await new_api(FixedClock())
    await made.ok("POST", CRDS.path(), QUEUE_CRD)
    yield made
    made.server.stop()
    await made.close()


def queue(spec: dict[str, Any] | None, name: str = "team") -> dict[str, Any]:
    found: dict[str, Any] = {
        "apiVersion": QUEUES.api_version,
        "kind": "Queue",
        "metadata": {"name": name},
    }
    return found if spec is None else found | {"spec": spec}


def gpu(**fields: object) -> dict[str, Any]:
    return {"resources": {"gpu": fields}}


H100 = "NVIDIA-H100-80GB-HBM3"


@pytest.mark.parametrize(
    "spec",
    [
        None,
        {},
        {"parent": "org", "priority": 50, "preemptMinRuntime": "10m", "reclaimMinRuntime": "0s"},
        gpu(quota=8, limit=16, overQuotaWeight=2),
        gpu(quota="500m", limit="1.5", overQuotaWeight=0.5),
        gpu(quota=-1, limit=-1),
        gpu(quota="-1", limit="-1"),
        gpu(quota=-1),
        gpu(quota=8, limit=-1),
        gpu(quota=8, limit=8),
        {"resources": {"cpu": {"quota": "64", "limit": 128}, "memory": {"quota": "512Gi", "limit": "1Ti"}}},
        {"gpuModels": [{"product": H100, "quota": 4}, {"product": "NVIDIA-L4", "limit": 0}]},
    ],
)
async def test_what_makes_sense_is_taken(api: Api, spec: dict[str, Any] | None) -> None:
    await api.ok("POST", QUEUES.path(), queue(spec))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"parent": "team"}, "spec.parent is the queue itself: name another one, or none"),
        (gpu(quota="many"), "spec.resources.gpu.quota in body should match '^(-1|"),
        (gpu(quota=-2), "spec.resources.gpu.quota in body should be greater than or equal to -1"),
        (gpu(limit="-2"), "spec.resources.gpu.limit in body should match"),
        (gpu(limit="8 GPUs"), "spec.resources.gpu.limit in body should match"),
        (gpu(overQuotaWeight=-1), "should be greater than or equal to 0"),
        ({"gpuModels": [{"product": H100}, {"product": H100}]}, "Duplicate value"),
        ({"preemptMinRuntime": "soon"}, "preemptMinRuntime is a duration, like 90s, 45m or 1h30m"),
        ({"reclaimMinRuntime": "-5m"}, "reclaimMinRuntime is a duration, like 90s, 45m or 1h30m"),
    ],
)
async def test_what_makes_none_is_refused_with_the_reason(
    api: Api, spec: dict[str, Any], message: str
) -> None:
    status, answer = await api.send("POST", QUEUES.path(), queue(spec))
    assert status == 422
    assert message in answer["message"]


async def test_a_name_has_to_fit_into_a_label(api: Api) -> None:
    await api.ok("POST", QUEUES.path(), queue({}, "n" * 63))
    status, answer = await api.send("POST", QUEUES.path(), queue({}, "n" * 64))
    assert status == 422 and "which has 63 characters at most" in answer["message"]
