"""`aliquot mig apply`, `restore` and `recover`: what was planned, done, with a journal that outlives the process."""

import asyncio
import re
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli import logs
from aliquot.cli.mig.configuring import chosen, config_options, goals, refuse_lost
from aliquot.cli.mig.hooks import load, run, variables_of
from aliquot.cli.mig.machines import STATE_DIRECTORY, Machine, Source, look_again, machines, refuse_losses
from aliquot.cli.mig.options import source_options
from aliquot.cli.mig.outcomes import Exit, MigError, of_failures
from aliquot.cli.output import counted
from aliquot.cli.parameters import Seconds

if TYPE_CHECKING:
    from aliquot.cli.mig.planning import Goals, Planned, Released
    from aliquot.node.mig.applying import Applying, Failed, Result

_MOST_THREADS = 32
_RELEASE = re.compile(r"(?:(?P<node>[^/]+)/)?(?P<gpu>\d+):(?P<slot>\d+)")


def _applying_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing."),
        click.option(
            "--patience",
            "patience_s",
            type=Seconds(),
            default=30.0,
            show_default=True,
            metavar="SECONDS",
            help="How long what is in use is tried again.",
        ),
        click.option(
            "--release",
            "released",
            multiple=True,
            metavar="[NODE/]GPU:SLOT",
            help="The instance at this slot may go though it is in use. May be repeated.",
        ),
    ):
        command = option(command)
    return command


@click.command("apply", short_help="Cut the GPUs as a configuration wants them.")
@config_options
@click.option(
    "-k",
    "--hooks-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="MIG_PARTED_HOOKS_FILE",
    help="A hooks file of mig-parted: commands to run around the change.",
)
@click.option(
    "-s",
    "--skip-reset",
    is_flag=True,
    envvar="MIG_PARTED_SKIP_RESET",
    help="Reset no GPU: a change of mode that needs it waits, and so do its slices.",
)
@_applying_options
@source_options
def apply_config(
    file: str,
    name: str | None,
    mode_only: bool,
    hooks_file: Path | None,
    skip_reset: bool,
    released: tuple[str, ...],
    patience_s: float,
    dry_run: bool,
    source: Source,
) -> None:
    """Change what is not as the configuration wants it, all GPUs side by side, and nothing in use.

    Refused as a whole if any GPU is. What fails is one line for each GPU, and the exit code says what to do next.
    """
    from aliquot.gpu.mig_config.hooks import HookPoint
    from aliquot.node.mig.steps import ApplyPendingMode, SetMode

    entries = chosen(file, name)
    hooks = load(hooks_file)
    variables = variables_of(
        config_file=file, name=name, hooks_file=hooks_file, mode_only=mode_only, skip_reset=skip_reset
    )

    def before(planned: "Sequence[Planned]") -> None:
        steps = [step for one in planned for step in one.steps]
        modes = [step for step in steps if isinstance(step, SetMode | ApplyPendingMode)]
        if modes:
            run(hooks, HookPoint.PRE_APPLY_MODE, variables)
        if len(steps) > len(modes):
            run(hooks, HookPoint.PRE_APPLY_CONFIG, variables)

    wanted = goals(entries, mode_only=mode_only)
    there = partial(refuse_lost, entries=entries)
    if dry_run:
        _carry_out(source, wanted, released, patience_s, there=there, dry_run=True)
        return
    # As systemd and kubelet stop what they started: then the last hook is to run as well.
    signal.signal(signal.SIGTERM, _end)
    run(hooks, HookPoint.APPLY_START, variables)
    try:
        _carry_out(
            source,
            wanted,
            released,
            patience_s,
            there=there,
            before=before,
            resets=not skip_reset,
            may_wait=skip_reset and mode_only,
        )
    except BaseException:
        # Also for who was interrupted: what the first hook stopped is to run again.
        try:
            run(hooks, HookPoint.APPLY_EXIT, variables)
        except click.ClickException as second:
            click.echo(f"error: {second.format_message()}", err=True)
        raise
    run(hooks, HookPoint.APPLY_EXIT, variables)


