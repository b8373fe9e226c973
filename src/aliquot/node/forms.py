"""A device that somebody holds keeps the form in which it was given, whatever the configuration says now.

Kubelet counts by resource name: were a held GPU offered whole under one name while a share of it is held under another,
it would be given twice. So the new form waits until the device is free.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from aliquot.kube.api.gpunode import GPUInstance, GPUNodeStatus, GPUShares, GPUStatus
from aliquot.node.advertise import Advertisement, Device, Shares


@dataclass(frozen=True, slots=True)
class Form:
    """Under which name a device is offered, and in how many shares."""

    resource: str
    shares: Shares | None = None

    def may_become(self, other: "Form") -> bool:
        """Also while it is held: more or fewer shares of the same kind and name hurt nobody."""
        if self.resource != other.resource or (self.shares is None) != (other.shares is None):
            return False
        return self.shares is None or other.shares is None or self.shares.strategy is other.shares.strategy


def of_devices(devices: Collection[Device]) -> Mapping[str, Form]:
    """By device id; what is not offered has no form."""
    return {device.id: Form(device.resource, device.shares) for device in devices if device.resource}


def of_status(status: GPUNodeStatus) -> tuple[Mapping[str, Form], frozenset[str]]:
    """The forms that an earlier agent reported, and the devices that were held then."""
    forms: dict[str, Form] = {}
    held: set[str] = set()
    for gpu in status.gpus:
        devices: list[GPUStatus | GPUInstance] = [gpu, *gpu.instances]
        for device in devices:
            if device.resource:
                forms[device.uuid] = Form(device.resource, _shares(device.shares))
            if device.pods:
                held.add(device.uuid)
    return forms, frozenset(held)


def _shares(reported: GPUShares | None) -> Shares | None:
    return Shares(reported.strategy, reported.replicas, False) if reported is not None else None


@dataclass(frozen=True, slots=True)
class Kept:
    advertisement: Advertisement
    device_ids: tuple[str, ...] = ()
    """Those that wait for their new form."""


def keep(new: Advertisement, before: Mapping[str, Form], in_use: Collection[str]) -> Kept:
    """`new`, in which every device of `in_use` has the form it had `before`."""
    waiting = []
    devices = []
    for device in new.devices:
        form = before.get(device.id)
        if (
            form is not None
            and device.id in in_use
            and not form.may_become(Form(device.resource, device.shares))
        ):
            device = replace(device, resource=form.resource, shares=form.shares)
            waiting.append(device.id)
        devices.append(device)
    if not waiting:
        return Kept(new)
    offered: dict[str, list[Device]] = {name: [] for name in new.resources}
    for device in devices:
        if device.resource:
            offered.setdefault(device.resource, []).append(device)
    resources = {name: tuple(found) for name, found in sorted(offered.items())}
    return Kept(Advertisement(resources, new.withheld, tuple(devices)), tuple(waiting))
