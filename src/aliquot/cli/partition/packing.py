"""`aliquot partition pack`: the fewest GPUs that hold a demand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.boards import complete_board
from aliquot.cli.output import Format, counted, emit, output_option, table
from aliquot.cli.parameters import GivenPath, Seconds

if TYPE_CHECKING:
    from aliquot.gpu.driver import InstanceProfile
    from aliquot.partition.packing import Cut, Packing, Supply


@click.command(short_help="The fewest GPUs that hold a demand.")
@click.option(
    "--demand",
    "path",
    type=GivenPath(exists=True, dir_okay=False),
    required=True,
    help="File with 'demand: {1g.10gb: 120, 3g.40gb: 7}'.",
)
@click.option(
    "--board",
    "boards",
    metavar="BOARD[:COUNT]",
    multiple=True,
    required=True,
    shell_complete=complete_board,
    help="GPUs to pack into, and how many there are (default: as many as it takes); may be given several times.",
)
@click.option(
    "--within", "within_s", type=Seconds(), default=3.0, show_default=True, help="Seconds to search."
)
@output_option
def pack(path: str, boards: Sequence[str], within_s: float, output: Format) -> None:
    """The fewest GPUs that hold a demand, with how each is cut; proven, or with how far it may be from the best."""
    from aliquot import document
    from aliquot.partition import demand_file
    from aliquot.partition.packing import PackingTimeout, pack

    try:
        kinds = _kinds(boards)
        known = {profile.name for kind in kinds for profile in kind.profiles}
        demand = demand_file.parse(document.read(Path(path)), known, source=path)
        supplies = [kind.supply(demand) for kind in kinds]
        packing = pack(supplies, demand, within_s=within_s)
    except (document.DocumentError, PackingTimeout) as error:
        raise click.ClickException(str(error)) from error
    heuristic = _first_fit(supplies, demand)
    if not output.is_table:
        emit(output, lambda: _plain(packing, heuristic), columns=(), rows=())
        return
    table(("GPUS", "BOARD", "SLICES", "STARTS"), [_row(cut) for cut in packing.cuts])
    click.echo()
    for line in summary(packing, heuristic):
        click.echo(line)


def summary(packing: "Packing", heuristic: int | None) -> list[str]:
    count = counted(packing.gpus, "GPU").replace(str(packing.gpus), f"{packing.gpus:,}")
    if packing.proven:
        lines = [f"{count}, proven optimal"]
    else:
        lines = [f"{count}; at least {packing.bound:,} are needed (gap {packing.gap:.2%})"]
    if heuristic is not None:
        more = heuristic - packing.gpus
        lines.append(f"first fit decreasing takes {heuristic:,}" + (f": {more:,} more" if more else ", too"))
    if packing.left_out:
        parts = [f"{left:,} x {name}" for name, left in packing.left_out.items()]
        sure = "" if packing.placed_is_proven else "; time was up, others may place more"
        lines.append(f"no room for {', '.join(parts)}{sure}")
    return lines


@dataclass(frozen=True, slots=True)
class _Kind:
    """GPUs to pack into."""

    board: str
    profiles: "tuple[InstanceProfile, ...]"
    available: int | None

    def supply(self, demand: Mapping[str, int]) -> "Supply":
        """Profiles that differ in media engines alone make the search larger: only those that are asked for."""
        from aliquot.partition.board_states import ordinary, states_of
        from aliquot.partition.packing import Supply

        plain = ordinary(self.profiles)
        looked_at = tuple(p for p in self.profiles if p in plain or p.name in demand)
        return Supply(self.board, states_of(looked_at), self.available)


def _kinds(given: Sequence[str]) -> list[_Kind]:
    from aliquot.gpu import boards

    found: dict[str, _Kind] = {}
    for text in given:
        key, colon, number = text.partition(":")
        if colon and not (number.isascii() and number.isdecimal()):
            raise click.ClickException(f"'{text}' is not BOARD[:COUNT], like h100-80gb or h100-80gb:512")
        if key in found:
            raise click.ClickException(f"board '{key}' is given twice: add the counts up")
        try:
            board = boards.board(key)
        except boards.UnknownBoard as error:
            raise click.ClickException(str(error)) from error
        profiles = board.mig.instance_profiles() if board.mig is not None else ()
        if not profiles:
            why = "no MIG" if board.mig is None else "MIG, but its placements are not published"
            raise click.ClickException(f"board '{key}' has {why}; `aliquot gpu boards` lists them")
        found[key] = _Kind(key, profiles, int(number) if colon else None)
    return list(found.values())


def _first_fit(supplies: "Sequence[Supply]", demand: Mapping[str, int]) -> int | None:
    """Beside one kind of GPU, of which there are enough: with several it would need a rule for which to take."""
    from aliquot.partition.first_fit import gpus_taken

    if len(supplies) > 1 or supplies[0].available is not None:
        return None
    counts = {supplies[0].profile(name): count for name, count in demand.items()}
    return gpus_taken(
        supplies[0].states, {profile: n for profile, n in counts.items() if profile is not None}
    )


def _row(cut: "Cut") -> tuple[str, ...]:
    return (
        str(cut.gpus),
        cut.supply.name,
        " + ".join(f"{count} x {name}" for name, count in sorted(cut.counts.items(), reverse=True)),
        " ".join(f"{cut.supply.states.profiles[p.profile].name}@{p.start}" for p in cut.placings),
    )


def _plain(packing: "Packing", heuristic: int | None) -> dict[str, Any]:
    return {
        "gpus": packing.gpus,
        "lowerBound": packing.bound,
        "proven": packing.proven,
        "gap": packing.gap,
        "firstFitDecreasing": heuristic,
        "leftOut": dict(packing.left_out),
        "patterns": [
            {
                "board": cut.supply.name,
                "gpus": cut.gpus,
                "counts": dict(cut.counts),
                "slices": [
                    {"profile": cut.supply.states.profiles[p.profile].name, "start": p.start}
                    for p in cut.placings
                ],
            }
            for cut in packing.cuts
        ],
    }
