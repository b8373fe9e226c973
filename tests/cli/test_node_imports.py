"""The agent runs on every GPU node for months: what it does not need costs memory there."""

import subprocess
import sys
from pathlib import Path

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: nobody
clusters: [{name: nobody, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
contexts: [{name: nobody, context: {cluster: nobody, user: nobody}}]
"""

PROGRAM = """
import sys
from aliquot.cli.main import main
from aliquot.node.agent import Agent

async def run(agent):
    print(sorted(name for name in HEAVY if name in sys.modules))

Agent.run = run
main()
"""

HEAVY = [
    "aliquot.scheduler",
    "cryptography.x509",
    "jinja2",
    "matplotlib",
    "numpy",
    "pandas",
    "rich",
    "sqlite3",
    "uvicorn",
]


def test_the_agent_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    (tmp_path / "inventory.yaml").write_text("nodes: [{name: n, gpus: [{board: l4, count: 1}]}]")
    done = subprocess.run(
        [
            *(sys.executable, "-c", f"HEAVY = {HEAVY!r}{PROGRAM}", "node", "run", "--node-name", "n"),
            *("--kubelet-dir", tmp_path, "--driver", f"simulated:{tmp_path / 'inventory.yaml'}"),
            *("--kubeconfig", tmp_path / "kubeconfig"),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout.strip() == "[]"
