"""`aliquot up` itself: what it says when something is wrong, and what it keeps over its own death."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aliquot.cli.state import StateDirectory
from tests.e2e.commands import ALIQUOT, BIN, GIVEN, ROOT, THREE_NODES, Kubectl, aliquot, eventually

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(GIVEN), reason="of `aliquot up`: a cluster that is given says nothing about it"),
]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    aliquot("down", "--state", tmp_path / "state")


def pid_of(state: Path) -> int:
    return int(json.loads(aliquot("status", "--state", state, "-o", "json").out)["pid"])


def test_the_demo_holds_its_promises() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples/demo.py"], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout


def test_a_fragmented_cluster_heals_itself() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples/healing.py"],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout


def test_status_says_what_runs_and_how_it_is_joined(state: Path) -> None:
    assert aliquot("status", "--state", state).code == 1
    assert aliquot("up", "--detach", "--state", state, "--nodes", "1", "--gpus", "l4:2").code == 0
    shown = json.loads(aliquot("status", "--state", state, "-o", "json").out)
    assert shown["nodes"] == 1
    assert shown["joined_by"] == "unix sockets"
    again = aliquot("up", "--state", state)
    assert again.code == 1
    assert "in use by process" in again.err
    assert aliquot("down", "--state", state).code == 0
    assert aliquot("status", "--state", state).code == 1


def test_of_two_starts_at_once_one_wins_and_the_other_says_who(state: Path) -> None:
    command = [str(ALIQUOT), "up", "--detach", "--state", str(state), "--nodes", "0"]
    starts = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"
    ]
    ended = [(*start.communicate(timeout=60), start.returncode) for start in starts]
    (_, _, won), (_, said, lost) = sorted(ended, key=lambda end: end[2])
    assert (won, lost) == (0, 1)
    assert re.match(r"error: .*: in use by process \d+; stop it with 'aliquot down", said)
    assert len(said.splitlines()) == 1
    # The log is the winner's.
    assert (state / "log").read_text().startswith("API at ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_a_start_that_is_interrupted_leaves_nothing_running(state: Path, number: signal.Signals) -> None:
    start = subprocess.Popen(
        [ALIQUOT, "up", "--detach", "--state", state, "--nodes", "40"], stderr=subprocess.PIPE, text=True
    )
    eventually(lambda: StateDirectory(state).holder() not in (None, start.pid))
    child = StateDirectory(state).holder()
    start.send_signal(number)
    _, said = start.communicate(timeout=60)
    assert start.returncode == 130
    assert f"stopping process {child}, which was still starting" in said
    assert StateDirectory(state).holder() is None


def test_a_node_without_gpus_comes_up(state: Path, tmp_path: Path) -> None:
    (tmp_path / "i.yaml").write_text("nodes: [{name: cpu-only}, {name: gpu, gpus: [{board: l4}]}]")
    up = aliquot("up", "--detach", "--state", state, "--inventory", tmp_path / "i.yaml")
    assert (up.code, up.err.splitlines()[0].split(" at ")[0]) == (0, "2 nodes ready"), up.err
    assert up.out.startswith("export KUBECONFIG=")
    kubectl = Kubectl(state / "kubeconfig")
    kubectl("wait", "node/cpu-only", "--for=condition=Ready", "--timeout=10s")
    kubectl("apply", "-f", "-", stdin=shell_pod("anywhere", "true", nodeName="cpu-only"))
    kubectl("wait", "pod/anywhere", "--for=jsonpath={.status.phase}=Running", "--timeout=20s")


def test_a_node_that_is_not_ready_is_named_and_holds_nobody_up(state: Path) -> None:
    """Something that is no socket stands where the plugin's is to be, on one of two nodes."""
    in_the_way = StateDirectory(state).kubelet_directory("node-1") / "device-plugins/aliquot-gpu.sock"
    in_the_way.write_text("")
    up = aliquot("up", "--detach", "--wait", "0", "--state", state, "--nodes", "2", "--gpus", "l4:1")
    assert up.code == 3, up
    assert up.out.startswith("export KUBECONFIG=")
    first, *others = up.err.splitlines()
    assert re.fullmatch(r"up at https://\S+, 0 of 2 nodes ready", first)
    assert [line.partition(" is not ready: ")[0] for line in others] == ["node-0", "node-1"]

    def shown() -> Any:
        return json.loads(aliquot("status", "--state", state, "-o", "json").out)

    def only_one_is_held_up() -> bool:
        why = shown()["not_ready"]
        return list(why) == ["node-1"] and "aliquot-gpu.sock: exists and is no socket" in why["node-1"]

    eventually(only_one_is_held_up)
    assert (shown()["ready"], shown()["nodes_ready"]) == (False, 1)
    assert "node-1 is not ready: " in aliquot("status", "--state", state).out
    kubectl = Kubectl(state / "kubeconfig")
    kubectl("apply", "-f", "-", stdin=shell_pod("works", "true", gpus=1))
    kubectl("wait", "pod/works", "--for=jsonpath={.status.phase}=Running", "--timeout=20s")
    in_the_way.unlink()
    eventually(lambda: shown()["ready"], within_s=60)


