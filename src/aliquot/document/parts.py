"""What the readers of YAML and JSON share: the complaint, and values that know their lines."""

import math
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

Key = str | int
Value = Any
"""What JSON can hold: dict, list, str, int, float, bool or None."""

MAX_DEPTH = 100


class DocumentError(Exception):
    """`FILE:LINE: what is wrong; did you mean 'X'?`, always one line."""

    def __init__(self, source: str, line: int | None, message: str) -> None:
        self.source = source
        self.line = line
        self.message = " ".join(message.split())
        place = source if line is None else f"{source}:{line}"
        super().__init__(f"{place}: {self.message}")


@dataclass(frozen=True, slots=True)
class Repeat:
    """A key that an object has again, and the line of that."""

    line: int
    key: str


class Node(Struct, gc=False):
    """There is one for every value of a file, so they are made as cheaply as can be."""

    value: Value
    line: int
    children: dict[Key, "Node"]
    size: int = 1


NO_CHILDREN: dict[Key, Node] = {}
"""Of all scalars. Nobody writes into the children of a node."""


def finite(number: float) -> float:
    """`number`. Raises ValueError for one that was too large to be anything but infinite, which no JSON can say."""
    if math.isinf(number):
        raise ValueError("infinite")
    return number
