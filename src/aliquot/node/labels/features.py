"""Which labels a node has, as a function of what is on it and how it is handed out.

Keys and values are those of NVIDIA's GPU feature discovery, so that selectors written for it work unchanged. Where its
labels can describe one model alone, they describe the one with most GPUs, and `aliquot.dev/gpu.<model>.*` tell all.
"""

import re
from collections.abc import Mapping, Sequence

from aliquot.gpu.driver import DriverVersion, MigState
from aliquot.gpu.profiles import RESOURCE_PREFIX, resource_name
from aliquot.kube.api.gpunode import Sharing
from aliquot.node.advertise import Advertisement, Device, single_fault
from aliquot.node.inventory import ObservedGpu, Snapshot
from aliquot.node.labels import slices
from aliquot.node.labels.kinds import Division, Model, division, models
from aliquot.node.labels.text import MAX_LENGTH, product, sanitised, shortened
from aliquot.node.plugin_config.file import MigStrategy
from aliquot.node.plugin_config.settings import Settings

PREFIX = RESOURCE_PREFIX
OWN_PREFIX = "aliquot.dev/"
UNKNOWN = "unknown"
_GPU = PREFIX + "gpu"
PRODUCT = _GPU + ".product"
"""Every node with GPUs has it."""

_STRATEGIES = {Sharing.NONE: "none", Sharing.TIME_SLICING: "time-slicing", Sharing.MPS: "mps"}
_MODES = {0x030200: "compute", 0x030000: "graphics"}
"""By PCI class."""


def feature_labels(
    snapshot: Snapshot, advertisement: Advertisement, settings: Settings, machine_type: str = UNKNOWN
) -> Mapping[str, str]:
    """By key; none without GPUs. `advertisement` is that of `snapshot`, shares included."""
    if not snapshot.gpus:
        return {}
    kinds = models(snapshot, advertisement, settings.naming.of_gpu)
    labels = {
        **_versions(snapshot.version),
        **_node(snapshot.gpus, advertisement.devices),
        f"{_GPU}.machine": shortened(sanitised(machine_type)),
        **_model(kinds[0]),
        **_slices(snapshot, advertisement, settings, kinds[0]),
    }
    for model in kinds:
        labels |= _own(model)
    return dict(sorted(labels.items()))


def _versions(version: DriverVersion | None) -> dict[str, str]:
    """Every part twice: the names that NVIDIA has given up are still in use."""
    if version is None:
        return {}
    major, minor, revision = [*version.driver.split("."), "", ""][:3]
    runtime_major, runtime_minor = [*version.cuda.split("."), ""][:2]
    labels = {
        "cuda.driver-version.full": version.driver,
        "cuda.driver-version.major": major,
        "cuda.driver-version.minor": minor,
        "cuda.driver-version.revision": revision,
        "cuda.driver.major": major,
        "cuda.driver.minor": minor,
        "cuda.driver.rev": revision,
        "cuda.runtime-version.full": version.cuda,
        "cuda.runtime-version.major": runtime_major,
        "cuda.runtime-version.minor": runtime_minor,
        "cuda.runtime.major": runtime_major,
        "cuda.runtime.minor": runtime_minor,
    }
    return {PREFIX + key: shortened(sanitised(value)) for key, value in labels.items()}


def _node(gpus: Sequence[ObservedGpu], devices: Sequence[Device]) -> dict[str, str]:
    """What is true of all GPUs, or of any."""
    classes = {observed.gpu.pci_class for observed in gpus}
    cliques = {
        f"{fabric.cluster_uuid}.{fabric.clique_id}"
        for observed in gpus
        if (fabric := observed.gpu.fabric) is not None
    }
    capable = any(observed.gpu.mig is not MigState.UNSUPPORTED for observed in gpus)
    # NVIDIA's MPS daemons go to nodes by this label, and serve no slices.
    mps = not any(observed.mig_on for observed in gpus) and any(
        device.resource and device.shares is not None and device.shares.strategy is Sharing.MPS
        for device in devices
    )
    labels = {
        f"{_GPU}.mode": _MODES.get(next(iter(classes)) or 0, UNKNOWN) if len(classes) == 1 else UNKNOWN,
        f"{PREFIX}mig.capable": _truth(capable),
        f"{PREFIX}mps.capable": _truth(mps),
    }
    if len(cliques) == 1:
        labels[f"{_GPU}.clique"] = cliques.pop()
    return labels


