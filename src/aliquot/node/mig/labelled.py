"""What the label `nvidia.com/mig.config` of a node means for its GPUs, and what its state label says. Pure.

The label names a configuration: of the cluster's own file, else one of those that everybody begins with. Its slices get
their starts here, beside what is in use, and become the wish of GPUNode.spec; the agent does the rest, as for any wish.
"""

from collections.abc import Mapping, Sequence

from aliquot.gpu.arrangement import arrange
from aliquot.gpu.layout import Held, Refusal, RefusalReason, Wanted
from aliquot.gpu.mig_config.file import Entry, MigConfigFile, NoSuchConfig
from aliquot.gpu.mig_config.generate import generate, kinds_of_gpus
from aliquot.gpu.mig_config.selection import SelectionError, concerned, select
from aliquot.kube.api.gpunode import (
    Disruption,
    GPUNode,
    GPUNodeSpec,
    WantedGPU,
    WantedInstance,
)
from aliquot.node.advertise import known_profiles
from aliquot.node.inventory import ObservedGpu, Snapshot
from aliquot.node.mig.goals import goal
from aliquot.node.mig.gpu_clients import HELD_BY_CLIENT
from aliquot.node.mig.reconfiguration import Refused, in_use
from aliquot.node.status import MIG_CONFIGURED, Note

CONFIG = "nvidia.com/mig.config"
PENDING, SUCCESS, FAILED = "pending", "success", "failed"

DISRUPTION = "aliquot.dev/mig-disruption"
"""Annotation of the Node: wait, refuse or evict."""

ORIGIN = "aliquot.dev/mig-config"
"""Annotation of the GPUNode: the configuration that its spec was made from."""

BAD_CONFIG = "BadConfig"

_GOES_ON = frozenset(
    {"Withdrawing", "Evicting", "Reconfiguring", "InUse", "PodsUnknown", "CompanyUnknown", HELD_BY_CLIENT}
)
"""Reasons of MIGConfigured that time takes away: who uses a slice ends some day."""


def choose(file: MigConfigFile, name: str, snapshot: Snapshot) -> tuple[Entry, ...] | Note:
    """The configuration of that name: the file's, else a generated one."""
    if name in file.configs:
        return file.configs[name]
    generated = generate(kinds_of_gpus((o.gpu, known_profiles(o)) for o in snapshot.gpus))
    try:
        return MigConfigFile({**generated.configs, **file.configs}).choose(name)
    except NoSuchConfig as error:
        return Note("NoSuchConfig", str(error))


def wanted(entries: Sequence[Entry], snapshot: Snapshot, users: Mapping[str, str]) -> list[WantedGPU] | Note:
    """`users`: UUID of a MIG device, or of a GPU, -> who holds it. A note where it cannot be, for any of the GPUs."""
    try:
        selection = select(
            entries, [observed.gpu for observed in snapshot.gpus], [lost.index for lost in snapshot.lost]
        )
    except SelectionError as error:
        return Note(BAD_CONFIG, str(error))
    found = []
    for observed in snapshot.gpus:
        entry = selection.entries.get(observed.gpu.uuid)
        if entry is None:
            continue
        one = _wanted_gpu(entry, observed, users)
        if isinstance(one, Note):
            return Note(one.reason, f"GPU {observed.gpu.index}: {one.message}")
        found.append(one)
    return found


def missing(entries: Sequence[Entry], snapshot: Snapshot) -> Note:
    """The others are cut all the same; that the configuration is not in force as a whole is to be seen."""
    about = concerned(entries)
    gone = [lost for lost in snapshot.lost if about is None or lost.index in about]
    if not gone:
        return Note()
    return Note("GPULost", "; ".join(f"GPU {lost.index}: {lost.error}" for lost in gone))


def _wanted_gpu(entry: Entry, observed: ObservedGpu, users: Mapping[str, str]) -> WantedGPU | Note:
    aim = goal(entry, observed)
    if isinstance(aim, Refused):
        return Note(aim.reason, aim.message)
    if not aim.mig:
        return WantedGPU(uuid=observed.gpu.uuid, mig=False)
    profiles = known_profiles(observed)
    used = in_use(observed, users)
    current = [Held(instance, used.get(instance.gi_id, "")) for instance in observed.instances]
    slices = arrange(profiles, current, aim.demands or ())
    if isinstance(slices, Refusal) and slices.reason is RefusalReason.IN_USE:
        # It is wanted all the same: the agent waits for them to end, and says for whom.
        slices = arrange(profiles, current, aim.demands or (), slices.blocking)
    if isinstance(slices, Refusal):
        return Note(slices.reason.value, slices.message)
    names = {profile.profile_id: profile.name for profile in profiles}
    return WantedGPU(
        uuid=observed.gpu.uuid,
        mig=True,
        instances=[_wanted_instance(one, names) for one in slices],
    )


def _wanted_instance(one: Wanted, names: Mapping[int, str]) -> WantedInstance:
    return WantedInstance(
        start=one.slice.start, profile=names[one.slice.profile_id], compute=list(one.compute or ())
    )


def disruption(annotation: str) -> Disruption | Note:
    for known in Disruption:
        if annotation.lower() == known.value.lower():
            return known
    if not annotation:
        return Disruption.WAIT
    return Note(BAD_CONFIG, f"annotation {DISRUPTION} is '{annotation}': use wait, refuse or evict")


def follows(node: GPUNode, name: str) -> bool:
    """Whether the spec was made from the configuration of that name."""
    return (node.metadata.annotations or {}).get(ORIGIN) == name


def holds(node: GPUNode, wish: GPUNodeSpec) -> bool:
    """Whether the spec already says so, of these GPUs."""
    said = {gpu.uuid: (gpu.mig, gpu.instances) for gpu in node.spec.gpus}
    same = all(said.get(gpu.uuid) == (gpu.mig, gpu.instances) for gpu in wish.gpus)
    return same and node.spec.disruption is wish.disruption


def state(node: GPUNode) -> str:
    """What the state label says once the spec has the wish."""
    if node.status.observed_generation != node.metadata.generation:
        return PENDING
    condition = next((c for c in node.status.conditions if c.type == MIG_CONFIGURED), None)
    refused = condition is not None and condition.reason == "InUse"
    if refused and node.spec.disruption is Disruption.REFUSE:
        return FAILED
    if condition is None or (condition.status != "True" and condition.reason in _GOES_ON):
        return PENDING
    return SUCCESS if condition.status == "True" else FAILED
