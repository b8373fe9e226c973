"""Devices that GPUNode.spec offers as one of a GPUClass: under that name, and under no other."""

from collections.abc import Sequence
from dataclasses import replace

from aliquot.kube.api.gpuclass import resource_of
from aliquot.kube.api.gpunode import WantedGPU
from aliquot.node.advertise import Advertisement, Device
from aliquot.node.plugin_config.names import MAX_LENGTH
from aliquot.node.sharing import Shared


def name_classes(shared: Shared, wanted: Sequence[WantedGPU]) -> Shared:
    """`shared` with the devices that are wanted as one of a class under its name. What is offered to nobody stays so."""
    whole = {gpu.uuid: gpu.class_name for gpu in wanted if gpu.class_name}
    slices = {(gpu.uuid, one.start): one.class_name for gpu in wanted for one in gpu.slice_classes}
    if not whole and not slices:
        return shared
    before = shared.advertisement
    offered: dict[str, list[Device]] = {name: [] for name in before.resources}
    withheld = dict(before.withheld)
    devices = []
    for device in before.devices:
        part = device.slice
        class_name = (
            whole.get(device.gpu_uuid)
            if part is None
            else slices.get((device.gpu_uuid, part.placement.start))
        )
        if class_name and device.resource:
            resource = resource_of(class_name)
            if len(resource) > MAX_LENGTH:
                withheld[device.gpu_uuid] = (
                    f"{resource} has {len(resource)} characters, resource names at most {MAX_LENGTH}"
                )
                resource = ""
            device = replace(device, resource=resource)
        devices.append(device)
        if device.resource:
            offered.setdefault(device.resource, []).append(device)
    resources = {name: tuple(found) for name, found in sorted(offered.items())}
    return replace(shared, advertisement=Advertisement(resources, withheld, tuple(devices)))
