"""The configurations that everybody begins with, made from what boards can be cut into.

all-disabled and all-enabled; for each profile `all-<profile>` with as many as fit; and all-balanced, which has a bit of
each: two of one slice, one of two and, on boards of seven slices, one of three.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aliquot.gpu.arrangement import Demand, arrange
from aliquot.gpu.boards import Board
from aliquot.gpu.driver import Gpu, InstanceProfile
from aliquot.gpu.layout import Refusal
from aliquot.gpu.mig_config.device_filter import DeviceFilter
from aliquot.gpu.mig_config.file import Entry, MigConfigFile

BALANCED = "all-balanced"
_BALANCED_OF = {7: {1: 2, 2: 1, 3: 1}, 4: {1: 2, 2: 1}}
"""Compute slices of the board -> compute slices of a profile -> how many."""


@dataclass(frozen=True, slots=True)
class Kind:
    """GPUs that are cut alike. `filters`: their device ids, as the file has them."""

    filters: tuple[str, ...]
    profiles: tuple[InstanceProfile, ...]


def kind_of_board(board: Board) -> Kind:
    """Empty profiles where the board has no MIG, or its placements are not published."""
    filters = tuple(f"0x{device}10DE" for device in board.pci_device_ids)
    return Kind(filters, board.mig.instance_profiles() if board.mig is not None else ())


def kinds_of_gpus(gpus: Iterable[tuple[Gpu, tuple[InstanceProfile, ...]]]) -> list[Kind]:
    """Of GPUs with the profiles that they report. Where there are several kinds, those of no device id are left out:
    no filter would tell them."""
    kinds: dict[int | None, Kind] = {}
    for gpu, profiles in gpus:
        device = gpu.pci_device_id
        if profiles and device not in kinds:
            kinds[device] = Kind((f"0x{device:08X}",) if device is not None else (), profiles)
    return [kind for kind in kinds.values() if kind.filters or len(kinds) == 1]


def generate(kinds: Sequence[Kind]) -> MigConfigFile:
    """Device filters only where there are several kinds, which then all need one. Raises ValueError if one has none."""
    several = len(kinds) > 1
    if several and not all(kind.filters for kind in kinds):
        raise ValueError("several kinds of GPU, and one without a device id to tell it by")
    configs: dict[str, tuple[Entry, ...]] = {
        "all-disabled": (Entry(False),),
        "all-enabled": (Entry(True),),
    }
    most: dict[str, dict[tuple[str, int], list[Kind]]] = {}
    for kind in kinds:
        for profile in kind.profiles:
            count = _most(profile, kind.profiles)
            most.setdefault(config_name(profile.name), {}).setdefault((profile.name, count), []).append(kind)
        if balanced := _balanced(kind.profiles):
            entry = Entry(True, None, _filters([kind]) if several else (), balanced)
            configs[BALANCED] = (*configs.get(BALANCED, ()), entry)
    for name, kinds_of in most.items():
        configs[name] = tuple(
            Entry(True, None, _filters(alike) if several else (), {profile: count})
            for (profile, count), alike in sorted(kinds_of.items(), key=lambda item: item[0])
        )
    return MigConfigFile(configs)


def config_name(profile: str) -> str:
    """`all-1g.10gb.me` for `1g.10gb+me`; `-me` is kept."""
    return f"all-{profile.replace('+', '.').replace(',', '.')}"


def _filters(kinds: Iterable[Kind]) -> tuple[DeviceFilter, ...]:
    texts = {text for kind in kinds for text in kind.filters}
    return tuple(DeviceFilter.parse(text) for text in sorted(texts))


def _most(profile: InstanceProfile, profiles: Sequence[InstanceProfile]) -> int:
    """As many as the board says, or as fit, where that is fewer."""
    for count in range(profile.max_instances, 1, -1):
        if not isinstance(arrange(profiles, (), [Demand(profile.profile_id)] * count), Refusal):
            return count
    return 1


def _balanced(profiles: Sequence[InstanceProfile]) -> Mapping[str, int]:
    """Nothing for boards of two slots, and where a profile that it needs is missing."""
    plain = [profile for profile in profiles if not profile.attributes]
    whole = max((profile.compute_slices for profile in plain), default=0)
    counts = {}
    for slices, count in _BALANCED_OF.get(whole, {}).items():
        # Of two profiles of one slice the one with the usual memory.
        same = sorted(
            (profile for profile in plain if profile.compute_slices == slices), key=lambda p: p.memory_slots
        )
        if not same:
            return {}
        counts[same[0].name] = count
    return counts
