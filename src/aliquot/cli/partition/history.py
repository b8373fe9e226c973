"""`aliquot partition history`: what a cluster's pods asked for, as `aliquot partition train` reads it."""

import asyncio
from collections import Counter
from collections.abc import Collection
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli import logs
from aliquot.cli.boards import complete_board
from aliquot.cli.connect import cluster_options, connect, run, serve
from aliquot.cli.parameters import GivenPath

if TYPE_CHECKING:
    from aliquot.kube.api.core import Pod
    from aliquot.kube.api.gpunode import GPUNode
    from aliquot.partition.history import History

_WRITE_EVERY_S = 5.0


@click.command(short_help="Note what pods asked for, to learn from.")
@click.option(
    "--into",
    "path",
    type=GivenPath(dir_okay=False),
    required=True,
    help="File for `aliquot partition train --history`. What it holds stays; a pod that is there by now is brought up to date.",
)
@click.option(
    "--board", shell_complete=complete_board, help="Whose slices.  [default: the board of the cluster's GPUs]"
)
@click.option("--follow", is_flag=True, help="Stay, and note pods as they come and go, until stopped.")
@cluster_options
def history(path: str, board: str | None, follow: bool, kubeconfig: str | None, context: str | None) -> None:
    """Note the slices that the cluster's pods asked for, and how long they stayed.

    Kubernetes forgets pods that are deleted: they are seen only with --follow, or where a run before noted them. Of those
    that still run it is noted how long they have.
    """
    if follow:
        serve(lambda: _note(Path(path), board, follow, kubeconfig, context))
        return
    with logs.silent():
        run(lambda: _note(Path(path), board, follow, kubeconfig, context))


async def _note(
    path: Path, board: str | None, follow: bool, kubeconfig: str | None, context: str | None
) -> None:
    from aliquot.clock import SystemClock
    from aliquot.kube.api.core import Pod
    from aliquot.kube.api.gpuclass import GPUClass
    from aliquot.kube.api.gpunode import GPUNode
    from aliquot.kube.cache import Cache
    from aliquot.kube.resources import GPUCLASSES, GPUNODES, PODS

    clock, changed = SystemClock(), asyncio.Event()
    async with connect(kubeconfig, context) as client:
        async with aclosing(client.pages(PODS, into=Pod, page_size=1)) as pages:
            await anext(pages)  # whoever cannot read pods is told so: a cache would try for ever
        pods = Cache(client, PODS, Pod)
        classes = Cache(client, GPUCLASSES, GPUClass, optional=True)
        gpu_nodes = Cache(client, GPUNODES, GPUNode, optional=True)
        caches: list[Cache[Any]] = [classes, gpu_nodes, pods]
        watching = [asyncio.create_task(cache.run()) for cache in caches]
        try:
            for cache in caches:
                await cache.synced()
            found = _history(path, board or _only_board(gpu_nodes.values()))

            def see(old: Pod | None, new: Pod | None) -> None:
                specs = {one.metadata.name: one.spec for one in classes.values()}
                one = new or old
                assert one is not None
                if found.see(one, specs, clock.now(), gone=new is None):
                    changed.set()

            def write() -> None:
                for pod in pods.values():
                    see(None, pod)  # for how long those that still run have
                changed.clear()
                _write(path, found)

            pods.subscribe(see)
            write()
            _tell(path, found, pods.values())
            try:
                while follow:
                    await changed.wait()
                    await asyncio.sleep(_WRITE_EVERY_S)
                    write()
            finally:
                if changed.is_set():
                    write()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)


def _history(path: Path, key: str) -> "History":
    from aliquot import document
    from aliquot.gpu import boards
    from aliquot.partition.board_states import ordinary
    from aliquot.partition.gpus import GpuFacts
    from aliquot.partition.history import History
    from aliquot.partition.history_file import entries

    try:
        board = boards.board(key)
    except boards.UnknownBoard as error:
        raise click.ClickException(str(error)) from error
    profiles = board.mig.instance_profiles() if board.mig is not None else ()
    if not profiles:
        raise click.ClickException(f"board '{key}' has no MIG placements; `aliquot gpu boards` lists them")
    plain = ordinary(profiles)
    try:
        names = [profile.name for profile in plain]
        noted = entries(document.read(path), names, source=str(path)) if path.exists() else ()
    except document.DocumentError as error:
        raise click.ClickException(str(error)) from error
    facts = GpuFacts("", board=board.key, memory_mib=board.memory_mib, profiles=profiles)
    return History(facts, plain, noted)


def _only_board(gpu_nodes: "Collection[GPUNode]") -> str:
    found = sorted({gpu.board for node in gpu_nodes for gpu in node.status.gpus if gpu.board})
    if len(found) != 1:
        known = f"the GPUs are {', '.join(found)}" if found else "no GPUNode names a board"
        raise click.ClickException(f"{known}: say with --board whose slices are meant")
    return found[0]


def _write(path: Path, found: "History") -> None:
    from aliquot.cli.state import replace_file
    from aliquot.partition.history_file import spell

    try:
        replace_file(path, spell(found.entries()), mode=0o644)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}; choose another file") from error


def _tell(path: Path, found: "History", pods: "Collection[Pod]") -> None:
    entries = found.entries()
    here = {pod.metadata.uid for pod in pods}
    states = Counter(
        "ended" if one.ended else "gone, unseen" if one.uid not in here else "run" if one.stayed else "wait"
        for one in entries
    )
    told = ", ".join(
        f"{states[state]} {state}" for state in ("ended", "run", "wait", "gone, unseen") if states[state]
    )
    click.echo(f"{path}: {len(entries)} slices that pods asked for{': ' if told else ''}{told}")
    click.echo(
        "not seen: pods that were deleted before; Kubernetes forgets them, and --follow notes them as they go",
        err=True,
    )
