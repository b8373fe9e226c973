"""GPUNode.status from what the agent found: pure, so that equal findings give equal status and nothing is written."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from aliquot.clock import rfc3339
from aliquot.gpu.driver import Link, LinkKind, MigState
from aliquot.kube.api.gpunode import (
    SHARING_RISKS,
    AllocationPolicy,
    GPUAilment,
    GPUInstance,
    GPULink,
    GPUNodeStatus,
    GPUShares,
    GPUStatus,
    Health,
    HeldShares,
    MigMode,
    MigProfile,
)
from aliquot.kube.api.meta import Condition
from aliquot.node.advertise import Advertisement, Device, known_profiles
from aliquot.node.health.ailment import Ailment
from aliquot.node.inventory import ObservedGpu, Snapshot
from aliquot.node.plugin_config.file import MigStrategy
from aliquot.node.pod_resources import Allocations

READY = "Ready"
MIG_CONFIGURED = "MIGConfigured"
CONFIGURED = "Configured"
GPUS_HEALTHY = "GPUsHealthy"
SOLE_PROVIDER = "SoleProvider"
_OURS = frozenset({READY, MIG_CONFIGURED, CONFIGURED, GPUS_HEALTHY, SOLE_PROVIDER})

_MODES = {
    MigState.UNSUPPORTED: MigMode.UNSUPPORTED,
    MigState.DISABLED: MigMode.DISABLED,
    MigState.ENABLED: MigMode.ENABLED,
    MigState.PENDING_ENABLE: MigMode.PENDING_ENABLE,
    MigState.PENDING_DISABLE: MigMode.PENDING_DISABLE,
}


@dataclass(frozen=True, slots=True)
class Note:
    """Where a GPU stands between wanted and found; `reason` empty: as wanted.

    `still_followed`: what was wanted before the problem came up is in force.
    """

    reason: str = ""
    message: str = ""
    in_progress: bool = False
    still_followed: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything the status is made of."""

    snapshot: Snapshot
    strategy: MigStrategy
    advertisement: Advertisement
    allocations: Allocations = field(default_factory=Allocations)
    ailments: Mapping[str, Sequence[Ailment]] = field(default_factory=dict)
    """GPU or MIG UUID -> what is wrong with it, worst first."""
    notes: Mapping[str, Note] = field(default_factory=dict)
    """GPU UUID -> its note, for the GPUs that the spec names. UUIDs that do not exist here are among them."""
    unregistered: Mapping[str, str] = field(default_factory=dict)
    """Resource name -> why kubelet does not know it."""
    observed_generation: int = 0
    config_problem: Note = field(default_factory=Note)
    """Why what the node's MIG label asks for cannot be had."""
    configured: Sequence[Note] = ()
    """Why the configuration is not in effect as a whole."""
    boot_id: str = ""
    left_alone: Mapping[str, Note] = field(default_factory=dict)
    """GPU UUID -> why it is somebody else's to hand out."""
    allocation_policy: AllocationPolicy | None = None
    mps: bool | None = None
    """Whether GPUs could be shared under MPS; None: not known yet."""
    faults: Sequence[Note] = ()
    """Why nothing at all is handed out."""
    remarks: Sequence[str] = ()
    """What is in effect and should be known."""
    changing: Collection[str] = ()
    """Devices that are not handed out as they are offered, for they are configured otherwise by now."""


def build(findings: Findings, before: Sequence[Condition], now: float) -> GPUNodeStatus:
    """`before`: the conditions of the last status; a condition that stays keeps its transition time."""
    version = findings.snapshot.version
    conditions = [
        _condition(READY, _ready(findings), findings.observed_generation),
        _condition(MIG_CONFIGURED, _mig_configured(findings), findings.observed_generation),
        _condition(CONFIGURED, _configured(findings), findings.observed_generation),
        _condition(GPUS_HEALTHY, _gpus_healthy(findings), findings.observed_generation),
        _condition(SOLE_PROVIDER, _sole_provider(findings), findings.observed_generation),
    ]
    return GPUNodeStatus(
        observed_generation=findings.observed_generation,
        driver_version=version.driver if version else "",
        cuda_version=version.cuda if version else "",
        mig_strategy=findings.strategy.value,
        allocation_policy=findings.allocation_policy,
        mps=findings.mps,
        boot_id=findings.boot_id,
        gpus=[_gpu(observed, findings) for observed in findings.snapshot.gpus],
        mig_profiles=_mig_profiles(findings.snapshot.gpus),
        conditions=[_timed(condition, before, now) for condition in conditions],
    )


