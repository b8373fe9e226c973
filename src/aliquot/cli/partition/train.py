"""`aliquot partition train`: a value table from a mix, or from a cluster's own requests."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.boards import complete_board
from aliquot.cli.parameters import GivenName, GivenPath

if TYPE_CHECKING:
    from aliquot.partition.board_states import BoardStates
    from aliquot.partition.policies.learned import Weights
    from aliquot.partition.training import Demand, Request
    from aliquot.partition.value_tables import ValueTable

_MIXES = ("uniform", "skew-small", "skew-big", "bimodal")
_TOLD_EVERY = 20
"""Candidates."""


@click.command(short_help="Learn where to place from the requests that a cluster has.")
@click.option("--mix", type=click.Choice(_MIXES), help="Learn from a mix of the benchmark.")
@click.option(
    "--history",
    type=GivenPath(exists=True, dir_okay=False),
    help="Learn from a file with 'history: [{profile: 1g.10gb, stayed: 5400}, ...]', as `aliquot partition history` writes it.",
)
@click.option("--name", type=GivenName(), help="Of the table.  [default: the mix, or 'history']")
@click.option(
    "--into",
    "path",
    type=GivenPath(dir_okay=False),
    required=True,
    help="File of value tables; one of the same name is replaced, others are kept.",
)
@click.option(
    "--from",
    "begin",
    metavar="TABLE",
    help="Begin with what a table of the file says.  [default: the rule that needs no learning]",
)
@click.option(
    "--board",
    default="h100-80gb",
    show_default=True,
    shell_complete=complete_board,
    help="What GPUs they are.",
)
@click.option("--gpus", type=click.IntRange(min=1), default=100, show_default=True, help="Size of the fleet.")
@click.option(
    "--load",
    "loads",
    type=click.FloatRange(min=0, min_open=True),
    multiple=True,
    default=(0.85, 1.0),
    show_default=True,
    help="Offered memory slots by those of the fleet; several are learned from together.",
)
@click.option(
    "--candidates", type=click.IntRange(min=1), default=400, show_default=True, help="How many are tried."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed learns the same.")
def train(
    mix: str | None,
    history: str | None,
    name: str | None,
    path: str,
    begin: str | None,
    board: str,
    gpus: int,
    loads: Sequence[float],
    candidates: int,
    seed: int,
) -> None:
    """Learn what occupancies are worth to the requests that come, and write that as a value table.

    Candidates play the same requests, and the best is kept; it is then compared, on requests that it has not seen,
    with the rule that needs no learning. Takes minutes.

    A cluster learns from itself so: `aliquot partition history --follow` notes what its pods ask for, this learns from
    that, and `aliquot scheduler run` and `aliquot partition controller` are started with the table by --value-table.
    """
    from itertools import islice
    from random import Random

    from aliquot.partition.policies.learned import shape
    from aliquot.partition.training import draw_runs, train
    from aliquot.partition.value_tables import ValueTable, encode

    if (mix is None) == (history is None):
        raise click.UsageError("give one of --mix and --history")
    states = _states(board)
    there = _tables_in(Path(path))
    start = _weights_of(begin, there, path)
    demand = _demand(states, mix, history)
    random = Random(seed)
    runs = draw_runs(states, demand, gpus, loads, random)
    for step in islice(train(states, runs, gpus, random, start), candidates):
        if step.candidates % _TOLD_EVERY == 0 or step.candidates == candidates:
            gained = 100 * (step.acceptance - step.began_at)
            click.echo(f"{step.candidates:,} of {candidates:,} candidates: {gained:+.2f} points", err=True)
    table = ValueTable(
        name or mix or "history",
        {shape(profile): share for profile, share in zip(states.profiles, demand.shares, strict=True)},
        {feature: round(weight, 4) for feature, weight in step.weights.items()},
    )
    Path(path).write_bytes(encode([*(one for one in there if one.name != table.name), table]))
    unseen = draw_runs(states, demand, gpus, loads, Random(seed + 1))
    click.echo(_compared(states, table, gpus, unseen))


def _states(key: str) -> "BoardStates":
    from aliquot.gpu import boards
    from aliquot.partition.board_states import ordinary, states_of

    try:
        board = boards.board(key)
    except boards.UnknownBoard as error:
        raise click.ClickException(str(error)) from error
    profiles = ordinary(board.mig.instance_profiles()) if board.mig is not None else ()
    if not profiles:
        raise click.ClickException(f"board '{key}' has no MIG placements; `aliquot gpu boards` lists them")
    return states_of(profiles)


def _demand(states: "BoardStates", mix: str | None, history: str | None) -> "Demand":
    from aliquot import document
    from aliquot.partition import history_file
    from aliquot.partition.simulation.workload import MIXES
    from aliquot.partition.training import Demand, demand_of

    if history is None:
        shares = MIXES[str(mix)].shares
        if len(shares) != len(states.profiles):
            raise click.ClickException(
                f"the mixes are of {len(shares)} profiles, and the board has {len(states.profiles)}: use --history"
            )
        return Demand(shares)
    names = [profile.name for profile in states.profiles]
    try:
        return demand_of(states, history_file.parse(document.read(Path(history)), names, source=history))
    except document.DocumentError as error:
        raise click.ClickException(str(error)) from error


def _tables_in(path: Path) -> "tuple[ValueTable, ...]":
    import msgspec

    from aliquot.partition.value_tables import decode

    try:
        return decode(path.read_bytes()) if path.exists() else ()
    except msgspec.DecodeError as error:
        raise click.ClickException(f"{path} is no file of value tables: {error}") from error


def _weights_of(name: str | None, there: "Sequence[ValueTable]", path: str) -> "Weights | None":
    if name is None:
        return None
    for table in there:
        if table.name == name:
            return table.weights
    known = ", ".join(table.name for table in there) or "none"
    raise click.ClickException(f"--from: {path} has no table '{name}'; there is {known}")


def _compared(
    states: "BoardStates", table: "ValueTable", gpus: int, unseen: "Sequence[Sequence[Request]]"
) -> str:
    from aliquot.partition.policies.capability import MOST_SLOT_CAPABILITY
    from aliquot.partition.training import mean_acceptance

    learned = mean_acceptance(states, table.policy(), gpus, unseen)
    rule = mean_acceptance(states, MOST_SLOT_CAPABILITY, gpus, unseen)
    return (
        f"{table.name}: {learned:.2%} of the work admitted on requests that it has not seen, "
        f"{100 * (learned - rule):+.2f} points beside {MOST_SLOT_CAPABILITY.name}"
    )
