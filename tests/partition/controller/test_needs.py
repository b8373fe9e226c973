"""What is made for pods of other schedulers: each row is the GPUs of a node, what is waited for, and what is claimed for it."""

import pytest

from aliquot.kube.api.core import Container, Pod, PodCondition, PodSpec, PodStatus, ResourceRequirements
from aliquot.kube.api.meta import ObjectMeta
from aliquot.partition.controller.needs import needs_of, supply
from tests.partition.controller.places import need, place


@pytest.mark.parametrize(
    ("layouts", "profiles", "expected"),
    [
        # What is there counts first, whoever came first.
        (("1g.10gb@2", "empty"), ["1g.10gb"], ["1g.10gb@2 of n-0"]),
        (
            ("2g.20gb@0 1g.10gb@6=a", "empty"),
            ["7g.80gb", "2g.20gb"],
            ["2g.20gb@0 of n-0", "7g.80gb@0 of n-1"],
        ),
        # The rest is made beside what is held, not where it would take a large place away.
        (("3g.40gb@0=a", "empty"), ["1g.10gb"], ["1g.10gb@6 of n-0"]),
        # A GPU in use is not switched.
        (("whole=a",), ["1g.10gb"], []),
        (("4g.40gb@0=a 3g.40gb@4=b",), ["1g.10gb"], []),
    ],
)
def test_what_is_there_counts_first_and_the_rest_is_made(
    layouts: tuple[str, ...], profiles: list[str], expected: list[str]
) -> None:
    needs = [need(profile, f"default/{number}", at=number) for number, profile in enumerate(profiles)]
    claims = supply(needs, [place("n", *layouts)], {}).get("n", [])
    found = sorted(f"{c.device.profile}@{c.device.start} of {c.device.gpu}" for c in claims)
    assert found == sorted(expected)


def test_a_pod_gets_all_of_it_on_one_node_or_nothing() -> None:
    places = [place("a", "1g.10gb@0=x 1g.10gb@1=y 3g.40gb@4=z"), place("b", "empty")]
    assert list(supply([need("2g.20gb", count=3)], places, {})) == ["b"]
    assert supply([need("7g.80gb", count=2)], places, {}) == {}


def test_a_node_selector_is_heeded() -> None:
    places = [place("a", "empty"), place("b", "empty", labels={"disk": "fast"})]
    asked = need("1g.10gb")
    there = type(asked)(asked.pod, asked.resource, 1, 0.0, (("disk", "fast"),))
    assert list(supply([there], places, {})) == ["b"]


def pod(reason: str = "Unschedulable", node: str = "") -> Pod:
    condition = PodCondition(type="PodScheduled", status="False", reason=reason)
    resources = ResourceRequirements(limits={"nvidia.com/mig-1g.10gb": "2", "cpu": "1"})
    container = Container(name="main", resources=resources)
    return Pod(
        metadata=ObjectMeta(name="p", namespace="default"),
        spec=PodSpec(containers=(container,), node_name=node),
        status=PodStatus(conditions=(condition,)),
    )


def test_only_pods_that_their_scheduler_found_no_node_for_need_anything() -> None:
    assert [(one.resource, one.count) for one in needs_of(pod())] == [("nvidia.com/mig-1g.10gb", 2)]
    assert needs_of(pod("SchedulingGated")) == ()
    assert needs_of(pod(node="n")) == ()
