"""Durations, counted in buckets as they come."""

from bisect import bisect_left

from aliquot.metrics.exposition import Family, Kind, Sample, labels


class Histogram:
    """`bounds_s` rise. Beyond the last there is one more bucket."""

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self.bounds_s = bounds_s
        self.total_s = 0.0
        self._counts = [0] * (len(bounds_s) + 1)

    def add(self, duration_s: float) -> None:
        self.total_s += duration_s
        self._counts[bisect_left(self.bounds_s, duration_s)] += 1

    def cumulative(self) -> list[int]:
        """How many were as short as each bound; the last one: how many there were."""
        sums, so_far = [], 0
        for count in self._counts:
            so_far += count
            sums.append(so_far)
        return sums

    def family(self, name: str, text: str, *pairs: tuple[str, str]) -> Family:
        """As Prometheus has it, each sample with the labels `pairs`."""
        *below, count = self.cumulative()
        buckets = [
            Sample(labels(*pairs, ("le", repr(bound))), number, "_bucket")
            for bound, number in zip(self.bounds_s, below, strict=True)
        ]
        everything = Sample(labels(*pairs, ("le", "+Inf")), count, "_bucket")
        rest = [Sample(labels(*pairs), self.total_s, "_sum"), Sample(labels(*pairs), count, "_count")]
        return Family(name, Kind.HISTOGRAM, text, [*buckets, everything, *rest])
