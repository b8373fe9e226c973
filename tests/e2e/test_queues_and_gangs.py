"""Queues and PodGroups as a user meets them: what kubectl shows, what explain says, and that it does as it says."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.commands import GIVEN, RUNS, Kubectl, aliquot, eventually

QUEUES = """
apiVersion: aliquot.dev/v1alpha1
kind: Queue
metadata: {name: research}
spec: {resources: {gpu: {limit: 3}}}
---
apiVersion: aliquot.dev/v1alpha1
kind: Queue
metadata: {name: vision}
spec: {parent: research, resources: {gpu: {quota: 2}}}
"""
GANG = """
apiVersion: aliquot.dev/v1alpha1
kind: PodGroup
metadata: {name: train}
spec: {minMember: 4, queue: vision}
"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(GIVEN), reason="it takes the GPUs of every node"),
]


def member(number: int) -> str:
    limits = "{limits: {nvidia.com/gpu: 1}}"
    return f"""
---
apiVersion: v1
kind: Pod
metadata: {{name: train-{number}, labels: {{aliquot.dev/pod-group: train}}}}
spec: {{containers: [{{name: main, image: {RUNS}, resources: {limits}}}]}}
"""


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    state = tmp_path_factory.mktemp("queues") / "state"
    up = aliquot("up", "--detach", "--state", state, "--nodes", "1", "--gpus", "h100-80gb:8")
    assert up.code == 0, up.err
    yield Kubectl(state / "kubeconfig")
    down = aliquot("down", "--state", state)
    assert down.code == 0, down.err


def row(kubectl: Kubectl, kind: str, name: str) -> dict[str, str]:
    """Of the table, by the titles of its columns; the blanks of a cell that says nothing are kept."""
    header, *lines = kubectl("get", kind, name).splitlines()
    starts = [at for at, letter in enumerate(header) if letter != " " and header[:at][-2:] in ("", "  ")]
    ends = [*starts[1:], None]
    (line,) = lines
    return {header[at:end].strip(): line[at:end].strip() for at, end in zip(starts, ends, strict=True)}


def explained(kubectl: Kubectl, which: str, *options: str) -> str:
    told = aliquot("explain", which, "--kubeconfig", kubectl.kubeconfig, *options)
    assert told.code == 0, told.err
    return told.out


def test_a_gang_waits_for_its_queue_says_so_and_runs_once_the_limit_is_raised(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=QUEUES)
    kubectl("apply", "-f", "-", stdin=GANG + "".join(map(member, range(4))))
    eventually(lambda: row(kubectl, "podgroup", "train")["REASON"] == "LargerThanLimit")
    shown = row(kubectl, "podgroup", "train")
    assert (shown["PHASE"], shown["QUEUE"], shown["MIN"]) == ("Pending", "vision", "4")
    eventually(lambda: row(kubectl, "queue", "vision")["PENDING"] == "1")
    shown = row(kubectl, "queue", "vision")
    assert (shown["PARENT"], shown["QUOTA"], shown["ALLOCATED"], shown["SHARE"], shown["READY"]) == (
        "research",
        "2",
        "0",
        "3",
        "True",
    )
    why = "4 GPUs are asked for, and queue research may have 3 at most: ask for less, or raise its limit"
    eventually(lambda: why in kubectl("describe", "podgroup", "train").rpartition("Events:")[2])

    told = explained(kubectl, "pod/train-0")
    assert told.splitlines()[0] == f"pod default/train-0 waits: {why}"
    answer = json.loads(explained(kubectl, "podgroup/default/train", "-o", "json"))
    assert answer["why"]["reason"] == "LargerThanLimit"
    assert answer["changes"][0] == {"steps": ["raise the limit of queue research from 3 to 4 GPUs"]}

    # As it was told.
    kubectl("patch", "queue", "research", "--type=merge", "-p", '{"spec":{"resources":{"gpu":{"limit":4}}}}')
    eventually(lambda: row(kubectl, "podgroup", "train")["PHASE"] == "Running")
    shown = row(kubectl, "podgroup", "train")
    assert (shown["SCHEDULED"], shown["REASON"]) == ("4", "")
    eventually(lambda: row(kubectl, "queue", "research")["ALLOCATED"] == "4")
    assert explained(kubectl, "podgroup/train").startswith(
        "podgroup default/train has all its pods placed: 4"
    )
    assert explained(kubectl, "pod/train-0") == "pod default/train-0 is on node node-0 (Running)\n"


def test_a_queue_that_leads_nowhere_says_so(kubectl: Kubectl) -> None:
    kubectl(
        "apply",
        "-f",
        "-",
        stdin=QUEUES.partition("---")[2].replace("vision", "lost").replace("research", "gone"),
    )
    eventually(lambda: row(kubectl, "queue", "lost")["READY"] == "False")
    (condition,) = kubectl.json("get", "queue", "lost")["status"]["conditions"]
    assert (condition["reason"], condition["message"]) == (
        "ParentDoesNotExist",
        "its parent gone does not exist",
    )


def test_a_name_that_is_not_there_is_refused_in_a_line(kubectl: Kubectl) -> None:
    told = aliquot("explain", "pod/nobody", "--kubeconfig", kubectl.kubeconfig)
    assert (told.code, told.err) == (1, "error: there is no pod default/nobody\n")
