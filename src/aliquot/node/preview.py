"""What the agent would serve on a machine, without serving it: for `aliquot node preview`, and for reading configs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aliquot.kube.api.gpunode import SHARING_RISKS, Sharing
from aliquot.kube.kubeletapi.deviceplugin_pb2 import ContainerAllocateResponse
from aliquot.node.advertise import Device, advertise
from aliquot.node.allocation import Given, answer
from aliquot.node.companions import CompanionFiles, fit
from aliquot.node.inventory import Snapshot
from aliquot.node.labels.features import UNKNOWN, feature_labels
from aliquot.node.plugin_config.settings import Companion, Settings
from aliquot.node.sharing import share


@dataclass(frozen=True, slots=True)
class PreviewedAnswer:
    """What Allocate would answer. Device nodes are left out: those that exist are known on the node alone."""

    environment: Mapping[str, str]
    mounts: Mapping[str, str]
    """By path in the container, that on the host."""
    annotations: Mapping[str, str]
    cdi_devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreviewedDevice:
    id: str
    gpu_index: int
    product: str
    profile: str
    """Empty for a whole GPU."""
    start: int | None
    numa_node: int | None
    sharing: Sharing
    kubelet_ids: tuple[str, ...]
    """What kubelet hands out: the device, or its shares."""
    fault: str
    """Why it would be shown unhealthy; empty when it would not."""
    answer: PreviewedAnswer
    """To a container that gets this device alone, or one share of it."""


@dataclass(frozen=True, slots=True)
class PreviewedResource:
    name: str
    count: int
    """That kubelet could hand out."""
    devices: tuple[PreviewedDevice, ...]
    """Empty: registered all the same, so that kubelet knows the name before the first slice is cut."""


@dataclass(frozen=True, slots=True)
class Preview:
    resources: tuple[PreviewedResource, ...]
    """By name."""
    problems: tuple[str, ...]
    """What is not served, one sentence for each GPU or for all."""
    notes: tuple[str, ...] = ()
    """What is served and should be known: risks of sharing, options without effect."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """That the Node would have; without the timestamp, which is of the moment."""


def preview(
    snapshot: Snapshot,
    settings: Settings,
    machine_type: str = UNKNOWN,
    companions: Mapping[Companion, CompanionFiles] | None = None,
) -> Preview:
    """`companions` that the machine has; None: whatever is asked for."""
    fitted = fit(settings, companions)
    settings = fitted.settings
    whole = advertise(snapshot.gpus, settings.mig_strategy, settings.naming)
    shared = share(whole, snapshot.gpus, settings)
    advertisement = shared.advertisement
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
                _sharing(device),
                device.kubelet_ids,
                device.unusable or fitted.fault or _failure(snapshot, device.gpu_uuid),
                _answer(name, device, settings),
            )
            for device in devices
        )
        count = sum(len(device.kubelet_ids) for device in devices if not device.unusable and not fitted.fault)
        resources.append(PreviewedResource(name, count, previewed))
    problems = [] if snapshot.failure is None else [f"the driver does not answer: {snapshot.failure}"]
    problems += [fitted.fault] if fitted.fault else []
    # Strategy single says the same of every GPU.
    by_text: dict[str, list[int]] = {}
    for uuid, text in advertisement.withheld.items():
        if text not in shared.problems:
            by_text.setdefault(text, []).append(gpus[uuid].gpu.index)
    for text, indexes in by_text.items():
        listed = ", ".join(map(str, indexes))
        problems.append(text if len(indexes) == len(gpus) > 1 else f"GPU {listed}: {text}")
    ways = dict.fromkeys(_sharing(device) for device in advertisement.devices if device.resource)
    risks = [f"{way}: {SHARING_RISKS[way]}" for way in ways if way in SHARING_RISKS]
    return Preview(
        tuple(resources),
        (*problems, *shared.problems),
        (*risks, *fitted.notes, *shared.notes, *settings.without_effect),
        feature_labels(snapshot, advertisement, settings, machine_type),
    )


def _sharing(device: Device) -> Sharing:
    return device.shares.strategy if device.shares is not None else Sharing.NONE


def _answer(resource: str, device: Device, settings: Settings) -> PreviewedAnswer:
    given = Given(resource, (device,), shares=int(device.shares is not None))
    response: ContainerAllocateResponse = answer(given, settings, lambda: "UUID")
    return PreviewedAnswer(
        dict(response.envs),
        {mount.container_path: mount.host_path for mount in response.mounts},
        dict(response.annotations),
        tuple(one.name for one in response.cdi_devices),
    )


def _failure(snapshot: Snapshot, gpu_uuid: str) -> str:
    failure = snapshot.by_uuid[gpu_uuid].failure
    return str(failure) if failure is not None else ""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that two previews tell differently; `before` or `after` is empty where there is no such thing."""

    what: str
    before: str
    after: str


def changes(before: Preview, after: Preview) -> tuple[Change, ...]:
    """Counts of resources first."""
    old, new = _facts(before), _facts(after)
    return tuple(
        Change(what, old.get(what, ""), new.get(what, ""))
        for what in sorted(dict.fromkeys([*old, *new]), key=lambda what: what.startswith(_LATER))
        if old.get(what) != new.get(what)
    )


_LATER = ("device ", "answer ", "label ")


def _facts(shown: Preview) -> dict[str, str]:
    counts = {resource.name: str(resource.count) for resource in shown.resources}
    devices: dict[str, str] = {}
    for resource in shown.resources:
        for device in resource.devices:
            shares = len(device.kubelet_ids)
            way = "" if device.sharing is Sharing.NONE else f", {device.sharing} x {shares}"
            answer = device.answer
            told = [
                *map("=".join, sorted(answer.environment.items())),
                *answer.annotations,
                *answer.cdi_devices,
            ]
            told += [f"{host}:{inside}" for inside, host in sorted(answer.mounts.items())]
            devices[f"device {device.id}"] = f"{resource.name}{way}"
            devices[f"answer {device.id}"] = " ".join(told)
    return counts | devices | {f"label {name}": value for name, value in shown.labels.items()}
