"""`aliquot node run --metrics-port`: what is said where metrics cannot be served."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

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
