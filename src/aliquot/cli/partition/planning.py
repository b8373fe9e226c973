"""`aliquot partition plan`: how to make room for what waits; what moves, why, and what that frees. Changes nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.connect import cluster_options, connect, run
from aliquot.cli.output import Format, emit, output_option, table
from aliquot.cli.parameters import GivenName, GivenPath, Seconds

if TYPE_CHECKING:
    from aliquot.partition.cluster import Cluster
    from aliquot.partition.replanning.plan import Operation, Plan, Spot


@click.command("plan", short_help="Make room for pods that wait: what would move, and why.")
@click.option(
    "--inventory",
    "path",
    type=GivenPath(exists=True, dir_okay=False),
    help="Plan for the GPUs and pods of this file instead of a cluster.",
)
@click.option(
    "--moves", type=click.IntRange(min=0), help="At most so many pods are moved (default: any number)."
)
@click.option(
    "--minimum-run",
    "minimum_run_s",
    type=Seconds(),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="A pod is not moved before it has run for so long.",
)
@click.option(
    "--require",
    "required",
    type=GivenName(),
    multiple=True,
    metavar="NAMESPACE/POD",
    help="This pod has to be admitted, or it is said which limits forbid it; may be given several times.",
)
@click.option(
    "--within", "within_s", type=Seconds(), default=3.0, show_default=True, help="Seconds to search."
)
@cluster_options
@output_option
def plan(
    path: str | None,
    moves: int | None,
    minimum_run_s: float,
    required: tuple[str, ...],
    within_s: float,
    kubeconfig: str | None,
    context: str | None,
    output: Format,
) -> None:
    """Admit what waits, by cutting GPUs anew and moving pods: by priority as much as can be, on the fewest evictions, with
    the fewest slices made and destroyed. Shows what would be done, why, and what it frees; changes nothing."""
    import time

    from aliquot.clock import SystemClock
    from aliquot.partition.replanning.limits import Limits
    from aliquot.partition.replanning.planning import Contradiction, Request, replan
    from aliquot.partition.replanning.solving import NoTime

    if path is not None:
        cluster, now_s = _from_file(path, required), 0.0
    else:
        now_s = SystemClock().now()
        cluster = run(lambda: _from_cluster(kubeconfig, context, required))
    try:
        found = replan(cluster, Request(Limits(moves, minimum_run_s), now_s, within_s), time.monotonic)
    except Contradiction as error:
        raise click.ClickException(str(error)) from error
    except NoTime:
        raise click.ClickException(
            "time was up before it was known whether what is required can be had: give more with --within"
        ) from None
    if not output.is_table:
        emit(output, lambda: document(found), columns=(), rows=())
        return
    show(found)


# --- where it comes from ---


def _from_file(path: str, required: Sequence[str]) -> "Cluster":
    from dataclasses import replace

    from aliquot import document as documents
    from aliquot.partition import cluster_file

    try:
        cluster = cluster_file.parse(documents.read(Path(path)), source=path)
    except documents.DocumentError as error:
        raise click.ClickException(str(error)) from error
    pending = tuple(replace(pod, required=pod.required or pod.key in required) for pod in cluster.pending)
    return _checked(replace(cluster, pending=pending), required)


async def _from_cluster(kubeconfig: str | None, context: str | None, required: Sequence[str]) -> "Cluster":
    from aliquot.kube import resources
    from aliquot.kube.api.core import Node, Pod
    from aliquot.kube.api.gpunode import GPUNode
    from aliquot.kube.api.policy import PodDisruptionBudget
    from aliquot.kube.errors import NotFound
    from aliquot.partition.reading import read

    async with connect(kubeconfig, context) as client:
        try:
            gpu_nodes = await client.list(resources.GPUNODES, into=GPUNode)
        except NotFound:
            raise click.ClickException(
                "this cluster has no GPUNode kind: no Aliquot node agent has run here; start one with 'aliquot node run'"
            ) from None
        nodes = await client.list(resources.NODES, into=Node)
        pods = await client.list(resources.PODS, into=Pod)
        budgets = await client.list(resources.PODDISRUPTIONBUDGETS, into=PodDisruptionBudget)
    return _checked(read(gpu_nodes.items, nodes.items, pods.items, budgets.items, required), required)


def _checked(cluster: "Cluster", required: Sequence[str]) -> "Cluster":
    from aliquot.document import nearest

    waiting = {pod.key for pod in cluster.pending}
    for name in required:
        if name not in waiting:
            raise click.ClickException(f"no pod '{name}' waits for slices{nearest(name, waiting)}")
    return cluster


# --- how it is told ---


def show(found: "Plan") -> None:
    if found.operations:
        rows = [(str(n), *_row(op)) for n, op in enumerate(found.operations, 1)]
        table(("STEP", "WHAT", "SLICE", "WHERE", "WHY"), rows)
        click.echo()
    for line in summary(found):
        click.echo(line)
    changed = [(profile, *room) for profile, room in found.room.items()]
    if changed:
        click.echo()
        table(("ALONE WOULD FIT", "BEFORE", "AFTER"), [(p, f"{b:,}", f"{a:,}") for p, b, a in changed])
    if found.waiting:
        click.echo()
        table(("GOES ON WAITING", "WHY"), sorted(found.waiting.items()))
    if found.fixed and found.waiting:
        click.echo()
        table(("STAYS", "WHY"), sorted(found.fixed.items()))


def summary(found: "Plan") -> list[str]:
    from aliquot.partition.replanning.plan import Evict
    from aliquot.partition.replanning.wording import done_in_words, gaps_in_words

    if not found.admitted and not found.waiting:
        return ["no pod waits for slices: nothing to do"]
    lines = [done_in_words(found), *(gaps_in_words(found) or ["proven optimal"])]
    gapped = [op.pod for op in found.operations if isinstance(op, Evict) and op.gap]
    if gapped:
        lines.append(f"evicted before there is a place: {', '.join(gapped)}")
    if found.note:
        lines.append(found.note)
    return lines


def _row(op: "Operation") -> tuple[str, str, str, str]:
    from aliquot.partition.replanning.plan import Create, Destroy, Evict

    match op:
        case Create(spot=spot, why=why):
            return "make", spot.profile, _at(spot), why
        case Destroy(spot=spot, why=why):
            return "destroy", spot.profile, _at(spot), why
        case Evict(pod=pod, spots=spots, why=why, gap=gap):
            return f"evict {pod}", *_spots(spots), why + ("; its new place is not ready yet" if gap else "")
        case _:
            return f"{'again' if op.again else 'admit'} {op.pod}", *_spots(op.spots), op.why


def _spots(spots: "Sequence[Spot]") -> tuple[str, str]:
    return " + ".join(spot.profile for spot in spots), ", ".join(map(_at, spots))


def _at(spot: "Spot") -> str:
    return f"{spot.node}/{spot.uuid} slot {spot.start}"


def document(found: "Plan") -> dict[str, Any]:
    return {
        "admitted": list(found.admitted),
        "evicted": list(found.evicted),
        "operations": [_operation(op) for op in found.operations],
        "aims": [
            {"aim": one.aim, "value": one.value, "bound": one.bound, "proven": one.proven}
            for one in found.reached
        ],
        "waiting": dict(found.waiting),
        "stays": dict(found.fixed),
        "room": {profile: {"before": b, "after": a} for profile, (b, a) in found.room.items()},
        "basis": dict(found.basis),
        "note": found.note,
    }


def _operation(op: "Operation") -> dict[str, Any]:
    from aliquot.partition.replanning.plan import Create, Destroy, Evict

    if isinstance(op, (Create, Destroy)):
        return {"what": type(op).__name__.lower(), "slices": list(_plain([op.spot])), "why": op.why}
    told: dict[str, Any] = {"what": "evict" if isinstance(op, Evict) else "place", "pod": op.pod}
    told |= {"gap": op.gap} if isinstance(op, Evict) else {"again": op.again}
    return {**told, "slices": list(_plain(op.spots)), "why": op.why}


def _plain(spots: "Sequence[Spot]") -> Iterator[dict[str, Any]]:
    for spot in spots:
        yield {"node": spot.node, "gpu": spot.uuid, "profile": spot.profile, "start": spot.start}
