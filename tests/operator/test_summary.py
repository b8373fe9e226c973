"""What a policy says of all of its nodes: one row for each way in which they can be."""

from dataclasses import dataclass, field

import msgspec
import pytest

from aliquot.kube.api.gpupolicy import GPUPolicy
from aliquot.operator.core.operands import Image, shipped
from aliquot.operator.core.policies import read
from aliquot.operator.core.progress import Progress, Status, Step, Told
from aliquot.operator.core.summary import NodeStanding, Summary, refused, summary
from aliquot.operator.core.upgrade.states import State

POLICY = read(
    msgspec.convert({"metadata": {"name": "p"}}, GPUPolicy),
    0.0,
    shipped(Image("example.com", "aliquot", "1")),
)
GOOD, OUTDATED = Told(Status.TRUE, "Ready"), Told(Status.TRUE, "Outdated")
STARTS, WAITS = Told(Status.FALSE, "Starting"), Told(Status.UNKNOWN, "WaitingForDriver")
LATE = Told(Status.FALSE, "DeadlineExceeded", "not within 900 s")
NONE, REQUIRED, DONE, FAILED = State.NONE, State.UPGRADE_REQUIRED, State.UPGRADE_DONE, State.UPGRADE_FAILED
DRAINS, RESTARTS = State.POD_DELETION_REQUIRED, State.POD_RESTART_REQUIRED


def node(name: str, state: State = NONE, *, waits_for: str = "", **steps: Told) -> NodeStanding:
    """All steps are done but those that are named."""
    told = {step: steps.get(step.name.lower(), GOOD) for step in Step}
    return NodeStanding(name, Progress(told, {}), state, waits_for)


def unconfigured(name: str) -> NodeStanding:
    return NodeStanding(
        name,
        Progress(dict.fromkeys(Step, GOOD), {}, unconfigured="there is no ConfigMap s/x"),
        NONE,
    )


@dataclass(frozen=True)
class Case:
    what: str
    nodes: tuple[NodeStanding, ...]
    ready: str
    progressing: str
    degraded: str = "False AsWanted"
    held_back: str = ""
    overlaps: tuple[str, ...] = ()
    counts: tuple[int, int, int, int] = field(default=(0, 0, 0, 0))
    """Ready, progressing, failed, upgrading."""


