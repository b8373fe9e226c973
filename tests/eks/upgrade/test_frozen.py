"""What stands still, and goes on as it was."""

from typing import Any

import pytest

from aliquot.eks.upgrade import frozen
from aliquot.eks.upgrade.frozen import MARK, WAS, WAYS
from aliquot.eks.upgrade.verdicts import Write
from aliquot.emulator.patching.merge import apply_merge_patch

RUN = "run-1"
POOL = next(number for number, way in enumerate(WAYS) if way.resource.kind == "NodePool")
ARGO = next(number for number, way in enumerate(WAYS) if way.resource.kind == "Application")
FLUX = next(number for number, way in enumerate(WAYS) if way.resource.kind == "Kustomization")


def obj(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "one", "resourceVersion": "7"}, "spec": spec}


def after(one: dict[str, Any], write: Write | None) -> dict[str, Any]:
    assert write is not None
    body = {**write.body, "metadata": {**write.body["metadata"]}}
    assert body["metadata"].pop("resourceVersion") == "7"
    changed: dict[str, Any] = apply_merge_patch(one, body)
    return changed


@pytest.mark.parametrize(
    ("way", "before"),
    [
        (POOL, obj(disruption={"budgets": [{"nodes": "10%"}], "consolidateAfter": "1m"})),
        (POOL, obj(disruption={})),
        (ARGO, obj(project="shop")),
        (FLUX, obj(suspend=False, path="./shop")),
        (FLUX, obj(path="./shop")),
    ],
)
def test_it_goes_on_as_it_was(way: int, before: dict[str, Any]) -> None:
    still = after(before, frozen.freeze(frozen.thing(way, before), RUN))
    assert frozen.thing(way, still).still
    assert frozen.freeze(frozen.thing(way, still), RUN) is None
    thawed = after(still, frozen.thaw(frozen.thing(way, still), RUN))
    thawed["metadata"].pop("annotations", None)
    assert thawed == before


@pytest.mark.parametrize(
    ("way", "one"),
    [
        (POOL, obj(disruption={"budgets": [{"nodes": "0"}]})),
        (FLUX, obj(suspend=True)),
    ],
)
def test_who_stood_still_before_stays_so(way: int, one: dict[str, Any]) -> None:
    thing = frozen.thing(way, one)
    assert frozen.freeze(thing, RUN) is None
    assert frozen.thaw(thing, RUN) is None


def test_another_runs_mark_is_left() -> None:
    one = obj(suspend=True)
    one["metadata"]["annotations"] = {MARK: "run-0", WAS: "false"}
    assert frozen.thaw(frozen.thing(FLUX, one), RUN) is None


def test_what_somebody_set_meanwhile_counts() -> None:
    one = obj(disruption={"budgets": [{"nodes": "1"}]})
    one["metadata"]["annotations"] = {MARK: RUN, WAS: '[{"nodes": "10%"}]'}
    thawed = after(one, frozen.thaw(frozen.thing(POOL, one), RUN))
    assert thawed["spec"] == {"disruption": {"budgets": [{"nodes": "1"}]}}
    assert MARK not in thawed["metadata"]["annotations"]


def test_gitops_first_and_last() -> None:
    things = [frozen.thing(POOL, obj(disruption={})), frozen.thing(FLUX, obj())]
    kinds = [write.resource.kind for write in frozen.writes(things, RUN, frozen.freeze)]
    assert kinds == ["Kustomization", "NodePool"]
    marked = {MARK: RUN, WAS: "null"}
    for one in things:
        assert one.name == "one"
    things = [
        frozen.thing(way, {**obj(), "metadata": {"name": "one", "annotations": marked}})
        for way in (FLUX, POOL)
    ]
    kinds = [write.resource.kind for write in frozen.writes(things, RUN, frozen.thaw, backwards=True)]
    assert kinds == ["NodePool", "Kustomization"]
