"""`aliquot up` with more nodes than go beside the API server: they have a process of their own."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from aliquot.cli.plan import MOST_NODES_BESIDE_THE_API
from tests.e2e.commands import BIN, GIVEN, Kubectl, aliquot, eventually

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(GIVEN), reason="of `aliquot up`: a cluster that is given says nothing about it"),
]
NODES = MOST_NODES_BESIDE_THE_API + 1
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "says"},
    "spec": {
        "containers": [{"name": "main", "image": "busybox", "resources": {"limits": {"nvidia.com/gpu": 1}}}]
    },
}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    aliquot("down", "--state", tmp_path / "state")


def processes(state: Path) -> tuple[int, int]:
    """(that of the API server, that of the nodes)."""
    shown = json.loads(aliquot("status", "--state", state, "-o", "json").out)
    return int(shown["pid"]), int(shown["nodes_pid"])


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_many_nodes_run_beside_the_api_server_until_either_process_ends(state: Path) -> None:
    up = aliquot("up", "--detach", "--state", state, "--nodes", str(NODES), "--gpus", "l4:1")
    assert up.code == 0, up.err
    assert f"{NODES} nodes ready" in up.err
    kubectl = Kubectl(state / "kubeconfig", binary=str(BIN / "kubectl"))
    api, nodes = processes(state)
    assert f"{api}, nodes in {nodes}" in aliquot("status", "--state", state).out

    kubectl("apply", "-f", "-", stdin=json.dumps(POD))
    kubectl("wait", "pod/says", "--for=condition=Ready", "--timeout=60s")
    assert kubectl("logs", "says").startswith("simulated container main")
    refused = kubectl.run("exec", "says", "--", "ls")
    assert "simulated containers run no commands" in refused.err
    assert kubectl.run("attach", "says", "--stdin").out.startswith("simulated containers read no input")

    os.kill(nodes, signal.SIGKILL)
    eventually(lambda: gone(api))
    told = f"the nodes' process ({nodes}) was ended by signal 9; 'aliquot up' starts the cluster again"
    assert told in (state / "log").read_text()

    assert aliquot("up", "--detach", "--state", state).code == 0
    kubectl("wait", "pod/says", "--for=condition=Ready", "--timeout=60s")
    api, nodes = processes(state)
    os.kill(api, signal.SIGKILL)
    assert aliquot("up", "--detach", "--state", state).code == 0
    assert gone(nodes)

    api, nodes = processes(state)
    assert aliquot("down", "--state", state).code == 0
    eventually(lambda: gone(api) and gone(nodes))
    assert "was ended" not in (state / "log").read_text()
