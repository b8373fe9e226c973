"""Names that a configuration gives and that say something else of a device: told, and done all the same.

Who asks for `nvidia.com/gpu` counts on a whole GPU, and who asks for `nvidia.com/mig-1g.10gb` on such a slice.
"""

from collections.abc import Iterator, Mapping, Sequence

from aliquot.gpu.profiles import GPU_RESOURCE, resource_name
from aliquot.node.advertise import known_profiles
from aliquot.node.inventory import ObservedGpu
from aliquot.node.plugin_config.file import MigStrategy, Replicas
from aliquot.node.plugin_config.names import SHARED
from aliquot.node.plugin_config.settings import Settings


def misnomers(gpus: Sequence[ObservedGpu], settings: Settings) -> tuple[str, ...]:
    """One line for each name; whether such a device is there just now does not matter."""
    profiles: list[str] = []
    if settings.mig_strategy is MigStrategy.MIXED:
        profiles = sorted({profile.name for observed in gpus for profile in known_profiles(observed)})
    meaning = {GPU_RESOURCE: "a whole GPU"} | {resource_name(one): f"a {one} slice" for one in profiles}
    given = {observed.gpu.product: settings.naming.of_gpu(observed.gpu.product) for observed in gpus}
    lines = [*_lines("resources.gpus", given, dict.fromkeys(given, GPU_RESOURCE), meaning)]
    given = {f"{one} slices": settings.naming.of_profile(one) for one in profiles}
    own = {f"{one} slices": resource_name(one) for one in profiles}
    lines += _lines("resources.mig", given, own, meaning)
    for section in (settings.time_slicing, settings.mps):
        for entry in section.resources if section is not None else ():
            lines += _of_shares(entry, meaning)
    return tuple(lines)


def _lines(
    place: str, given: Mapping[str, str], own: Mapping[str, str], meaning: Mapping[str, str]
) -> Iterator[str]:
    """What bears a name that is another's, by name."""
    wrong: dict[str, list[str]] = {}
    for what, name in given.items():
        if name != own[what] and name in meaning:
            wrong.setdefault(name, []).append(what)
    for name, called in wrong.items():
        yield f"{place}: {', '.join(called)} are called {name}: who asks for it counts on {meaning[name]}"


def _of_shares(entry: Replicas, meaning: Mapping[str, str]) -> Iterator[str]:
    name, own = entry.rename.removesuffix(SHARED), entry.resource.removesuffix(SHARED)
    if name != own and name in meaning:
        yield (
            f"{entry.place}: shares of {entry.resource} are called {entry.rename}: "
            f"who asks for it counts on {meaning[name]}"
        )
