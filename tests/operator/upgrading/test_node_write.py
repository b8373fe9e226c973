"""What a step writes on its node: one row for each effect."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from aliquot.kube.api.core import Node
from aliquot.operator.core.upgrade.cordons import Cordoner
from aliquot.operator.core.upgrade.effects import (
    Cordon,
    Effect,
    Evict,
    ForgetRequest,
    ForgetRetry,
    PauseClients,
    ResumeClients,
    Step,
    Uncordon,
    UncordonIfOurs,
)
from aliquot.operator.core.upgrade.memory import NOTHING, Memory, encode
from aliquot.operator.core.upgrade.states import MEMORY, State
from aliquot.operator.upgrading.node_write import may_uncordon, node_patch

STATE = "nvidia.com/gpu-driver-upgrade-state"
AGENT, EXPORTER = "nvidia.com/gpu.deploy.device-plugin", "nvidia.com/gpu.deploy.dcgm-exporter"
DRIVER = "nvidia.com/gpu.deploy.driver"
PAUSED = "paused-for-driver-upgrade"


def node(*, cordoned: bool = False, annotations: Mapping[str, str] | None = None, **labels: str) -> Node:
    names = {"state": STATE, "agent": AGENT, "exporter": EXPORTER, "driver": DRIVER}
    return msgspec.convert(
        {
            "metadata": {
                "name": "n",
                "resourceVersion": "7",
                "labels": {names[name]: value for name, value in labels.items()},
                "annotations": {**(annotations or {})},
            },
            "spec": {"unschedulable": cordoned},
        },
        Node,
    )


@pytest.mark.parametrize(
    ("here", "effect", "labels", "spec"),
    [
        (node(), Cordon(), {}, {"unschedulable": True}),
        (node(cordoned=True), Cordon(), {}, {}),
        (node(cordoned=True), Uncordon(), {}, {"unschedulable": None}),
        (node(), Uncordon(), {}, {}),
        (node(agent="true", exporter="false", driver="true"), PauseClients(), {AGENT: PAUSED}, {}),
        (node(agent=PAUSED), PauseClients(), {}, {}),
        (node(agent=PAUSED, exporter="false"), ResumeClients(), {AGENT: "true"}, {}),
        (node(agent="true"), ResumeClients(), {}, {}),
        (node(), Evict(("default/p",)), {}, {}),
    ],
    ids=str,
)
def test_effects(here: Node, effect: Effect, labels: dict[str, Any], spec: dict[str, Any]) -> None:
    patch = node_patch(here, Step(State.NONE, NOTHING, (effect,)), in_order=False)
    if not labels and not spec:
        assert patch is None
        return
    assert patch is not None
    assert patch["metadata"]["resourceVersion"] == "7"
    assert patch["metadata"].get("labels", {}) == labels
    assert patch.get("spec", {}) == spec


@pytest.mark.parametrize(
    ("effect", "by", "is_opened"),
    [
        (Uncordon(), Cordoner.WE, True),
        (Uncordon(), Cordoner.UNKNOWN, True),
        (Uncordon(), Cordoner.OTHERS, False),
        (UncordonIfOurs(), Cordoner.WE, True),
        (UncordonIfOurs(), Cordoner.UNKNOWN, False),
        (UncordonIfOurs(), Cordoner.OTHERS, False),
    ],
)
def test_whose_cordon_it_is_counts(effect: Effect, by: Cordoner, is_opened: bool) -> None:
    step, here = Step(State.NONE, NOTHING, (effect,)), node(cordoned=True)
    assert may_uncordon(here, step)
    assert not may_uncordon(node(), step)
    patch = node_patch(here, step, in_order=False, cordoned_by=by)
    assert (patch is not None and patch["spec"] == {"unschedulable": None}) is is_opened


def test_where_somebody_lets_them_back_one_after_the_other_they_are_only_let_go() -> None:
    patch = node_patch(node(agent=PAUSED), Step(State.NONE, NOTHING, (ResumeClients(),)), in_order=True)
    assert patch is not None
    assert patch["metadata"]["labels"] == {AGENT: None}


def test_the_state_and_what_is_remembered_are_in_the_same_write() -> None:
    memory = Memory(revision="v2", cordoned=True)
    patch = node_patch(node(), Step(State.WAIT_FOR_JOBS_REQUIRED, memory, (Cordon(),)), in_order=True)
    assert patch == {
        "metadata": {
            "resourceVersion": "7",
            "labels": {STATE: "wait-for-jobs-required"},
            "annotations": {MEMORY: encode(memory)},
        },
        "spec": {"unschedulable": True},
    }


def test_nothing_is_left_of_what_is_forgotten() -> None:
    asked = {"aliquot.dev/driver-upgrade-retry": "true", "nvidia.com/gpu-driver-upgrade-requested": "true"}
    here = node(annotations={MEMORY: encode(Memory(revision="v2")), **asked}, state="upgrade-failed")
    patch = node_patch(here, Step(State.NONE, NOTHING, (ForgetRetry(), ForgetRequest())), in_order=True)
    assert patch is not None
    assert patch["metadata"]["labels"] == {STATE: None}
    assert patch["metadata"]["annotations"] == {MEMORY: None, **dict.fromkeys(asked)}


def test_what_is_so_already_is_not_written() -> None:
    memory = Memory(revision="v2", reason="waits")
    here = node(annotations={MEMORY: encode(memory)}, state="drain-required")
    assert node_patch(here, Step(State.DRAIN_REQUIRED, memory), in_order=True) is None
