"""Ranges of sizes and costs, which never exceed 64 bits."""

import math
from dataclasses import dataclass

MOST = 2**64 - 1


def capped(value: float) -> int:
    return MOST if value >= MOST else math.ceil(round(value, 6) if value < 2**40 else value)


@dataclass(frozen=True, slots=True)
class Range:
    """From `least` to `most`, of a size or a cost."""

    least: int
    most: int

    def __add__(self, other: "Range") -> "Range":
        return Range(capped(self.least + other.least), capped(self.most + other.most))

    def __mul__(self, other: "Range") -> "Range":
        return Range(capped(self.least * other.least), capped(self.most * other.most))

    def times(self, factor: float) -> "Range":
        return Range(capped(self.least * factor), capped(self.most * factor))

    def __or__(self, other: "Range") -> "Range":
        return Range(min(self.least, other.least), max(self.most, other.most))


def exactly(value: int) -> Range:
    return Range(value, value)


UNKNOWN = Range(0, MOST)
NOTHING = exactly(0)
ONE = exactly(1)
