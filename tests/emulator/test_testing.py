"""The API for tests, as its users would use it."""

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from aliquot.clock import SystemClock
from aliquot.emulator.faults import Error, Rule
from aliquot.emulator.testing import EmulatedApi
from aliquot.emulator.versions import UnknownVersion
from aliquot.kube import kubeconfig
from aliquot.kube.client import Client
from aliquot.kube.errors import ApiError, Conflict, Forbidden
from aliquot.kube.resources import CONFIGMAPS, DEPLOYMENTS, PODS

KUBECTL = Path(sys.executable).parent / "kubectl"
DEPLOYMENT = {
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "app"}]},
        },
    },
}


def test_it_begins_empty_each_time(tmp_path: Path) -> None:
    api = EmulatedApi(tmp_path)
    for _ in range(2):
        with api, pytest.raises(RuntimeError, match="runs already"), api:
            pass
        with api:
            create = [str(KUBECTL), "--kubeconfig", str(api.kubeconfig), "create", "configmap", "c"]
            subprocess.run(create, check=True, capture_output=True)


def test_nothing_goes_wrong_with_an_api_that_does_not_run(tmp_path: Path) -> None:
    api = EmulatedApi(tmp_path)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="outside of its `with`"):
            api.fault(disk_full=True)
        with api:
            api.fault(disk_full=True)


def test_programs_and_controllers(tmp_path: Path) -> None:
    with EmulatedApi(tmp_path, version="1.34") as api:
        command = [str(KUBECTL), "--kubeconfig", str(api.kubeconfig), "version"]
        assert (
            "Server Version: v1.34"
            in subprocess.run(command, check=True, capture_output=True, text=True).stdout
        )

        async def pods() -> int:
            client = Client(
                kubeconfig.load(str(api.kubeconfig), None).transport(),
                clock=SystemClock(),
                rng=random.Random(1),
            )
            try:
                version = (await client.list(PODS, "default")).resource_version
                await client.create(DEPLOYMENTS, DEPLOYMENT, "default")
                seen = set()
                async with asyncio.timeout(30):
                    async for event in client.watch(PODS, "default", resource_version=version, timeout_s=30):
                        seen.add(event.object["metadata"]["name"])  # type: ignore[union-attr]
                        if len(seen) == 2:
                            return len(seen)
                return len(seen)
            finally:
                await client.close()

        assert asyncio.run(pods()) == 2


def test_users_have_the_rights_that_rbac_gives_them(tmp_path: Path) -> None:
    async def create(config: Path) -> None:
        client = Client(
            kubeconfig.load(str(config), None).transport(), clock=SystemClock(), rng=random.Random(1)
        )
        try:
            await client.create(CONFIGMAPS, {"metadata": {"name": "c"}}, "default")
        finally:
            await client.close()

    with EmulatedApi(tmp_path, controllers=False) as api:
        with pytest.raises(Forbidden):
            asyncio.run(create(api.kubeconfig_of("alice", "developers")))
        asyncio.run(create(api.kubeconfig))


def test_two_at_once_know_nothing_of_each_other(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with EmulatedApi(tmp_path / "a") as a, EmulatedApi(tmp_path / "b") as b:
        assert a.url != b.url


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownVersion, match=r"no Kubernetes 1\.12"):
        EmulatedApi(tmp_path, version="1.12")


def test_faults_on_request(tmp_path: Path) -> None:
    async def create(name: str) -> None:
        client = Client(
            kubeconfig.load(str(api.kubeconfig), None).transport(), clock=SystemClock(), rng=random.Random(1)
        )
        try:
            await client.create(CONFIGMAPS, {"metadata": {"name": name}}, "default")
        finally:
            await client.close()

    with EmulatedApi(tmp_path, controllers=False) as api:
        api.fault(Rule(verbs=("create",), resources=("configmaps",), error=Error(status=409)))
        with pytest.raises(Conflict):
            asyncio.run(create("a"))
        api.fault(disk_full=True)
        with pytest.raises(ApiError, match="full"):
            asyncio.run(create("a"))
        api.fault()
        asyncio.run(create("a"))
