"""kubectl exec, cp and attach: in a cluster whose containers are processes."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.commands import GIVEN, KUBECTLS, SHELL, Kubectl, aliquot, eventually, kubectl_name

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def of_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a cluster that runs commands, with a pod `shell` in it."""
    state = tmp_path_factory.mktemp("processes")
    kubeconfig = Path(GIVEN) if GIVEN else state / "kubeconfig"
    if not GIVEN:
        up = aliquot("up", "--detach", "--state", state, "--nodes", "1", "--runtime", "process")
        assert up.code == 0, up.err
    kubectl = Kubectl(kubeconfig)
    eventually(lambda: kubectl.run("get", "serviceaccount", "default").code == 0)
    script = "while true; do echo tick; sleep 0.2; done"
    container = {
        "name": "main",
        "image": SHELL,
        "command": ["sh", "-c", script],
        "env": [{"name": "A", "value": "1"}],
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shell"}, "spec": spec}
    kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    kubectl("wait", "pod/shell", "--for=condition=Ready", "--timeout=60s")
    yield kubeconfig
    kubectl("delete", "pod", "shell", "--now")
    if not GIVEN:
        down = aliquot("down", "--state", state)
        assert down.code == 0, down.err


@pytest.fixture(params=KUBECTLS, ids=kubectl_name)
def shell(of_processes: Path, request: pytest.FixtureRequest) -> Kubectl:
    return Kubectl(of_processes, binary=request.param)


def test_a_command(shell: Kubectl) -> None:
    printed = shell.run("exec", "shell", "--", "sh", "-c", "echo out $A; echo err >&2")
    assert (printed.code, printed.out, printed.err) == (0, "out 1\n", "err\n")
    failed = shell.run("exec", "shell", "--", "sh", "-c", "exit 3")
    assert (failed.code, failed.err) == (3, "command terminated with exit code 3\n")
    assert shell("exec", "-i", "shell", "--", "wc", "-c", stdin="x" * 300_000).strip() == "300000"
    # Without -i, nothing reaches it.
    assert shell("exec", "shell", "--", "cat", stdin="lost") == ""
    assert "executable file not found in $PATH" in shell.refused("exec", "shell", "--", "nonsense")
    assert 'pods "nobody" not found' in shell.refused("exec", "nobody", "--", "ls")
    assert "container nope is not valid" in shell.refused("exec", "shell", "-c", "nope", "--", "ls")


def test_files_are_copied_there_and_back(shell: Kubectl, tmp_path: Path) -> None:
    sent = os.urandom(1 << 20)
    (tmp_path / "sent").write_bytes(sent)
    there = shell("exec", "shell", "--", "mktemp", "-d").strip()
    shell("cp", str(tmp_path / "sent"), f"shell:{there}/file")
    shell("cp", f"shell:{there}/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == sent
    shell("exec", "shell", "--", "rm", "-r", there)


def test_attach_shows_what_is_printed_from_now_on(shell: Kubectl) -> None:
    with shell.running("attach", "shell") as lines:
        assert "tick\n" in (lines.readline() for _ in range(4))


@pytest.mark.skipif(bool(GIVEN), reason="real containers run commands")
def test_simulated_containers_run_no_commands(kubectl: Kubectl) -> None:
    kubectl("run", "p", f"--image={SHELL}")
    kubectl("wait", "pod/p", "--for=condition=Ready", "--timeout=30s")
    refused = kubectl.refused("exec", "p", "--", "ls")
    assert "simulated containers run no commands; in a cluster with --runtime process they do" in refused
