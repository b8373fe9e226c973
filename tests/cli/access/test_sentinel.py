"""`aliquot access sentinel` as the program that it is, with the rights that it is given and nobody else alive."""

import asyncio
import random
import sys
from pathlib import Path

from aliquot.access.cluster import installation, roles
from aliquot.access.cluster.naming import LABEL, NAMESPACE, SENTINEL, Ours, account_user
from aliquot.clock import SystemClock
from aliquot.emulator.testing import EmulatedApi
from aliquot.kube import kubeconfig
from aliquot.kube.api.core import Event
from aliquot.kube.client import Client
from aliquot.kube.resources import EVENTS, SECRETS
from aliquot.kube.roles import NAMESPACE as INSTALLED_IN
from aliquot.kube.watching import WatchEvent
from tests.cli.test_node_validate import answer, free_port

LIMIT_S = 60
PAST = {"aliquot.dev/ends-at": "2026-01-01T00:00:00.000Z"}


async def test_it_deletes_what_is_past_due_and_tells_that_nobody_else_lives(tmp_path: Path) -> None:
    with EmulatedApi(tmp_path, controllers=False) as api:
        transport = kubeconfig.load(str(api.kubeconfig), None).transport()
        root = Client(transport, clock=SystemClock(), rng=random.Random(1))
        # Without policies: nobody could make such an object under them.
        await installation.install(root, roles.objects())
        for name, annotations in (("past", PAST), ("endless", {})):
            metadata = {"name": name, "labels": {LABEL: "r0"}, "annotations": annotations}
            await root.create(SECRETS, {"metadata": metadata}, NAMESPACE)
        await root.create(SECRETS, {"metadata": {"name": "theirs", "annotations": PAST}}, NAMESPACE)
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "aliquot.cli.main", "access", "sentinel"),
            *("--kubeconfig", str(api.kubeconfig_of(account_user(SENTINEL, INSTALLED_IN)))),
            *("--metrics-port", str(port), "--metrics-address", "127.0.0.1"),
        )
        try:
            async with asyncio.timeout(LIMIT_S):
                await deleted(root, {"past", "endless"})
                await silence_told(root)
            _, metrics = await answer(port, "/metrics")
        finally:
            process.terminate()
            code = await process.wait()
        left = [one["metadata"]["name"] for one in (await root.list(SECRETS, NAMESPACE)).items]
        await transport.close()
    assert left == ["theirs"]
    assert 'aliquot_access_sentinel_deleted_total{resource="secrets"} 2' in metrics
    assert "aliquot_access_sentinel_broker_silent 1" in metrics
    assert code == 0


async def deleted(client: Client, names: set[str]) -> None:
    """Once all of them have been."""
    left = set(names)
    async for event in client.watch(SECRETS, NAMESPACE, into=Ours, send_initial_events=True):
        if isinstance(event, WatchEvent) and event.type == "DELETED":
            left.discard(event.object.metadata.name)
            if not left:
                return


async def silence_told(client: Client) -> None:
    async for event in client.watch(EVENTS, NAMESPACE, into=Event, send_initial_events=True):
        if isinstance(event, WatchEvent) and event.object.reason == "BrokerSilent":
            return
