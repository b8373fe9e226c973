"""Which GPUs a ResourceSlice takes out of the agent's hands."""

from typing import Any

import msgspec
import pytest

from aliquot.kube.api.resource_slice import ResourceSlice
from aliquot.node.company.published import gpus_by_device, held_by_claims, published
from aliquot.node.inventory import observe
from aliquot.node.pod_resources import ClaimedDevice
from tests.node.machines import NODE, cut, machine

GPU_OF = {"GPU-a": "GPU-a", "GPU-b": "GPU-b", "MIG-b1": "GPU-b"}
Attributes = dict[str, dict[str, Any]]


def uuid(text: str) -> dict[str, Any]:
    return {"string": text}


def slice_of(
    *devices: Attributes,
    driver: str = "gpu.nvidia.com",
    node: str = NODE,
    version: str = "v1",
    name: str = "slice",
) -> ResourceSlice:
    """As the API server sends it in that version."""
    listed = [
        {
            "name": f"device-{n}",
            **({"basic": {"attributes": a}} if version == "v1beta1" else {"attributes": a}),
        }
        for n, a in enumerate(devices)
    ]
    body = {
        "apiVersion": f"resource.k8s.io/{version}",
        "kind": "ResourceSlice",
        "metadata": {"name": name},
        "spec": {
            "driver": driver,
            "nodeName": node,
            "pool": {"name": f"pool-of-{name}", "generation": 1, "resourceSliceCount": 1},
            "devices": listed,
        },
    }
    return msgspec.convert(body, ResourceSlice)


WHOLE = {
    "type": {"string": "gpu"},
    "uuid": uuid("GPU-a"),
    "driverVersion": {"version": "580.65.6"},
    "numaNode": {"int": 0},
}
MIG = {"type": {"string": "mig"}, "parentUUID": uuid("GPU-b"), "profile": {"string": "1g.10gb"}}


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        pytest.param([], set(), id="nothing"),
        pytest.param([slice_of(WHOLE)], {"GPU-a"}, id="v1"),
        pytest.param([slice_of(WHOLE, version="v1beta2")], {"GPU-a"}, id="v1beta2"),
        pytest.param([slice_of(WHOLE, MIG, version="v1beta1")], {"GPU-a", "GPU-b"}, id="v1beta1"),
        pytest.param([slice_of(MIG)], {"GPU-b"}, id="a MIG device that is only possible"),
        pytest.param([slice_of(MIG | {"uuid": uuid("MIG-b1")})], {"GPU-b"}, id="a MIG device that is there"),
        pytest.param([slice_of({"uuid": uuid("MIG-b1")})], {"GPU-b"}, id="a MIG device without its parent"),
        pytest.param([slice_of({"gpu.nvidia.com/uuid": uuid("GPU-a")})], {"GPU-a"}, id="with its domain"),
        pytest.param([slice_of({"example.com/uuid": uuid("GPU-a")})], set(), id="with another's domain"),
        pytest.param([slice_of({"uuid": {"int": 4}}, {})], set(), id="no text"),
        pytest.param([slice_of({"uuid": uuid("GPU-z")})], set(), id="a GPU that is not here"),
        pytest.param([slice_of(WHOLE, driver="gpu.example.com")], set(), id="another driver"),
        pytest.param([slice_of(WHOLE, driver="compute-domain.nvidia.com")], set(), id="compute domains"),
        pytest.param([slice_of(WHOLE, node="elsewhere")], set(), id="another node"),
        pytest.param([slice_of(WHOLE, node="")], set(), id="no node"),
        pytest.param(
            [slice_of(), slice_of(WHOLE, name="b"), slice_of(MIG)], {"GPU-a", "GPU-b"}, id="several"
        ),
    ],
)
def test_gpus_that_are_published(slices: list[ResourceSlice], expected: set[str]) -> None:
    assert published(slices, NODE, GPU_OF).keys() == expected


def test_the_reason_names_the_driver_and_the_pool_whatever_the_order() -> None:
    slices = [slice_of(WHOLE, name="b"), slice_of(WHOLE, name="a")]
    for order in (slices, slices[::-1]):
        (note,) = published(order, NODE, GPU_OF).values()
        assert note.reason == "PublishedByDRA"
        assert note.message == "DRA driver gpu.nvidia.com publishes it in pool pool-of-a"


def test_devices_of_a_machine() -> None:
    driver = machine("h100-80gb:1:mig,l4:1")
    cut(driver, driver.gpus()[0], ("3g.40gb", 0))
    sliced, whole = observe(driver).gpus
    ((_, compute),) = sliced.mig_devices()
    assert gpus_by_device((sliced, whole)) == {
        sliced.gpu.uuid: sliced.gpu.uuid,
        compute.uuid: sliced.gpu.uuid,
        whole.gpu.uuid: whole.gpu.uuid,
    }


@pytest.mark.parametrize(
    ("device", "driver", "expected"),
    [
        ("gpu-0", "gpu.nvidia.com", {0}),
        ("gpu-1", "gpu.nvidia.com", {1}),
        ("gpu-1-mig-1g10gb-19-0", "gpu.nvidia.com", {1}),
        ("gpu-10", "gpu.nvidia.com", set()),
        ("gpu-vfio-0", "gpu.nvidia.com", set()),
        ("channel-0", "compute-domain.nvidia.com", set()),
        ("gpu-0", "gpu.example.com", set()),
    ],
)
def test_gpus_that_claims_hold(device: str, driver: str, expected: set[int]) -> None:
    gpus = observe(machine("h100-80gb:2")).gpus
    found = held_by_claims([ClaimedDevice("ml/train", "ml/gpus", driver, device)], gpus)
    assert found.keys() == {gpus[minor].gpu.uuid for minor in expected}
    for note in found.values():
        assert note.reason == "HeldByClaim"
        assert note.message.startswith("ml/train holds it by claim ml/gpus of DRA driver gpu.nvidia.com")
