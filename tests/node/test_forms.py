from dataclasses import replace

import pytest

from aliquot.kube.api.gpunode import GPUNodeStatus, GPUShares, GPUStatus, MigMode, Sharing
from aliquot.node.advertise import Advertisement, Device, Shares
from aliquot.node.forms import Form, keep, of_devices, of_status

SLICED, MPS = Shares(Sharing.TIME_SLICING, 4, False), Shares(Sharing.MPS, 4, False)
A, B = "nvidia.com/a", "nvidia.com/b"


def device(resource: str = A, shares: Shares | None = None) -> Device:
    return Device("GPU-0", resource, "GPU-0", 0, 0, shares=shares)


def offered(*devices: Device) -> Advertisement:
    resources: dict[str, tuple[Device, ...]] = {A: (), B: ()}
    for one in devices:
        if one.resource:
            resources[one.resource] = (*resources[one.resource], one)
    return Advertisement(resources, {}, devices)


@pytest.mark.parametrize(
    ("before", "after", "may"),
    [
        (Form(A), Form(A), True),
        (Form(A), Form(B), False),
        (Form(A), Form(A, SLICED), False),
        (Form(A, SLICED), Form(A), False),
        (Form(A, SLICED), Form(A, replace(SLICED, replicas=8)), True),
        (Form(A, SLICED), Form(A, MPS), False),
        (Form(A, SLICED), Form(B, SLICED), False),
        (Form(A, SLICED), Form(""), False),
    ],
)
def test_what_a_held_device_may_become(before: Form, after: Form, may: bool) -> None:
    assert before.may_become(after) is may


def test_a_held_device_keeps_its_form_until_it_is_free() -> None:
    before = of_devices([device(A, SLICED)])
    new = offered(device(B))
    held = keep(new, before, {"GPU-0"})
    assert held.device_ids == ("GPU-0",)
    assert held.advertisement.resources == {A: (device(A, SLICED),), B: ()}
    assert keep(new, before, ()).advertisement is new


def test_a_device_that_was_not_offered_before_has_no_form_to_keep() -> None:
    new = offered(device(B))
    assert keep(new, {}, {"GPU-0"}).advertisement is new


def test_an_agent_that_starts_anew_goes_by_what_was_reported() -> None:
    status = GPUStatus(
        uuid="GPU-0",
        index=0,
        product="p",
        board="b",
        memory_mib=1,
        mig_mode=MigMode.DISABLED,
        resource=A,
        pods=["default/x"],
        shares=GPUShares(strategy=Sharing.MPS, replicas=4),
    )
    forms, held = of_status(GPUNodeStatus(gpus=[status]))
    assert held == {"GPU-0"}
    assert keep(offered(device(A)), forms, held).advertisement.resources[A][0].shares == MPS
