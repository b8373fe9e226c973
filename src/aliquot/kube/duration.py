"""Durations as Kubernetes' kinds write them: `90s`, `45m`, `1h30m`."""

import re

from aliquot.kube.quoted import quoted

PATTERN = "^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
"""What a field of our own kinds takes; in the words of RE2."""
LONGEST_S = (1 << 31) - 1
"""68 years: activeDeadlineSeconds and the like take no more."""

_WHOLE = re.compile(PATTERN, re.ASCII)
_PART = re.compile(r"([0-9.]+)(ms|s|m|h)", re.ASCII)
_WHOLE_UNITS = (("h", 3600), ("m", 60), ("s", 1))
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """Raises ValueError."""
    # A line's end is not part of a duration, though `$` would let one through.
    if not _WHOLE.match(text) or text.endswith("\n"):
        raise ValueError(f"{quoted(text)} is not a duration: write 90s, 45m or 1h30m")
    found = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if found > LONGEST_S:
        raise ValueError(f"{quoted(text)} is too long: 68 years are the most, {LONGEST_S}s")
    return found


def text(seconds: float) -> str:
    """In the largest unit of which it is a whole number: `168h`, `90m`. To the millisecond."""
    for unit, size in _WHOLE_UNITS:
        if seconds % size == 0:
            return f"{seconds // size:.0f}{unit}"
    return f"{round(seconds * 1000)}ms"
