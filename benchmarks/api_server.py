"""The API server as it ships, alone in its process, with its store on disk; no controllers, no scheduler.

    python -m benchmarks.api_server DIRECTORY

leaves pki/ and an administrator's kubeconfig in the directory, prints its URL, and serves until it is ended.
"""

import asyncio
import random
import sys
from pathlib import Path

import uvloop

from aliquot.clock import SystemClock
from aliquot.emulator.app import ApiServer
from aliquot.emulator.certificates import Authority
from aliquot.emulator.server import HttpsServer, write_kubeconfig
from aliquot.emulator.storage.store import Store
from aliquot.kube.cache import settle_gc


async def _serve(directory: Path) -> None:
    clock = SystemClock()
    authority = Authority(directory / "pki", clock=clock)
    api = ApiServer(
        Store(directory / "store.db"),
        clock=clock,
        rng=random.Random(1),
        token_key=authority.token_key,
        client_authority=authority.for_clients,
    )
    await api.start()
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
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
