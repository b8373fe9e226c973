"""Several containers on one device: which devices are shared, by how many, and under which resource name.

A shared device stays one device; kubelet is shown its shares, `<id>::0` and so on, as NVIDIA's plugin names them. What
GPUNode.spec wants of a GPU goes before the configuration file.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from aliquot.gpu.driver import Gpu
from aliquot.gpu.mps import most_clients
from aliquot.kube.api.gpunode import Sharing, WantedGPU, WantedSharing
from aliquot.node.advertise import Advertisement, Device, Shares
from aliquot.node.inventory import ObservedGpu
from aliquot.node.misnomers import misnomers
from aliquot.node.plugin_config.file import Replicas, SharingSection
from aliquot.node.plugin_config.names import MAX_LENGTH, shared_name
from aliquot.node.plugin_config.references import Named
from aliquot.node.plugin_config.settings import Settings


@dataclass(frozen=True, slots=True)
class Shared:
    advertisement: Advertisement
    problems: tuple[str, ...] = ()
    """What the configuration says and does not fit this node, one line each."""
    notes: tuple[str, ...] = ()
    """What is in effect and may surprise, one line each."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is to become of a device: `shares` None leaves it whole."""

    shares: Shares | None
    resource: str = ""
    fault: str = ""
    """Why it cannot be had; the device is then not advertised."""
    place: str = ""
    """Where it is written."""


def share(
    advertisement: Advertisement,
    gpus: Sequence[ObservedGpu],
    settings: Settings,
    wanted: Sequence[WantedGPU] = (),
) -> Shared:
    """`advertisement` with the shares that are asked for. `wanted` is GPUNode.spec's."""
    wishes = {gpu.uuid: gpu.sharing for gpu in wanted if gpu.sharing is not None}
    of_a_class = {(gpu.uuid, one.start) for gpu in wanted for one in gpu.slice_classes if one.class_name}
    sections = [
        (strategy, section)
        for strategy, section in ((Sharing.TIME_SLICING, settings.time_slicing), (Sharing.MPS, settings.mps))
        if section is not None
    ]
    notes = [*misnomers(gpus, settings)]
    if not wishes and not sections:
        return Shared(advertisement, notes=tuple(notes))
    by_uuid = {observed.gpu.uuid: observed.gpu for observed in gpus}
    named = {device.id: _named(device, by_uuid[device.gpu_uuid]) for device in advertisement.devices}
    rules: dict[str, _Rule] = {}
    problems: list[str] = []
    for strategy, section in sections:
        # MPS comes last: where both are given it counts, as in NVIDIA's plugin.
        more = _rules(strategy, section, advertisement, by_uuid.values(), named, problems, notes)
        twice = (
            (rules[device_id].place, rule.place) for device_id, rule in more.items() if device_id in rules
        )
        for sliced, mps in dict.fromkeys(twice):
            notes.append(f"mps at {mps} and timeSlicing at {sliced} share the same devices: MPS counts")
        rules |= more
    offered: dict[str, list[Device]] = {name: [] for name in advertisement.resources}
    for name in [name for _, section in sections for name in _names(section, advertisement)]:
        offered.setdefault(name, [])
    withheld = dict(advertisement.withheld)
    devices = []
    for device in advertisement.devices:
        gpu = by_uuid[device.gpu_uuid]
        wish = wishes.get(gpu.uuid)
        if wish is None and device.slice and (gpu.uuid, device.slice.placement.start) in of_a_class:
            # Whoever asks for the class was promised a slice, and not a part of one.
            wish = WantedSharing()
        rule = rules.get(device.id) if wish is None else _wished(wish, device)
        if rule is not None and rule.shares is not None and device.resource and not device.unusable:
            faults = [rule.fault] if rule.fault else _faults(rule, gpu, settings)
            for fault in faults:
                withheld.setdefault(gpu.uuid, fault)
                if fault not in problems:
                    problems.append(fault)
            device = replace(device, resource="" if faults else rule.resource, shares=rule.shares)
        devices.append(device)
        if device.resource:
            offered.setdefault(device.resource, []).append(device)
    resources = {name: tuple(found) for name, found in sorted(offered.items())}
    return Shared(Advertisement(resources, withheld, tuple(devices)), tuple(problems), tuple(notes))


