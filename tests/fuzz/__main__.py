"""Generated requests until one is answered wrongly, or the time is over.

python -m tests.fuzz --seconds 600              other requests at each start
python -m tests.fuzz --seed 17 --seconds 60     the same ones
"""

import argparse
import asyncio
import io
import secrets
import sys
import time

import structlog

from aliquot.clock import SystemClock
from tests.emulator.api import new_api
from tests.fuzz.generate import read
from tests.fuzz.requests import Broken, Fuzzer

PER_SERVER = 5000


async def fuzz(seed: int, until: float) -> int:
    """How many requests were answered well. Raises Broken."""
    api = await new_api(SystemClock(), seed=seed)
    fuzzer = Fuzzer(api, read(api.server.registry), seed)
    try:
        for _ in range(PER_SERVER):
            await fuzzer.one()
            if time.monotonic() > until:
                break
    finally:
        api.server.stop()
        await api.close()
    return fuzzer.answers.total()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument(
        "--seed", type=int, default=None, help="of the first server; the next one has the next"
    )
    options = parser.parse_args()
    log = io.StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
    seed = secrets.randbits(32) if options.seed is None else options.seed
    until = time.monotonic() + options.seconds
    requests = broken = 0
    while time.monotonic() < until:
        log.truncate(0)
        try:
            requests += asyncio.run(fuzz(seed, until))
        except Broken as error:
            broken += 1
            print(f"seed {seed}: {error}\n{log.getvalue()[-3000:]}", flush=True)
        seed += 1
    print(f"{requests} requests answered well, {broken} not")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
