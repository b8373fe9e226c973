"""The plugin, in a pytest of its own."""

import subprocess
import sys
from pathlib import Path

TESTS = """
import subprocess

def test_bare(kubernetes_api):
    done = subprocess.run([{kubectl!r}, "--kubeconfig", kubernetes_api.kubeconfig, "get", "namespaces"],
                          check=True, capture_output=True, text=True)
    assert "kube-system" in done.stdout

def test_cluster(gpu_cluster):
    done = subprocess.run([{kubectl!r}, "--kubeconfig", gpu_cluster.kubeconfig, "get", "nodes"],
                          check=True, capture_output=True, text=True)
    assert done.stdout.count("Ready") == 2
"""


def test_fixtures_come_with_the_package(tmp_path: Path) -> None:
    kubectl = str(Path(sys.executable).parent / "kubectl")
    (tmp_path / "test_it.py").write_text(TESTS.format(kubectl=kubectl))
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nkubernetes_version = 1.35\ngpu_cluster = --nodes 2 --gpus l4:1\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_a_version_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_bare(kubernetes_api):\n    pass\n")
    ini = tmp_path / "pytest.ini"
    ini.write_text("[pytest]\nkubernetes_version = 1.20\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert f"\nkubernetes_version in {ini}: no Kubernetes 1.20; there are 1.31" in done.stdout
    assert "Traceback" not in done.stdout
    assert "versions.py" not in done.stdout
