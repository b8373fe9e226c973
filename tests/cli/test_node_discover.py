"""`aliquot node discover`, as a program against an API server."""

import asyncio
import random
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from aliquot.cli.main import cli
from aliquot.clock import SystemClock
from aliquot.emulator.testing import EmulatedApi
from aliquot.kube import kubeconfig
from aliquot.kube.api import pci_labels
from aliquot.kube.client import Client
from aliquot.kube.resources import NODES
from tests.node.discovery.buses import H100, bus


def test_a_node_is_labelled_until_it_is_stopped(tmp_path: Path) -> None:
    root = bus(tmp_path / "sys", H100)

    async def labelled(api: EmulatedApi) -> None:
        transport = kubeconfig.load(str(api.kubeconfig)).transport()
        client = Client(transport, clock=SystemClock(), rng=random.Random(0))
        await client.create(NODES, {"metadata": {"name": "n"}})
        arguments = ["--node-name", "n", "--sys-root", str(root), "--kubeconfig", str(api.kubeconfig)]
        command = [sys.executable, "-m", "aliquot.cli.main", "node", "discover", *arguments]
        process = await asyncio.create_subprocess_exec(*command)
        try:
            async with asyncio.timeout(30):
                async for event in client.watch(NODES, send_initial_events=True):
                    found = getattr(event, "object", {})
                    if found and found["metadata"].get("labels", {}).get(pci_labels.OURS) == "true":
                        break
        finally:
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
            await transport.close()

    with EmulatedApi(tmp_path / "api", controllers=False) as api:
        asyncio.run(labelled(api))


@pytest.mark.parametrize("command", ["discover", "run"])
def test_it_has_to_know_which_node_it_is_on(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODE_NAME", raising=False)
    done = CliRunner().invoke(cli, ["node", command])
    assert done.exit_code == 2
    assert "Give --node-name or $NODE_NAME" in done.output
