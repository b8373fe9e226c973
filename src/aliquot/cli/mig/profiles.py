"""`aliquot mig profiles`: what a board, or the GPUs at hand, can be cut into, and where there is room now."""

from typing import TYPE_CHECKING

import click

from aliquot.cli.boards import complete_board
from aliquot.cli.mig.machines import Machine, Source, machines
from aliquot.cli.mig.options import source_options
from aliquot.cli.output import Format, emit, output_option

if TYPE_CHECKING:
    from aliquot.gpu.driver import InstanceProfile
    from aliquot.node.inventory import ObservedGpu


@click.command(short_help="Show what GPUs can be cut into, and where there is room.")
@click.argument("board", required=False, shell_complete=complete_board)
@source_options
@output_option
def profiles(board: str | None, source: Source, output: Format) -> None:
    """Profiles of BOARD, or of the GPUs at hand with the slots where each fits beside what is there."""
    if board is not None:
        _of_board(board, output)
        return
    with machines(source) as found:
        entries = [
            entry for machine in found for observed in machine.gpus for entry in _entries(machine, observed)
        ]
    emit(
        output,
        lambda: entries,
        columns=("GPU", "PROFILE", "ID", "COMPUTE", "SLOTS", "MEMORY", "MAX", "FITS AT"),
        rows=[
            (
                f"{entry['node']}/{entry['gpu']}" if entry["node"] else str(entry["gpu"]),
                str(entry["profile"]),
                str(entry["id"]),
                str(entry["computeSlices"]),
                str(entry["memorySlots"]),
                "?" if entry["memoryMib"] is None else f"{entry['memoryMib']} MiB",
                str(entry["maxInstances"]),
                ",".join(map(str, entry["freeStarts"])) or "-",  # type: ignore[call-overload]
            )
            for entry in entries
        ],
    )


def _of_board(key: str, output: Format) -> None:
    from aliquot.gpu import boards

    try:
        board = boards.board(key)
    except boards.UnknownBoard as error:
        raise click.ClickException(str(error)) from error
    found = board.mig.instance_profiles() if board.mig is not None else ()
    if not found:
        why = "no MIG" if board.mig is None else "MIG, but its placements are not published"
        raise click.ClickException(f"board '{key}' has {why}; `aliquot gpu boards` lists them")
    entries = [_entry("", 0, profile, [p.start for p in profile.placements]) for profile in found]
    emit(
        output,
        lambda: [
            {key: value for key, value in entry.items() if key not in ("node", "gpu")} for entry in entries
        ],
        columns=("PROFILE", "ID", "COMPUTE", "SLOTS", "MEMORY", "MAX", "STARTS"),
        rows=[
            (
                profile.name,
                str(profile.profile_id),
                str(profile.compute_slices),
                str(profile.memory_slots),
                "?" if profile.memory_mib is None else f"{profile.memory_mib} MiB",
                str(profile.max_instances),
                ",".join(str(placement.start) for placement in profile.placements),
            )
            for profile in found
        ],
    )


def _entries(machine: Machine, observed: "ObservedGpu") -> list[dict[str, object]]:
    from aliquot.gpu.layout import Geometry, Slice
    from aliquot.node.advertise import known_profiles

    found = known_profiles(observed)
    geometry = Geometry(found)
    there = [Slice(instance.profile_id, instance.placement.start) for instance in observed.instances]
    return [
        _entry(
            machine.name,
            observed.gpu.index,
            profile,
            [placement.start for placement in geometry.free_placements(profile.profile_id, there)],
        )
        for profile in found
    ]


def _entry(node: str, gpu: int, profile: "InstanceProfile", starts: list[int]) -> dict[str, object]:
    return {
        "node": node,
        "gpu": gpu,
        "profile": profile.name,
        "id": profile.profile_id,
        "computeSlices": profile.compute_slices,
        "memorySlots": profile.memory_slots,
        "memoryMib": profile.memory_mib,
        "maxInstances": profile.max_instances,
        "freeStarts": starts,
    }
