"""Queues of the API as the core knows them."""

from typing import Any

import msgspec
import pytest

from aliquot.kube.api.queue import Queue, QueueAmounts
from aliquot.scheduler.core.pod import CPU, MEMORY, Amounts
from aliquot.scheduler.core.queues.terms import GPU, UNLIMITED, QueueSpec, Terms, of_model
from aliquot.scheduler.queues import Unreadable, spec_of, status_amounts


def queue(**spec: Any) -> Queue:
    metadata = {"name": "team", "creationTimestamp": "1970-01-01T00:01:00Z"}
    return msgspec.convert({"metadata": metadata, "spec": spec}, Queue)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, QueueSpec("team", created_s=60)),
        (
            {"parent": "org", "priority": 0, "preemptMinRuntime": "10m", "reclaimMinRuntime": "0s"},
            QueueSpec("team", "org", 0, created_s=60, preempt_min_runtime_s=600, reclaim_min_runtime_s=0),
        ),
        (
            {
                "resources": {
                    "gpu": {"quota": "1500m", "limit": 8, "overQuotaWeight": 0.5},
                    "cpu": {"quota": 64, "limit": "-1"},
                    "memory": {"quota": -1, "limit": "1Ti"},
                }
            },
            QueueSpec(
                "team",
                created_s=60,
                terms={
                    GPU: Terms(1500, 8000, 500),
                    CPU: Terms(64_000, UNLIMITED),
                    MEMORY: Terms(UNLIMITED, 1 << 40),
                },
            ),
        ),
        (
            {"resources": {"gpu": {}}, "gpuModels": [{"product": "NVIDIA-L4", "quota": 2}]},
            QueueSpec("team", created_s=60, terms={GPU: Terms(), of_model("NVIDIA-L4"): Terms(2000)}),
        ),
    ],
)
def test_what_a_queue_says(spec: dict[str, Any], expected: QueueSpec) -> None:
    assert spec_of(queue(**spec)) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"resources": {"cpu": {"quota": "lots"}}}, "spec.resources.cpu.quota: 'lots' is not a quantity"),
        (
            {"resources": {"gpu": {"limit": -2}}},
            "spec.resources.gpu.limit: -2 is below zero; -1 is unlimited",
        ),
        (
            {"gpuModels": [{"product": "L4", "limit": "x"}]},
            r"spec.gpuModels\[L4\].limit: 'x' is not a quantity",
        ),
        ({"preemptMinRuntime": "soon"}, "spec.preemptMinRuntime: 'soon' is not a duration"),
    ],
)
def test_what_cannot_be_read_names_the_field(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        spec_of(queue(**spec))


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        ({}, QueueAmounts(gpu="0", cpu="0", memory="0")),
        (
            {GPU: 8142, CPU: 4000, MEMORY: 3 << 30, of_model("NVIDIA-L4"): 8142, of_model("T4"): 0},
            QueueAmounts(gpu="8142m", cpu="4", memory="3Gi", gpu_models={"NVIDIA-L4": "8142m"}),
        ),
    ],
)
def test_amounts_in_the_status(amounts: Amounts, expected: QueueAmounts) -> None:
    assert status_amounts(amounts) == expected
