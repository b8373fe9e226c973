"""What is offered as one of a GPUClass and is not what the class asks for any more: it was changed, or is gone. Pure."""

from aliquot.gpu.driver import InstanceProfile
from aliquot.kube.api.gpuclass import CLASS_PREFIX
from aliquot.kube.api.gpunode import GPUInstance, GPUStatus, Sharing
from aliquot.partition.demand import Classes, fulfils
from aliquot.partition.gpus import GpuFacts
from aliquot.partition.ways import GpuWay, SliceWay, WayOn


def outdated(gpu: GPUStatus, facts: GpuFacts, classes: Classes) -> frozenset[int | None]:
    """Starts of such slices of the GPU, held or not; None: the GPU as a whole."""
    found: set[int | None] = set()
    devices: list[GPUStatus | GPUInstance] = [gpu, *gpu.instances]
    alike: dict[tuple[str, str, Sharing, int], bool] = {}
    for device in devices:
        if not device.resource.startswith(CLASS_PREFIX):
            continue
        start, profile = (device.start, device.profile) if isinstance(device, GPUInstance) else (None, "")
        shares = device.shares
        sharing, replicas = (shares.strategy, shares.replicas) if shares is not None else (Sharing.NONE, 1)
        key = device.resource, profile, sharing, replicas
        if key not in alike:
            way = _slice_way(profile, facts.profiles, sharing) if profile else GpuWay(sharing, replicas)
            alike[key] = _is_outdated(device.resource, way, facts, classes)
        if alike[key]:
            found.add(start)
    return frozenset(found)


def _slice_way(profile: str, profiles: tuple[InstanceProfile, ...], sharing: Sharing) -> WayOn | None:
    """None for what the board's profiles do not tell of, a part of a GPU instance or of a slice: whoever named it after a
    class has judged it."""
    known = next((one for one in profiles if one.name == profile), None)
    return SliceWay(known) if known is not None and sharing is Sharing.NONE else None


def _is_outdated(resource: str, way: WayOn | None, facts: GpuFacts, classes: Classes) -> bool:
    spec = classes.get(resource.removeprefix(CLASS_PREFIX))
    if spec is None or way is None:
        return spec is None
    return not fulfils(spec, way, facts)