ABC = (node("a"), node("b"), node("c"))
QUIET = "False AsWanted"
CASES = [
    Case("no node", (), "False NoGPUNodes: no node with GPUs is selected", QUIET),
    Case("all is well", ABC, "True Ready: 3 of 3 nodes are ready", QUIET, counts=(3, 0, 0, 0)),
    Case("one comes", (node("a"), node("b", driver=STARTS, toolkit=WAITS)), "False NodesProgressing: 1 of 2 nodes are ready", "True Installing: 1 of 2 nodes; b: DriverReady Starting", counts=(1, 1, 0, 0)),
    Case("one has failed, one comes", (node("a", driver=LATE), node("b", toolkit=STARTS)), "False NodesFailed: 0 of 2 nodes are ready", "True Installing: 1 of 2 nodes; b: ToolkitReady Starting", "True NodesFailed: a: not within 900 s", counts=(0, 1, 1, 0)),
    Case("the first by name is told of", (node("b", driver=Told(Status.FALSE, "DeadlineExceeded", "b's")), node("a", driver=LATE)), "False NodesFailed: 0 of 2 nodes are ready", QUIET, "True NodesFailed: a, b: not within 900 s", counts=(0, 0, 2, 0)),
    Case("a roll begins", (node("a", REQUIRED, driver=OUTDATED), node("b", REQUIRED, driver=OUTDATED)), "False NodesUpgrading: 2 of 2 nodes are ready, 2 wait to be upgraded", "True UpgradeWaits: 0 of 2 nodes have their driver, 2 wait: about to start", counts=(2, 0, 0, 0)),
    Case("a roll is under way", (node("a", DONE), node("b", DRAINS, waits_for="waits for d/p to leave", driver=OUTDATED), node("c", REQUIRED, driver=OUTDATED)), "False NodesUpgrading: 2 of 3 nodes are ready, 1 waits to be upgraded", "True Upgrading: 1 of 3 nodes have their driver, 1 under way (b), 1 waits: 1 node is under way at most; b waits for d/p to leave", held_back="1 node is under way at most", counts=(2, 1, 0, 1)),
    Case("the last of a roll", (node("a", DONE), node("b", RESTARTS, driver=STARTS)), "False NodesUpgrading: 1 of 2 nodes are ready", "True Upgrading: 1 of 2 nodes have their driver, 1 under way (b)", counts=(1, 1, 0, 1)),
    Case("the canary soaks", (node("a", DONE), node("b", REQUIRED, driver=OUTDATED)), "False NodesUpgrading: 2 of 2 nodes are ready, 1 waits to be upgraded", "True UpgradeWaits: 1 of 2 nodes have their driver, 1 waits: node a has to stay well for 600 s", held_back="node a has to stay well for 600 s", counts=(2, 0, 0, 0)),
    Case("a roll is done", (node("a", DONE), node("b", DONE)), "True Ready: 2 of 2 nodes are ready", QUIET, counts=(2, 0, 0, 0)),
    Case("a roll has failed", (node("a", FAILED, waits_for="it does not start", driver=STARTS), node("b", REQUIRED, driver=OUTDATED)), "False NodesFailed: 1 of 2 nodes are ready, 1 waits to be upgraded", "True UpgradeWaits: 0 of 2 nodes have their driver, 1 waits: node a has failed", "True NodesFailed: a: it does not start", held_back="node a has failed", counts=(1, 0, 1, 0)),
    Case("a node is left at its driver", (node("a", DONE), node("b", driver=OUTDATED)), "True Ready: 2 of 2 nodes are ready, 1 with an earlier driver", QUIET, counts=(2, 0, 0, 0)),
    Case("an agent is exchanged", (node("a", agent=OUTDATED), node("b")), "True Ready: 2 of 2 nodes are ready", "True Updating: 1 of 2 nodes have an earlier agent: a", counts=(2, 0, 0, 0)),
    Case("agents are told what they cannot do", (unconfigured("b"), unconfigured("a"), node("c")), "True Ready: 3 of 3 nodes are ready", QUIET, "True NodesNotConfigured: a, b: there is no ConfigMap s/x", counts=(3, 0, 0, 0)),
    Case("one that has failed comes first", (unconfigured("b"), node("a", driver=LATE)), "False NodesFailed: 1 of 2 nodes are ready", QUIET, "True NodesFailed: a: not within 900 s", counts=(1, 0, 1, 0)),
    Case("an older policy has all", (), "False NoGPUNodes: all nodes with GPUs that it selects are an older policy's", QUIET, "True OverlappingPolicies: nodes that an older policy is for are left to it: v, w, x and 1 more", overlaps=("y", "x", "w", "v")),
    Case("an older policy has some", ABC, "True Ready: 3 of 3 nodes are ready", QUIET, "True OverlappingPolicies: nodes that an older policy is for are left to it: x, y", overlaps=("y", "x"), counts=(3, 0, 0, 0)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_a_policy_says_how_its_nodes_are(case: Case) -> None:
    found = summary(POLICY, case.nodes, held_back=case.held_back, overlaps=case.overlaps)
    assert told(found.conditions["Ready"]) == case.ready
    assert told(found.conditions["Progressing"]) == case.progressing
    assert told(found.conditions["Degraded"]) == case.degraded
    assert counts(found) == case.counts


def test_of_a_spec_that_cannot_be_used_all_conditions_say_so() -> None:
    found = refused("spec.driver.version: no tag")
    assert {kind: str(one.status) for kind, one in found.items()} == {
        "Ready": "False",
        "Progressing": "False",
        "Degraded": "True",
    }
    assert {one.reason for one in found.values()} == {"SpecRefused"}


def told(one: Told) -> str:
    return f"{one.status} {one.reason}" + (f": {one.message}" if one.message else "")


def counts(found: Summary) -> tuple[int, int, int, int]:
    return found.ready, found.progressing, found.failed, found.upgrading
