"""What a container is given beside its devices: a channel of the IMEX domain, GDRCopy, GPUDirect Storage, MOFED.

Whoever asks for them gets those that this machine has: what is named to a container and is not there would keep it from
starting. An IMEX channel alone can be required; without it nothing is handed out then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from aliquot.node.plugin_config.settings import Companion, Settings


@dataclass(frozen=True, slots=True)
class CompanionFiles:
    """Of one that is here. Paths are those of the container; a simulated one has none."""

    nodes: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was asked for, and what of it can be had."""

    settings: Settings
    companions: Mapping[Companion, CompanionFiles]
    """Those of `settings`, which are here all of them."""
    notes: tuple[str, ...] = ()
    """What is left out, one line each."""
    fault: str = ""
    """Why no container is to start; empty when they may."""


class _Kind(NamedTuple):
    option: str
    nodes: tuple[str, ...]
    """Patterns below `/dev`, as NVIDIA's container toolkit has them."""
    mounts: tuple[str, ...] = ()
    """What goes along where there are such nodes."""


_KINDS: Mapping[Companion, _Kind] = {
    Companion.IMEX_CHANNEL: _Kind("imex.channelIDs", ("nvidia-caps-imex-channels/channel0",)),
    Companion.GDRCOPY: _Kind("gdrcopyEnabled", ("gdrdrv",)),
    Companion.GDS: _Kind("gdsEnabled", ("nvidia-fs*",), ("run/udev", "etc/cufile.json")),
    Companion.MOFED: _Kind("mofedEnabled", ("infiniband/uverbs*", "infiniband/rdma_cm")),
}


def find(root: Path = Path("/"), dev_root: Path = Path("/")) -> Mapping[Companion, CompanionFiles]:
    """Those that are here. Roots of driver and device nodes, as this process sees them. Blocks."""
    found: dict[Companion, CompanionFiles] = {}
    for companion, kind in _KINDS.items():
        if nodes := tuple(_existing(kind.nodes, dev_root / "dev", dev_root)):
            found[companion] = CompanionFiles(nodes, tuple(_existing(kind.mounts, root, root)))
    return found


def fit(settings: Settings, here: Mapping[Companion, CompanionFiles] | None) -> Fitted:
    """`here` None: whatever is asked for."""
    if here is None:
        return Fitted(settings, dict.fromkeys(settings.companions, CompanionFiles()))
    missing = [companion for companion in settings.companions if companion not in here]
    fault = ""
    if Companion.IMEX_CHANNEL in missing and settings.imex_required:
        fault = (
            f"imex.required: {_absent(Companion.IMEX_CHANNEL)}: load the driver with "
            "NVreg_CreateImexChannel0=1, or do without imex.required"
        )
    left = tuple(companion for companion in settings.companions if companion in here)
    return Fitted(
        replace(settings, companions=left),
        {companion: here[companion] for companion in left},
        tuple(f"{_KINDS[one].option}: {_absent(one)}, so containers get none" for one in missing),
        fault,
    )


def _absent(companion: Companion) -> str:
    return f"this machine has no {' or '.join(f'/dev/{pattern}' for pattern in _KINDS[companion].nodes)}"


def _existing(patterns: tuple[str, ...], directory: Path, root: Path) -> Iterator[str]:
    for pattern in patterns:
        for path in sorted(directory.glob(pattern)):
            yield f"/{path.relative_to(root)}"
