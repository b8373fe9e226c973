from typing import Any

import pytest

from aliquot.emulator.kinds import resource_lists


def one(restart: str = "", **requests: str) -> dict[str, Any]:
    return {
        "resources": {"requests": requests, "limits": requests},
        **({"restartPolicy": restart} if restart else {}),
    }


@pytest.mark.parametrize(
    ("spec", "total"),
    [
        ({"containers": [one(cpu="100m"), one(cpu="0.5")]}, {"cpu": "600m"}),
        ({"containers": [one(memory="1Gi"), one(memory="1G")]}, {"memory": "2073741824"}),
        ({"containers": [one()]}, {}),
        # An init container runs alone: the pod needs the more of both.
        ({"containers": [one(cpu="1")], "initContainers": [one(cpu="2"), one(cpu="3")]}, {"cpu": "3"}),
        # Beside sidecars that came before it.
        ({"containers": [one(cpu="1")], "initContainers": [one("Always", cpu="1"), one(cpu="3")]}, {"cpu": "4"}),
        ({"containers": [one(cpu="1")], "initContainers": [one(cpu="1"), one("Always", cpu="1")]}, {"cpu": "2"}),
        ({"containers": [one(cpu="1")], "overhead": {"cpu": "250m"}}, {"cpu": "1250m"}),
        ({"containers": [one(cpu="1")], "resources": {"requests": {"cpu": "3"}, "limits": {"cpu": "3"}}}, {"cpu": "3"}),
    ],
)  # fmt: skip
def test_what_a_pod_asks_for(spec: dict[str, Any], total: dict[str, str]) -> None:
    assert resource_lists.requests(spec) == total
    assert resource_lists.limits(spec) == total


def test_overhead_is_added_to_limits_that_are_there_alone() -> None:
    spec = {"containers": [one()], "overhead": {"cpu": "1"}}
    assert resource_lists.requests(spec) == {"cpu": "1"}
    assert resource_lists.limits(spec) == {}


def test_what_is_beyond() -> None:
    assert resource_lists.subtract({"cpu": "2", "pods": "1"}, {"cpu": "500m", "pods": "3"}) == {
        "cpu": "1500m",
        "pods": "0",
    }
