"""Labels of what the real NVML binding reads, over the fake library, and of the simulated driver alike."""

from collections.abc import Callable
from typing import Any

import pytest

from aliquot.gpu.driver import Fabric
from aliquot.node.advertise import advertise
from aliquot.node.inventory import Snapshot, observe
from aliquot.node.labels.features import feature_labels
from aliquot.node.plugin_config.settings import Settings
from tests.gpu.conftest import fake_library, machine, nvml_machine

__all__ = ["fake_library", "machine", "nvml_machine"]  # fixtures


def labels(snapshot: Snapshot) -> dict[str, str]:
    settings = Settings()
    return dict(feature_labels(snapshot, advertise(snapshot.gpus, settings.mig_strategy), settings))


def test_parts_of_an_instance_are_told_once_they_are_there(machine: Callable[..., Any]) -> None:
    driver = machine("a100-40gb:1:mig").driver
    before = observe(driver)
    (gpu,) = driver.gpus()
    instance = driver.create_gpu_instance(gpu.uuid, 9, 0)
    driver.create_compute_instance(gpu.uuid, instance.gi_id, 0)
    found = labels(observe(driver, before))
    prefix = "nvidia.com/mig-1c.3g.20gb."
    assert {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)} == {
        "product": "NVIDIA-A100-SXM4-40GB-MIG-1c.3g.20gb",
        "count": "1",
        "replicas": "1",
        "sharing-strategy": "none",
        "memory": "19968",
        "multiprocessors": "14",
        "slices.gi": "3",
        "slices.ci": "1",
        "engines.copy": "3",
        "engines.decoder": "2",
        "engines.encoder": "0",
        "engines.jpeg": "0",
        "engines.ofa": "0",
    }


@pytest.mark.parametrize(("board", "mode"), [("l4", "compute"), ("rtx-6000-ada", "graphics")])
def test_the_mode_is_read(machine: Callable[..., Any], board: str, mode: str) -> None:
    assert labels(observe(machine(board).driver))["nvidia.com/gpu.mode"] == mode


def test_the_clique_is_read(machine: Callable[..., Any]) -> None:
    made = machine("gb200:2")
    made.join_fabric(Fabric("8a5b6c7d-0102-4304-8506-0708090a0b0c", 7))
    found = labels(observe(made.driver))
    assert found["nvidia.com/gpu.clique"] == "8a5b6c7d-0102-4304-8506-0708090a0b0c.7"
