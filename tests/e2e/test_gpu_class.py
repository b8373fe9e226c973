"""GPUClasses as a user meets them: a pod names one, and what it needs is made."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.commands import GIVEN, ROOT, RUNS, Kubectl, aliquot, eventually

EXAMPLES = ROOT / "examples/gpu-classes"
WRONG = """
apiVersion: aliquot.dev/v1alpha1
kind: GPUClass
metadata: {name: wrong}
spec:
  ways: [{mig: {profile: 1g.5gb}}]
"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(GIVEN), reason="it cuts the GPUs of every node"),
]


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    state = tmp_path_factory.mktemp("classes") / "state"
    up = aliquot(
        *("up", "--detach", "--state", state, "--nodes", "1", "--gpus", "h100-80gb:2"),
        *("--partitioning", "onDemand"),
    )
    assert up.code == 0, up.err
    found = Kubectl(state / "kubeconfig")
    found("apply", "-f", str(EXAMPLES / "classes.yaml"))
    yield found
    down = aliquot("down", "--state", state)
    assert down.code == 0, down.err


def pod(name: str, class_name: str, *, by: str = "annotation") -> str:
    annotations = f", annotations: {{aliquot.dev/gpu-class: '{class_name}'}}" if by == "annotation" else ""
    limits = f", resources: {{limits: {{class.aliquot.dev/{class_name}: 1}}}}" if by == "limits" else ""
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}{annotations}}}
spec: {{containers: [{{name: main, image: {RUNS}{limits}}}]}}
"""


def phase(kubectl: Kubectl, name: str) -> str:
    found: str = kubectl.json("get", "pod", name)["status"]["phase"]
    return found


def gpus(kubectl: Kubectl) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kubectl.json("get", "gpunode", "node-0")["status"]["gpus"]
    return found


def classes(kubectl: Kubectl) -> dict[str, dict[str, str]]:
    header, *rows = kubectl.cells("get", "gpuclasses")
    wanted = "{.metadata.name} {.status.inUse} {.status.available}"
    assert header[:1] == ["NAME"] and {"IN USE", "AVAILABLE", "READY"} <= set(header)
    text = kubectl("get", "gpuclasses", "-o", f"jsonpath={{range .items[*]}}{wanted}{{'\\n'}}{{end}}")
    counts = [line.split() for line in text.splitlines()]
    assert [row[0] for row in rows] == [name for name, _, _ in counts]
    return {name: {"in use": in_use, "available": available} for name, in_use, available in counts}


def test_a_pod_that_names_a_class_gets_what_did_not_exist(kubectl: Kubectl) -> None:
    eventually(lambda: classes(kubectl)["small"] == {"in use": "0", "available": "14"})
    assert not any(gpu["instances"] for gpu in gpus(kubectl))
    kubectl("apply", "-f", str(EXAMPLES / "pods.yaml"))
    eventually(lambda: phase(kubectl, "by-annotation") == "Running")
    made = kubectl.json("get", "pod", "by-annotation")["spec"]
    assert made["schedulerName"] == "aliquot"
    asked = {"class.aliquot.dev/small": "1"}
    assert made["containers"][0]["resources"] == {"limits": asked, "requests": asked}

    def slices() -> list[tuple[str, str, list[str]]]:
        there = [instance for gpu in gpus(kubectl) for instance in gpu["instances"]]
        return [(one["profile"], one["resource"], one["pods"]) for one in there]

    eventually(lambda: slices() == [("1g.10gb", "class.aliquot.dev/small", ["default/by-annotation"])])


def test_a_class_of_time_slices_shares_another_gpu(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", str(EXAMPLES / "pods.yaml"))
    eventually(lambda: phase(kubectl, "by-limits") == "Running")
    eventually(
        lambda: (
            [
                (gpu["shares"]["strategy"], gpu["shares"]["replicas"], gpu["pods"])
                for gpu in gpus(kubectl)
                if gpu.get("shares")
            ]
            == [("timeSlicing", 4, ["default/by-limits"])]
        )
    )
    # What two classes could be made of is one GPU's rest each.
    eventually(lambda: classes(kubectl)["small"] == {"in use": "1", "available": "6"})
    eventually(lambda: classes(kubectl)["notebook"] == {"in use": "1", "available": "3"})


def test_a_class_of_mps_shares_is_had_without_more_ado(kubectl: Kubectl) -> None:
    halves = WRONG.replace("mig: {profile: 1g.5gb}", "mps: {replicas: 2}").replace("wrong", "half")
    kubectl("delete", "pod", "by-limits", "--wait", "--ignore-not-found")
    kubectl("apply", "-f", "-", stdin=halves)
    kubectl("apply", "-f", "-", stdin=pod("one-half", "half") + "---" + pod("other-half", "half"))
    eventually(lambda: phase(kubectl, "one-half") == phase(kubectl, "other-half") == "Running")
    # The tests of this file may come in any order.
    kubectl("delete", "pod", "one-half", "other-half", "--wait")
    kubectl("delete", "gpuclass", "half")


def test_a_class_that_no_board_has_says_so_and_its_pods_too(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=WRONG)
    kubectl("apply", "-f", "-", stdin=pod("wrong", "wrong") + "---" + pod("nobodys", "smal"))
    why = "MIG slice 1g.5gb on h100-80gb: the board has no such profile; the nearest is 1g.10gb"

    def ready() -> dict[str, str]:
        conditions = kubectl.json("get", "gpuclass", "wrong").get("status", {}).get("conditions", [])
        return next(iter(conditions), {})

    def scheduled(name: str) -> str:
        conditions = kubectl.json("get", "pod", name)["status"].get("conditions", [])
        return next((one["message"] for one in conditions if one["type"] == "PodScheduled"), "")

    eventually(lambda: (ready().get("reason"), ready().get("message")) == ("NoSuchProfile", why))
    eventually(lambda: scheduled("wrong").startswith(f"GPUClass wrong: {why} ("))
    eventually(lambda: scheduled("nobodys").startswith("there is no GPUClass smal; did you mean 'small'? ("))


def test_what_makes_no_sense_is_refused_in_a_line(kubectl: Kubectl) -> None:
    said = kubectl.refused(
        "apply",
        "-f",
        "-",
        stdin=WRONG.replace("ways: [{mig: {profile: 1g.5gb}}]", "boards: [l4]").replace("wrong", "empty"),
    )
    assert "nothing is asked for: give memory, computePercent or ways" in said
    said = kubectl.refused("apply", "-f", "-", stdin=pod("bad", "Small One"))
    assert "annotation aliquot.dev/gpu-class: 'Small One' is no name of a GPUClass" in said
    assert len(said.splitlines()) == 1


def test_the_command_line_tells_the_ways_of_a_class(kubectl: Kubectl) -> None:
    told = aliquot(
        *("partition", "choose", "--board", "h100-80gb", "--class", "service"),
        *("--kubeconfig", kubectl.kubeconfig),
    )
    assert told.code == 0, told.err
    assert [line.split("   ")[0] for line in told.out.splitlines()[1:4]] == [
        "MIG slice 1g.20gb",
        "MIG slice 2g.20gb",
        "MPS share, 1 of 4",
    ]
    assert "risk: MPS does not isolate faults" in told.out
