"""A change as a sentence. Of a GPU: what is made for whom, what goes, what stays. Of pods: who is moved for whom, and where to."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from aliquot.gpu.profiles import of_gpu_instance
from aliquot.kube.api.gpunode import GPUStatus, MigMode, WantedGPU
from aliquot.partition.controller.claims import Claim
from aliquot.partition.controller.moves import Relocation, Victim
from aliquot.partition.replanning.plan import Spot


def change_in_words(status: GPUStatus, wanted: WantedGPU, claims: Sequence[Claim]) -> str:
    """`GPU 3: makes 1g.10gb at slot 2 for default/a; gives up 2g.20gb at slot 4 (free); keeps 2 in use`."""
    parts = []
    if wanted.mig is True and status.mig_mode is MigMode.DISABLED:
        parts.append("switches MIG on")
    if wanted.mig is False and status.mig_mode is MigMode.ENABLED:
        parts.append("switches MIG off")
    there = {(of_gpu_instance(instance.profile), instance.start) for instance in status.instances}
    asked = {(one.profile, one.start) for one in wanted.instances or ()}
    if wanted.instances is not None:
        if made := sorted(asked - there, key=lambda one: one[1]):
            parts.append(f"makes {_slices(made)}{_for(claims)}")
        if gone := sorted(there - asked, key=lambda one: one[1]):
            parts.append(f"gives up {_slices(gone)}, which nobody has")
    if wanted.class_name:
        shares = wanted.sharing.replicas if wanted.sharing is not None else 1
        form = f"in {shares} shares ({wanted.sharing.strategy})" if wanted.sharing and shares > 1 else "whole"
        parts.append(f"offers it {form} as class {wanted.class_name}{_for(claims)}")
    if wanted.slice_classes:
        named = Counter(one.class_name for one in wanted.slice_classes)
        listed = ", ".join(f"{count} as {name}" for name, count in sorted(named.items()))
        parts.append(f"offers slices by class: {listed}")
    if not parts:
        return ""
    held = sum(bool(instance.pods) for instance in status.instances)
    if held:
        parts.append(f"keeps {held} in use")
    return f"GPU {status.index}: {'; '.join(parts)}"


def _slices(slices: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{profile} at slot {start}" for profile, start in slices)


def _for(claims: Sequence[Claim]) -> str:
    pods = list(dict.fromkeys(claim.pod for claim in claims))
    if not pods:
        return ""
    more = f" and {len(pods) - 2} more" if len(pods) > 2 else ""
    return f" for {', '.join(pods[:2])}{more}"


# --- who is moved ---


def relocation_in_words(found: Relocation, indexes: Mapping[str, int]) -> str:
    """`7g.80gb at slot 0 of GPU 0 of a: moves default/x (3g.40gb at slot 4; its place: GPU 1 of a, slot 0), which frees 4 memory
    slots`. `indexes`: of GPUs, by UUID."""
    where = " and ".join(_spot(spot, indexes) for _, spot in found.slices)
    moved = ", ".join(
        f"{victim.pod} ({_places(victim.spots)}; {_room(victim, indexes)})" for victim in found.victims
    )
    freed = sum(spot.size for victim in found.victims for spot in victim.spots)
    text = f"{where}: moves {moved}, which frees {freed} memory slot{'s' if freed > 1 else ''}"
    if found.later:
        text += f"; then {', '.join(victim.pod for victim in found.later)} for what is moved"
    return text


def moved_in_words(victim: Victim, found: Relocation, indexes: Mapping[str, int]) -> str:
    """To the pod that is moved."""
    wanted = " and ".join(_spot(spot, indexes) for _, spot in found.slices)
    return f"evicted, to make room for {found.pod} ({wanted}); {_room(victim, indexes)}"


def _places(spots: Sequence[Spot]) -> str:
    return " and ".join(f"{spot.profile} at slot {spot.start}" for spot in spots)


def _room(victim: Victim, indexes: Mapping[str, int]) -> str:
    places = " and ".join(f"GPU {indexes.get(s.uuid)} of {s.node}, slot {s.start}" for s in victim.to)
    return f"its place: {places}"


def _spot(spot: Spot, indexes: Mapping[str, int]) -> str:
    return f"{spot.profile} at slot {spot.start} of GPU {indexes.get(spot.uuid)} of {spot.node}"
