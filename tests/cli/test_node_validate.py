"""`aliquot node validate`, as a program against an API server."""

import asyncio
import random
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from aliquot.cli.main import cli
from aliquot.clock import SystemClock
from aliquot.emulator.testing import EmulatedApi
from aliquot.kube import crds, kubeconfig
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.client import Client
from aliquot.kube.resources import CRDS, GPUNODES, NODES


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def answer(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as found:
        return found.status, await found.text()


def test_a_node_is_ready_once_its_gpus_are_advertised(tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text("nodes: [{name: n, gpus: [{board: l4, count: 2}]}]")

    async def validated(api: EmulatedApi) -> None:
        transport = kubeconfig.load(str(api.kubeconfig)).transport()
        client = Client(transport, clock=SystemClock(), rng=random.Random(0))
        for one in crds.ALL:
            await client.apply(CRDS, one, field_manager="tests")
        for resource in (NODES, GPUNODES):
            await client.create(resource, {"metadata": {"name": "n"}})
        port = free_port()
        arguments = [
            "--node-name",
            "n",
            "--no-workload",
            "--driver",
            f"simulated:{tmp_path / 'inventory.yaml'}",
        ]
        arguments += ["--metrics-address", "127.0.0.1", "--metrics-port", str(port)]
        arguments += ["--kubeconfig", str(api.kubeconfig)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "aliquot.cli.main", "node", "validate", *arguments
        )
        try:
            async with asyncio.timeout(60):
                async for event in client.watch(GPUNODES, into=GPUNode, send_initial_events=True):
                    seen = getattr(event, "object", None)
                    conditions = seen.status.conditions if isinstance(seen, GPUNode) else []
                    reason = conditions[0].reason if conditions else ""
                    if reason == "Checking":
                        assert (await answer(port, "/healthz"))[0] == 200
                        assert await answer(port, "/readyz") == (
                            503,
                            "not ready: the first checks are under way",
                        )
                        offers = {"nvidia.com/gpu": "2"}
                        patch = {"status": {"allocatable": offers, "capacity": offers}}
                        await client.patch(NODES, "n", patch, subresource="status")
                    elif reason == "Passed":
                        break
                # Told first, then ready.
                for _ in range(100):
                    if (found := await answer(port, "/readyz")) == (200, "ok"):
                        break
                    await asyncio.sleep(0.05)
                assert found == (200, "ok")
                text = (await answer(port, "/metrics"))[1]
                assert 'aliquot_validation_devices{hostname="n",resource="nvidia.com/gpu"} 2' in text
        finally:
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
            await transport.close()

    with EmulatedApi(tmp_path / "api", controllers=False) as api:
        asyncio.run(validated(api))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which image is the pod to have? Give --image, or --no-workload"),
        (["--image", "i", "--label", "queue"], "--label 'queue' is not KEY=VALUE"),
    ],
)
def test_what_is_missing_is_said(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["node", "validate", "--node-name", "n", *arguments])
    assert done.exit_code == 2
    assert message in done.output
