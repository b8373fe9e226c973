"""`aliquot operator doctor`, against an API server."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from aliquot.cli.main import cli
from aliquot.clock import SystemClock, rfc3339_micro
from aliquot.emulator.testing import EmulatedApi
from aliquot.kube import crds, kubeconfig, roles
from aliquot.kube.client import Client
from aliquot.kube.resources import CRDS, GPUPOLICIES, LEASES, NODES, RUNTIMECLASSES


def doctor(api: EmulatedApi, *arguments: str, config: Path | None = None) -> Result:
    given = ["--kubeconfig", str(config or api.kubeconfig), *arguments]
    return CliRunner().invoke(cli, ["operator", "doctor", *given], catch_exceptions=False)


def make(api: EmulatedApi, *, node: bool) -> None:
    """A cluster that is well, of no node, or one without node software."""

    async def main() -> None:
        transport = kubeconfig.load(str(api.kubeconfig)).transport()
        client = Client(transport, clock=SystemClock(), rng=random.Random(0))
        for one in crds.ALL:
            await client.apply(CRDS, one, field_manager="tests")
        await roles.install(client)
        await client.create(GPUPOLICIES, {"metadata": {"name": "default"}})
        status = {"status": {"observedGeneration": 1}}
        await client.patch(GPUPOLICIES, "default", status, subresource="status")
        await client.create(RUNTIMECLASSES, {"metadata": {"name": "nvidia"}, "handler": "nvidia"})
        lease = {
            "metadata": {"name": "aliquot-operator"},
            "spec": {"renewTime": rfc3339_micro(SystemClock().now())},
        }
        await client.create(LEASES, lease, "kube-system")
        if node:
            labels = {"aliquot.dev/pci-10de.present": "true"}
            await client.create(NODES, {"metadata": {"name": "gpu-0", "labels": labels}})
        await transport.close()

    asyncio.run(main())


def test_a_cluster_with_nothing_to_do(tmp_path: Path) -> None:
    with EmulatedApi(tmp_path, controllers=False) as api:
        make(api, node=False)
        done = doctor(api)
        assert (done.exit_code, done.stdout) == (0, "Nothing is to be done; looked at 0 nodes.\n")
        assert json.loads(doctor(api, "-o", "json").stdout) == {"well": True, "findings": []}


def test_what_is_wrong_is_told_with_what_to_do(tmp_path: Path) -> None:
    with EmulatedApi(tmp_path, controllers=False) as api:
        make(api, node=True)
        done = doctor(api)
        assert done.exit_code == 1
        assert done.stdout == (
            "TO DO  Node gpu-0: NodeNotReady\n"
            "       its kubelet does not say that it is well\n"
            "       -> kubectl describe node gpu-0; nothing of ours can be done there until it is\n"
            "1 thing to do.\n"
        )
        for output, read in (("json", json.loads), ("yaml", yaml.safe_load)):
            given = doctor(api, "-o", output)
            found: Any = read(given.stdout)
            assert (given.exit_code, found["well"]) == (1, False)
            assert [(one["weight"], one["names"], one["reason"]) for one in found["findings"]] == [
                ("to do", ["gpu-0"], "NodeNotReady")
            ]


def test_a_cluster_in_which_nothing_is_installed(tmp_path: Path) -> None:
    with EmulatedApi(tmp_path, controllers=False) as api:
        done = doctor(api)
        assert done.exit_code == 1
        assert (
            "TO DO  CustomResourceDefinition gpunodes.aliquot.dev, gpupolicies.aliquot.dev: CRDMissing"
            in done.stdout
        )
        assert "-> aliquot install" in done.stdout


def test_who_may_see_nothing_is_told(tmp_path: Path) -> None:
    with EmulatedApi(tmp_path, controllers=False) as api:
        done = doctor(api, config=api.kubeconfig_of("nobody"))
        assert done.exit_code == 1
        assert "TO DO  NotLookedAt" in done.stdout
        assert "CRDMissing" not in done.stdout
        assert 'User "nobody" cannot list resource' in done.stdout
