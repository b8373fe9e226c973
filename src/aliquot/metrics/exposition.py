"""Prometheus' text format, version 0.0.4.

Written here and not by prometheus-client: that sorts labels by name and gives every counter the suffix `_total`, which
DCGM's counters do not have.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Kind(Enum):
    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Sample:
    labels: str
    """As `labels` makes them: many samples have the same, written down once."""
    value: float
    suffix: str = ""
    """`_bucket`, `_sum` or `_count` of a histogram."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: all samples of a name."""

    name: str
    kind: Kind
    help: str
    samples: Sequence[Sample]


def labels(*pairs: tuple[str, str]) -> str:
    """In the order given."""
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)


def render(families: Iterable[Family]) -> str:
    """Families without samples are left out."""
    lines = []
    for family in families:
        if not family.samples:
            continue
        name = family.name
        lines.append(f"# HELP {name} {family.help}")
        lines.append(f"# TYPE {name} {family.kind.value}")
        for sample in family.samples:
            braced = f"{{{sample.labels}}}" if sample.labels else ""
            lines.append(f"{name}{sample.suffix}{braced} {_number(sample.value)}")
    return "\n".join((*lines, ""))


def _escaped(value: str) -> str:
    if "\\" in value or '"' in value or "\n" in value:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return value


def _number(value: float) -> str:
    """Truth values are numbers as well."""
    return repr(value) if isinstance(value, float) else str(int(value))
