"""Simulate by hand: one seed with its log, or many seeds until one fails.

python -m tests.simulation --seed 17        one life, with its log
python -m tests.simulation --seeds 1000     as many lives; the failing seeds are named at the end
python -m tests.simulation --world partitioned ...   of a cluster that cuts its GPUs as pods need them
python -m tests.simulation --world driver-roll ...   of a hundred nodes over which a driver is rolled
"""

import argparse
import logging
import sys
import time
from collections.abc import Callable
from functools import partial

import structlog

from tests.simulation import driver_roll
from tests.simulation.gangs import Gangs
from tests.simulation.partitioned import PartitionedWorld, PlainlyScheduled, UndisturbedNodes
from tests.simulation.world import World, simulate

WORLDS: dict[str, Callable[..., str]] = {
    "demo": partial(simulate, kind=World),
    "partitioned": partial(simulate, kind=PartitionedWorld),
    "undisturbed": partial(simulate, kind=UndisturbedNodes),
    "plain": partial(simulate, kind=PlainlyScheduled),
    "gangs": partial(simulate, kind=Gangs),
    "driver-roll": driver_roll.simulate,
}
"""Each takes a seed and `storm_s`, and answers with a digest."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--world", choices=WORLDS, default="demo")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--storm-s", type=float, default=600.0, help="virtual seconds of trouble")
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    one = options.seed is not None
    level = logging.INFO if one and not options.quiet else logging.CRITICAL
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    failed = []
    for seed in [options.seed] if one else range(options.first, options.first + options.seeds):
        started = time.perf_counter()
        try:
            digest = WORLDS[options.world](seed, storm_s=options.storm_s)
        except Exception as error:
            failed.append(seed)
            print(f"seed {seed} FAILED: {error}", flush=True)
            if one:
                raise
            continue
        took = "" if options.quiet else f" in {time.perf_counter() - started:.1f} s"
        print(f"seed {seed} held{took}: {digest[:16]}", flush=True)
    if failed:
        print(f"failed: {failed}; look at one with --seed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