def memory_used(port: int) -> str:
    """Of what a scrape of the agent finds, the series of slices."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return "\n".join(line for line in lines if "DCGM_FI_DEV_FB_USED{" in line and "GPU_I_ID" in line)


def test_an_agent_of_ones_own_serves_an_emulated_node(state: Path) -> None:
    up = aliquot(
        "up", "--detach", "--no-agents", "--state", state, "--nodes", "1", "--gpus", "h100-80gb:2:mig"
    )
    assert up.code == 0, up.err
    shown = json.loads(aliquot("status", "--state", state, "-o", "json").out)
    directory = shown["kubelet_directories"]["node-0"]
    assert f"node-0   {directory}" in aliquot("status", "--state", state).out
    kubeconfig = str(state / "kubeconfig")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    agent = subprocess.Popen(
        [
            *(ALIQUOT, "node", "run", "--node-name", "node-0", "--kubeconfig", kubeconfig),
            *("--kubelet-dir", directory, "--driver", f"simulated:{state / 'inventory.yaml'}"),
            *("--metrics-address", "127.0.0.1", "--metrics-port", str(port)),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        kubectl = Kubectl(state / "kubeconfig")
        eventually(lambda: kubectl.run("get", "gpunode", "node-0").code == 0)
        kubectl("wait", "gpunode/node-0", "--for=condition=Ready", "--timeout=30s")
        uuid = kubectl.json("get", "gpunode", "node-0")["status"]["gpus"][0]["uuid"]
        cut = {"gpus": [{"uuid": uuid, "instances": [{"profile": "3g.40gb", "start": 4}]}]}
        kubectl("patch", "gpunode", "node-0", "--type=merge", "-p", json.dumps({"spec": cut}))
        kubectl(
            "apply", "-f", "-", stdin=shell_pod("slice", "true", resource="nvidia.com/mig-3g.40gb", gpus=1)
        )
        kubectl("wait", "pod/slice", "--for=jsonpath={.status.phase}=Running", "--timeout=30s")
        eventually(lambda: list(held(kubectl).values()) == ["default/slice"])
        before = held(kubectl)
        attributed = 'container="main",namespace="default",pod="slice"'
        eventually(lambda: attributed in memory_used(port))
        assert 'GPU_I_PROFILE="3g.40gb"' in memory_used(port)
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.communicate(timeout=20)
    assert agent.returncode == 0

    # The machine is the same for an agent of the cluster: its slice, and the pod on it.
    assert aliquot("down", "--state", state).code == 0
    assert aliquot("up", "--detach", "--state", state).code == 0
    eventually(lambda: held(kubectl) == before)


def test_gpus_are_shown_by_node_by_place_and_by_uuid(state: Path) -> None:
    assert aliquot("up", "--detach", "--state", state, "--nodes", "2", "--gpus", "l4:2").code == 0
    env = {"KUBECONFIG": str(state / "kubeconfig")}
    gpus = json.loads(aliquot("gpu", "list", "-o", "json", env=env).out)
    uuid = gpus[3]["uuid"]
    header, *rows = aliquot("gpu", "list", "-o", "wide", env=env).out.splitlines()
    assert header.split() == ["NODE", "GPU", "UUID", "PRODUCT", "SLOTS"]
    assert rows[6].split()[:3] == ["node-1", "1", uuid]
    assert uuid not in aliquot("gpu", "list", env=env).out
    for which in ("node-1/1", uuid):
        assert json.loads(aliquot("gpu", "show", which, "-o", "json", env=env).out) == gpus[3]
    node = json.loads(aliquot("gpu", "show", "node-1", "-o", "json", env=env).out)
    assert [{"node": "node-1", **gpu} for gpu in node["gpus"]] == gpus[2:]
    text = aliquot("gpu", "show", "node-1", env=env).out
    assert [line.split()[1] for line in text.splitlines() if line.startswith("uuid")] == [
        gpu["uuid"] for gpu in gpus[2:]
    ]
    assert "no node or GPU 'node-7'" in aliquot("gpu", "show", "node-7", env=env).err


def test_another_inventory_moves_nobodys_network_and_leaves_no_label(state: Path, tmp_path: Path) -> None:
    def up(nodes: str) -> None:
        (tmp_path / "i.yaml").write_text(f"nodes: [{nodes}]")
        started = aliquot("up", "--detach", "--state", state, "--inventory", tmp_path / "i.yaml")
        assert started.code == 0, started.err

    def networks() -> dict[str, str]:
        return {n["metadata"]["name"]: n["spec"]["podCIDR"] for n in kubectl.json("get", "nodes")["items"]}

    kubectl = Kubectl(state / "kubeconfig")
    up("{name: a, labels: {rack: r1, kept: x}}, {name: b}, {name: c}")
    before = networks()
    assert len(set(before.values())) == 3
    for name in "bc":
        kubectl("apply", "-f", "-", stdin=shell_pod(f"on-{name}", "true", nodeName=name))
        kubectl("wait", f"pod/on-{name}", "--for=condition=Ready", "--timeout=20s")
    assert (
        kubectl.json("get", "pod", "on-b")["status"]["podIP"]
        != kubectl.json("get", "pod", "on-c")["status"]["podIP"]
    )
    kubectl("label", "node", "a", "mine=yes")
    assert aliquot("down", "--state", state).code == 0

    up("{name: new}, {name: c}, {name: a, labels: {kept: y}}")
    after = networks()
    assert after["a"] == before["a"]
    assert after["c"] == before["c"]
    assert len(set(after.values())) == 3
    labels = kubectl.json("get", "node", "a")["metadata"]["labels"]
    assert {key: labels.get(key) for key in ("rack", "kept", "mine")} == {
        "rack": None,
        "kept": "y",
        "mine": "yes",
    }


def test_sighup_stops_the_foreground_in_order(state: Path) -> None:
    """As closing the terminal does."""
    with subprocess.Popen(
        [ALIQUOT, "up", "--state", state, "--nodes", "0"], stdout=subprocess.PIPE, text=True
    ) as up:
        assert up.stdout is not None
        for line in up.stdout:
            if line.startswith("export KUBECONFIG="):
                break
        up.send_signal(signal.SIGHUP)
        assert up.stdout.read() == "stopped; the state stays\n"
    assert up.returncode == 0


def test_nothing_is_lost_when_it_is_killed(state: Path) -> None:
    assert aliquot("up", "--detach", "--state", state, "--inventory", THREE_NODES).code == 0
    kubectl = Kubectl(state / "kubeconfig", binary=str(BIN / "kubectl"))
    kubectl(
        "apply",
        "--server-side",
        "-f",
        str(ROOT / "examples/01-cut-gpus.yaml"),
        "-f",
        str(ROOT / "examples/03-seven-slices.yaml"),
    )
    sevenths = [f"pod/seventh-{i}" for i in range(7)]
    kubectl("wait", *sevenths, "--for=condition=Ready", "--timeout=30s")
    eventually(lambda: len(held(kubectl)) == 7)
    before = held(kubectl)
    for i in range(20):
        kubectl("create", "configmap", f"acknowledged-{i}")
    os.kill(pid_of(state), signal.SIGKILL)

    assert aliquot("up", "--detach", "--state", state).code == 0
    assert len(kubectl.json("get", "configmaps")["items"]) >= 20
    kubectl("wait", *sevenths, "--for=condition=Ready", "--timeout=30s")
    eventually(lambda: held(kubectl) == before)
    kubectl("delete", "pod", "seventh-0", "--grace-period=0", "--force")
    kubectl("apply", "--server-side", "-f", str(ROOT / "examples/03-seven-slices.yaml"))
    kubectl("wait", *sevenths, "--for=condition=Ready", "--timeout=30s")
    eventually(lambda: set(held(kubectl)) == set(before))


def held(kubectl: Kubectl) -> dict[str, str]:
    """MIG UUID -> pod."""
    return {
        instance["uuid"]: pod
        for node in kubectl.json("get", "gpunodes")["items"]
        for gpu in node["status"]["gpus"]
        for instance in gpu.get("instances", [])
        for pod in instance.get("pods", [])
    }


def test_a_new_cut_is_offered_without_a_restart(state: Path) -> None:
    assert aliquot("up", "--detach", "--state", state, "--nodes", "1", "--gpus", "h100-80gb:2").code == 0
    kubectl = Kubectl(state / "kubeconfig", binary=str(BIN / "kubectl"))
    (node,) = kubectl.json("get", "gpunodes")["items"]
    uuid = node["status"]["gpus"][1]["uuid"]
    wanted = {"gpus": [{"uuid": uuid, "mig": True, "instances": [{"profile": "2g.20gb", "start": 4}]}]}
    kubectl("patch", "gpunode", node["metadata"]["name"], "--type=merge", "-p", json.dumps({"spec": wanted}))

    def allocatable() -> dict[str, str]:
        (found,) = kubectl.json("get", "nodes")["items"]
        resources: dict[str, str] = found["status"]["allocatable"]
        return resources

    eventually(
        lambda: allocatable().get("nvidia.com/mig-2g.20gb") == "1" and allocatable()["nvidia.com/gpu"] == "1"
    )


def test_a_nodes_label_cuts_its_gpus_and_its_state_can_be_waited_for(state: Path) -> None:
    assert aliquot("up", "--detach", "--state", state, "--nodes", "1", "--gpus", "h100-80gb:2").code == 0
    kubectl = Kubectl(state / "kubeconfig", binary=str(BIN / "kubectl"))
    kubectl("label", "node/node-0", "nvidia.com/mig.config=all-balanced")
    succeeded = r"--for=jsonpath={.metadata.labels.nvidia\.com/mig\.config\.state}=success"
    kubectl("wait", "node/node-0", succeeded, "--timeout=30s")
    kubectl("apply", "-f", "-", stdin=shell_pod("slice", "true", resource="nvidia.com/mig-2g.20gb", gpus=2))
    kubectl("wait", "pod/slice", "--for=jsonpath={.status.phase}=Running", "--timeout=30s")
    kubectl("label", "--overwrite", "node/node-0", "nvidia.com/mig.config=no-such")
    failed = succeeded.replace("success", "failed")
    kubectl("wait", "node/node-0", failed, "--timeout=30s")
    eventually(lambda: len(held(kubectl)) == 2)


def test_the_process_runtime_runs_the_command_with_its_device(state: Path) -> None:
    up = aliquot("up", "--detach", "--state", state, "--nodes", "1", "--gpus", "l4:1", "--runtime", "process")
    assert up.code == 0, up.err
    kubectl = Kubectl(state / "kubeconfig", binary=str(BIN / "kubectl"))
    kubectl("apply", "-f", "-", stdin=shell_pod("says", "echo device $NVIDIA_VISIBLE_DEVICES", gpus=1))
    kubectl("wait", "pod/says", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=20s")
    (node,) = kubectl.json("get", "gpunodes")["items"]
    assert kubectl("logs", "says") == f"device {node['status']['gpus'][0]['uuid']}\n"

    kubectl("apply", "-f", "-", stdin=shell_pod("fails", "exit 7"))
    kubectl("wait", "pod/fails", "--for=jsonpath={.status.phase}=Failed", "--timeout=20s")
    status = kubectl.json("get", "pod", "fails")["status"]["containerStatuses"][0]
    assert status["state"]["terminated"]["exitCode"] == 7


def test_a_stop_ends_processes_and_the_next_start_finds_their_pods(state: Path) -> None:
    up = aliquot("up", "--detach", "--state", state, "--nodes", "1", "--gpus", "l4:1", "--runtime", "process")
    assert up.code == 0, up.err
    kubectl = Kubectl(state / "kubeconfig")
    kubectl("apply", "-f", "-", stdin=shell_pod("serves", "sleep 600", gpus=1, restartPolicy="Always"))
    kubectl("wait", "pod/serves", "--for=condition=Ready", "--timeout=20s")
    assert aliquot("down", "--state", state).code == 0
    assert aliquot("up", "--detach", "--state", state).code == 0

    def runs_again() -> bool:
        status = kubectl.json("get", "pod", "serves")["status"]
        (container,) = status["containerStatuses"]
        return (status["phase"], container["restartCount"], container["ready"]) == ("Running", 1, True)

    eventually(runs_again)


def test_a_deleted_node_stays_away_until_the_next_start_and_status_says_so(state: Path) -> None:
    assert aliquot("up", "--detach", "--state", state, "--nodes", "2", "--gpus", "l4:1").code == 0
    kubectl = Kubectl(state / "kubeconfig")
    kubectl("delete", "node", "node-1")
    why = "node-1 is not ready: its Node was deleted, and a kubelet registers only when it starts: "
    fix = "'aliquot down' and 'aliquot up' bring it back"
    eventually(lambda: f"{why}{fix}\n" in aliquot("status", "--state", state).out)
    assert aliquot("down", "--state", state).code == 0
    assert aliquot("up", "--detach", "--state", state).code == 0
    kubectl("wait", "node/node-1", "--for=condition=Ready", "--timeout=10s")


def test_a_node_that_comes_later_is_cut_as_the_cluster_was_brought_up(state: Path) -> None:
    up = ("up", "--detach", "--state", state, "--gpus", "l4:1")
    assert aliquot(*up, "--nodes", "1", "--partitioning", "onDemand").code == 0
    assert aliquot("down", "--state", state).code == 0
    assert aliquot(*up, "--nodes", "2").code == 0
    kubectl = Kubectl(state / "kubeconfig")
    kubectl("wait", "gpunode/node-1", "--for=jsonpath={.spec.partitioning}=onDemand", "--timeout=10s")
    assert json.loads(aliquot("status", "--state", state, "-o", "json").out)["partitioning"] == "onDemand"


def test_a_full_disk_costs_words_and_not_the_cluster(state: Path) -> None:
    """What it prints goes nowhere, and what `aliquot status` reads cannot be written for a while."""
    with Path("/dev/full").open("w") as full:
        up = subprocess.Popen([ALIQUOT, "up", "--state", state, "--nodes", "1"], stdout=full, stderr=full)
    try:
        directory = StateDirectory(state)
        eventually(lambda: (running := directory.running()) is not None and running.ready)
        kubectl = Kubectl(state / "kubeconfig")
        told = (state / "cluster.json").rename(state / "aside")
        (state / "cluster.json").mkdir()
        kubectl("delete", "node", "node-0")
        eventually(lambda: kubectl.json("get", "gpunodes")["items"] == [], within_s=30)
        kubectl("create", "configmap", "still-here")
        (state / "cluster.json").rmdir()
        told.rename(state / "cluster.json")
        eventually(lambda: (running := directory.running()) is not None and not running.ready)
        assert up.poll() is None
    finally:
        up.terminate()
        up.wait(60)


def shell_pod(
    name: str, script: str, *, gpus: int = 0, resource: str = "nvidia.com/gpu", **spec: object
) -> str:
    container: dict[str, object] = {"name": "main", "image": "local", "command": ["sh", "-c", script]}
    if gpus:
        container["resources"] = {"limits": {resource: gpus}}
    spec = {"restartPolicy": "Never", "containers": [container], **spec}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


class TestBadInput:
    """Each is one line on stderr, with the place and the fix; exit code 1, and nothing is changed."""

    def refused(self, *args: str | Path) -> str:
        result = aliquot(*args, timeout_s=60)
        assert result.code == 1, result
        assert len(result.err.splitlines()) == 1, result.err
        assert result.err.startswith("error: ")
        return result.err

    def test_a_bad_inventory(self, state: Path, tmp_path: Path) -> None:
        (tmp_path / "bad.yaml").write_text("nodes:\n- name: a\n  gpus: [{bord: l4}]\n")
        said = self.refused("up", "--state", state, "--inventory", tmp_path / "bad.yaml")
        assert "bad.yaml:3" in said
        assert "did you mean 'board'?" in said

    @pytest.mark.parametrize("detach", [[], ["--detach"]], ids=["foreground", "detached"])
    def test_a_label_that_kubernetes_would_refuse(
        self, state: Path, tmp_path: Path, detach: list[str]
    ) -> None:
        (tmp_path / "bad.yaml").write_text("nodes:\n- name: a\n  labels:\n    zone: two words\n")
        said = self.refused("up", "--state", state, "--inventory", tmp_path / "bad.yaml", *detach)
        assert "bad.yaml:4: value 'two words' of label 'zone': use at most 63 letters" in said

    def test_another_runtime_while_containers_are_alive(self, state: Path) -> None:
        assert aliquot("up", "--detach", "--state", state, "--nodes", "1", "--gpus", "l4:1").code == 0
        kubectl = Kubectl(state / "kubeconfig")
        kubectl("apply", "-f", "-", stdin=shell_pod("stays", "true"))
        kubectl("wait", "pod/stays", "--for=condition=Ready", "--timeout=20s")
        assert aliquot("down", "--state", state).code == 0
        said = self.refused("up", "--state", state, "--runtime", "process")
        assert "1 container of the simulated runtime is alive, the first on node-0: " in said
        assert "start with --runtime simulated and delete their pods" in said
        assert aliquot("up", "--detach", "--state", state).code == 0
        kubectl("delete", "pod", "stays")
        assert aliquot("down", "--state", state).code == 0
        up = aliquot("up", "--detach", "--state", state, "--runtime", "process")
        assert up.code == 0, up.err

    def test_a_port_in_use(self, state: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            said = self.refused("up", "--state", state, "--nodes", "0", "--port", str(port))
        assert f"127.0.0.1:{port}" in said
        assert "--port" in said

    def test_a_state_directory_of_a_newer_version(self, state: Path) -> None:
        self.made(state)
        with sqlite3.connect(state / "store.db") as store:
            store.execute("UPDATE schema_version SET version = 999")
        store.close()
        assert "newer" in self.refused("up", "--state", state)
        assert (state / "store.db").exists()

    def test_a_corrupt_store(self, state: Path) -> None:
        self.made(state)
        broken = b"this is no database" * 1000
        (state / "store.db").write_bytes(broken)
        assert "store.db" in self.refused("up", "--state", state)
        assert (state / "store.db").read_bytes() == broken

    def test_a_token_that_is_none_of_ours(self, state: Path, tmp_path: Path) -> None:
        assert aliquot("up", "--detach", "--state", state, "--nodes", "0").code == 0
        Kubectl(state / "kubeconfig", binary=str(BIN / "kubectl"))("create", "configmap", "c")
        server = json.loads(aliquot("status", "--state", state, "-o", "json").out)["server"]
        stranger = Kubectl(tmp_path / "none", binary=str(BIN / "kubectl"))
        who = [
            "--server",
            server,
            "--certificate-authority",
            str(state / "pki/ca.crt"),
            "--token",
            "e30.e30.AAAA",
        ]
        said = stranger.run("delete", "configmap", "c", *who)
        assert said.code == 1
        assert "must be logged in to the server" in said.err
        assert (
            Kubectl(state / "kubeconfig", binary=str(BIN / "kubectl")).run("get", "configmap", "c").code == 0
        )

    def made(self, state: Path) -> None:
        assert aliquot("up", "--detach", "--state", state, "--nodes", "0").code == 0
        assert aliquot("down", "--state", state).code == 0
