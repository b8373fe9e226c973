"""The API server as it ships, alone in a process, its store on disk: for tests that kill it, and for benchmarks.

    python -m tests.emulator.serve DIRECTORY

leaves pki/ and an administrator's kubeconfig in the directory, prints its URL once it answers, and ends at SIGTERM.
"""

import asyncio
import random
import signal
import sys
from pathlib import Path

import uvloop

from aliquot.clock import SystemClock
from aliquot.emulator.app import ApiServer
from aliquot.emulator.certificates import Authority
from aliquot.emulator.server import HttpsServer, write_kubeconfig
from aliquot.emulator.storage.store import Store
from aliquot.kube.cache import settle_gc


async def main(directory: Path) -> None:
    clock = SystemClock()
    store = Store(directory / "store.db")
    authority = Authority(directory / "pki", clock=clock)
    api = ApiServer(
        store,
        clock=clock,
        rng=random.Random(),
        token_key=authority.token_key,
        client_authority=authority.for_clients,
    )
    await api.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with HttpsServer(api, authority) as server:
        write_kubeconfig(
            directory / "kubeconfig",
            url=server.url,
            authority=authority.certificate,
            user="admin",
            client=authority.client("admin", ["system:masters"]),
        )
        # As `aliquot up` does once its cluster stands.
        settle_gc()
        print(server.url, flush=True)
        await stop.wait()
    store.close()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
