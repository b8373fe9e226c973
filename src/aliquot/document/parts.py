"""What the readers of YAML and JSON share: the complaint, and values that know their lines."""

from dataclasses import dataclass
from typing import Any

Key = str | int
Value = Any
"""What JSON can hold: dict, list, str, int, float, bool or None."""

MAX_DEPTH = 100


class DocumentError(Exception):
    """`FILE:LINE: what is wrong; did you mean 'X'?`, always one line."""

    def __init__(self, source: str, line: int | None, message: str) -> None:
        place = source if line is None else f"{source}:{line}"
        super().__init__(f"{place}: {' '.join(message.split())}")


@dataclass(slots=True)
class Node:
    value: Value
    line: int
    children: dict[Key, "Node"]
    size: int = 1
