"""Generated requests until one is answered wrongly, or the time is over.

python -m tests.fuzz --seconds 600              other requests at each start
python -m tests.fuzz --seed 17 --seconds 60     the same ones
python -m tests.fuzz --described                those that Schemathesis makes of the OpenAPI documents (make tools)
"""

import argparse
import asyncio
import io
import itertools
import secrets
import sys
import time

import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from aliquot.clock import SystemClock
from tests.emulator.api import new_api
from tests.fuzz import described
from tests.fuzz.generate import read
from tests.fuzz.requests import Broken, Fuzzer

PER_SERVER = 5000
OPERATIONS = 20
"""Of each document, at most; others with each seed."""
CASES = 10
"""Of each operation, and as many that do not fit it."""


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


async def fuzz_described(seed: int, until: float) -> int:
    """How many requests of what Schemathesis makes were answered well. Raises Broken."""
    api = await new_api(SystemClock(), seed=seed, token_key=ec.generate_private_key(ec.SECP256R1()))
    fuzzer = described.Described(api, seed)
    try:
        names = await fuzzer.prepare()
        for spoilt, name in itertools.product((False, True), names):
            await fuzzer.document(name, operations=OPERATIONS, cases=CASES, spoilt=spoilt)
            if time.monotonic() > until:
                break
        await fuzzer.check_store()
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
    parser.add_argument(
        "--described", action="store_true", help="what Schemathesis makes of the OpenAPI documents"
    )
    options = parser.parse_args()
    if options.described and not described.available():
        parser.error("Schemathesis is not installed: make tools")
    log = io.StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
    seed = secrets.randbits(32) if options.seed is None else options.seed
    until = time.monotonic() + options.seconds
    requests = broken = 0
    while time.monotonic() < until:
        log.truncate(0)
        try:
            requests += asyncio.run((fuzz_described if options.described else fuzz)(seed, until))
        except Broken as error:
            broken += 1
            print(f"seed {seed}: {error}\n{log.getvalue()[-3000:]}", flush=True)
        seed += 1
    print(f"{requests} requests answered well, {broken} not")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
