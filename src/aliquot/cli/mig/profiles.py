"""`aliquot mig profiles`: what a board, or the GPUs at hand, can be cut into, and where there is room now."""

from typing import TYPE_CHECKING

import click
import msgspec

from aliquot.cli.boards import complete_board
from aliquot.cli.mig.machines import Machine, Source, machines, tell_losses
from aliquot.cli.mig.options import source_options
from aliquot.cli.output import Format, emit, output_option

if TYPE_CHECKING:
    from aliquot.gpu.driver import InstanceProfile
    from aliquot.node.inventory import ObservedGpu


class Room(msgspec.Struct, rename="camel"):
    """Of one profile on one GPU. `node` is empty for this machine; `free_starts` are slots."""

    node: str
    gpu: int
    profile: str
    id: int
    compute_slices: int
    memory_slots: int
    memory_mib: int | None
    max_instances: int
    free_starts: list[int]

    @classmethod
    def of(cls, profile: "InstanceProfile", starts: list[int], node: str = "", gpu: int = 0) -> "Room":
        return cls(
            node,
            gpu,
            profile.name,
            profile.profile_id,
            profile.compute_slices,
            profile.memory_slots,
            profile.memory_mib,
            profile.max_instances,
            starts,
        )

    def row(self) -> tuple[str, ...]:
        return (
            self.profile,
            str(self.id),
            str(self.compute_slices),
            str(self.memory_slots),
            "?" if self.memory_mib is None else f"{self.memory_mib} MiB",
            str(self.max_instances),
            ",".join(map(str, self.free_starts)) or "-",
        )


_COLUMNS = ("PROFILE", "ID", "COMPUTE", "SLOTS", "MEMORY", "MAX")


@click.command(short_help="Show what GPUs can be cut into, and where there is room.")
@click.argument("board", required=False, shell_complete=complete_board)
@source_options
@output_option
def profiles(board: str | None, source: Source, output: Format) -> None:
    """Profiles of BOARD, or of the GPUs at hand with the slots where each fits beside what is there."""
    if board is not None:
        found = _of_board(board)
        emit(output, lambda: found, columns=(*_COLUMNS, "STARTS"), rows=[room.row() for room in found])
        return
    with machines(source) as at_hand:
        tell_losses(at_hand)
        rooms = [room for one in at_hand for observed in one.gpus for room in _rooms(one, observed)]
    emit(
        output,
        lambda: rooms,
        columns=("GPU", *_COLUMNS, "FITS AT"),
        rows=[(f"{room.node}/{room.gpu}" if room.node else str(room.gpu), *room.row()) for room in rooms],
    )


def _of_board(key: str) -> list[Room]:
    from aliquot.gpu import boards

    try:
        board = boards.board(key)
    except boards.UnknownBoard as error:
        raise click.ClickException(str(error)) from error
    found = board.mig.instance_profiles() if board.mig is not None else ()
    if not found:
        why = "no MIG" if board.mig is None else "MIG, but its placements are not published"
        raise click.ClickException(f"board '{key}' has {why}; `aliquot gpu boards` lists them")
    return [Room.of(profile, [placement.start for placement in profile.placements]) for profile in found]


def _rooms(machine: Machine, observed: "ObservedGpu") -> list[Room]:
    from aliquot.gpu.layout import Slice, geometry_of
    from aliquot.node.advertise import known_profiles

    found = known_profiles(observed)
    geometry = geometry_of(found)
    there = [Slice(instance.profile_id, instance.placement.start) for instance in observed.instances]
    return [
        Room.of(
            profile,
            [placement.start for placement in geometry.free_placements(profile.profile_id, there)],
            machine.name,
            observed.gpu.index,
        )
        for profile in found
    ]
