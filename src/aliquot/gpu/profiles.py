"""Names of MIG profiles, and what stands behind a name.

`[<C>c.]<G>g.<MEM>gb[+attribute,...|-me]`: C compute slices of a GPU instance of G slices, MEM in GB as printed,
`C` left out when it equals G. Names change with the driver (one GB300 profile is 1g.35gb under one and 1g.31gb
under the next), so a profile's identity is its shape: slices, memory slots and attributes.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from aliquot.document import nearest
from aliquot.gpu.driver import InstanceProfile

ATTRIBUTES = frozenset({"me", "me.all", "gfx"})
WITHOUT_MEDIA = "-me"
"""Attribute of a profile that gives up the media engines it would have had."""

RESOURCE_PREFIX = "nvidia.com/"
GPU_RESOURCE = RESOURCE_PREFIX + "gpu"

_NAME = re.compile(
    r"(?:([1-9]\d{0,8})c\.)?(0|[1-9]\d{0,8})g\.(0|[1-9]\d{0,8})gb(?:\+([a-z.,]+)|(-me))?", re.ASCII
)


class BadProfileName(ValueError):
    """The text is no profile name."""


class UnknownProfile(Exception):
    """The board has no such profile. One line, with the nearest it has."""


@dataclass(frozen=True, slots=True)
class ProfileName:
    compute_slices: int
    gpu_slices: int
    memory_gb: int
    attributes: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "ProfileName":
        """Raises BadProfileName."""
        found = _NAME.fullmatch(text)
        if found is None:
            raise BadProfileName(f"'{text}' is no MIG profile name (like 1g.10gb, 1g.10gb+me or 1c.2g.20gb)")
        compute, gpu, memory, plus, minus = found.groups()
        names = plus.split(",") if plus else []
        for name in names:
            if name not in ATTRIBUTES or names.count(name) > 1:
                raise BadProfileName(
                    f"'{text}' is no MIG profile name: attribute '{name}' is unknown or given twice"
                )
        slices = int(compute or gpu)
        if slices > int(gpu):
            raise BadProfileName(f"'{text}' is no MIG profile name: {slices} of {gpu} slices")
        return cls(slices, int(gpu), int(memory), frozenset(names) or frozenset({minus} if minus else ()))

    def __str__(self) -> str:
        part = "" if self.compute_slices == self.gpu_slices else f"{self.compute_slices}c."
        plus = ",".join(sorted(self.attributes - {WITHOUT_MEDIA}))
        minus = WITHOUT_MEDIA if WITHOUT_MEDIA in self.attributes else ""
        return f"{part}{self.gpu_slices}g.{self.memory_gb}gb{'+' if plus else ''}{plus}{minus}"


@lru_cache(maxsize=1024)
def of_gpu_instance(name: str) -> str:
    """The profile of the GPU instance that a MIG device of this name is, or is a part of: `1c.3g.40gb` -> `3g.40gb`. A name
    of another make is its own."""
    try:
        parsed = ProfileName.parse(name)
    except BadProfileName:
        return name
    whole = replace(parsed, compute_slices=parsed.gpu_slices)
    return name if whole == parsed else str(whole)


class Shape(NamedTuple):
    """What a profile is, whatever the driver calls it."""

    compute_slices: int
    memory_slots: int
    attributes: frozenset[str]


def shape(profile: InstanceProfile) -> Shape:
    return Shape(profile.compute_slices, profile.memory_slots, profile.attributes)


def memory_gb(memory_mib: int, board_memory_mib: int) -> int:
    """The MEM of a profile name: the fraction of the board, rounded up to an eighth, of the board's whole GiB.

    As NVIDIA's go-nvlib computes it where the driver gives no name.
    """
    eighths = -(-8 * memory_mib // board_memory_mib)
    board_gib = -(-board_memory_mib // 1024)
    return (2 * eighths * board_gib + 8) // 16  # half rounds up


def resource_name(profile: str) -> str:
    """`nvidia.com/mig-1g.10gb.me` for `1g.10gb+me`: the extended resource of a slice under the mixed strategy."""
    return f"{RESOURCE_PREFIX}mig-{re.sub('[+,]', '.', profile)}"


def resolve(
    name: str, reported: Sequence[InstanceProfile], known: Iterable[InstanceProfile] = ()
) -> InstanceProfile:
    """The profile that `name` means on a board that reports `reported`.

    By name, else by the shape that the same name has among `known` (the catalogue's profiles for the board), so
    that a configuration outlives a driver that prints other names. Raises UnknownProfile.
    """
    for profile in reported:
        if profile.name == name:
            return profile
    shapes = {shape(profile) for profile in known if profile.name == name}
    for profile in reported:
        if shape(profile) in shapes:
            return profile
    names = [profile.name for profile in reported]
    near = nearest(name, names) or (f"; it has {', '.join(names)}" if names else "")
    raise UnknownProfile(f"the board has no profile '{name}'{near}")