def _end(_number: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


@click.command("restore", short_help="Bring back the slices of a checkpoint.")
@click.option(
    "-f",
    "--checkpoint-file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    envvar="MIG_PARTED_CHECKPOINT_FILE",
    help="What `checkpoint`, or mig-parted, wrote.",
)
@_applying_options
@source_options
def restore(path: Path, released: tuple[str, ...], patience_s: float, dry_run: bool, source: Source) -> None:
    """Bring back the mode and the exact slices that a checkpoint has; what is there already stays untouched."""
    from aliquot.document import DocumentError, read
    from aliquot.gpu.checkpoints import parse

    try:
        checkpoint = parse(read(path), source=str(path))
    except DocumentError as error:
        raise click.ClickException(str(error)) from error

    def of(machine: Machine) -> "Goals":
        from aliquot.node.advertise import known_profiles
        from aliquot.node.mig.reconfiguration import Goal

        found = {}
        for observed in machine.gpus:
            if observed.gpu.uuid in checkpoint.uuids:
                try:
                    saved = checkpoint.of(observed.gpu.uuid, known_profiles(observed))
                except DocumentError as error:
                    raise click.ClickException(str(error)) from error
                found[observed.gpu.uuid] = Goal(saved.mig, saved.demands)
        return found

    def there(found: Sequence[Machine]) -> None:
        answering = {observed.gpu.uuid for machine in found for observed in machine.gpus}
        if missing := sorted(set(checkpoint.uuids) - answering):
            refuse_losses(found)
            raise click.ClickException(f"{path}: there is no GPU {', '.join(missing)} here")

    _carry_out(source, of, released, patience_s, there=there, dry_run=dry_run)


@click.command("recover", short_help="Finish a change that was cut short, or roll it back.")
@click.option(
    "--finish/--roll-back",
    "finish",
    default=None,
    help="To what it was to become, or to how it was before.",
)
@source_options
def recover(finish: bool | None, source: Source) -> None:
    """Take up changes whose process was killed, or that failed half-way. Without an option, show them."""
    from aliquot.node.mig.applying import Way
    from aliquot.node.mig.journal import JournalError, unfinished

    with machines(source, keep=True) as found:
        open_ones = []
        done: list[tuple[Machine, Mapping[str, Result]]] = []
        for machine in found:
            with _journals(source, machine) as directory:
                try:
                    cut_short = unfinished(directory)
                except JournalError as error:
                    raise click.ClickException(str(error)) from error
                if not cut_short:
                    continue
                if finish is None:
                    titles = machine.titles
                    for one in cut_short:
                        at = f"at '{one.last}'" if one.last else "before its first step"
                        open_ones.append(f"{titles.get(one.gpu_uuid, one.gpu_uuid)}: cut short {at}")
                    continue
                way = Way.FINISH if finish else Way.ROLL_BACK
                with _applying(machine, directory, 30.0) as applying:
                    results = asyncio.run(
                        applying.recover([one.gpu_uuid for one in cut_short], way, machine.users)
                    )
                done.append((machine, results))
        if done:
            _tell(done)
        if open_ones:
            fix = "say --finish, or --roll-back to how the GPUs were before"
            raise MigError(Exit.CUT_SHORT, [*open_ones, fix])
    if not done:
        click.echo("nothing was cut short")


# --- the way of all three ---


def _carry_out(
    source: Source,
    wanted: "Callable[[Machine], Goals]",
    released: Sequence[str],
    patience_s: float,
    *,
    there: Callable[[Sequence[Machine]], None],
    before: "Callable[[Sequence[Planned]], None]" = lambda _: None,
    dry_run: bool = False,
    resets: bool = True,
    may_wait: bool = False,
) -> None:
    """`there` raises where a GPU that it is about is not."""
    from aliquot.cli.mig.planning import plan, refuse, show
    from aliquot.node.mig.applying import Work
    from aliquot.node.mig.reconfiguration import Change

    with machines(source, keep=not dry_run) as found:
        there(found)
        named = _released(found, released)
        planned = plan(found, wanted, named)
        refuse(planned)
        if dry_run:
            show(planned)
            return
        changing = [one for one in planned if one.steps]
        if not changing:
            click.echo(f"{counted(len(planned), 'GPU')}: nothing to do")
            return
        before(planned)
        # What ran before may have taken minutes, and pods come and go.
        found = [look_again(source, machine) for machine in found]
        there(found)
        planned = plan(found, wanted, named)
        refuse(planned)
        changing = [one for one in planned if one.steps]
        done: list[tuple[Machine, Mapping[str, Result]]] = []
        for machine in found:
            works = [
                Work(one.observed, one.outcome)
                for one in changing
                if one.machine is machine and isinstance(one.outcome, Change)
            ]
            if works:
                with (
                    _journals(source, machine) as directory,
                    _applying(machine, directory, patience_s, resets=resets) as applying,
                ):
                    done.append((machine, asyncio.run(applying.apply(works))))
        _tell(done, may_wait=may_wait)


def _released(found: Sequence[Machine], texts: Sequence[str]) -> "Released":
    named = set()
    for text in texts:
        match = _RELEASE.fullmatch(text)
        if match is None:
            raise click.UsageError(f"--release '{text}' is not [NODE/]GPU:SLOT, like 0:4")
        hits = [
            (observed.gpu.uuid, instance.gi_id)
            for machine in found
            if match["node"] in (None, machine.name)
            for observed in machine.gpus
            if observed.gpu.index == int(match["gpu"])
            for instance in observed.instances
            if instance.placement.start == int(match["slot"])
        ]
        if not hits:
            raise click.ClickException(f"--release {text}: no instance begins there")
        named.update(hits)
    return named


@contextmanager
def _journals(source: Source, machine: Machine) -> Iterator[Path]:
    """Of simulated GPUs that are not kept, the journal is not kept either."""
    if source.state is None and source.driver != "nvml":
        with tempfile.TemporaryDirectory() as directory:
            yield Path(directory)
        return
    base = source.state or STATE_DIRECTORY
    yield base / machine.name / "journal" if machine.name else base / "journal"


@contextmanager
def _applying(
    machine: Machine, directory: Path, patience_s: float, *, resets: bool = True
) -> "Iterator[Applying]":
    from aliquot.clock import SystemClock
    from aliquot.node.mig.applying import Applying

    titles = machine.titles

    def progress(uuid: str, text: str) -> None:
        click.echo(f"{titles[uuid]}: {text}")

    # A thread for each GPU: the usual number of threads goes by processors.
    with logs.silent(), ThreadPoolExecutor(_MOST_THREADS) as threads:

        async def run_blocking(function: Callable[..., Any], *arguments: Any) -> Any:
            return await asyncio.get_running_loop().run_in_executor(threads, lambda: function(*arguments))

        yield Applying(
            machine.driver,
            directory=directory,
            clock=SystemClock(),
            run_blocking=run_blocking,
            progress=progress,
            patience_s=patience_s,
            resets=resets,
        )


def _way_on(failed: "Failed") -> str:
    from aliquot.gpu.driver import ReturnCode

    if not failed.open or "mig recover" in failed.message:
        return ""
    when = "when it is back, " if failed.code is ReturnCode.GPU_IS_LOST else ""
    return f"; {when}`aliquot mig recover` finishes it, or rolls it back"


def _tell(done: "Sequence[tuple[Machine, Mapping[str, Result]]]", *, may_wait: bool = False) -> None:
    """`may_wait`: that a mode waits for a reset is as it was asked for."""
    from aliquot.node.mig.applying import Failed, Waits

    failed: list[Failed] = []
    waiting: list[Waits] = []
    lines = []
    count = 0
    for machine, results in done:
        titles = machine.titles
        for uuid, result in results.items():
            if isinstance(result, Failed):
                failed.append(result)
                lines.append(f"{titles.get(uuid, uuid)}: {result.message}{_way_on(result)}")
            elif isinstance(result, Waits):
                waiting.append(result)
                more = "; apply again after it" if result.left else ""
                lines.append(f"{titles.get(uuid, uuid)}: {result.message}{more}")
            else:
                count += 1
    if count or not lines:
        click.echo(f"{counted(count, 'GPU')}: done")
    if failed:
        raise MigError(of_failures(failed), lines)
    if waiting and not may_wait:
        raise MigError(Exit.PENDING, lines)
    for line in lines:
        click.echo(f"warning: {line}", err=True)
