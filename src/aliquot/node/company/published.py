"""Which GPUs NVIDIA's DRA driver publishes. Pure.

A device of a ResourceSlice names its GPU by the attribute `uuid`, a MIG device by `parentUUID`. Every slice counts, also
one that its pool has outgrown: claims that were allocated from it may still be there.
"""

from collections.abc import Iterable, Mapping, Sequence

from aliquot.kube.api.resource_slice import ResourceSlice, SliceDevice
from aliquot.node.inventory import ObservedGpu
from aliquot.node.status import Note

DRIVER = "gpu.nvidia.com"
PUBLISHED_BY_DRA = "PublishedByDRA"


def gpus_by_device(gpus: Sequence[ObservedGpu]) -> Mapping[str, str]:
    """UUID of a GPU or MIG device -> UUID of its GPU."""
    found = {observed.gpu.uuid: observed.gpu.uuid for observed in gpus}
    for observed in gpus:
        found.update((compute.uuid, observed.gpu.uuid) for _, compute in observed.mig_devices())
    return found


def published(
    slices: Iterable[ResourceSlice], node_name: str, gpu_of: Mapping[str, str]
) -> Mapping[str, Note]:
    """GPU UUID -> who publishes it. `gpu_of` is `gpus_by_device`."""
    found: dict[str, Note] = {}
    for one in sorted(slices, key=lambda one: one.metadata.name):
        spec = one.spec
        if spec.driver != DRIVER or spec.node_name != node_name:
            continue
        note = Note(PUBLISHED_BY_DRA, f"DRA driver {spec.driver} publishes it in pool {spec.pool.name}")
        for device in spec.devices or ():
            for uuid in _names(device):
                if uuid in gpu_of:
                    found.setdefault(gpu_of[uuid], note)
    return found


def _names(device: SliceDevice) -> Iterable[str]:
    attributes = device.attributes or (device.basic.attributes if device.basic is not None else None) or {}
    for name in ("parentUUID", "uuid"):
        # An attribute without a domain is of the driver's own.
        for spelled in (name, f"{DRIVER}/{name}"):
            if spelled in attributes:
                yield attributes[spelled].string
