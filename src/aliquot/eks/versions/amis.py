"""What an EKS release of an AMI with GPU software has in it.

Of AL2023 and AL2 the date of the release decides, not the minor: `1.32.9-20251108`. Of Bottlerocket it is its own version and the
cluster's minor: `1.53.0-1a2b3c4d`. AWS' own parameters (SSM) say which release is recommended; here is what is in it.
"""

import re
from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from aliquot.eks.versions import drivers
from aliquot.eks.versions.drivers import Driver
from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.shipped import rows

AS_OF = "20260714"
"""The last release that the table has; of those after it nothing else is known than that they followed."""
LAST_AL2 = Minor(1, 32)
"""The last minor that Amazon Linux 2 was built for."""

_AMAZON_LINUX = re.compile(r"(\d+\.\d+)\.\d+-(\d{8})", re.ASCII)
_BOTTLEROCKET = re.compile(r"v?(\d+)\.(\d+)\.\d+(-[0-9a-f]+)?", re.ASCII)


class Contents(Struct, frozen=True, kw_only=True):
    release: str
    """Of the table, at which this came; the release in question may be a later one."""
    driver: Driver
    containerd: str = ""
    """Its minor; empty: it is not told."""
    toolkit: str = ""
    """Of NVIDIA's containers."""
    kernel: str = ""
    assumed: bool = False
    """It is newer than the table, whose last row this is."""


def has_gpu_software(ami_type: str) -> bool:
    return ami_type.endswith(("_NVIDIA", "_NVIDIA_FIPS", "_x86_64_GPU"))


def is_bottlerocket(ami_type: str) -> bool:
    return ami_type.startswith("BOTTLEROCKET")


def may_be(ami_type: str, release: str) -> bool:
    """By its form; of Windows none is known here, so each may be."""
    if is_bottlerocket(ami_type):
        return _BOTTLEROCKET.fullmatch(release) is not None
    return not ami_type.startswith("AL2") or _AMAZON_LINUX.fullmatch(release) is not None


def minor_of(ami_type: str, release: str) -> Minor | None:
    """None: the release does not tell."""
    match = _AMAZON_LINUX.fullmatch(release) if ami_type.startswith("AL2") else None
    return None if match is None else Minor.parse(match[1])


def of_release(ami_type: str, minor: Minor, release: str) -> Contents | None:
    """`minor`: of the node group. None: nothing is known of it."""
    if not has_gpu_software(ami_type):
        return None
    if is_bottlerocket(ami_type):
        match = _BOTTLEROCKET.fullmatch(release)
        driver = match and drivers.of_bottlerocket((int(match[1]), int(match[2])), minor)
        return Contents(release=release, driver=driver) if driver else None
    match = _AMAZON_LINUX.fullmatch(release)
    if match is None:
        return None
    before = [(date, one) for date, one in _releases(ami_type, Minor.parse(match[1])) if date <= match[2]]
    return replace(before[-1][1], assumed=match[2] > AS_OF) if before else None


def newest(ami_type: str, minor: Minor) -> Contents | None:
    """Of a minor that came after the table: as the newest minor that it has. None: there is no such AMI of this minor."""
    if not has_gpu_software(ami_type):
        return None
    if is_bottlerocket(ami_type):
        driver = drivers.of_bottlerocket(None, minor)
        return Contents(release="", driver=driver) if driver else None
    of_minor = _releases(ami_type, minor)
    if of_minor:
        return of_minor[-1][1]
    last = max((one for type_, one in _table() if type_ == ami_type), default=None)
    if last is None or minor < last or ami_type.startswith("AL2_"):
        return None
    return replace(_releases(ami_type, last)[-1][1], assumed=True)


def first_with(ami_type: str, minor: Minor, least: Driver) -> Contents | None:
    """The first release from which on every one of this minor has at least this driver. None: none is known to have."""
    found: Contents | None = None
    for _, one in _releases(ami_type, minor):
        if not drivers.reaches(one.driver, least):
            found = None
        elif found is None:
            found = one
    return found


def known() -> tuple[tuple[str, Minor], ...]:
    """AMI types and minors of which releases are told."""
    return tuple(_table())


def releases(ami_type: str, minor: Minor) -> tuple[Contents, ...]:
    """Those at which something changed, oldest first."""
    return tuple(one for _, one in _releases(ami_type, minor))


def _releases(ami_type: str, minor: Minor) -> list[tuple[str, Contents]]:
    return _table().get((ami_type, minor), [])


@cache
def _table() -> dict[tuple[str, Minor], list[tuple[str, Contents]]]:
    found: dict[tuple[str, Minor], list[tuple[str, Contents]]] = {}
    for row in rows("ami_gpu.csv"):
        match = _AMAZON_LINUX.fullmatch(row["release"])
        assert match is not None, row
        contents = Contents(
            release=row["release"],
            driver=drivers.parse(row["driver"]),
            containerd=row["containerd"],
            toolkit=row["toolkit"],
            kernel=row["kernel"],
        )
        found.setdefault((row["ami"], Minor.parse(match[1])), []).append((match[2], contents))
    for of_minor in found.values():
        of_minor.sort(key=lambda one: one[0])
    return found
