"""The board catalogue: what is known offline about each GPU model.

For planning without a driver and for the simulated driver. Where there is a driver, profiles and placements are
read from it and never from here. What nobody has published is None, never zero and never guessed.
"""

from enum import StrEnum
from functools import cache
from importlib.resources import files

from msgspec import Struct
from msgspec.json import decode

from aliquot.document import nearest
from aliquot.gpu.driver import ComputeProfile, Engines, InstanceProfile, Placement
from aliquot.gpu.profiles import ProfileName

NVIDIA_VENDOR_ID = 0x10DE


class UnknownBoard(Exception):
    """No board has this key. One line, with the nearest known key."""


class NvLinkShape(StrEnum):
    HGX = "hgx"
    """Up to four GPUs joined directly, more of them through switches."""
    SWITCHED = "switched"
    CUBE_MESH = "cube-mesh"
    """DGX-1V: each GPU reaches some of the others."""


class NvLink(Struct, frozen=True):
    shape: NvLinkShape
    lanes: int
    """Links of one GPU."""


class CatalogueComputeProfile(Struct, frozen=True, array_like=True):
    id: int
    compute_slices: int
    multiprocessors: int | None
    max_instances: int


class CatalogueEngines(Struct, frozen=True, array_like=True):
    copy: int | None
    decoder: int | None
    encoder: int | None
    jpeg: int | None
    ofa: int | None


class CatalogueProfile(Struct, frozen=True, rename="camel"):
    """A GPU instance profile. `id` is the number `nvidia-smi mig -cgi` takes."""

    name: str
    id: int | None
    compute_slices: int
    memory_slots: int | None
    memory_mib: int | None
    multiprocessors: int | None
    max_instances: int
    starts: tuple[int, ...] | None
    engines: CatalogueEngines
    compute: tuple[CatalogueComputeProfile, ...]


class Mig(Struct, frozen=True, rename="camel"):
    board_memory_gb: int | None
    """The size that profile names are fractions of."""
    compute_slots: int
    memory_slots: int | None
    mode_change_needs_reset: bool | None
    profiles: tuple[CatalogueProfile, ...]

    def instance_profiles(self) -> tuple[InstanceProfile, ...]:
        """As a driver would report them; empty where ids or placements are unknown."""
        return _instance_profiles(self)


class Board(Struct, frozen=True, rename="camel"):
    key: str
    products: tuple[str, ...]
    """Names as NVML prints them, the first one for the first PCI device id."""
    pci_device_ids: tuple[str, ...]
    """Four hexadecimal digits each, without the vendor."""
    memory_mib: int | None
    architecture: str
    compute_capability: str
    nvlink: NvLink | None
    mig: Mig | None
    pci_class: str | None = "030200"
    """Six hexadecimal digits: a 3D controller, unless the catalogue says that the board drives a display."""

    @property
    def product(self) -> str:
        return self.products[0]

    @property
    def compute_capability_numbers(self) -> tuple[int, int]:
        major, minor = self.compute_capability.split(".")
        return int(major), int(minor)

    @property
    def pci_device_id(self) -> int | None:
        """0xDDDDVVVV as NVML reports it."""
        return int(self.pci_device_ids[0], 16) << 16 | NVIDIA_VENDOR_ID if self.pci_device_ids else None

    @property
    def pci_class_number(self) -> int | None:
        return int(self.pci_class, 16) if self.pci_class is not None else None


class _Catalogue(Struct, frozen=True, forbid_unknown_fields=True):
    boards: tuple[Board, ...]


@cache
def boards() -> tuple[Board, ...]:
    """All known boards, in the order of the catalogue."""
    text = files("aliquot.gpu").joinpath("data/boards.json").read_bytes()
    return decode(text, type=_Catalogue).boards


@cache
def _by_key() -> dict[str, Board]:
    return {board.key: board for board in boards()}


def board(key: str) -> Board:
    """Raises UnknownBoard."""
    found = _by_key().get(key)
    if found is None:
        near = nearest(key, _by_key()) or "; `aliquot gpu boards` lists them"
        raise UnknownBoard(f"unknown board '{key}'{near}")
    return found


def by_pci_device_id(device_id: int) -> Board | None:
    """`device_id` as NVML reports it (0xDDDDVVVV)."""
    if device_id & 0xFFFF != NVIDIA_VENDOR_ID:
        return None
    digits = f"{device_id >> 16:04X}"
    return next((board for board in boards() if digits in board.pci_device_ids), None)


def by_product(product: str) -> Board | None:
    return next((board for board in boards() if product in board.products), None)


def identify(pci_device_id: int, product: str) -> str:
    """The key of a GPU that a driver reports; empty when the catalogue does not know it."""
    found = by_pci_device_id(pci_device_id) or by_product(product)
    return found.key if found else ""


@cache
def _instance_profiles(mig: Mig) -> tuple[InstanceProfile, ...]:
    profiles = []
    for p in mig.profiles:
        if p.id is None or p.memory_slots is None or p.starts is None:
            return ()
        profiles.append(
            InstanceProfile(
                profile_id=p.id,
                name=p.name,
                compute_slices=p.compute_slices,
                memory_slots=p.memory_slots,
                memory_mib=p.memory_mib,
                multiprocessors=p.multiprocessors,
                max_instances=p.max_instances,
                placements=tuple(Placement(start, p.memory_slots) for start in p.starts),
                compute_profiles=tuple(
                    ComputeProfile(c.id, c.compute_slices, c.multiprocessors, c.max_instances)
                    for c in p.compute
                ),
                attributes=ProfileName.parse(p.name).attributes,
                engines=Engines(
                    p.engines.copy, p.engines.decoder, p.engines.encoder, p.engines.jpeg, p.engines.ofa
                ),
            )
        )
    return tuple(profiles)
