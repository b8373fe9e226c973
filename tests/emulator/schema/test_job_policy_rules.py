from typing import Any

import pytest

from aliquot.emulator.schema.validation import job_policies
from tests.emulator.schema.objects import texts

POD = {"spec": {"containers": [{"name": "main"}], "initContainers": [{"name": "first"}]}}
PLAIN = {"template": POD, "completions": 4, "parallelism": 2}
INDEXED = {**PLAIN, "completionMode": "Indexed"}


def failing(spec: dict[str, Any] = PLAIN, **rule: Any) -> dict[str, Any]:
    return {**spec, "podFailurePolicy": {"rules": [rule]}}


def on_exit(*values: int, operator: str = "In", **more: Any) -> dict[str, Any]:
    return {"onExitCodes": {"operator": operator, "values": list(values), **more}}


def succeeding(**rule: Any) -> dict[str, Any]:
    return {**INDEXED, "successPolicy": {"rules": [rule]}}


EXITS = "spec.podFailurePolicy.rules[0].onExitCodes"
RULE = "spec.successPolicy.rules[0]"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (failing(action="FailJob", **on_exit(42)), ""),
        (failing(action="Ignore", onPodConditions=[{"type": "DisruptionTarget", "status": "True"}]), ""),
        (failing(action="Count", **on_exit(1, containerName="first")), ""),
        (failing(action="Maybe", **on_exit(42)), 'action: Unsupported value: "Maybe": supported values: "Count", "FailIndex", "FailJob", "Ignore"'),
        (failing(action="FailIndex", **on_exit(42)), "requires the backoffLimitPerIndex to be set"),
        (failing({**INDEXED, "backoffLimitPerIndex": 1}, action="FailIndex", **on_exit(42)), ""),
        (failing(action="FailJob"), "specifying one of OnExitCodes and OnPodConditions is required"),
        (failing(action="FailJob", onPodConditions=[{"type": "A", "status": "True"}], **on_exit(1)), "specifying both OnExitCodes and OnPodConditions is not supported"),
        (failing(action="FailJob", onPodConditions=[{"type": "A", "status": "Maybe"}]), "Unsupported value"),
        (failing(action="FailJob", **on_exit(1, containerName="other")), f'{EXITS}.containerName: Invalid value: "other": must be one of the container or initContainer names in the pod template'),
        (failing(action="FailJob", **on_exit()), f"{EXITS}.values: Invalid value: []: at least one value is required"),
        (failing(action="FailJob", **on_exit(2, 1)), "must be ordered"),
        (failing(action="FailJob", **on_exit(1, 1)), "must be unique"),
        (failing(action="FailJob", **on_exit(0, 1)), f"{EXITS}.values[0]: Invalid value: 0: must not be 0 for the In operator"),
        (failing(action="FailJob", **on_exit(0, operator="NotIn")), ""),
        (failing(action="FailJob", **on_exit(1, operator="Is")), 'Unsupported value: "Is"'),
        ({**INDEXED, "maxFailedIndexes": 1}, "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"),
        ({**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": 5}, "spec.maxFailedIndexes: Invalid value: 5: must be less than or equal to completions"),
        ({**PLAIN, "successPolicy": {"rules": []}}, "requires indexed completion mode"),
        ({**INDEXED, "successPolicy": {"rules": []}}, "spec.successPolicy.rules: Required value"),
        (succeeding(), f"{RULE}: Required value: at least one of succeededCount or succeededIndexes must be specified"),
        (succeeding(succeededIndexes="0,2-3"), ""),
        (succeeding(succeededIndexes="0,2-3", succeededCount=2), ""),
        (succeeding(succeededIndexes="0", succeededCount=2), "must be less than or equal to 1 (the number of indexes"),
        (succeeding(succeededCount=5), f"{RULE}.succeededCount: Invalid value: 5: must be less than or equal to 4"),
        (succeeding(succeededIndexes="4"), "too large index"),
        (succeeding(succeededIndexes="2,1"), "non-increasing order"),
        (succeeding(succeededIndexes="a"), "cannot convert string to integer"),
        ({**PLAIN, "managedBy": "acme.io/foo"}, ""),
        ({**PLAIN, "managedBy": "foo"}, "must be a domain-prefixed path"),
        ({**PLAIN, "managedBy": "acme.io/" + "f" * 60}, "spec.managedBy: Too long"),
    ],
)  # fmt: skip
def test_what_a_job_may_say(spec: dict[str, Any], problem: str) -> None:
    found = texts(job_policies.of_job(spec, "spec"))
    assert len(found) == bool(problem)
    assert problem in "".join(found)
