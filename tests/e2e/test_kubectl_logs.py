"""kubectl logs and events."""

import json

import pytest

from tests.e2e.commands import SHELL, Kubectl, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture
def talker(kubectl: Kubectl) -> str:
    """A pod of two containers that say something and go on."""
    container = {"image": SHELL, "command": ["sh", "-c", "echo words; sleep 1000"]}
    spec = {
        "containers": [{"name": name, **container} for name in ("one", "two")],
        "terminationGracePeriodSeconds": 0,
    }
    metadata = {"name": "talker", "labels": {"app": "talker"}}
    kubectl(
        "apply",
        "-f",
        "-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}),
    )
    kubectl("wait", "pod/talker", "--for=condition=Ready", "--timeout=30s")
    return "talker"


def test_logs(kubectl: Kubectl, talker: str) -> None:
    first = kubectl.run("logs", talker)
    assert 'Defaulted container "one" out of: one, two' in first.err
    assert len(first.out.splitlines()) == 1
    every = kubectl("logs", talker, "--all-containers", "--prefix", "--timestamps", "--since=1h", "--tail=1")
    lines = every.splitlines()
    assert sorted(line.split()[0] for line in lines) == ["[pod/talker/one]", "[pod/talker/two]"]
    assert all(line.split()[1].endswith("Z") for line in lines)
    assert kubectl("logs", "-l", "app=talker", "-c", "two", "--tail=5") == kubectl(
        "logs", talker, "-c", "two"
    )
    assert kubectl("logs", talker, "-c", "one", "--tail=0") == ""
    assert "container nope is not valid for pod talker" in kubectl.refused("logs", talker, "-c", "nope")
    refused = kubectl.refused("logs", talker, "-c", "one", "--previous")
    assert 'previous terminated container "one" in pod "talker" not found' in refused
    assert "not found" in kubectl.refused("logs", "nobody")


def test_a_log_is_followed_to_its_end(kubectl: Kubectl, talker: str) -> None:
    with kubectl.running("logs", "-f", talker, "-c", "one") as lines:
        assert lines.readline()
        kubectl("delete", "pod", talker, "--wait=false")
        lines.read()


def test_events(kubectl: Kubectl, talker: str) -> None:
    def reasons(*arguments: str) -> set[str]:
        return {row[2] for row in kubectl.cells("events", *arguments)[1:] if len(row) > 2}

    eventually(lambda: {"Scheduled", "Started"} <= reasons(f"--for=pod/{talker}"))
    assert "Scheduled" in reasons("--types=Normal")
    assert "Scheduled" not in reasons("--types=Warning")
    assert kubectl.cells("events")[0] == ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert kubectl.cells("get", "events")[0] == ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    about = f"involvedObject.name={talker},reason=Scheduled"
    assert kubectl("get", "events", "--field-selector", about, "-o", "jsonpath={.items[*].type}") == "Normal"
    with kubectl.running("events", "-w", f"--for=pod/{talker}") as lines:
        assert lines.readline().split()[:3] == ["LAST", "SEEN", "TYPE"]
        assert lines.readline()