def own(status: GPUNodeStatus) -> GPUNodeStatus:
    """Without conditions that are not the agent's."""
    return replace(status, conditions=[one for one in status.conditions if one.type in _OURS])


def of_others(status: GPUNodeStatus) -> list[Condition]:
    return [one for one in status.conditions if one.type not in _OURS]


def stopped(last: GPUNodeStatus, now: float) -> GPUNodeStatus:
    """`last` as it is once nobody serves: kubelet hands out nothing more, and who holds a device keeps it."""
    ready = _condition(
        READY,
        (
            False,
            "AgentStopped",
            "the agent of this node was stopped: nothing is handed out until it runs again",
        ),
        last.observed_generation,
    )
    others = [condition for condition in last.conditions if condition.type != READY]
    return replace(
        last,
        gpus=[
            replace(gpu, ready=False, instances=[replace(i, ready=False) for i in gpu.instances])
            for gpu in last.gpus
        ],
        conditions=[_timed(ready, last.conditions, now), *others],
    )


def _mig_profiles(gpus: Sequence[ObservedGpu]) -> list[MigProfile]:
    """Each product's once: GPUs of one product that report different profiles have different drivers, on other nodes."""
    products = {observed.gpu.product: observed for observed in reversed(gpus) if known_profiles(observed)}
    return [
        MigProfile(
            product=product,
            name=profile.name,
            id=profile.profile_id,
            compute_slices=profile.compute_slices,
            memory_slots=profile.memory_slots,
            starts=sorted(placement.start for placement in profile.placements),
            max_instances=profile.max_instances,
            memory_mib=profile.memory_mib,
            multiprocessors=profile.multiprocessors,
        )
        for product, observed in sorted(products.items())
        for profile in known_profiles(observed)
    ]


def _gpu(observed: ObservedGpu, findings: Findings) -> GPUStatus:
    gpu = observed.gpu
    devices = [d for d in findings.advertisement.devices if d.gpu_uuid == gpu.uuid]
    whole = next((device for device in devices if device.slice is None), None)
    reason, message = _reason(observed, devices, findings)
    return GPUStatus(
        uuid=gpu.uuid,
        index=gpu.index,
        product=gpu.product,
        board=gpu.board,
        memory_mib=gpu.memory_mib,
        mig_mode=_MODES[gpu.mig],
        health=Health.UNHEALTHY if gpu.uuid in findings.ailments else Health.HEALTHY,
        reason=reason,
        message=message,
        ailments=[
            GPUAilment(
                device=device_id,
                reason=ailment.reason,
                message=ailment.message,
                cure=ailment.cure,
                since=rfc3339(ailment.since),
                measured=ailment.measured,
            )
            for device_id in (gpu.uuid, *(compute.uuid for _, compute in observed.mig_devices()))
            for ailment in findings.ailments.get(device_id, ())
        ],
        pci_bus_id=gpu.pci_bus_id,
        numa_node=gpu.numa_node,
        resource=whole.resource if whole else "",
        ready=whole is not None and _is_ready(whole, findings),
        pods=list(findings.allocations.pods(gpu.uuid)),
        shares=_shares(whole, findings) if whole else None,
        links=_links(observed.links),
        instances=[_instance(device, observed, findings) for device in devices if device.slice is not None],
    )


def _instance(device: Device, observed: ObservedGpu, findings: Findings) -> GPUInstance:
    assert device.slice is not None
    made_from = next(i.profile_id for i in observed.instances if i.gi_id == device.slice.gi_id)
    profile = observed.profile(made_from)
    return GPUInstance(
        uuid=device.id,
        profile=device.slice.profile,
        start=device.slice.placement.start,
        size=device.slice.placement.size,
        gi_id=device.slice.gi_id,
        ci_id=device.slice.ci_id,
        memory_mib=profile.memory_mib if profile else None,
        resource=device.resource,
        ready=_is_ready(device, findings),
        pods=list(findings.allocations.pods(device.id)),
        shares=_shares(device, findings),
    )


def _is_ready(device: Device, findings: Findings) -> bool:
    ours = bool(device.resource) and device.gpu_uuid not in findings.left_alone
    return ours and findings.allocations.would_give(device)


