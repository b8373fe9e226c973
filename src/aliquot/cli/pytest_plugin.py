"""Fixtures for the tests of others: `pip install aliquot` brings them into pytest.

Nothing is imported before a test asks for a fixture.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from aliquot.emulator.testing import EmulatedApi


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("kubernetes_version", "minor of the emulated Kubernetes, such as 1.36", default="")
    parser.addini(
        "gpu_cluster", "options of `aliquot up` for the fixture gpu_cluster", type="args", default=[]
    )


@pytest.fixture
def kubernetes_api(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator["EmulatedApi"]:
    """A Kubernetes API of the test's own, with controllers and without nodes (`aliquot.emulator.testing`)."""
    from aliquot.emulator.testing import EmulatedApi
    from aliquot.emulator.versions import DEFAULT, UnknownVersion

    version = str(request.config.getini("kubernetes_version")) or DEFAULT
    try:
        made = EmulatedApi(tmp_path_factory.mktemp("kubernetes"), version=version)
    except UnknownVersion as error:
        pytest.fail(f"kubernetes_version in {request.config.inipath}: {error}", pytrace=False)
    with made as api:
        yield api


@dataclass(frozen=True, slots=True)
class GpuCluster:
    kubeconfig: Path
    url: str


@pytest.fixture(scope="session")
def gpu_cluster(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[GpuCluster]:
    """A whole cluster for all tests of the session: nodes, GPUs, agents, scheduler.

    What `aliquot up` takes may be told in the ini file: `gpu_cluster = --nodes 2 --gpus h100-80gb:8`.
    """
    state = tmp_path_factory.mktemp("gpu-cluster")
    options = [*request.config.getini("gpu_cluster")]
    version = str(request.config.getini("kubernetes_version"))
    if version:
        options.append(f"--kubernetes-version={version}")
    _aliquot("up", "--detach", "--state", str(state), *options)
    try:
        found = json.loads(_aliquot("status", "--state", str(state), "-o", "json"))
        yield GpuCluster(Path(found["kubeconfig"]), found["server"])
    finally:
        _aliquot("down", "--state", str(state))


def _aliquot(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "aliquot.cli.main", *arguments], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.fail(
            f"aliquot {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}", pytrace=False
        )
    return done.stdout
