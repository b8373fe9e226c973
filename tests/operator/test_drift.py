"""What counts as changed by somebody, and what does not."""

from typing import Any

import pytest

from aliquot.operator.core.drift import drift, in_words

WANTED: dict[str, Any] = {
    "spec": {
        "replicas": 1,
        "paused": False,
        "args": ["a", "b"],
        "nodeSelector": {"gpu": "true"},
        "containers": [{"name": "m", "image": "x:1", "env": [{"name": "A", "value": "1"}]}],
    }
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda spec: None, []),
        (lambda spec: spec.update(added="by the server"), []),
        (lambda spec: spec.pop("paused"), []),
        (lambda spec: spec["containers"].append({"name": "sidecar"}), []),
        (lambda spec: spec["containers"][0]["env"].append({"name": "B", "value": "2"}), []),
        (lambda spec: spec.update(replicas=3), ["spec.replicas was 3, is to be 1"]),
        (lambda spec: spec.pop("replicas"), ["spec.replicas was nothing, is to be 1"]),
        (lambda spec: spec["args"].append("c"), ["spec.args was ['a', 'b', 'c'], is to be ['a', 'b']"]),
        (lambda spec: spec["nodeSelector"].update(disk="ssd"), ["spec.nodeSelector.disk was ssd, is to be nothing"]),
        (lambda spec: spec["containers"][0].update(image="y"), ["spec.containers[m].image was y, is to be x:1"]),
        (lambda spec: spec["containers"][0]["env"].clear(), ["spec.containers[m].env[A] was nothing, is to be {'name': 'A', 'value': '1'}"]),
        (lambda spec: spec.update(containers=None), ["spec.containers was nothing, is to be [{'name': 'm', 'image': 'x:1', 'env':..."]),
    ],
)  # fmt: skip
def test_what_was_changed(change: Any, told: list[str]) -> None:
    live = {
        "metadata": {"uid": "u"},
        "spec": {
            "replicas": 1,
            "paused": False,
            "args": ["a", "b"],
            "nodeSelector": {"gpu": "true"},
            "containers": [{"name": "m", "image": "x:1", "env": [{"name": "A", "value": "1"}]}],
        },
    }
    change(live["spec"])
    assert drift(WANTED, live) == told


def test_many_are_told_in_a_line() -> None:
    assert in_words(["a", "b", "c", "d", "e"]) == "a; b; c; and 2 more"