def _shares(device: Device, findings: Findings) -> GPUShares | None:
    if device.shares is None:
        return None
    held = findings.allocations.shares_by_device.get(device.id, {})
    return GPUShares(
        strategy=device.shares.strategy,
        replicas=device.shares.replicas,
        one_per_container=device.shares.fails_above_one,
        held=[HeldShares(pod=pod, shares=count) for pod, count in sorted(held.items())],
    )


def _links(links: Sequence[Link]) -> list[GPULink]:
    """One for each peer: its NVLinks where it has any, else the PCIe level."""
    best: dict[str, Link] = {}
    for link in links:
        if link.peer_uuid not in best or link.kind is LinkKind.NVLINK:
            best[link.peer_uuid] = link
    return [GPULink(peer=peer, kind=link.kind.value, lanes=link.lanes) for peer, link in sorted(best.items())]


def _reason(observed: ObservedGpu, devices: Sequence[Device], findings: Findings) -> tuple[str, str]:
    """The dominant one: a sick GPU before a sick slice before what holds back a change."""
    uuid = observed.gpu.uuid
    for device_id, where in _places(observed):
        if ailing := findings.ailments.get(device_id):
            return ailing[0].reason, f"{where}{_prognosis(device_id, observed, findings)}"
    if uuid in findings.left_alone:
        return findings.left_alone[uuid].reason, findings.left_alone[uuid].message
    note = findings.notes.get(uuid, Note())
    if note.reason:
        return note.reason, note.message
    if any(device.id in findings.changing for device in devices):
        return "WaitingForUsers", "it is configured otherwise by now, and offered so once nobody holds it"
    if withheld := findings.advertisement.withheld.get(uuid):
        return "NotAdvertised", withheld
    unusable = next((device.unusable for device in devices if device.unusable), "")
    return ("NotUsable", unusable) if unusable else ("", "")


def _places(observed: ObservedGpu) -> Iterator[tuple[str, str]]:
    """The GPU and its slices, with what to say before what is wrong with them."""
    yield observed.gpu.uuid, ""
    for instance, compute in observed.mig_devices():
        yield compute.uuid, f"{compute.name} at slot {instance.placement.start}: "


def _prognosis(device_id: str, observed: ObservedGpu, findings: Findings) -> str:
    """All that is wrong with the GPU or slice, what comes next, and who holds it: they are not disturbed."""
    ailing = findings.ailments[device_id]
    whole = device_id == observed.gpu.uuid
    devices = [place for place, _ in _places(observed)] if whole else [device_id]
    pods = sorted({pod for device in devices for pod in findings.allocations.pods(device)})
    parts = [*(ailment.message for ailment in ailing), ailing[0].outlook]
    if pods:
        parts.append(f"still held by {', '.join(pods)}")
    return "; ".join(parts)


def _gpus_healthy(findings: Findings) -> tuple[bool, str, str]:
    sick = [
        f"GPU {observed.gpu.index}: {where}{_prognosis(device_id, observed, findings)}"
        for observed in findings.snapshot.gpus
        for device_id, where in _places(observed)
        if device_id in findings.ailments
    ]
    sick += [f"GPU {lost.index}: {lost.error}" for lost in findings.snapshot.lost]
    if sick:
        return False, "Unhealthy", " | ".join(sick)
    return True, "AllHealthy", "nothing is wrong with the GPUs and their slices"


