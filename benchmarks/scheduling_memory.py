"""Resident memory of the scheduler's core in a process of its own: `python -m benchmarks.scheduling_memory NODES WAITING PODS_PER_NODE`."""

import gc
import sys

import psutil

from aliquot.scheduler.core import cycle
from benchmarks.scheduling_worlds import Full


def resident_mib() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 2**20


def main() -> None:
    nodes, waiting, of_each_node = map(int, sys.argv[1:])
    bare = resident_mib()
    full = Full(nodes, waiting, of_each_node=of_each_node)
    fed = resident_mib()
    cycle.run(full.snapshot, full.pending, full.rankings)
    print(bare, fed, resident_mib())


if __name__ == "__main__":
    main()
