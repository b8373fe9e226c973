"""`aliquot node run --metrics-port`: where metrics are served, and what is said where they cannot be."""

import socket
import subprocess
import sys
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner

from aliquot.cli import logs
from aliquot.cli.node import run as node
from aliquot.node.agent import Agent

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: nobody
clusters: [{name: nobody, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
contexts: [{name: nobody, context: {cluster: nobody, user: nobody}}]
"""


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("127.0.0.1", "Address already in use"),
        ("192.0.2.1", "Cannot assign requested address"),
        ("no such name", ""),
    ],
    ids=["taken", "another machine's", "no name"],
)
def test_where_it_cannot_listen_one_line_says_so(tmp_path: Path, address: str, cause: str) -> None:
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    (tmp_path / "inventory.yaml").write_text("nodes: [{name: n, gpus: [{board: l4, count: 1}]}]")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "aliquot.cli.main", "node", "run", "--node-name", "n"),
                *("--kubelet-dir", tmp_path, "--driver", f"simulated:{tmp_path / 'inventory.yaml'}"),
                *("--kubeconfig", tmp_path / "kubeconfig"),
                *("--metrics-address", address, "--metrics-port", str(port)),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: metrics cannot be served on {address}, port {port}: {cause}")
    assert line.endswith("; give another --metrics-address or --metrics-port; port 0: no metrics")


@pytest.mark.parametrize(
    ("given", "port"), [([], 9400), (["--metrics-port", "9500"], 9500), (["--metrics-port", "0"], 0)]
)
def test_with_real_gpus_it_listens_where_dcgm_exporter_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], port: int
) -> None:
    ports: list[int] = []

    def serving_metrics(_text: object, _address: str, port: int) -> AbstractAsyncContextManager[None]:
        ports.append(port)
        return nullcontext()

    async def run(_agent: Agent) -> None:
        pass

    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    monkeypatch.setattr(logs, "configure", lambda: None)
    monkeypatch.setattr(Agent, "run", run)
    monkeypatch.setattr(node, "open_driver", lambda *_, **__: object())
    monkeypatch.setattr(node, "serving_metrics", serving_metrics)
    arguments = ["--node-name", "n", "--kubeconfig", str(tmp_path / "kubeconfig"), *given]
    shown = CliRunner().invoke(node.run_agent, arguments, catch_exceptions=False)
    assert (shown.exit_code, ports) == (0, [port])
