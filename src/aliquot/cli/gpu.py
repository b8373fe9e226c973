"""`aliquot gpu`: the cluster's GPUs as their slots, and the boards of the catalogue."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from aliquot.cli.connect import cluster_options, connect, run
from aliquot.cli.output import Format, emit, output_option, table

if TYPE_CHECKING:
    from aliquot.kube.api.gpunode import GPUNode, GPUStatus

SLOTS_WITHOUT_MIG = 8
"""Width of the drawing of a board whose memory has no slots."""


@click.group()
def gpu() -> None:
    """GPUs of the cluster, and boards of the catalogue."""


@gpu.command("list")
@click.option("--node", help="Only this node.")
@cluster_options
@output_option
def list_gpus(node: str | None, kubeconfig: str | None, context: str | None, output: Format) -> None:
    """Each GPU drawn as its memory slots, with what is cut there and the pod that holds it."""
    nodes: list[GPUNode] = run(lambda: _gpu_nodes(kubeconfig, context))
    if node is not None:
        nodes = [n for n in nodes if n.metadata.name == node]
        if not nodes:
            raise click.ClickException(f"no GPUNode {node!r}; 'kubectl get gpunodes' lists them")
    rows = []
    for gpu_node in nodes:
        for found in gpu_node.status.gpus:
            rows += _drawn(gpu_node.metadata.name, found)
    emit(
        output,
        [{"node": n.metadata.name, **_plain(g)} for n in nodes for g in n.status.gpus],
        columns=("NODE", "GPU", "PRODUCT", "SLOTS"),
        rows=rows,
    )


def _drawn(node: str, found: "GPUStatus") -> list[tuple[str, str, str, str]]:
    from aliquot.cli.slots import draw
    from aliquot.gpu import boards

    mig = boards.board(found.board).mig if found.board else None
    top, bottom = draw(found, (mig.memory_slots if mig else None) or SLOTS_WITHOUT_MIG)
    return [(node, str(found.index), found.product, top), ("", "", "", bottom)]


@gpu.command("boards")
@click.argument("key", required=False)
@output_option
def list_boards(key: str | None, output: Format) -> None:
    """Boards of the catalogue, or the MIG profiles of the board KEY. What nobody has published is shown as ?."""
    from aliquot.gpu import boards

    if key is not None:
        _show_board(key, output)
        return
    emit(
        output,
        boards.boards(),
        columns=("BOARD", "PRODUCT", "MEMORY", "ARCHITECTURE", "CC", "MIG PROFILES"),
        rows=[
            (
                board.key,
                board.product,
                _known(board.memory_mib, " MiB"),
                board.architecture,
                board.compute_capability,
                " ".join(profile.name for profile in board.mig.profiles) if board.mig else "no MIG",
            )
            for board in boards.boards()
        ],
    )


def _show_board(key: str, output: Format) -> None:
    from aliquot.gpu import boards

    try:
        board = boards.board(key)
    except boards.UnknownBoard as error:
        raise click.ClickException(str(error)) from error
    emit(
        output,
        board,
        columns=("PROFILE", "ID", "COMPUTE", "SLOTS", "STARTS", "MEMORY", "SM", "MAX"),
        rows=[
            (
                profile.name,
                _known(profile.id),
                str(profile.compute_slices),
                _known(profile.memory_slots),
                ",".join(map(str, profile.starts)) if profile.starts is not None else "?",
                _known(profile.memory_mib, " MiB"),
                _known(profile.multiprocessors),
                str(profile.max_instances),
            )
            for profile in (board.mig.profiles if board.mig else ())
        ],
    )


def _known(figure: int | None, unit: str = "") -> str:
    return "?" if figure is None else f"{figure}{unit}"


@gpu.command()
@click.argument("which", metavar="NODE/INDEX|UUID")
@cluster_options
@output_option
def show(which: str, kubeconfig: str | None, context: str | None, output: Format) -> None:
    """One GPU in full: mode, health, links, and each instance with its pod."""
    matches = [
        (node, found)
        for node in run(lambda: _gpu_nodes(kubeconfig, context))
        for found in node.status.gpus
        if which in (found.uuid, f"{node.metadata.name}/{found.index}")
        or any(instance.uuid == which for instance in found.instances)
    ]
    if not matches:
        raise click.ClickException(f"no GPU {which!r}; 'aliquot gpu list -o json' names them all")
    node, found = matches[0]
    if output is not Format.TABLE:
        emit(output, {"node": node.metadata.name, **_plain(found)}, columns=(), rows=())
        return
    health = found.health.value + (f" ({found.reason}: {found.message})" if found.reason else "")
    table(
        ("FIELD", "VALUE"),
        [
            ("node", node.metadata.name),
            ("index", str(found.index)),
            ("uuid", found.uuid),
            ("product", found.product),
            ("board", found.board or "unknown"),
            ("memory", f"{found.memory_mib} MiB" if found.memory_mib is not None else "unknown"),
            ("MIG", found.mig_mode.value),
            ("health", health),
            ("PCI bus id", found.pci_bus_id),
            ("NUMA node", str(found.numa_node) if found.numa_node is not None else "none"),
            (
                "advertised as",
                found.resource or "its slices" if found.instances else found.resource or "nothing",
            ),
            ("pods", ", ".join(found.pods) or "none"),
        ],
    )
    if found.instances:
        click.echo()
        table(
            ("START", "SIZE", "PROFILE", "GI", "CI", "RESOURCE", "READY", "UUID", "PODS"),
            [
                (
                    str(i.start),
                    str(i.size),
                    i.profile,
                    str(i.gi_id),
                    str(i.ci_id),
                    i.resource,
                    "yes" if i.ready else "no",
                    i.uuid,
                    ", ".join(i.pods),
                )
                for i in sorted(found.instances, key=lambda i: (i.start, i.ci_id))
            ],
        )
    if found.links:
        click.echo()
        table(
            ("PEER", "LINK", "LANES"),
            [(link.peer, link.kind, str(link.lanes) if link.lanes else "") for link in found.links],
        )


async def _gpu_nodes(kubeconfig: str | None, context: str | None) -> "list[GPUNode]":
    from aliquot.kube.api.gpunode import GPUNode
    from aliquot.kube.errors import NotFound
    from aliquot.kube.resources import GPUNODES

    async with connect(kubeconfig, context) as client:
        try:
            listing = await client.list(GPUNODES, into=GPUNode)
        except NotFound:
            raise click.ClickException(
                "this cluster has no GPUNode kind: no Aliquot node agent has run here; start one with 'aliquot node run'"
            ) from None
    return sorted(listing.items, key=lambda n: n.metadata.name)


def _plain(struct: msgspec.Struct) -> dict[str, Any]:
    fields = msgspec.to_builtins(struct)
    assert isinstance(fields, dict)
    return fields
