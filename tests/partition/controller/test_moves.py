"""Which container gets which slice of what was reserved for a pod."""

import pytest

from aliquot.kube.api.core import Container, Pod, PodSpec, ResourceRequirements
from aliquot.kube.api.meta import ObjectMeta
from aliquot.partition.controller.moves import devices_for
from aliquot.partition.replanning.plan import Spot

SMALL, LARGE = "nvidia.com/mig-1g.10gb", "nvidia.com/mig-3g.40gb"


def container(name: str, restart: str = "", **counts: int) -> Container:
    limits: dict[str, str | int | float] = {
        {"small": SMALL, "large": LARGE}[size]: str(count) for size, count in counts.items()
    }
    return Container(name=name, restart_policy=restart, resources=ResourceRequirements(limits=limits))


def slices(small: int, large: int = 0) -> tuple[tuple[str, Spot], ...]:
    """The small ones on `s`, the large ones on `l`."""
    return tuple((SMALL, Spot("n", "s", "1g.10gb", start, 1)) for start in range(small)) + tuple(
        (LARGE, Spot("n", "l", "3g.40gb", 4 * number, 4)) for number in range(large)
    )


@pytest.mark.parametrize(
    ("init", "containers", "reserved", "expected"),
    [
        ((), (container("a", small=1),), slices(1), "a:s0"),
        (
            (),
            (container("a", small=2, large=1), container("b", small=1)),
            slices(3, 1),
            "a:s0 a:s1 a:l0 b:s2",
        ),
        # What was an init container's is free for those after it.
        ((container("i", small=2),), (container("a", small=1),), slices(2), "i:s0 i:s1 a:s0"),
        ((container("i", "Always", small=1),), (container("a", small=1),), slices(2), "i:s0 a:s1"),
        # The pod's sum, which a scheduler goes by as well, has too few for that order.
        ((container("s", "Always", small=1), container("i", small=2)), (container("a"),), slices(2), ""),
    ],
)
def test_devices_by_container(
    init: tuple[Container, ...],
    containers: tuple[Container, ...],
    reserved: tuple[tuple[str, Spot], ...],
    expected: str,
) -> None:
    pod = Pod(metadata=ObjectMeta(name="p"), spec=PodSpec(init_containers=init, containers=containers))
    found = " ".join(f"{one.container}:{one.gpu}{one.start}" for one in devices_for(pod, reserved))
    assert found == expected
