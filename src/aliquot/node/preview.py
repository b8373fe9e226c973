"""What the agent would serve on a machine, without serving it: for `aliquot node preview`, and for reading configs."""

from collections.abc import Mapping
from dataclasses import dataclass

from aliquot.node.advertise import advertise
from aliquot.node.device_plugin import environment
from aliquot.node.inventory import Snapshot
from aliquot.node.plugin_config.file import MigStrategy


@dataclass(frozen=True, slots=True)
class PreviewedDevice:
    id: str
    gpu_index: int
    product: str
    profile: str
    """Empty for a whole GPU."""
    start: int | None
    numa_node: int | None
    fault: str
    """Why it would be shown unhealthy; empty when it would not."""
    environment: Mapping[str, str]
    """Of a container that gets this device alone."""


@dataclass(frozen=True, slots=True)
class PreviewedResource:
    name: str
    devices: tuple[PreviewedDevice, ...]
    """Empty: registered all the same, so that kubelet knows the name before the first slice is cut."""


@dataclass(frozen=True, slots=True)
class Preview:
    resources: tuple[PreviewedResource, ...]
    """By name."""
    problems: tuple[str, ...]
    """What is not served, one sentence for each GPU or for all."""


def preview(snapshot: Snapshot, strategy: MigStrategy) -> Preview:
    advertisement = advertise(snapshot.gpus, strategy)
    gpus = snapshot.by_uuid
    resources = []
    for name, devices in advertisement.resources.items():
        previewed = tuple(
            PreviewedDevice(
                device.id,
                device.gpu_index,
                gpus[device.gpu_uuid].gpu.product,
                device.slice.profile if device.slice else "",
                device.slice.placement.start if device.slice else None,
                device.numa_node,
                device.unusable or _failure(snapshot, device.gpu_uuid),
                environment(name, [device.id]),
            )
            for device in devices
        )
        resources.append(PreviewedResource(name, previewed))
    problems = [] if snapshot.failure is None else [f"the driver does not answer: {snapshot.failure}"]
    # Strategy single says the same of every GPU.
    by_text: dict[str, list[int]] = {}
    for uuid, text in advertisement.withheld.items():
        by_text.setdefault(text, []).append(gpus[uuid].gpu.index)
    for text, indexes in by_text.items():
        listed = ", ".join(map(str, indexes))
        problems.append(text if len(indexes) == len(gpus) > 1 else f"GPU {listed}: {text}")
    return Preview(tuple(resources), tuple(problems))


def _failure(snapshot: Snapshot, gpu_uuid: str) -> str:
    failure = snapshot.by_uuid[gpu_uuid].failure
    return str(failure) if failure is not None else ""
