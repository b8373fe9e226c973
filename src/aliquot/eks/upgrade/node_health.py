"""What speaks against nodes that have come: their daemons do not start, or pods wait for room that they do not give. Pure."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from aliquot.counting import counted
from aliquot.eks.estate.objects import Meta
from aliquot.eks.upgrade.acts.cluster_counts import KEPT
from aliquot.eks.upgrade.counts import Counts
from aliquot.eks.upgrade.doing import Attempt
from aliquot.eks.upgrade.verdicts import Done, Hold, Verdict, Wait
from aliquot.eks.versions.minor import Minor

_LOOK_S = 15.0
_NAMED = 5
_DO_NOT_START = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)


class Waiting(Struct, frozen=True):
    reason: str = ""


class State(Struct, frozen=True):
    waiting: Waiting | None = None


class ContainerStatus(Struct, frozen=True):
    name: str = ""
    state: State = State()


class PodSpec(Struct, frozen=True, rename="camel"):
    node_name: str = ""


class PodStatus(Struct, frozen=True, rename="camel"):
    phase: str = ""
    container_statuses: list[ContainerStatus] = []
    init_container_statuses: list[ContainerStatus] = []


class Pod(Struct, frozen=True):
    metadata: Meta = field(default_factory=Meta)
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


def of_daemons(nodes: Collection[str], pods: Iterable[Pod]) -> Iterator[str]:
    """Of DaemonSets, that do not start on these nodes."""
    for pod in pods:
        if pod.spec.node_name not in nodes or not any(
            one.kind == "DaemonSet" for one in pod.metadata.owner_references
        ):
            continue
        for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
            why = container.state.waiting
            if why is not None and why.reason in _DO_NOT_START:
                yield f"pod {pod.metadata.namespace}/{pod.metadata.name} on {pod.spec.node_name}: {why.reason}"
                break


def of_waiting(pods: Iterable[Pod], attempt: Attempt) -> Iterator[str]:
    """Who waited before the hop began may still wait."""
    before = _counted(attempt)
    if before is None:
        return
    found = waiting(pods)
    was = before.pods.get("Pending", 0)
    if len(found) > was:
        yield f"{counted(len(found), 'pod waits', 'pods wait')} for a node, {was} did before (one is {found[0]})"


def waiting(pods: Iterable[Pod]) -> tuple[str, ...]:
    """For a node."""
    return tuple(
        f"{pod.metadata.namespace}/{pod.metadata.name}"
        for pod in pods
        if pod.status.phase == "Pending" and not pod.spec.node_name
    )


def _counted(attempt: Attempt) -> Counts | None:
    """Of the hop that goes on: the furthest."""
    found: list[tuple[Minor, Any]] = []
    for name, value in attempt.kept.items():
        kind, _, hop = name.partition("/")
        if kind == KEPT:
            try:
                found.append((Minor.parse(hop), value))
            except ValueError:
                continue
    if not found:
        return None
    return msgspec.convert(max(found, key=lambda one: one[0])[1], Counts)


def judged_nodes(
    named: str, nodes: int, minor: Minor, troubles: Sequence[str], attempt: Attempt, settle_s: float
) -> Verdict:
    """`named`: what they are nodes of. Troubles may pass while they settle."""
    if not troubles:
        return Done(
            f"{named}: {counted(nodes, 'node', 'nodes')} of {minor} {'is' if nodes == 1 else 'are'} well"
        )
    if attempt.now_s - attempt.began_s < settle_s:
        return Wait(_LOOK_S, troubles[0])
    more = f" and {len(troubles) - _NAMED} more" if len(troubles) > _NAMED else ""
    return Hold(
        f"{named} is not well: {'; '.join(troubles[:_NAMED])}{more}", "mend it, then retry; or go back"
    )