def _named(device: Device, gpu: Gpu) -> Named:
    part = device.slice
    if part is None:
        return Named(gpu, device.id)
    return Named(gpu, device.id, part.mig_index, part.gi_id, part.ci_id)


def _rules(
    strategy: Sharing,
    section: SharingSection,
    advertisement: Advertisement,
    gpus: Collection[Gpu],
    named: Mapping[str, Named],
    problems: list[str],
    notes: list[str],
) -> dict[str, _Rule]:
    rules: dict[str, _Rule] = {}
    first: dict[str, str] = {}
    for entry in section.resources:
        offered = advertisement.resources.get(entry.resource, ())
        if entry.resource not in advertisement.resources:
            problems.append(f"{entry.place}: this node has no {entry.resource}")
        meant = entry.devices.among([named[device.id] for device in offered])
        if absent := entry.devices.absent(gpus):
            problems.append(f"{entry.place}: this node has no GPU {', '.join(absent)}")
        elif offered and not meant:
            _tell_of_none(entry, advertisement, named, problems, notes)
        for device_id in meant:
            fault = ""
            if device_id in rules:
                fault = (
                    f"{entry.place} and {first[device_id]} both share {device_id}: give each its own devices"
                )
            shares = Shares(strategy, entry.replicas, _fails_above_one(strategy, section))
            rules[device_id] = _Rule(shares, _renamed(entry, section), fault, entry.place)
            first[device_id] = entry.place
    return rules


def _tell_of_none(
    entry: Replicas,
    advertisement: Advertisement,
    named: Mapping[str, Named],
    problems: list[str],
    notes: list[str],
) -> None:
    """What it names is there, and is nothing of its resource; why not is told elsewhere where nothing is offered of it."""
    meant = {named[device_id].gpu for device_id in entry.devices.among(list(named.values()))}
    reasons = {gpu.index: advertisement.withheld.get(gpu.uuid, "") for gpu in meant}
    if reasons and all(reasons.values()):
        told = "; ".join(f"GPU {index}: {reason}" for index, reason in sorted(reasons.items()))
        notes.append(f"{entry.place}: what it shares is not offered just now ({told})")
        return
    names = ", ".join(entry.devices.names)
    problems.append(f"{entry.place}: none of {names} is a {entry.resource} of this node")


def _names(section: SharingSection, advertisement: Advertisement) -> Iterator[str]:
    """Those that shares could get here, also where nothing is shared just now."""
    for entry in section.resources:
        if entry.resource in advertisement.resources and len(_renamed(entry, section)) <= MAX_LENGTH:
            yield _renamed(entry, section)


def _renamed(entry: Replicas, section: SharingSection) -> str:
    if entry.rename:
        return entry.rename
    return shared_name(entry.resource) if section.rename_by_default else entry.resource


def _fails_above_one(strategy: Sharing, section: SharingSection) -> bool:
    """As NVIDIA's plugin has it where the file does not say."""
    given = section.fail_requests_greater_than_one
    return strategy is Sharing.MPS if given is None else given


def _wished(wish: WantedSharing, device: Device) -> _Rule:
    """Shares that GPUNode.spec makes have a name of their own: who asks for a GPU is not to be given a part of one."""
    if wish.strategy is Sharing.NONE:
        return _Rule(None)
    return _Rule(Shares(wish.strategy, wish.replicas, False), shared_name(device.resource))


def _faults(rule: _Rule, gpu: Gpu, settings: Settings) -> list[str]:
    shares, name = rule.shares, rule.resource
    faults = []
    if len(name) > MAX_LENGTH:
        faults.append(f"{name} has {len(name)} characters, resource names at most {MAX_LENGTH}")
    if shares is None or shares.strategy is not Sharing.MPS:
        return faults
    if not settings.mps_root:
        faults.append("MPS needs mpsRoot, a directory of the host (--mps-root, MPS_ROOT)")
    limit = most_clients(gpu.compute_capability[0])
    if shares.replicas > limit:
        faults.append(f"{shares.replicas} MPS shares of GPU {gpu.index}: {gpu.product} takes {limit} clients")
    return faults
