"""Which GPUs NVIDIA's DRA driver publishes, or published and pods still have. Pure.

A device of a ResourceSlice names its GPU by the attribute `uuid`, a MIG device by `parentUUID`. Every slice counts, also
one that its pool has outgrown: claims that were allocated from it may still be there.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from aliquot.kube.api.gpunode import HELD_BY_CLAIM, PUBLISHED_BY_DRA
from aliquot.kube.api.resource_slice import ResourceSlice, SliceDevice
from aliquot.node.inventory import ObservedGpu
from aliquot.node.pod_resources import ClaimedDevice
from aliquot.node.status import Note

DRIVER = "gpu.nvidia.com"

_DEVICE = re.compile(r"gpu-(\d+)(-mig-.+)?")
"""How that driver names a GPU, by its minor number, and a MIG device on it."""


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


def held_by_claims(claimed: Iterable[ClaimedDevice], gpus: Sequence[ObservedGpu]) -> Mapping[str, Note]:
    """GPU UUID -> which pod has it, or something of it, by which claim: also when no slice says so any more."""
    uuids = {observed.gpu.minor: observed.gpu.uuid for observed in gpus}
    found: dict[str, Note] = {}
    for one in claimed:
        named = _DEVICE.fullmatch(one.device) if one.driver == DRIVER else None
        if named is not None and (uuid := uuids.get(int(named[1]))):
            text = f"{one.pod} holds it by claim {one.claim} of DRA driver {DRIVER}: it waits for that pod"
            found.setdefault(uuid, Note(HELD_BY_CLAIM, text))
    return found


def _names(device: SliceDevice) -> Iterable[str]:
    attributes = device.attributes or (device.basic.attributes if device.basic is not None else None) or {}
    for name in ("parentUUID", "uuid"):
        # An attribute without a domain is of the driver's own.
        for spelled in (name, f"{DRIVER}/{name}"):
            if spelled in attributes:
                yield attributes[spelled].string