def _model(model: Model) -> dict[str, str]:
    gpu = model.gpus[0].gpu
    major, minor = gpu.compute_capability
    labels = {
        **_base(_GPU, len(model.gpus), model.division, model.product),
        f"{_GPU}.family": gpu.architecture or "undefined",
        f"{_GPU}.compute.major": str(major),
        f"{_GPU}.compute.minor": str(minor),
    }
    if gpu.memory_mib is not None:
        labels[f"{_GPU}.memory"] = str(gpu.memory_mib)
    return labels


def _slices(
    snapshot: Snapshot, advertisement: Advertisement, settings: Settings, first: Model
) -> dict[str, str]:
    """What slices add to the labels of the GPUs, or say in their place."""
    strategy, naming = settings.mig_strategy, settings.naming
    if strategy is MigStrategy.NONE:
        return {}
    labels = {f"{PREFIX}mig.strategy": strategy.value}
    by_profile = slices.by_profile(advertisement.devices)
    if strategy is MigStrategy.MIXED:
        for profile, devices in by_profile.items():
            divided = division(devices, naming.of_profile(profile))
            labels |= _profile(resource_name(profile), profile, devices, divided, snapshot)
    elif any(observed.mig_on for observed in snapshot.gpus):
        if single_fault(snapshot.gpus) or not by_profile:
            return labels | _invalid(first.product)
        # One, but for those that are remembered of a dead GPU.
        profile, devices = max(by_profile.items(), key=lambda pair: (len(pair[1]), pair[0]))
        divided = division(devices, naming.of_gpu(slices.lead(devices, snapshot.by_uuid)[0]))
        labels |= _profile(_GPU, profile, devices, divided, snapshot)
    return labels


def _profile(
    prefix: str, profile: str, devices: Sequence[Device], divided: Division, snapshot: Snapshot
) -> dict[str, str]:
    model, device = slices.lead(devices, snapshot.by_uuid)
    parts = ("MIG", re.sub("[+,]", ".", profile))
    labels = _base(prefix, len(devices), divided, model, *parts)
    for key, figure in slices.figures(device, snapshot.by_uuid[device.gpu_uuid]).items():
        if figure is not None:
            labels[f"{prefix}.{key}"] = str(figure)
    return labels


def _base(prefix: str, count: int, divided: Division, model: str, *parts: str) -> dict[str, str]:
    shared = ("SHARED",) if divided.replicas > 1 and not divided.renamed else ()
    return {
        f"{prefix}.product": product(model, *parts, *shared),
        f"{prefix}.count": str(count),
        f"{prefix}.replicas": str(divided.replicas),
        f"{prefix}.sharing-strategy": _STRATEGIES[divided.strategy],
    }


def _invalid(model: str) -> dict[str, str]:
    """The GPUs are not alike enough for strategy single."""
    return {
        PRODUCT: product(model, "MIG", "INVALID"),
        f"{_GPU}.count": "0",
        f"{_GPU}.replicas": "0",
        f"{_GPU}.sharing-strategy": "",
        f"{_GPU}.memory": "0",
    }


def _own(model: Model) -> dict[str, str]:
    """What NVIDIA's labels can say of one model, of each."""
    told = {
        "count": len(model.gpus),
        "replicas": model.division.replicas,
        "memory": model.gpus[0].gpu.memory_mib,
    }
    room = MAX_LENGTH - len("gpu..") - max(map(len, told))
    name = shortened(sanitised(model.product), room)
    return {
        f"{OWN_PREFIX}gpu.{name}.{key}": str(figure) for key, figure in told.items() if figure is not None
    }


def _truth(so: bool) -> str:
    return "true" if so else "false"
