"""Which standard a namespace's labels ask for: one that pods must keep, one that is audited, one that is warned of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from aliquot.emulator.schema.errors import FieldError, invalid

PREFIX = "pod-security.kubernetes.io/"
_VERSION = re.compile(r"v1\.([0-9]|[1-9][0-9]*)")


class Level(IntEnum):
    """The higher, the stricter."""

    PRIVILEGED = 0
    BASELINE = 1
    RESTRICTED = 2


_LEVELS = {level.name.lower(): level for level in Level}


@dataclass(frozen=True, slots=True)
class Standard:
    """A level as a minor of Kubernetes defines it; None: as the server's own does."""

    level: Level = Level.PRIVILEGED
    minor: int | None = None

    def __str__(self) -> str:
        return f"{self.level.name.lower()}:{'latest' if self.minor is None else f'v1.{self.minor}'}"


@dataclass(frozen=True, slots=True)
class Policy:
    enforce: Standard = Standard()
    audit: Standard = Standard()
    warn: Standard = Standard()


def policy_of(labels: Mapping[str, str]) -> tuple[Policy, list[FieldError]]:
    """What cannot be read is enforced at its strictest, and neither audited nor warned of."""
    errors: list[FieldError] = []
    found = {}
    for mode in ("enforce", "audit", "warn"):
        standard = Standard()
        level = labels.get(PREFIX + mode)
        if level is not None:
            worst = Level.RESTRICTED if mode == "enforce" else Level.PRIVILEGED
            standard = replace(standard, level=_LEVELS.get(level, worst))
            if level not in _LEVELS:
                text = f"must be one of {', '.join(_LEVELS)}"
                errors.append(invalid(f"metadata.labels[{PREFIX}{mode}]", level, text))
        version = labels.get(f"{PREFIX}{mode}-version")
        if version is not None and version != "latest":
            match = _VERSION.fullmatch(version)
            if match is None:
                text = 'must be "latest" or "v1.x"'
                errors.append(invalid(f"metadata.labels[{PREFIX}{mode}-version]", version, text))
            else:
                standard = replace(standard, minor=int(match[1]))
        found[mode] = standard
    if labels.get(f"{PREFIX}enforce") in _LEVELS and PREFIX + "warn" not in labels:
        # Whoever is refused pods shall be warned of workloads that would make them.
        enforced = found["enforce"]
        if enforced.level > found["warn"].level:
            versioned = f"{PREFIX}warn-version" in labels
            found["warn"] = replace(found["warn"], level=enforced.level) if versioned else enforced
    return Policy(**found), errors
