"""semver('1.2.3') and comparisons: Semantic Versioning 2.0.0."""

import re
from dataclasses import dataclass
from typing import ClassVar

from aliquot.emulator.cel.errors import EvaluationError
from aliquot.emulator.cel.library.overload import free, member
from aliquot.emulator.cel.types import BOOL, INT, STRING, opaque
from aliquot.emulator.cel.values import Opaque


@dataclass(frozen=True, slots=True)
class Semver(Opaque):
    cel_type: ClassVar[str] = "kubernetes.Semver"
    core: tuple[int, int, int]
    prerelease: tuple[int | str, ...]

    @property
    def order(self) -> tuple[tuple[int, int, int], bool, tuple[tuple[bool, int | str], ...]]:
        """Releases after their prereleases; numbers before words."""
        return (
            self.core,
            not self.prerelease,
            tuple((isinstance(part, str), part) for part in self.prerelease),
        )


SEMVER = opaque(Semver.cel_type)
_SINCE = 33
_BOTH = (SEMVER, SEMVER)
_IDENTIFIERS = re.compile(r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*", re.ASCII)
_NUMBER = re.compile(r"[0-9]+", re.ASCII)


def _parsed(text: str, normalize: bool = False) -> Semver:
    if normalize:
        text = _normalized(text)
    if not text:
        raise EvaluationError("Version string empty")
    main, plus, build = text.partition("+")
    main, dash, prerelease = main.partition("-")
    parts = main.split(".", 2)
    if len(parts) != 3:
        raise EvaluationError("No Major.Minor.Patch elements found")
    numbers = [_number(name, part) for name, part in zip(("major", "minor", "patch"), parts, strict=True)]
    if dash and not _IDENTIFIERS.fullmatch(prerelease):
        raise EvaluationError(f'Invalid character(s) found in prerelease "{prerelease}"')
    if plus and not _IDENTIFIERS.fullmatch(build):
        raise EvaluationError(f'Invalid character(s) found in build meta data "{build}"')
    identifiers: list[int | str] = []
    for part in prerelease.split(".") if dash else ():
        if part.isdigit() and len(part) > 1 and part[0] == "0":
            raise EvaluationError(f'Numeric PreRelease version must not contain leading zeroes "{part}"')
        identifiers.append(int(part) if part.isdigit() else part)
    return Semver((numbers[0], numbers[1], numbers[2]), tuple(identifiers))


def _number(name: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise EvaluationError(f'Invalid character(s) found in {name} number "{text}"')
    if len(text) > 1 and text[0] == "0":
        raise EvaluationError(f'{name.capitalize()} number must not contain leading zeroes "{text}"')
    return int(text)


def _normalized(text: str) -> str:
    parts = text.removeprefix("v").split(".", 2)
    for index, part in enumerate(parts):
        if len(part) > 1:
            stripped = part.lstrip("0")
            parts[index] = stripped if stripped[:1].isdigit() else "0" + stripped
    if len(parts) < 3:
        if set("+-") & set(parts[-1]):
            raise EvaluationError("short version cannot contain PreRelease/Build meta data")
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts)


def _is_semver(text: str, normalize: bool = False) -> bool:
    try:
        _parsed(text, normalize)
    except EvaluationError:
        return False
    return True


def _compared(one: Semver, other: Semver) -> int:
    return (one.order > other.order) - (one.order < other.order)


OVERLOADS = (
    free("semver", "string_to_semver", (STRING,), SEMVER, _parsed, _SINCE),
    free("semver", "string_bool_to_semver", (STRING, BOOL), SEMVER, _parsed, _SINCE),
    free("isSemver", "is_semver_string", (STRING,), BOOL, _is_semver, _SINCE),
    free("isSemver", "is_semver_string_bool", (STRING, BOOL), BOOL, _is_semver, _SINCE),
    member("isGreaterThan", "semver_is_greater_than", _BOTH, BOOL, lambda a, b: _compared(a, b) > 0, _SINCE),
    member("isLessThan", "semver_is_less_than", _BOTH, BOOL, lambda a, b: _compared(a, b) < 0, _SINCE),
    member("compareTo", "semver_compare_to", _BOTH, INT, _compared, _SINCE),
    member("major", "semver_major", (SEMVER,), INT, lambda version: version.core[0], _SINCE),
    member("minor", "semver_minor", (SEMVER,), INT, lambda version: version.core[1], _SINCE),
    member("patch", "semver_patch", (SEMVER,), INT, lambda version: version.core[2], _SINCE),
)
