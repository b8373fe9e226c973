"""Which entry of a configuration is for which GPU of a node."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aliquot.gpu.driver import Gpu, MigState
from aliquot.gpu.mig_config.device_filter import any_matches
from aliquot.gpu.mig_config.file import Entry


class SelectionError(Exception):
    """One line: why the configuration does not fit the node's GPUs. Entries are counted from 1."""


@dataclass(frozen=True, slots=True)
class Selection:
    entries: Mapping[str, Entry]
    """By UUID of the GPU; GPUs that are left as they are have none."""
    unmatched: tuple[Gpu, ...] = ()
    """No entry is for them."""


def select(entries: Sequence[Entry], gpus: Sequence[Gpu], lost: Collection[int] = ()) -> Selection:
    """GPUs without MIG are left as they are where an entry is for all GPUs, or asks for MIG to be off.

    `lost`: indexes of GPUs that are in the node and cannot be reached. Raises SelectionError.
    """
    for number, entry in enumerate(entries, 1):
        _check(number, entry, gpus, lost)
    found: dict[str, Entry] = {}
    unmatched = []
    for gpu in gpus:
        matching = [(number, entry) for number, entry in enumerate(entries, 1) if _is_for(entry, gpu)]
        if len(matching) > 1:
            (first, _), (second, _) = matching[:2]
            raise SelectionError(
                f"entries {first} and {second} are both for {_title(gpu)}: give each its own devices or device-filter"
            )
        if not matching:
            unmatched.append(gpu)
            continue
        number, entry = matching[0]
        if gpu.mig is not MigState.UNSUPPORTED:
            found[gpu.uuid] = entry
        elif entry.mig_enabled and entry.devices is not None:
            raise SelectionError(
                f"entry {number} turns MIG on for {_title(gpu)}, which has none: leave it out of devices"
            )
    return Selection(found, tuple(unmatched))


def concerned(entries: Iterable[Entry]) -> Collection[int] | None:
    """Indexes of the GPUs that entries may be for, whatever they are; None: any."""
    indexes: set[int] = set()
    for entry in entries:
        if entry.devices is None:
            return None
        indexes.update(entry.devices)
    return indexes


def _check(number: int, entry: Entry, gpus: Sequence[Gpu], lost: Collection[int]) -> None:
    """What matches nothing and was meant to."""
    for one in entry.filters:
        if one.word:
            raise SelectionError(
                f"entry {number}: device-filter '{one}' is no PCI id and would match nothing: give one like 0x233010DE"
            )
    # An entry for boards that are not here may name what only other nodes have.
    if gpus and not any(any_matches(entry.filters, gpu) for gpu in gpus):
        return
    indexes = [gpu.index for gpu in gpus]
    missing = [device for device in entry.devices or () if device not in indexes and device not in lost]
    if missing:
        there = f"the node has {', '.join(map(str, indexes))}" if indexes else "the node has no GPU"
        raise SelectionError(f"entry {number} is for GPU {', '.join(map(str, missing))}: {there}")


def _is_for(entry: Entry, gpu: Gpu) -> bool:
    return (entry.devices is None or gpu.index in entry.devices) and any_matches(entry.filters, gpu)


def _title(gpu: Gpu) -> str:
    return f"GPU {gpu.index} ({gpu.product})"
