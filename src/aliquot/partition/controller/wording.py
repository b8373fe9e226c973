"""A change of one GPU as a sentence: what is made for whom, what goes, what stays."""

from collections import Counter
from collections.abc import Iterable, Sequence

from aliquot.gpu.profiles import of_gpu_instance
from aliquot.kube.api.gpunode import GPUStatus, MigMode, WantedGPU
from aliquot.partition.controller.claims import Claim


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
