"""What the API server refuses of a PodGroup and a Topology, in one line each."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aliquot.kube.crds import PODGROUP_CRD, TOPOLOGY_CRD
from aliquot.kube.resources import CRDS, PODGROUPS, TOPOLOGIES
from tests.emulator.api import Api, FixedClock, new_api

Json = dict[str, Any]


def leaf(name: str, minimum: int = 1, **more: Any) -> Json:
    return {"name": name, "minMember": minimum, **more}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    made = await new_api(FixedClock())
    for definition in (PODGROUP_CRD, TOPOLOGY_CRD):
        await made.ok("POST", CRDS.path(), definition)
    yield made
    made.server.stop()
    await made.close()


def pod_group(spec: Json) -> Json:
    return {
        "apiVersion": PODGROUPS.api_version,
        "kind": "PodGroup",
        "metadata": {"name": "train"},
        "spec": spec,
    }


def topology(*labels: str) -> Json:
    levels = [{"nodeLabel": label} for label in labels]
    return {
        "apiVersion": TOPOLOGIES.api_version,
        "kind": "Topology",
        "metadata": {"name": "racks"},
        "spec": {"levels": levels},
    }


@pytest.mark.parametrize(
    "spec",
    [
        {"minMember": 1},
        {"minMember": 1, "topologyConstraint": {"requiredTopologyLevel": "aliquot.dev/numa"}},
        {
            "minMember": 8,
            "queue": "team-a",
            "priorityClassName": "high",
            "preemptibility": "NonPreemptible",
            "topologyConstraint": {"topology": "racks", "requiredTopologyLevel": "rack"},
            "maxRuntime": "1h30m",
            "minRuntime": "0.5h",
            "stalenessGracePeriod": "90s",
            "after": [{"name": "prepare"}, {"name": "other", "condition": "Ended"}],
        },
        {"subGroups": [leaf("launcher"), leaf("workers", 0)]},
        {
            "minSubGroup": 1,
            "subGroups": [
                {"name": "prefill", "minSubGroup": 1},
                leaf("prefill-0", 4, parent="prefill"),
                leaf("prefill-1", 4, parent="prefill"),
                {"name": "decode"},
                leaf("decode-0", 2, parent="decode"),
            ],
        },
        {"subGroups": [leaf(f"g{number}") for number in range(256)]},
    ],
)
async def test_what_makes_sense_is_taken(api: Api, spec: Json) -> None:
    await api.ok("POST", PODGROUPS.path("default"), pod_group(spec))


async def test_the_example_of_the_docs_is_taken(api: Api) -> None:
    docs = (Path(__file__).parents[2] / "docs/scheduler.md").read_text()
    section = docs.partition("## Which pods belong together")[2]
    example = yaml.safe_load(section.partition("```yaml\n")[2].partition("```")[0])
    await api.ok("POST", PODGROUPS.path("default"), example)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "give either minMember or subGroups"),
        ({"subGroups": []}, "give either minMember or subGroups"),
        ({"minMember": 2, "subGroups": [leaf("a")]}, "give either minMember or subGroups"),
        ({"minMember": 0}, "should be greater than or equal to 1"),
        ({"minMember": 1, "minSubGroup": 1}, "minSubGroup is above the number of subGroups without a parent"),
        (
            {"minSubGroup": 2, "subGroups": [{"name": "a"}, leaf("b", parent="a")]},
            "minSubGroup is above the number of subGroups without a parent",
        ),
        (
            {"subGroups": [leaf("a", parent="b")]},
            "the parent of one of the subGroups is not another of them",
        ),
        (
            {"subGroups": [{"name": "a", "parent": "a"}]},
            "the parent of one of the subGroups is not another of them",
        ),
        (
            {"subGroups": [{"name": "a"}]},
            "one that is another's parent takes minSubGroup, and each other one needs minMember",
        ),
        (
            {"subGroups": [leaf("a"), leaf("b", parent="a")]},
            "one that is another's parent takes minSubGroup, and each other one needs minMember",
        ),
        (
            {"subGroups": [{"name": "a", "minSubGroup": 2}, leaf("b", parent="a")]},
            "minSubGroup of one of the subGroups is above the number of those in it",
        ),
        ({"subGroups": [leaf("a"), leaf("a")]}, "Duplicate value"),
        (
            {"minMember": 1, "preemptibility": "Sometimes"},
            'supported values: "Preemptible", "NonPreemptible"',
        ),
        ({"minMember": 1, "maxRuntime": "1d"}, "maxRuntime is a duration above zero, like 90s, 45m or 1h30m"),
        ({"minMember": 1, "minRuntime": "0s"}, "minRuntime is a duration above zero, like 90s, 45m or 1h30m"),
        (
            {"minMember": 1, "topologyConstraint": {"topology": "racks"}},
            "topologyConstraint asks for nothing: give requiredTopologyLevel or preferredTopologyLevel",
        ),
        ({"minMember": 1, "after": [{"name": "x", "condition": "Started"}]}, 'supported values: "Ended"'),
    ],
)
async def test_what_makes_none_is_refused_with_the_reason(api: Api, spec: Json, message: str) -> None:
    status, answer = await api.send("POST", PODGROUPS.path("default"), pod_group(spec))
    assert status == 422
    assert message in answer["message"]


@pytest.mark.parametrize(
    "labels", [("rack",), ("block", "rack", "kubernetes.io/hostname"), tuple(f"l{n}" for n in range(16))]
)
async def test_levels_that_make_sense(api: Api, labels: tuple[str, ...]) -> None:
    await api.ok("POST", TOPOLOGIES.path(), topology(*labels))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((), "should have at least 1 items"),
        (tuple(f"l{n}" for n in range(17)), "must have at most 16 items"),
        (("rack", "block", "rack"), "a nodeLabel is there twice in levels"),
        (
            ("kubernetes.io/hostname", "rack"),
            "levels go from coarse to fine: kubernetes.io/hostname can only be the last",
        ),
        (
            ("rack", "aliquot.dev/numa"),
            "aliquot.dev/nvlink and aliquot.dev/numa are levels within a node and of every Topology: leave them out",
        ),
    ],
)
async def test_levels_that_make_none(api: Api, labels: tuple[str, ...], message: str) -> None:
    status, answer = await api.send("POST", TOPOLOGIES.path(), topology(*labels))
    assert status == 422
    assert message in answer["message"]
