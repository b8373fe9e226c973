"""A recorded cycle as it is written: MessagePack, compressed with gzip. Not JSON, which has no infinity: jobs of which nobody knows
how long they run end then.

It holds names, labels, requests and the rules of placement; of commands, arguments, environment and mounted secrets nothing,
since the scheduler does not read them. What many have in common (shapes of pods, profiles of boards, GPUClasses) is there once,
and named by its position.
"""

import gzip
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Final

import msgspec
from msgspec import Struct

from aliquot import __version__
from aliquot.gpu.driver import InstanceProfile
from aliquot.kube.api.gpuclass import GPUClassSpec
from aliquot.partition.gpus import GpuFacts
from aliquot.partition.value_tables import ValueTable
from aliquot.scheduler.core.backfill.stage import Style
from aliquot.scheduler.core.backfill.timetable import Run
from aliquot.scheduler.core.facts import DeviceState
from aliquot.scheduler.core.fragmentation import Task
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.matching import Taint
from aliquot.scheduler.core.mix import Unit
from aliquot.scheduler.core.placement import Placement
from aliquot.scheduler.core.pod import Amounts, DeviceChoice, PlacedPod, PodShape
from aliquot.scheduler.core.queues.history import Usage
from aliquot.scheduler.core.queues.terms import QueueSpec
from aliquot.scheduler.core.reasons import Explanation, Reason
from aliquot.scheduler.core.rules import Kin
from aliquot.scheduler.core.topology import Topology

FORMAT: Final = "aliquot-cycle"
VERSION: Final = 1
_LARGEST: Final = 1 << 30
"""Bytes when uncompressed: a file from somebody else must not take all memory."""
_COMPRESSION: Final = 3


class Unreadable(Exception):
    """One line."""


