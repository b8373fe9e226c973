"""How long things took, of many: percentiles by nearest rank, so that each is a duration that there was."""

import math
from array import array

from aliquot.access.reports.report import Cell


class Distribution:
    """Eight bytes for each."""

    def __init__(self) -> None:
        self._seconds: array[float] = array("d")

    def add(self, seconds: float) -> None:
        self._seconds.append(seconds)

    def __len__(self) -> int:
        return len(self._seconds)

    def percentile(self, percent: float) -> Cell:
        """None: there was none."""
        if not self._seconds:
            return None
        rank = max(1, math.ceil(percent / 100 * len(self._seconds)))
        return rounded(sorted(self._seconds)[rank - 1])

    def up_to(self, seconds: float) -> int:
        return sum(one <= seconds for one in self._seconds)


def rounded(seconds: float) -> float:
    return round(seconds, 3)
