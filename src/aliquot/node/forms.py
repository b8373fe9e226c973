"""A device changes its form (resource name, shares) only when nobody has it and kubelet has let go of it.

Kubelet counts by resource name, and hears of each name by a stream of its own. Were a GPU offered whole under one name
while a share of it is held under another, or while kubelet still believes in the old name, it would be given twice. So the
old form is withdrawn first, like a slice that is to be cut away.
"""

from collections.abc import Collection, KeysView, Mapping
from dataclasses import dataclass, replace

from aliquot.kube.api.gpunode import GPUInstance, GPUNodeStatus, GPUShares, GPUStatus
from aliquot.node.advertise import Advertisement, Device, Shares
from aliquot.node.pod_resources import Allocations
from aliquot.node.withdrawals import Withdrawals


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


class FormChanges:
    """What is on its way from one form to another. Forgotten at a restart: it is then begun anew."""

    def __init__(self) -> None:
        self._withdrawals = Withdrawals()

    def device_ids(self) -> KeysView[str]:
        """Those that keep their old form for now. What nobody has of them is not to be handed out any more."""
        return self._withdrawals.device_ids()

    def settle(
        self,
        new: Advertisement,
        before: Mapping[str, Form],
        in_use: Collection[str],
        allocations: Allocations,
        now: float,
    ) -> Advertisement:
        """`new`, in which every device whose time has not come has the form it had `before`."""
        changing = {
            device.id
            for device in new.devices
            if device.id in before and not before[device.id].may_become(Form(device.resource, device.shares))
        }
        self._withdrawals.look(allocations)
        staying = changing - (self._withdrawals.released(allocations) - set(in_use))
        self._withdrawals.want(staying, now)
        return _with_forms(new, {device_id: before[device_id] for device_id in staying})


def _with_forms(new: Advertisement, forms: Mapping[str, Form]) -> Advertisement:
    if not forms:
        return new
    offered: dict[str, list[Device]] = {name: [] for name in new.resources}
    devices = []
    for device in new.devices:
        if form := forms.get(device.id):
            device = replace(device, resource=form.resource, shares=form.shares)
        devices.append(device)
        if device.resource:
            offered.setdefault(device.resource, []).append(device)
    resources = {name: tuple(found) for name, found in sorted(offered.items())}
    return Advertisement(resources, new.withheld, tuple(devices))