class Node(Struct, frozen=True, gc=False):
    """`NodeFacts`."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    unschedulable: bool
    allocatable: Amounts
    devices: tuple[DeviceState, ...]
    links: Mapping[tuple[str, str], int]
    gpus: tuple[tuple[GpuFacts, int], ...]
    """Without their profiles, and the position of those."""
    classes: int
    packs_shares: bool
    packs_slices: bool


class Waiting(Struct, frozen=True, gc=False):
    """`PodRequest`, with the position of its shape."""

    key: str
    uid: str
    shape: int
    priority: int
    created_s: float
    kin: Kin
    owner: str


class Booked(Struct, frozen=True, gc=False):
    """What a queue holds by a pod: `accounts.Entry`."""

    queue: str
    shape: int
    amounts: Amounts
    preemptible: bool
    user: str


class Placed(Struct, frozen=True, gc=False):
    """A pod of a job that has a node."""

    key: str
    leaf: str
    leaves_by_s: float | None
    booked: Booked | None
    """None: it was evicted, and is there still."""


class Job(Struct, frozen=True, gc=False):
    spec: JobSpec
    waiting: tuple[tuple[str, tuple[Waiting, ...]], ...]
    """By leaf."""
    placed: tuple[Placed, ...]
    succeeded: tuple[tuple[str, str], ...]
    """Pods and their leaves."""
    was_whole: bool


class WorthTerms(Struct, frozen=True, gc=False):
    """What a `Worth` is made of. In order: sums of floats depend on it."""

    demand: tuple[tuple[Task, float], ...]
    supply: tuple[tuple[str, int], ...]
    most_gpus: int
    units: Mapping[str, Unit]


class Valued(Struct, frozen=True, gc=False):
    """A board whose slices are placed by learned values."""

    profiles: tuple[InstanceProfile, ...]
    table: ValueTable


class Placing(Struct, frozen=True, gc=False):
    placement: Placement | None
    """None: by policies that are not among ours."""
    worth: WorthTerms | None = None
    """None: not enough is known of the pods that come."""
    boards: tuple[Valued, ...] = ()


class PlacedBind(Struct, frozen=True, gc=False):
    """Of a promise: `Bind`."""

    pod: Waiting
    placed: PlacedPod
    leaf: str


class Promised(Struct, frozen=True, gc=False):
    job: JobSpec
    start_s: float
    end_s: float
    binds: tuple[PlacedBind, ...]


class BackfillState(Struct, frozen=True, gc=False):
    style: Style
    most: int
    runs: tuple[Run, ...]
    promises: tuple[Promised, ...]
    may_be_earlier: bool
    to_look_at: tuple[str, ...]
    estimates: Mapping[str, float | None]
    """By job, where it is not what the job says itself."""


class GuardState(Struct, frozen=True, gc=False):
    kept: Mapping[str, str]
    """By pod; those that are."""
    budgets_of: Mapping[str, tuple[str, ...]]
    allowed: Mapping[str, int]
    anew: Mapping[str, Waiting]
    """By pod; nothing where nobody is moved."""
    loses_work: tuple[str, ...]
    """Of these pods."""


class StandingIn(Struct, frozen=True, gc=False):
    """`StandIn`."""

    job: JobSpec
    moved: str
    leaf: str
    pod: Waiting
    node: str
    until_s: float


class HistoryState(Struct, frozen=True, gc=False):
    """What queues and their users have had."""

    half_life_s: float
    now_s: float
    past: Mapping[str, Amounts]
    """By queue, as of the last look."""
    books: tuple[tuple[str, str, Usage, Amounts], ...]
    """Queue, user, what was had until the last change, and what is held since."""


class Bound(Struct, frozen=True, gc=False):
    """A pod that was given a node."""

    pod: str
    node: str
    devices: tuple[DeviceChoice, ...]
    reserved: bool
    """Its devices have to be made first."""


class Decided(Struct, frozen=True, gc=False):
    job: str
    binds: tuple[Bound, ...]
    after: tuple[str, ...]
    """Pods that have to be gone first."""
    moves: tuple[tuple[str, str], ...] = ()
    """Those of them that have room elsewhere, and on which node."""


class Waits(Struct, frozen=True, gc=False):
    """A job that found no room, for all that are like it."""

    job: str
    shape: str
    placed: int
    needed: int
    reason: Reason | None
    level: str
    told: Explanation | None


class Start(Struct, frozen=True, gc=False):
    job: str
    start_s: float
    end_s: float
    binds: tuple[Bound, ...]


class Below(Struct, frozen=True, gc=False):
    """A gang below its minimum."""

    job: str
    due_s: float
    kept: str
    goes: bool


class Verdict(Struct, frozen=True, gc=False):
    """`Outcome`. Its bytes are the same wherever and whenever it is decided: there is nothing in it that has no order."""

    decisions: tuple[Decided, ...] = ()
    blocked: tuple[Waits, ...] = ()
    promises: tuple[Start, ...] = ()
    more: bool = False
    fallen: tuple[Below, ...] | None = None
    raised: str = ""
    """It was not decided: a policy failed with this."""


class Recording(Struct, frozen=True, kw_only=True, gc=False):
    format: str = FORMAT
    version: int = VERSION
    aliquot: str = __version__
    now_s: float
    limit: int | None
    nodes: tuple[Node, ...]
    pods: tuple[PlacedPod, ...]
    ended: Mapping[str, str]
    """Pods that are over, though a device list may still name them: to their node."""
    jobs: tuple[Job, ...]
    shapes: tuple[PodShape, ...]
    counts: tuple[Amounts, ...]
    """By shape: what such a pod counts for in its queue."""
    profiles: tuple[tuple[InstanceProfile, ...], ...]
    classes: tuple[Mapping[str, GPUClassSpec], ...]
    queues: tuple[QueueSpec, ...]
    offered: Mapping[str, Amounts]
    """By node: what it has to divide between queues."""
    history: HistoryState | None
    topologies: Mapping[str, Topology]
    placing: Placing
    backfill: BackfillState | None
    guards: GuardState | None
    landings: tuple[StandingIn, ...] | None = None
    """None: nobody is moved."""
    steady_s: float = 0.0
    stale_since: Mapping[str, float] | None = None
    stale_hoped_for: Mapping[str, tuple[str, ...]] = {}
    """By job, when it fell below its minimum, on the same clock; None: that is not looked at."""
    ageing_s: float | None = None
    unreadable: Mapping[str, str] = {}
    """Queues that cannot be read, and why."""
    by_place: bool = False
    """Whether pods that have a place count for what they got there, which its node tells, or all as `counts` says."""
    verdict: Verdict | None = None


class _Head(Struct):
    format: str = ""
    version: int = 0
    aliquot: str = ""


def encoded(recording: Recording) -> bytes:
    # Without a time in its head: the same recording is the same file.
    return gzip.compress(msgspec.msgpack.encode(recording), _COMPRESSION, mtime=0)


def decoded(data: bytes) -> Recording:
    """Raises Unreadable."""
    try:
        with gzip.GzipFile(fileobj=BytesIO(data)) as file:
            plain = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"it is no recorded cycle: {error}") from error
    if len(plain) > _LARGEST:
        raise Unreadable(f"it is larger than {_LARGEST >> 20} MiB")
    try:
        head = msgspec.msgpack.decode(plain, type=_Head)
    except msgspec.DecodeError as error:
        raise Unreadable(f"it is no recorded cycle: {error}") from error
    if head.format != FORMAT:
        raise Unreadable("it is no recorded cycle")
    if head.version != VERSION:
        raise Unreadable(
            f"it was recorded by aliquot {head.aliquot} as version {head.version} of the format, and this aliquot "
            f"({__version__}) reads version {VERSION}"
        )
    try:
        return msgspec.msgpack.decode(plain, type=Recording)
    except (msgspec.DecodeError, ValueError) as error:
        raise Unreadable(f"it is damaged: {error}") from error
