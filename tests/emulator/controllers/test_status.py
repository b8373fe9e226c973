from typing import Any

import pytest

from aliquot.emulator.controllers import conditions
from aliquot.emulator.controllers.status import status_differs
from aliquot.emulator.controllers.types import JobStatus, UncountedPods, WorkloadCondition

CONDITION = WorkloadCondition(type="Complete", status="True", reason="r")
CURRENT = JobStatus(
    active=2,
    ready=0,
    uncounted_terminated_pods=UncountedPods(failed=("a",)),
    conditions=(CONDITION,),
)


@pytest.mark.parametrize(
    ("wanted", "differs"),
    [
        ({}, False),
        ({"active": 2}, False),
        ({"active": 3}, True),
        ({"active": None}, True),
        ({"succeeded": None}, False),
        ({"ready": 0, "terminating": 0}, False),
        ({"uncountedTerminatedPods": {"succeeded": None, "failed": ["a"]}}, False),
        ({"uncountedTerminatedPods": {"succeeded": None, "failed": None}}, True),
        ({"conditions": conditions.to_json([CONDITION])}, False),
        ({"conditions": None}, True),
    ],
)
def test_only_what_says_something_new_is_written(wanted: dict[str, Any], differs: bool) -> None:
    assert status_differs(wanted, CURRENT) is differs


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    first = conditions.put((), CONDITION, 0.0)
    again = conditions.put(first, CONDITION, 9.0)
    assert again == first
    other = WorkloadCondition(type="Complete", status="True", reason="s")
    assert conditions.put(first, other, 9.0)[0].last_transition_time == "1970-01-01T00:00:00Z"
    false = WorkloadCondition(type="Complete", status="False", reason="s")
    assert conditions.put(first, false, 9.0)[0].last_transition_time == "1970-01-01T00:00:09Z"
