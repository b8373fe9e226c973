"""`aliquot gpu`: the cluster's GPUs as their slots, and the boards of the catalogue."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
import msgspec

from aliquot.cli.boards import list_boards
from aliquot.cli.connect import cluster_options, connect, run
from aliquot.cli.output import Format, emit, output_option, table, wide_output_option

if TYPE_CHECKING:
    from aliquot.kube.api.gpunode import GPUInstance, GPUNode, GPUStatus

SLOTS_WITHOUT_MIG = 8
"""Width of the drawing of a board whose memory has no slots."""


@click.group()
def gpu() -> None:
    """GPUs of the cluster, and boards of the catalogue."""


gpu.add_command(list_boards)


@gpu.command("list")
@click.option("--node", help="Only this node.")
@cluster_options
@wide_output_option
def list_gpus(node: str | None, kubeconfig: str | None, context: str | None, output: Format) -> None:
    """Each GPU drawn as its memory slots, with what is cut there and the pod that holds it; -o wide adds UUIDs."""
    nodes: list[GPUNode] = run(lambda: _gpu_nodes(kubeconfig, context))
    if node is not None:
        nodes = [n for n in nodes if n.metadata.name == node]
        if not nodes:
            raise click.ClickException(f"no GPUNode {node!r}; 'kubectl get gpunodes' lists them")
    _emit_drawn(output, nodes)


def _emit_drawn(output: Format, nodes: "list[GPUNode]") -> None:
    found = [(node.metadata.name, status) for node in nodes for status in node.status.gpus]
    wide = output is Format.WIDE
    emit(
        output,
        lambda: [{"node": name, **_plain(status)} for name, status in found],
        columns=("NODE", "GPU", "UUID", "PRODUCT", "SLOTS") if wide else ("NODE", "GPU", "PRODUCT", "SLOTS"),
        rows=[row for name, status in found for row in _drawn(name, status, wide=wide)]
        if output.is_table
        else (),
    )


def _drawn(node: str, found: "GPUStatus", *, wide: bool) -> Iterator[tuple[str, ...]]:
    from aliquot.cli.slots import draw
    from aliquot.gpu import boards

    mig = boards.board(found.board).mig if found.board else None
    top, bottom = draw(found, (mig.memory_slots if mig else None) or SLOTS_WITHOUT_MIG)
    uuid = (found.uuid,) if wide else ()
    yield node, str(found.index), *uuid, found.product, top
    yield "", "", *("" for _ in uuid), "", bottom


@gpu.command()
@click.argument("which", metavar="NODE[/INDEX]|UUID")
@cluster_options
@output_option
def show(which: str, kubeconfig: str | None, context: str | None, output: Format) -> None:
    """One GPU in full: mode, health, links, and each instance with its pod. Of a NODE, all its GPUs."""
    nodes: list[GPUNode] = run(lambda: _gpu_nodes(kubeconfig, context))
    for node in nodes:
        name = node.metadata.name
        if name == which:
            _show_node(node, output)
            return
        for found in node.status.gpus:
            if which in (found.uuid, f"{name}/{found.index}", *(i.uuid for i in found.instances)):
                _show_gpu(name, found, output)
                return
    raise click.ClickException(f"no node or GPU {which!r}; 'aliquot gpu list -o wide' shows them all")


def _show_node(node: "GPUNode", output: Format) -> None:
    if not output.is_table:
        emit(output, lambda: {"node": node.metadata.name, **_plain(node.status)}, columns=(), rows=())
        return
    status = node.status
    table(
        ("FIELD", "VALUE"),
        [
            ("node", node.metadata.name),
            ("driver", status.driver_version or "unknown"),
            ("CUDA", status.cuda_version or "unknown"),
            ("MIG strategy", status.mig_strategy),
            *(
                (c.type, c.status + (f" ({c.reason}: {c.message})" if c.message else f" ({c.reason})"))
                for c in status.conditions
            ),
        ],
    )
    for found in status.gpus:
        click.echo()
        _show_gpu(node.metadata.name, found, output)


def _show_gpu(node: str, found: "GPUStatus", output: Format) -> None:
    from aliquot.cli.slots import told

    if not output.is_table:
        emit(output, lambda: {"node": node, **_plain(found)}, columns=(), rows=())
        return
    health = found.health.value + (f" ({found.reason}: {found.message})" if found.reason else "")
    table(
        ("FIELD", "VALUE"),
        [
            ("node", node),
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
            ("shares", told(found.shares) if found.shares is not None else "none: one container at a time"),
            ("pods", ", ".join(found.pods) or "none"),
        ],
    )
    if found.instances:
        click.echo()
        table(
            ("START", "SIZE", "PROFILE", "GI", "CI", "RESOURCE", "SHARES", "READY", "UUID", "PODS"),
            [
                _instance_row(i, told(i.shares) if i.shares is not None else "")
                for i in sorted(found.instances, key=lambda i: (i.start, i.ci_id))
            ],
        )
    if found.links:
        click.echo()
        table(
            ("PEER", "LINK", "LANES"),
            [(link.peer, link.kind, str(link.lanes) if link.lanes else "") for link in found.links],
        )


def _instance_row(instance: "GPUInstance", shares: str) -> tuple[str, ...]:
    return (
        str(instance.start),
        str(instance.size),
        instance.profile,
        str(instance.gi_id),
        str(instance.ci_id),
        instance.resource,
        shares,
        "yes" if instance.ready else "no",
        instance.uuid,
        ", ".join(instance.pods),
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
