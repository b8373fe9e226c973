"""Pods that the API server refuses: what their DaemonSet says of it, and how it comes to whom it concerns."""

import asyncio
from typing import Any

import pytest

from aliquot.kube import roles
from aliquot.kube.resources import NODES, RESOURCEQUOTAS
from aliquot.kube.roles import NAMESPACE
from aliquot.operator.core.refusals import daemon_set_of, refusal
from tests.operator.world import World, simulated

NOW_S = 1_800_000_000.0
LATE, EARLY, LONG_AGO = "2027-01-15T07:59:50Z", "2027-01-15T07:50:00Z", "2027-01-15T07:30:00Z"
QUOTA = (
    'Error creating: pods "aliquot-p-agent-5xzcx" is forbidden: exceeded quota: q, requested: pods=1, '
    "used: cpu=1,pods=24, limited: pods=1"
)
DENIED = 'Error creating: admission webhook "pods.example.com" denied the request: no'


def event(message: str, told: str, **more: Any) -> dict[str, Any]:
    about = {"kind": "DaemonSet", "name": "aliquot-p-agent"}
    return {
        "reason": "FailedCreate",
        "involvedObject": about,
        "message": message,
        "lastTimestamp": told,
        **more,
    }


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ((), ""),
        ((event(QUOTA, LATE),), "its pod is forbidden: exceeded quota: q, requested: pods=1, limited: pods=1"),
        ((event(DENIED, LATE),), 'admission webhook "pods.example.com" denied the request: no'),
        ((event(DENIED, LATE), event(QUOTA, EARLY)), 'admission webhook "pods.example.com" denied the request: no'),
        ((event(QUOTA, LONG_AGO),), ""),
        ((event(DENIED, LONG_AGO, series={"count": 9, "lastObservedTime": LATE}),), 'admission webhook "pods.example.com" denied the request: no'),
        ((event(DENIED, "not a time"),), ""),
    ],
    ids=["none", "a quota", "a webhook", "the last one counts", "long ago", "said again since", "no time"],
)  # fmt: skip
def test_what_is_said_of_them(events: tuple[dict[str, Any], ...], told: str) -> None:
    assert refusal(events, NOW_S) == told


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({}, "aliquot-p-agent"),
        ({"reason": "SuccessfulCreate"}, ""),
        ({"involvedObject": {"kind": "ReplicaSet", "name": "r"}}, ""),
    ],
)
def test_whom_it_is_about(changed: dict[str, Any], name: str) -> None:
    assert daemon_set_of(event(QUOTA, LATE, **changed)) == name


def test_a_quota_that_leaves_no_room_is_told_until_there_is_some() -> None:
    async def test(world: World) -> None:
        body = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
        await world.admin.create(RESOURCEQUOTAS, body, NAMESPACE)
        await world.node("a")
        await world.policy("p")

        async def is_told() -> bool:
            return (await world.conditions("a")).get("ToolkitReady") == "False FailedCreate"

        await world.until(is_told)
        assert (await world.conditions("a"))["DriverReady"] == "True Ready"
        # Which is written once in a second.
        await asyncio.sleep(2)
        found = await world.condition("p", "Progressing")
        assert found == ("True", "Installing", "1 of 1 nodes; a: ToolkitReady FailedCreate")
        await world.admin.delete(RESOURCEQUOTAS, "q", NAMESPACE)
        await world.until_validated("a", within_s=300)

    simulated(test)


def test_an_upgrade_that_gets_no_pod_of_the_driver_says_why() -> None:
    async def test(world: World) -> None:
        await world.node("a")
        await world.policy("p", deadlines={"driver": "5m"})
        await world.until_validated("a")
        body = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "0"}}}
        await world.admin.create(RESOURCEQUOTAS, body, NAMESPACE)
        await world.policy("p", driver={"version": "600.1.1"}, deadlines={"driver": "5m"})

        async def has_failed() -> bool:
            return "upgrade-failed" in (await world.labels("a")).values()

        await world.until(has_failed, within_s=600)
        (told,) = await world.told("DriverUpgradeFailed")
        assert "did not start within 300 s: its pod is forbidden: exceeded quota: q" in told
        assert not (await world.admin.get(NODES, "a"))["spec"].get("unschedulable")

    simulated(test)


def test_by_rights_of_an_earlier_version_it_does_without() -> None:
    async def test(world: World) -> None:
        rules = [one for one in roles.OPERATOR_OBJECTS["rules"] if one["resources"] != ["events"]]
        assert len(rules) < len(roles.OPERATOR_OBJECTS["rules"])
        await world.admin.patch(roles.ROLES, "aliquot-operator", {"rules": rules}, NAMESPACE)
        await world.kill()
        world.start()
        await world.node("a")
        await world.policy("p")
        await world.until_validated("a")

    simulated(test)
