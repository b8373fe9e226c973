"""A device changes its form (resource name, shares) only when nobody has it and kubelet has let go of it.

Kubelet counts by resource name, and hears of each name by a stream of its own. Were a GPU offered whole under one name
while a share of it is held under another, or while kubelet still believes in the old name, it would be given twice. So the
old form is withdrawn first, like a slice that is to be cut away. What a bound pod is still to get is not withdrawn before
the pod has it or is gone: kubelet would refuse it for good.
"""

from collections.abc import Collection, Iterable, KeysView, Mapping
from dataclasses import dataclass, replace

from aliquot.kube.api.gpunode import GPUInstance, GPUNodeStatus, GPUShares, GPUStatus, Sharing
from aliquot.node.advertise import Advertisement, Device, Shares, device_of
from aliquot.node.plugin_config.names import SHARED, shared_name
from aliquot.node.pod_resources import Allocations, Holding
from aliquot.node.withdrawals import Withdrawals


@dataclass(frozen=True, slots=True)
class Form:
    """Under which name a device is offered, and in how many shares."""

    resource: str
    shares: Shares | None = None

    def may_become(self, other: "Form") -> bool:
        """Also while it is held: more time slices of the same name hurt nobody. Fewer would be given twice, and under MPS
        each share has its part of memory by how many there are."""
        if self == other:
            return True
        mine, others = self.shares, other.shares
        if self.resource != other.resource or mine is None or others is None:
            return False
        if mine.strategy is not others.strategy:
            return False
        more = mine.strategy is Sharing.TIME_SLICING and others.replicas > mine.replicas
        return more or others.replicas == mine.replicas


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


def of_holdings(
    holdings: Iterable[Holding], names: Collection[str]
) -> tuple[Mapping[str, Form], frozenset[str]]:
    """What kubelet says is held under one of our `names`, shared or not; how many shares there were is at least as many
    as are seen. What is held under another name is another plugin's."""
    forms: dict[str, Form] = {}
    ours = {*names, *map(shared_name, names)}
    for holding in holdings:
        if holding.resource not in ours and holding.resource.removesuffix(SHARED) not in ours:
            continue
        for kubelet_id in holding.device_ids:
            device_id = device_of(kubelet_id)
            if device_id == kubelet_id:
                forms[device_id] = Form(holding.resource)
                continue
            known = forms.get(device_id)
            number = int(kubelet_id.rpartition(":")[2]) if kubelet_id.rpartition(":")[2].isdecimal() else 0
            most = max(number + 1, known.shares.replicas if known is not None and known.shares else 0)
            forms[device_id] = Form(holding.resource, Shares(Sharing.TIME_SLICING, most, False))
    return forms, frozenset(forms)


def _shares(reported: GPUShares | None) -> Shares | None:
    return Shares(reported.strategy, reported.replicas, reported.one_per_container) if reported else None


class FormChanges:
    """What is on its way from one form to another. Forgotten at a restart: it is then begun anew."""

    def __init__(self) -> None:
        self._withdrawals = Withdrawals()
        self.kept: frozenset[str] = frozenset()
        """Devices that have their old form for now."""

    def withdrawn(self) -> KeysView[str]:
        """Those of them that are not to be handed out any more."""
        return self._withdrawals.device_ids()

    def settle(
        self,
        new: Advertisement,
        before: Mapping[str, Form],
        in_use: Collection[str],
        allocations: Allocations,
        now: float,
        *,
        awaited: Collection[str] = (),
        frozen: bool = False,
    ) -> Advertisement:
        """`new`, in which every device whose time has not come has the form it had `before`. `awaited`: what kubelet is yet
        to give to pods that are bound for it. `frozen`: it is not known what is wanted, or for whom, so all stay as they
        were."""
        changing = {
            device.id
            for device in new.devices
            if device.id in before and not before[device.id].may_become(Form(device.resource, device.shares))
        }
        self._withdrawals.look(allocations)
        if frozen:
            self.kept = frozenset()
            self._withdrawals.want((), now)
            return _with_forms(new, {device_id: before[device_id] for device_id in changing})
        released = self._withdrawals.released(allocations).difference(in_use, awaited)
        self.kept = frozenset(changing - released)
        self._withdrawals.want(self.kept.difference(awaited), now)
        return _with_forms(new, {device_id: before[device_id] for device_id in self.kept})


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
