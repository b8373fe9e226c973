"""From the name of a resource to the ways to provide it on a board: slices by profile, GPUClasses by their spec."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from aliquot.document import nearest
from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.profiles import GPU_RESOURCE, RESOURCE_PREFIX, BadProfileName, ProfileName, resource_name
from aliquot.kube.api.gpuclass import CLASS_PREFIX, GPUClassSpec, Way
from aliquot.kube.quantity import QuantityError
from aliquot.partition.mechanism import Needs, Priced, Unfit, choose, judge
from aliquot.partition.ways import GpuWay, SliceWay, WayOn

_MIG_PREFIX = RESOURCE_PREFIX + "mig-"


class GpuKind(Protocol):
    """What GPUs have in common of which the same can be made."""

    @property
    def board(self) -> str:
        """Key in the catalogue; empty when it is not known there."""

    @property
    def profiles(self) -> tuple[InstanceProfile, ...]: ...

    @property
    def memory_mib(self) -> int | None: ...

    @property
    def mps_clients(self) -> int:
        """How many an MPS server takes there; 0: they cannot be shared under MPS."""


Classes: TypeAlias = Mapping[str, GPUClassSpec]
"""By name. Never changed in place."""


def could_be_made(resource: str) -> bool:
    """Whether it is a name of something that can be made, on whatever board."""
    return resource == GPU_RESOURCE or resource.startswith((_MIG_PREFIX, CLASS_PREFIX))


def ways(resource: str, classes: Classes, gpu: GpuKind) -> tuple[WayOn, ...]:
    """The ways to provide `resource` on such a GPU, in order; empty: none."""
    # By identity: asked of every GPU of the cluster, and there are few kinds and classes.
    key = (resource, id(classes), gpu.board, id(gpu.profiles), gpu.memory_mib, gpu.mps_clients)
    known = _remembered.get(key)
    if known is None:
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        found = _ways(resource, classes, gpu)
        # With what it was made of, so that the identities stay theirs.
        known = _remembered[key] = classes, gpu.profiles, found
    return known[2]


_MOST_REMEMBERED = 10_000
_remembered: dict[
    tuple[str, int, str, int, int | None, int],
    tuple[Classes, Sequence[InstanceProfile], tuple[WayOn, ...]],
] = {}


def _ways(resource: str, classes: Classes, gpu: GpuKind) -> tuple[WayOn, ...]:
    if resource == GPU_RESOURCE:
        return (GpuWay(),)
    if resource.startswith(_MIG_PREFIX):
        return tuple(SliceWay(profile) for profile in gpu.profiles if resource_name(profile.name) == resource)
    spec = classes.get(resource.removeprefix(CLASS_PREFIX)) if resource.startswith(CLASS_PREFIX) else None
    if spec is None or not may_be_on(spec, gpu.board):
        return ()
    try:
        return tuple(priced.way for priced in judged(spec, gpu)[0])
    except QuantityError:
        # Of a time when nobody refused it; the class says so itself.
        return ()


def may_be_on(spec: GPUClassSpec, board: str) -> bool:
    return not spec.boards or board in spec.boards


def fulfils(spec: GPUClassSpec, way: WayOn, gpu: GpuKind) -> bool:
    """Whether `way` is one that the class names, or, where it names none, gives what it asks for: also more than any way
    that would be made for it."""
    if not may_be_on(spec, gpu.board):
        return False
    try:
        if spec.ways:
            return any(priced.way == way for priced in judged(spec, gpu)[0])
        return isinstance(_judge(Needs.of(spec), way, gpu), Priced)
    except QuantityError:
        return False


def judged(spec: GPUClassSpec, gpu: GpuKind) -> tuple[tuple[Priced, ...], tuple[Unfit, ...]]:
    """The ways to provide a class on such a GPU, in the order in which they are tried; and those that do not serve there.

    Raises QuantityError.
    """
    needs = Needs.of(spec)
    if not spec.ways:
        return choose(needs, gpu.profiles, gpu.memory_mib, mps_clients=gpu.mps_clients)
    found: list[Priced] = []
    unfit: list[Unfit] = []
    for named in spec.ways:
        way = _on_board(named, gpu.profiles)
        if way is None:
            assert named.mig is not None
            unfit.append(Unfit(str(named), _no_such_profile(named.mig.profile, gpu.profiles)))
            continue
        one = _judge(needs, way, gpu)
        found.append(one) if isinstance(one, Priced) else unfit.append(one)
    return tuple(found), tuple(unfit)


def _judge(needs: Needs, way: WayOn, gpu: GpuKind) -> Priced | Unfit:
    return judge(needs, way, gpu.profiles, gpu.memory_mib, mps_clients=gpu.mps_clients)


def _no_such_profile(name: str, profiles: Sequence[InstanceProfile]) -> str:
    """With the nearest one that there is: of as many compute slices where it can be, then of as much memory."""
    if not profiles:
        return "no MIG profile is to be had there"
    text = "the board has no such profile"
    try:
        wanted = ProfileName.parse(name)
    except BadProfileName:
        return text + nearest(name, [profile.name for profile in profiles])
    known = [ProfileName.parse(profile.name) for profile in profiles]

    def distance(one: ProfileName) -> tuple[int, int, int]:
        slices, memory = one.gpu_slices - wanted.gpu_slices, one.memory_gb - wanted.memory_gb
        return abs(slices), abs(memory), len(one.attributes ^ wanted.attributes)

    return f"{text}; the nearest is {min(known, key=distance)}"


def _on_board(way: Way, profiles: Sequence[InstanceProfile]) -> WayOn | None:
    if way.mig is None:
        return GpuWay(way.sharing, way.replicas)
    profile = next((profile for profile in profiles if profile.name == way.mig.profile), None)
    return SliceWay(profile) if profile is not None else None