def _ready(findings: Findings) -> tuple[bool, str, str]:
    if findings.snapshot.failure is not None:
        return False, "DriverNotAnswering", str(findings.snapshot.failure)
    if findings.unregistered:
        resource, reason = next(iter(findings.unregistered.items()))
        return False, "NotRegistered", f"{resource}: {reason}"
    if findings.allocations.failure:
        return False, "PodResourcesNotAnswering", findings.allocations.failure
    gpus = findings.snapshot.gpus
    losses = [f"GPU {lost.index}: {lost.error}" for lost in findings.snapshot.lost]
    if not gpus:
        return False, "NoGPU", "; ".join(losses) or "the driver lists no GPU"
    withheld = [
        reason for uuid, reason in findings.advertisement.withheld.items() if uuid not in findings.left_alone
    ]
    if findings.strategy is MigStrategy.SINGLE and withheld:
        return False, "LayoutsDiffer", withheld[0]
    if findings.faults:
        return False, findings.faults[0].reason, findings.faults[0].message
    sick = [observed for observed in gpus if observed.gpu.uuid in findings.ailments]
    if sick or losses:
        ailing = [f"GPU {o.gpu.index}: {findings.ailments[o.gpu.uuid][0].message}" for o in sick]
        return len(sick) < len(gpus), "UnhealthyGPU", "; ".join([*ailing, *losses])
    devices = (d for d in findings.advertisement.devices if d.resource and not d.unusable)
    served = {device.gpu_uuid for device in devices if device.id not in findings.changing}
    served -= findings.left_alone.keys()
    if not served:
        return True, "NothingOffered", f"none of {len(gpus)} GPUs is served to kubelet{_nothing_of(findings)}"
    some = "" if len(served) == len(gpus) else f"{len(served)} of "
    return True, "Serving", f"{some}{len(gpus)} GPUs are served to kubelet"


def _nothing_of(findings: Findings) -> str:
    """Why the first GPU is not served, where that is known."""
    observed = findings.snapshot.gpus[0]
    uuid = observed.gpu.uuid
    devices = [device for device in findings.advertisement.devices if device.gpu_uuid == uuid]
    _, message = _reason(observed, devices, findings)
    if not message and observed.mig_on and not devices:
        message = "MIG is on, and nothing is cut"
    return f"; GPU {observed.gpu.index}: {message}" if message else ""


def _sole_provider(findings: Findings) -> tuple[bool, str, str]:
    indexes: dict[Note, list[str]] = {}
    for observed in findings.snapshot.gpus:
        if note := findings.left_alone.get(observed.gpu.uuid):
            indexes.setdefault(note, []).append(str(observed.gpu.index))
    if not indexes:
        return True, "Alone", "nobody else hands out GPUs of this node"
    parts = [f"GPU {', '.join(numbers)}: {note.message}" for note, numbers in indexes.items()]
    return False, next(iter(indexes)).reason, " | ".join(parts)


def _mig_configured(findings: Findings) -> tuple[bool, str, str]:
    problem = findings.config_problem
    if problem.reason and not problem.still_followed:
        return False, problem.reason, problem.message
    so, reason, message = _as_the_spec_wants(findings)
    if not problem.reason:
        return so, reason, message
    both = f"{message}, and the configuration has a slip by now: {problem.message}"
    return so, problem.reason if so else reason, both


def _as_the_spec_wants(findings: Findings) -> tuple[bool, str, str]:
    if not findings.notes:
        return True, "NothingWanted", "the spec asks for nothing"
    indexes = {observed.gpu.uuid: observed.gpu.index for observed in findings.snapshot.gpus}
    # What is stuck matters more than what is under way.
    in_order = sorted(
        findings.notes.items(), key=lambda n: (n[1].in_progress, indexes.get(n[0], len(indexes)), n[0])
    )
    open_notes = [(uuid, note) for uuid, note in in_order if note.reason]
    if not open_notes:
        return True, "AsWanted", "every GPU is as the spec wants it"
    uuid, note = open_notes[0]
    where = f"GPU {indexes[uuid]}" if uuid in indexes else uuid
    more = f" (and {len(open_notes) - 1} more)" if len(open_notes) > 1 else ""
    return False, note.reason, f"{where}: {note.message}{more}"


def _configured(findings: Findings) -> tuple[bool, str, str]:
    if notes := [*findings.faults, *findings.configured]:
        return False, notes[0].reason, "; ".join(note.message for note in notes)
    ways = [device.shares.strategy for device in findings.advertisement.devices if device.shares is not None]
    known = [*(SHARING_RISKS[way] for way in dict.fromkeys(ways)), *findings.remarks]
    return True, "InEffect", "; ".join(known) or "the configuration is in effect"


def _condition(kind: str, state: tuple[bool, str, str], generation: int) -> Condition:
    so, reason, message = state
    return Condition(
        type=kind, status=str(so), reason=reason, message=message, observed_generation=generation
    )


def _timed(condition: Condition, before: Sequence[Condition], now: float) -> Condition:
    old = next((c for c in before if c.type == condition.type), None)
    kept = old.last_transition_time if old is not None and old.status == condition.status else None
    condition.last_transition_time = kept or rfc3339(now)
    return condition
