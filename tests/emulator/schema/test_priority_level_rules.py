"""What priority levels are refused with. Each text was sent by a kube-apiserver for the same object."""

from typing import Any

import pytest

from tests.emulator.schema.objects import schema, texts

KNOWN = schema("PriorityLevelConfiguration", "flowcontrol.apiserver.k8s.io")
RESPONSE = "spec.limited.limitResponse"
QUEUING = f"{RESPONSE}.queuing"


def limited(**fields: Any) -> dict[str, Any]:
    return {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}, **fields}}


def queued(**queuing: int) -> dict[str, Any]:
    return limited(limitResponse={"type": "Queue", "queuing": queuing})


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({"type": "X"}, ['spec.type: Unsupported value: "X": supported values: "Exempt", "Limited"']),
        ({"type": "Exempt"}, ["spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'"]),
        ({"type": "Limited"}, ["spec.limited: Required value: must not be empty when type is Limited"]),
        (limited(), []),
        ({**limited(), "exempt": {}}, ["spec.exempt: Forbidden: must be nil if the type is Limited"]),
        (limited(limitResponse={"type": "X"}),
         [f'{RESPONSE}.type: Unsupported value: "X": supported values: "Queue", "Reject"']),
        (limited(limitResponse={"type": "Reject", "queuing": {}}),
         [f"{QUEUING}: Forbidden: must be nil if limited.limitResponse.type is not Limited"]),
        (limited(limitResponse={"type": "Queue"}),
         [f"{QUEUING}: Required value: must not be empty if limited.limitResponse.type is Limited"]),
        (queued(), []),
        (queued(queues=4, handSize=9, queueLengthLimit=-1),
         [f"{QUEUING}.queueLengthLimit: Invalid value: -1: must be positive",
          f"{QUEUING}.handSize: Invalid value: 9: should not be greater than queues (4)"]),
        (queued(queues=64, handSize=60, queueLengthLimit=1),
         [f"{QUEUING}.handSize: Invalid value: 60: required entropy bits of deckSize 64 and handSize 60 should not be "
          "greater than 60"]),
        (limited(nominalConcurrencyShares=-1, lendablePercent=101, borrowingLimitPercent=-1),
         ["spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
          "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
          "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer"]),
    ],
)  # fmt: skip
def test_priority_levels(spec: dict[str, Any], problems: list[str]) -> None:
    level = KNOWN.default({"metadata": {"name": "x"}, "spec": spec})
    assert texts(KNOWN.validate(level)) == problems
