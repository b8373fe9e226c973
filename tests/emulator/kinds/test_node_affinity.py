from typing import Any

import pytest

from aliquot.emulator.kinds.node_affinity import matches, pinned_node, pinned_to

LABELS = {"zone": "a", "gpus": "8"}


def required(*terms: dict[str, Any]) -> dict[str, Any]:
    wanted = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"nodeAffinity": wanted}


def label(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "affinity", "expected"),
    [
        (None, None, True),
        ({"zone": "a"}, None, True),
        ({"zone": "b"}, None, False),
        ({"zone": "a"}, required(label("zone", "In", "b")), False),
        (None, required(label("zone", "In", "b"), label("zone", "In", "a", "c")), True),
        (None, required(label("zone", "NotIn", "a")), False),
        (None, required(label("rack", "NotIn", "a")), True),
        (None, required(label("rack", "Exists")), False),
        (None, required(label("rack", "DoesNotExist")), True),
        (None, required(label("gpus", "Gt", "7")), True),
        (None, required(label("gpus", "Lt", "8")), False),
        (None, required(label("zone", "Gt", "7")), False),
        (None, required({}), False),
        (None, required(), False),
        (None, pinned_to(None, "n"), True),
        (None, pinned_to(None, "m"), False),
    ],
)
def test_matching(selector: dict[str, str] | None, affinity: dict[str, Any] | None, expected: bool) -> None:
    assert matches(selector, affinity, "n", LABELS) == expected


def test_pinning_overrules_what_was_asked_of_nodes_and_nothing_else() -> None:
    asked = {**required(label("zone", "In", "b")), "podAffinity": {"x": 1}}
    pinned = pinned_to(asked, "n")
    assert matches(None, pinned, "n", LABELS)
    assert pinned["podAffinity"] == {"x": 1}
    assert pinned_node(pinned) == "n"
    assert pinned_node(asked) == pinned_node(None) == ""
