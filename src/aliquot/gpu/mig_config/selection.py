"""Which entry of a configuration is for which GPU of a node."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aliquot.gpu.driver import Gpu, MigState
from aliquot.gpu.mig_config.file import Entry

_ID = re.compile(r"0[xX]([0-9a-fA-F]{1,8})(?::0[xX]([0-9a-fA-F]{1,8}))?")


class SelectionError(Exception):
    """One line: why the configuration does not fit the node's GPUs."""


@dataclass(frozen=True, slots=True)
class Selection:
    entries: Mapping[str, Entry]
    """By UUID of the GPU."""
    unmatched: tuple[Gpu, ...] = ()
    """No entry is for them."""


def select(entries: Sequence[Entry], gpus: Sequence[Gpu]) -> Selection:
    """GPUs without MIG are left out where an entry is for all GPUs, or asks for MIG to be off.

    Raises SelectionError.
    """
    indexes = {gpu.index for gpu in gpus}
    found: dict[str, tuple[int, Entry]] = {}
    unmatched = []
    for number, entry in enumerate(entries, 1):
        for device in entry.devices or ():
            if device not in indexes:
                there = f"there are {len(gpus)}, from 0" if gpus else "there is none"
                raise SelectionError(f"entry {number} is for GPU {device}: {there}")
    for gpu in gpus:
        matching = [(number, entry) for number, entry in enumerate(entries, 1) if is_for(entry, gpu)]
        if len(matching) > 1:
            first, second = (number for number, _ in matching[:2])
            raise SelectionError(
                f"entries {first} and {second} are both for GPU {gpu.index}: only one may be"
            )
        if not matching:
            unmatched.append(gpu)
        elif not _skipped(matching[0][1], gpu):
            found[gpu.uuid] = matching[0]
    return Selection({uuid: entry for uuid, (_, entry) in found.items()}, tuple(unmatched))


def is_for(entry: Entry, gpu: Gpu) -> bool:
    if entry.devices is not None and gpu.index not in entry.devices:
        return False
    return not entry.filters or any(matches(text, gpu) for text in entry.filters)


def matches(text: str, gpu: Gpu) -> bool:
    """Whether a device filter, `0xDDDDVVVV` or `0xDDDDVVVV:0xSSSSVVVV`, is of the GPU's device (and subsystem).

    Without a subsystem it matches any. What is no such id matches nothing, as with mig-parted.
    """
    found = _ID.fullmatch(text)
    if found is None or gpu.pci_device_id is None:
        return False
    if int(found[1], 16) != gpu.pci_device_id:
        return False
    return found[2] is None or int(found[2], 16) == gpu.pci_subsystem_id


def _skipped(entry: Entry, gpu: Gpu) -> bool:
    return gpu.mig is MigState.UNSUPPORTED and (entry.devices is None or not entry.mig_enabled)
