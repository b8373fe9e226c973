from dataclasses import replace

import pytest

from aliquot.kube.api.gpunode import GPUNodeStatus, GPUShares, GPUStatus, MigMode, Sharing
from aliquot.node.advertise import Advertisement, Device, Shares
from aliquot.node.forms import Form, FormChanges, of_devices, of_holdings, of_status
from aliquot.node.pod_resources import Allocations, Holding

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
        (Form(A, SLICED), Form(A, replace(SLICED, replicas=3)), False),
        (Form(A, MPS), Form(A, replace(MPS, replicas=8)), False),
        (Form(A, MPS), Form(A, replace(MPS, fails_above_one=True)), True),
        (Form(A, SLICED), Form(A, MPS), False),
        (Form(A, SLICED), Form(B, SLICED), False),
        (Form(A, SLICED), Form(""), False),
    ],
)
def test_what_a_held_device_may_become(before: Form, after: Form, may: bool) -> None:
    assert before.may_become(after) is may


ID = "GPU-0"
KNOWN = frozenset({ID})


def listed(at: float, *ids: str) -> Allocations:
    return Allocations(listed={"nvidia.com/gpu": frozenset(ids)}, asked_at=at, failure="")


def test_a_free_device_changes_once_kubelet_has_let_go_of_it() -> None:
    before, new = of_devices([device(A)]), offered(device(B))
    changes = FormChanges()
    old = changes.settle(new, before, (), listed(1.0, ID), 1.0)
    assert old.resources == {A: (device(A),), B: ()}
    assert changes.withdrawn() == KNOWN
    assert changes.settle(new, before, (), listed(2.0, ID), 2.0).resources[B] == ()
    assert changes.settle(new, before, (), listed(3.0), 3.0) is new
    assert not changes.withdrawn()


def test_a_held_device_keeps_its_form_until_it_is_free() -> None:
    before, new = of_devices([device(A, SLICED)]), offered(device(B))
    changes = FormChanges()
    for at in (1.0, 2.0, 60.0):
        held = changes.settle(new, before, KNOWN, listed(at), at)
        assert held.resources == {A: (device(A, SLICED),), B: ()}
    assert changes.settle(new, before, (), listed(61.0), 61.0) is new


def test_what_a_bound_pod_is_to_get_stays_offered_until_it_has_it() -> None:
    before, new = of_devices([device(A)]), offered(device(B))
    changes = FormChanges()
    changes.settle(new, before, (), listed(1.0, ID), 1.0)
    # Kubelet has let go of it, but a pod was bound for it meanwhile.
    kept = changes.settle(new, before, (), listed(2.0), 2.0, awaited=KNOWN)
    assert kept.resources == {A: (device(A),), B: ()}
    assert changes.kept == KNOWN
    assert not changes.withdrawn()
    changes.settle(new, before, (), listed(3.0, ID), 3.0)
    assert changes.kept == changes.withdrawn() == KNOWN
    assert changes.settle(new, before, (), listed(4.0), 4.0) is new
    assert not changes.kept


def test_a_change_that_is_taken_back_is_forgotten() -> None:
    before, same = of_devices([device(A)]), offered(device(A))
    changes = FormChanges()
    changes.settle(offered(device(B)), before, (), listed(1.0, ID), 1.0)
    assert changes.settle(same, before, (), listed(2.0, ID), 2.0) is same
    assert not changes.withdrawn()


def test_a_device_that_was_not_offered_before_has_no_form_to_keep() -> None:
    new = offered(device(B))
    assert FormChanges().settle(new, {}, KNOWN, listed(1.0, ID), 1.0) is new


def test_an_agent_that_starts_anew_goes_by_what_was_reported() -> None:
    status = GPUStatus(
        uuid=ID,
        index=0,
        product="p",
        board="b",
        memory_mib=1,
        mig_mode=MigMode.DISABLED,
        resource=A,
        pods=["default/x"],
        shares=GPUShares(strategy=Sharing.MPS, replicas=4, one_per_container=True),
    )
    forms, held = of_status(GPUNodeStatus(gpus=[status]))
    assert held == KNOWN
    kept = FormChanges().settle(offered(device(A)), forms, held, Allocations(), 1.0)
    assert kept.resources[A][0].shares == replace(MPS, fails_above_one=True)


def test_without_a_report_what_kubelet_lists_tells_the_form() -> None:
    holdings = [
        Holding("d/x", "main", A, ("GPU-0::2", "GPU-1")),
        Holding("d/y", "main", A, ("GPU-0::0",)),
        Holding("d/z", "main", "nvidia.com/odd", ("GPU-2",)),
    ]
    forms, held = of_holdings(holdings, [A, B])
    assert forms == {"GPU-0": Form(A, Shares(Sharing.TIME_SLICING, 3, False)), "GPU-1": Form(A)}
    assert held == {"GPU-0", "GPU-1"}
