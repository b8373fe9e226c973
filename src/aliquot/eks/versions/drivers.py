"""NVIDIA drivers: what a CUDA version needs of one, and which one goes with which GPU.

A driver is its numbers, (570, 133, 20); of some only the branch is known, (570,). CUDA is (major, minor).
"""

import re
from enum import StrEnum
from functools import cache

from msgspec import Struct, field

from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.shipped import document

Driver = tuple[int, ...]
Cuda = tuple[int, int]

_NUMBERS = re.compile(r"\d{3,4}(\.\d{1,3}){0,2}", re.ASCII)


def parse(text: str) -> Driver:
    """Raises ValueError."""
    if _NUMBERS.fullmatch(text.strip()) is None:
        raise ValueError(f"{text!r} is no version of a driver: write it as 570.133.20")
    return tuple(int(part) for part in text.strip().split("."))


def text(driver: Driver) -> str:
    """As NVIDIA writes it: the last number has two digits at least."""
    return ".".join([*(str(part) for part in driver[:-1]), f"{driver[-1]:02d}"])


def reaches(driver: Driver, least: Driver) -> bool:
    """As far as both are known: a branch reaches all that is of it."""
    known = min(len(driver), len(least))
    return driver[:known] >= least[:known]


def parse_cuda(text: str) -> Cuda:
    """Of "12.4", "12.4.1" or "12". Raises ValueError."""
    parts = text.strip().split(".")
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"{text!r} is no version of CUDA: write it as 12.4")
    return int(parts[0]), int(parts[1]) if len(parts) > 1 else 0


class Family(Struct, frozen=True, kw_only=True):
    """Of EC2 instances."""

    name: str
    gpu: str
    architecture: str
    least: Driver | None
    last_branch: int | None
    """None: no end is known."""
    first_cuda: Cuda | None
    last_cuda: int | None
    """The last major with code for it."""
    scarce: bool
    """On demand there often are none."""


class Fit(StrEnum):
    RUNS = "runs"
    BY_PACKAGE = "by the forward compatibility package"
    """Of the image, on data center GPUs."""
    TOO_OLD = "too old"
    UNKNOWN = "unknown"
    """A CUDA that came after this table."""


def fit(driver: Driver, cuda: Cuda, *, package: bool) -> Fit:
    """`package`: the image carries cuda-compat."""
    majors = _majors()
    if cuda[0] in majors:
        if reaches(driver, majors[cuda[0]]):
            return Fit.RUNS
        return Fit.BY_PACKAGE if package and driver[0] in _forward().get(cuda[0], ()) else Fit.TOO_OLD
    if cuda[0] < min(majors):
        return Fit.RUNS
    return Fit.UNKNOWN


def least_for(cuda: Cuda) -> Driver | None:
    """None: it is newer than this table, or older than all of it."""
    return _majors().get(cuda[0])


def came_with(cuda: Cuda) -> Driver | None:
    """The driver of that toolkit. Below it, it works by minor version compatibility."""
    return _toolkits().get(cuda)


def newest_toolkit(driver: Driver) -> Cuda | None:
    """Whose driver is no newer than this one: the CUDA that it says it is for. None: it is older than this table."""
    return max((cuda for cuda, came in _toolkits().items() if reaches(driver, came)), default=None)


def newest_major(driver: Driver) -> int:
    """Of CUDA, that a driver runs by itself."""
    majors = _majors()
    return max((cuda for cuda, least in majors.items() if reaches(driver, least)), default=min(majors) - 1)


def runs_all_known(driver: Driver) -> bool:
    """Whatever CUDA an image has, of those that there are."""
    return all(reaches(driver, least) for least in _majors().values())


def family(instance_type: str) -> Family | None:
    """None: it has no GPU of NVIDIA, or came after this table."""
    return _families().get(instance_type.partition(".")[0])


def ngc_cuda(release: str) -> Cuda | None:
    """Of the framework containers of a month, 25.01. None: before or after this table."""
    file = _file()
    if release > file.ngc_until:
        return None
    rows = [row for row in file.ngc if row.since <= release]
    return parse_cuda(rows[-1].cuda) if rows else None


def of_bottlerocket(version: tuple[int, int] | None, minor: Minor) -> Driver | None:
    """`version`: of Bottlerocket itself; None: the newest."""
    rows = [
        row
        for row in _file().bottlerocket
        if minor in row.minors and (version is None or _pair(row.version) <= version)
    ]
    return (rows[-1].branch,) if rows else None


class _Row(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    source: str


class _ByCuda(_Row, frozen=True, kw_only=True):
    cuda: str
    driver: str


class _Forward(_Row, frozen=True, kw_only=True):
    cuda: str
    branches: tuple[int, ...]


class _Architecture(_Row, frozen=True, kw_only=True):
    name: str
    first_cuda: str = ""
    last_cuda: str = ""
    last_branch: int | None = None


class _Family(_Row, frozen=True, kw_only=True):
    name: str
    gpu: str
    architecture: str
    driver: str = ""
    last_branch: int | None = None
    scarce: bool = False


class _Bottlerocket(_Row, frozen=True, kw_only=True):
    version: str
    minors: tuple[Minor, ...]
    branch: int


class _Ngc(_Row, frozen=True, kw_only=True):
    since: str = field(name="from")
    cuda: str


class _File(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    sources: dict[str, str]
    majors: tuple[_ByCuda, ...]
    toolkits: tuple[_ByCuda, ...]
    forward: tuple[_Forward, ...]
    architectures: tuple[_Architecture, ...]
    families: tuple[_Family, ...]
    bottlerocket: tuple[_Bottlerocket, ...]
    ngc: tuple[_Ngc, ...]
    ngc_until: str

    @property
    def rows(self) -> tuple[_Row, ...]:
        return (
            *self.majors,
            *self.toolkits,
            *self.forward,
            *self.architectures,
            *self.families,
            *self.bottlerocket,
            *self.ngc,
        )


@cache
def _file() -> _File:
    file = document("nvidia.yaml", _File)
    unknown = {row.source for row in file.rows} - set(file.sources)
    assert not unknown, f"nvidia.yaml: sources that are not named: {unknown}"
    return file


@cache
def _majors() -> dict[int, Driver]:
    return {int(row.cuda): parse(row.driver) for row in _file().majors}


@cache
def _toolkits() -> dict[Cuda, Driver]:
    return {parse_cuda(row.cuda): parse(row.driver) for row in _file().toolkits}


@cache
def _forward() -> dict[int, tuple[int, ...]]:
    return {int(row.cuda): row.branches for row in _file().forward}


@cache
def _families() -> dict[str, Family]:
    architectures = {one.name: one for one in _file().architectures}
    found = {}
    for row in _file().families:
        of = architectures[row.architecture]
        found[row.name] = Family(
            name=row.name,
            gpu=row.gpu,
            architecture=row.architecture,
            least=parse(row.driver) if row.driver else None,
            last_branch=row.last_branch or of.last_branch,
            first_cuda=parse_cuda(of.first_cuda) if of.first_cuda else None,
            last_cuda=int(of.last_cuda) if of.last_cuda else None,
            scarce=row.scarce,
        )
    return found


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)
