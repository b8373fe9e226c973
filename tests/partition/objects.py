"""GPUs of a GPUNode in a line of text, as the agent reports them and as the spec wants them."""

from aliquot.gpu.profiles import of_gpu_instance, resource_name
from aliquot.kube.api.gpunode import (
    GPUInstance,
    GPUShares,
    GPUStatus,
    MigMode,
    MigProfile,
    Sharing,
    WantedGPU,
)
from aliquot.partition.gpus import GpuFacts
from aliquot.scheduler.testing import profiles

CLASS = "class.aliquot.dev/"
PRODUCT = "NVIDIA H100 80GB HBM3"


def status(layout: str, uuid: str = "gpu0", *, index: int = 0, mode: MigMode | None = None) -> GPUStatus:
    """`whole`, `empty` (MIG is on and there is no slice), or slices `PROFILE@START`; each may end in `:CLASS`,
    `*SHARES,SHARING`, `=POD+POD`."""
    cut = not layout.startswith("whole")
    found = GPUStatus(
        uuid=uuid,
        index=index,
        product=PRODUCT,
        board="h100-80gb",
        memory_mib=81559,
        mig_mode=mode or (MigMode.ENABLED if cut else MigMode.DISABLED),
    )
    if not cut:
        text, pods = _pods(layout)
        text, found.shares = _shares(text)
        _, _, class_name = text.partition(":")
        found.resource = CLASS + class_name if class_name else "nvidia.com/gpu"
        found.ready, found.pods = True, pods
    elif layout != "empty":
        starts: dict[int, int] = {}
        for text in layout.split():
            found.instances.append(_instance(text, starts))
    return found


def _instance(text: str, parts: dict[int, int]) -> GPUInstance:
    text, pods = _pods(text)
    text, shares = _shares(text)
    text, _, class_name = text.partition(":")
    profile, _, at = text.partition("@")
    start = int(at)
    ci_id = parts[start] = parts.get(start, -1) + 1
    whole = next(one for one in profiles("h100-80gb") if one.name == of_gpu_instance(profile))
    return GPUInstance(
        uuid=f"MIG-{start}-{ci_id}",
        profile=profile,
        start=start,
        size=whole.memory_slots,
        gi_id=start + 1,
        ci_id=ci_id,
        resource=CLASS + class_name if class_name else resource_name(profile),
        ready=True,
        pods=pods,
        shares=shares,
    )


def _pods(text: str) -> tuple[str, list[str]]:
    text, _, pods = text.partition("=")
    return text, [f"default/{pod}" for pod in pods.split("+")] if pods else []


def _shares(text: str) -> tuple[str, GPUShares | None]:
    text, _, shares = text.partition("*")
    replicas, _, sharing = shares.partition(",")
    return text, GPUShares(strategy=Sharing(sharing), replicas=int(replicas)) if shares else None


def reported(key: str = "h100-80gb", product: str = PRODUCT) -> list[MigProfile]:
    return [
        MigProfile(
            product=product,
            name=one.name,
            id=one.profile_id,
            compute_slices=one.compute_slices,
            memory_slots=one.memory_slots,
            starts=[placement.start for placement in one.placements],
            max_instances=one.max_instances,
            memory_mib=one.memory_mib,
            multiprocessors=one.multiprocessors,
        )
        for one in profiles(key)
    ]


def facts(*, cut: bool = True, mode: bool = True, known: bool = True, uuid: str = "gpu0") -> GpuFacts:
    """`mode`: whether MIG can be switched without a reset; `known`: whether slices have names of their own."""
    table = profiles("h100-80gb") if known else ()
    return GpuFacts(uuid, "h100-80gb", 81559, table, may_cut=cut, may_change_mode=mode)


def spelled(wanted: WantedGPU) -> str:
    """`mig 1g.10gb@0:small 3g.40gb@4[1+2]`, `whole :small*4,mps`, `names :small 0:small`."""
    names = {one.start: one.class_name for one in wanted.slice_classes}
    if wanted.mig is True:
        words = ["mig"]
        for one in wanted.instances or ():
            compute = f"[{'+'.join(map(str, one.compute))}]" if one.compute else ""
            name = f":{names.pop(one.start)}" if one.start in names else ""
            words.append(f"{one.profile}@{one.start}{compute}{name}")
        assert not names
    else:
        words = ["whole" if wanted.mig is False or wanted.instances is not None else "names"]
    shares = ""
    if wanted.sharing is not None and wanted.sharing.replicas > 1:
        shares = f"*{wanted.sharing.replicas},{wanted.sharing.strategy}"
    if wanted.class_name or shares:
        words.append(f":{wanted.class_name}{shares}")
    words += [f"{start}:{name}" for start, name in sorted(names.items())]
    return " ".join(words)
