"""The scheduler's ClusterRole covers what it reads to see which pods belong together."""

import pytest

from aliquot.kube import roles
from aliquot.kube.resources import PODGROUPS, PRIORITYCLASSES, QUEUES, Resource
from aliquot.scheduler.grouping.doors import coscheduling, kai, upstream, volcano
from aliquot.scheduler.grouping.owners import OWNER_KINDS, OwnerKind, Reading


def verbs(resource: Resource) -> set[str]:
    return {
        verb
        for rule in roles.SCHEDULER["rules"]
        if resource.group in rule["apiGroups"] and resource.plural in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("kind", OWNER_KINDS.values(), ids=lambda kind: f"{kind.group}/{kind.kind}")
def test_owners(kind: OwnerKind) -> None:
    needed = {
        Reading.FOLLOWED: {"get", "list", "watch"},
        Reading.ONCE: {"get"},
        Reading.NEVER: set[str](),
    }
    assert verbs(kind.resource("v1")) >= needed[kind.reading]


@pytest.mark.parametrize(
    "resource",
    [
        PODGROUPS,
        PRIORITYCLASSES,
        upstream.PODGROUPS,
        upstream.COMPOSITES,
        coscheduling.PODGROUPS,
        kai.PODGROUPS,
        volcano.PODGROUPS,
    ],
    ids=lambda resource: resource.name,
)
def test_group_objects(resource: Resource) -> None:
    assert verbs(resource) >= {"get", "list", "watch"}


@pytest.mark.parametrize(
    ("resource", "written"),
    [(QUEUES, True), (PODGROUPS, True), (upstream.PODGROUPS, True), (upstream.COMPOSITES, True)]
    + [(resource, False) for resource in (coscheduling.PODGROUPS, kai.PODGROUPS, volcano.PODGROUPS)],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_whose_status_it_writes(resource: Resource, written: bool) -> None:
    status = f"{resource.plural}/status"
    rules = [
        rule
        for rule in roles.SCHEDULER["rules"]
        if resource.group in rule["apiGroups"] and status in rule["resources"]
    ]
    assert bool(rules) is written
    assert all(rule["verbs"] == ["patch"] for rule in rules)
