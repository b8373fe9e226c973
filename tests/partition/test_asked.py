"""What a pod asks for at its neediest moment: each row is its containers, in the order in which they start."""

import msgspec
import pytest

from aliquot.kube.api.core import Pod
from aliquot.partition.asked import asked_of

SLICE = "nvidia.com/mig-1g.10gb"


@pytest.mark.parametrize(
    ("init", "main", "slices"),
    [
        ([], [1, 2], 3),
        ([1], [1], 1),
        ([3], [1, 1], 3),
        ([1, 2], [1], 2),
        (["1 sidecar"], [1], 2),
        # The sidecar runs while the next one starts.
        (["1 sidecar", 2], [1], 3),
        # It is not there yet.
        ([2, "1 sidecar"], [1], 2),
    ],
)
def test_a_pod_needs_as_much_as_runs_at_the_same_time(
    init: list[int | str], main: list[int], slices: int
) -> None:
    spec = {
        "initContainers": [container(one) for one in init],
        "containers": [container(one) for one in main],
    }
    pod = msgspec.convert({"metadata": {"name": "p"}, "spec": spec}, Pod)
    assert asked_of(pod) == {SLICE: slices}


def container(text: int | str) -> dict[str, object]:
    count, _, kind = str(text).partition(" ")
    limits = {SLICE: count, "cpu": "4"}
    return {"name": "c", "resources": {"limits": limits}, "restartPolicy": "Always" if kind else ""}
