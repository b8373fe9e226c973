"""Drivers are exchanged node by node: the loop against the emulated API server, with the rights of its account."""

import asyncio
from typing import Any

import pytest

from aliquot.kube.resources import GPUPOLICIES, NODES, PODS
from aliquot.kube.roles import NAMESPACE
from aliquot.operator.core.upgrade.states import MEMORY, REQUESTED, RETRY, STATE_LABEL
from aliquot.operator.upgrading.reading import is_driver
from tests.operator.cluster import simulate
from tests.operator.machines import RUNS_FOR, SAVES_IN
from tests.operator.upgrading.fleet import AT_ONCE, NEW, NEWER, OLD, Fleet, fleet

ONE_BY_ONE = {"canary": {"nodes": 0}}
STEPS = [
    "upgrade-required: its driver is to be upgraded",
    "cordon-required: the upgrade of its driver starts",
    "wait-for-jobs-required: cordoned; its jobs come first",
    "pod-deletion-required: pods with GPUs are evicted",
    "pod-restart-required: the driver is exchanged",
    "validation-required: the new driver runs, and is validated",
    "uncordon-required: the new driver is validated",
    "upgrade-done: its driver is upgraded",
]


async def _job(here: Fleet) -> None:
    """Something to wait for, for a while."""
    labels, annotations = {"aliquot.dev/pod-group": "g"}, {RUNS_FOR: "100"}
    metadata = {"name": "j", "namespace": "default", "labels": labels, "annotations": annotations}
    container = {"name": "c", "image": "i", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    await here.cluster.admin.create(
        PODS, {"metadata": metadata, "spec": {"restartPolicy": "Never", "containers": [container]}}
    )


def test_a_roll_from_its_first_node_to_its_last() -> None:
    async def scenario() -> None:
        async with fleet("a b c") as here:
            await here.replicas("job", 3)
            await here.until(lambda: here.where("job") == ["a", "b", "c"])
            seen: list[list[str]] = []
            stop = here.cluster.nodes.subscribe(lambda _, __: seen.append(here.cordoned()))
            async with here.upgrading():
                await here.policy(NEW, upgrade={})
                await here.until(lambda: here.are("upgrade-done"))
                await here.until(lambda: len(here.where("job")) == 3)
                await asyncio.sleep(30)
            stop()
            assert here.drivers() == dict.fromkeys("abc", NEW)
            assert here.cordoned() == here.paused() == []
            # As shipped: one at a time, and the first alone.
            assert {len(one) for one in seen} == {0, 1}
            events = await here.cluster.events("DriverUpgrade")
            assert sorted(events) == sorted(STEPS * 3)
            assert await here.cluster.events("DriverUpgradeStarted") == [
                "drivers of 3 of 3 nodes are upgraded"
            ]
            assert await here.cluster.events("DriverUpgradeHeldBack") == [
                "2 nodes wait: node a has to stay well for 600 s"
            ]
            assert await here.cluster.events("DriverUpgradeDone") == [
                "the drivers of all 3 nodes are as the policy has them"
            ]

    simulate(scenario)


def test_what_is_not_of_the_policy_is_not_touched() -> None:
    async def scenario() -> None:
        async with fleet("a b") as here:
            before = {name: await here.cluster.admin.get(NODES, name) for name in "ab"}
            async with here.upgrading():
                await asyncio.sleep(300)
            assert {name: await here.cluster.admin.get(NODES, name) for name in "ab"} == before

    simulate(scenario)


def test_a_budget_keeps_a_node_back_until_it_is_tried_again() -> None:
    async def scenario() -> None:
        async with fleet("a b", upgrade={**ONE_BY_ONE, "maxUnavailable": 2}) as here:
            await here.replicas("job", 1)
            await here.budget("job", maxUnavailable=0)
            await here.until(lambda: here.where("job") == ["a"])
            async with here.upgrading():
                await here.policy(NEW, upgrade={**ONE_BY_ONE, "maxUnavailable": 2})
                await here.until(lambda: here.states() == {"a": "upgrade-failed", "b": "upgrade-done"})
                assert here.where("job") == ["a"]
                assert here.drivers() == {"a": OLD, "b": NEW}
                assert here.cordoned() == here.paused() == []
                assert here.upgrades is not None
                assert here.upgrades.failures == 1
                (told,) = await here.cluster.events("DriverUpgradeFailed")
                before, _, why = told.partition(" did not leave within 300 s: ")
                assert before.startswith("the upgrade of its driver failed: default/job-")
                assert "The disruption budget job needs 1 healthy pods" in why
                # Nobody tries by itself what has failed.
                await asyncio.sleep(3600)
                assert here.states()["a"] == "upgrade-failed"

                await here.budget("job", maxUnavailable=1)
                await here.annotate("a", RETRY, "true")
                await here.until(lambda: here.are("upgrade-done"))
            assert here.drivers() == {"a": NEW, "b": NEW}
            assert here.cordoned() == []
            node = await here.cluster.admin.get(NODES, "a")
            assert RETRY not in node["metadata"]["annotations"]

    simulate(scenario)


def test_a_driver_that_does_not_run_stops_the_roll_and_the_policy_is_turned_back() -> None:
    async def scenario() -> None:
        async with fleet("a b c") as here:
            for name in "abc":
                here.machines.broken[name] = {NEW}
            async with here.upgrading():
                await here.policy(NEW, upgrade=ONE_BY_ONE)
                await here.until(lambda: "upgrade-failed" in here.states().values())
                await asyncio.sleep(1800)
                assert here.states() == {
                    "a": "upgrade-failed",
                    "b": "upgrade-required",
                    "c": "upgrade-required",
                }
                assert here.cordoned() == []
                assert here.board.held_back("p").startswith("node a has failed")
                (stopped,) = await here.cluster.events("DriverUpgradeStopped")
                assert stopped == (
                    "node a failed: the new driver restarted 11 times: CrashLoopBackOff: driver: it ends; the others wait"
                )
                await here.policy(OLD, upgrade=ONE_BY_ONE)
                await here.until(lambda: here.states() == {"a": "upgrade-done", "b": "", "c": ""})
            assert here.drivers() == dict.fromkeys("abc", OLD)
            assert here.cordoned() == here.paused() == []

    simulate(scenario)


def test_a_driver_that_was_mended_on_its_node_is_started_anew_by_a_retry() -> None:
    async def scenario() -> None:
        async with fleet("a") as here:
            here.machines.broken["a"] = {NEW}
            async with here.upgrading():
                await here.policy(NEW)
                await here.until(lambda: here.are("upgrade-failed"))
                assert here.paused() == ["a"]
                here.machines.broken.clear()
                await here.annotate("a", RETRY, "true")
                await here.until(lambda: here.are("upgrade-done"))
            assert here.cordoned() == here.paused() == []

    simulate(scenario)


def test_a_driver_that_is_kept_out_by_those_who_use_the_last_is_let_in() -> None:
    """As one whose pod somebody deleted by hand when its node was still to be upgraded."""

    async def scenario() -> None:
        async with fleet("a") as here, here.upgrading():
            driver = next(one for one in here.cluster.pods.values() if is_driver(one, NAMESPACE))
            blocked = {
                "name": "unload-last-driver",
                "restartCount": 2,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "image": "i",
                "imageID": "",
                "ready": False,
            }
            await here.cluster.admin.patch(
                PODS,
                driver.metadata.name,
                {"status": {"initContainerStatuses": [blocked]}},
                NAMESPACE,
                subresource="status",
            )
            await here.until(lambda: here.are("upgrade-done"))
            (another,) = (one for one in here.cluster.pods.values() if is_driver(one, NAMESPACE))
            assert another.metadata.uid != driver.metadata.uid
            assert here.cordoned() == here.paused() == []

    simulate(scenario)


def test_what_the_validator_finds_keeps_the_node_out() -> None:
    async def scenario() -> None:
        async with fleet("a b") as here:
            here.machines.mute.add("a")
            async with here.upgrading():
                await here.policy(NEW, upgrade=ONE_BY_ONE)
                await here.until(lambda: here.states()["a"] == "upgrade-failed")
                (told,) = await here.cluster.events("DriverUpgradeFailed")
                assert "not validated within 600 s after the upgrade: the driver does not answer" in told
                assert here.states()["b"] == "upgrade-required"
                assert here.cordoned() == []

    simulate(scenario)


def test_jobs_are_waited_for_and_those_that_can_are_asked_to_save() -> None:
    async def scenario() -> None:
        upgrade = {**AT_ONCE, "waitForJobs": {"podSelector": "app=short", "timeout": "30m"}}
        async with fleet("a", upgrade=upgrade) as here:
            pod = {
                "containers": [
                    {"name": "main", "image": "job", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
                ]
            }
            short = {"name": "short", "namespace": "default", "labels": {"app": "short"}}
            await here.cluster.admin.create(
                PODS,
                {
                    "metadata": {**short, "annotations": {RUNS_FOR: "700"}},
                    "spec": {**pod, "restartPolicy": "Never"},
                },
            )
            saves = {"aliquot.dev/checkpoint-on-request": "true", SAVES_IN: "40"}
            await here.replicas("long", 1, annotations=saves)
            await here.until(lambda: here.where("long") == here.where("short") == ["a"])
            (before,) = [one for one in here.cluster.pods.values() if one.metadata.name.startswith("long")]
            started = here.cluster.clock.now()
            async with here.upgrading():
                await here.policy(NEW, upgrade=upgrade)
                await here.until(lambda: here.are("wait-for-jobs-required"))
                assert here.cordoned() == ["a"]
                await here.until(lambda: here.are("pod-deletion-required"))
                assert here.cluster.clock.now() >= started + 700 - 60 + 40
                saved = here.cluster.pods.get(f"default/{before.metadata.name}")
                assert saved is not None
                said = saved.metadata.annotations or {}
                assert said["aliquot.dev/last-checkpoint"] >= said["aliquot.dev/checkpoint-requested"]
                await here.until(lambda: here.are("upgrade-done"))
                await here.until(lambda: here.where("long") == ["a"])

    simulate(scenario)


def test_nodes_of_a_gang_go_together() -> None:
    async def scenario() -> None:
        upgrade = {"canary": {"nodes": 0}, "maxParallel": 2, "maxUnavailable": 2}
        async with fleet("a b c d", upgrade=upgrade) as here:
            await here.replicas("gang", 2, gpus=2, labels={"aliquot.dev/pod-group": "g"})
            await here.until(lambda: here.where("gang") == ["a", "b"])
            evicted: list[float] = []
            stop = here.cluster.pods.subscribe(
                lambda old, new: (
                    evicted.append(here.cluster.clock.now())
                    if old is not None
                    and new is not None
                    and (new.metadata.labels or {}).get("app") == "gang"
                    and new.metadata.deletion_timestamp is not None
                    and old.metadata.deletion_timestamp is None
                    else None
                )
            )
            async with here.upgrading():
                await here.policy(NEW, upgrade=upgrade)
                await here.until(lambda: here.are("upgrade-done"))
            stop()
            # Once, and both within seconds.
            assert len(evicted) == 2
            assert evicted[1] - evicted[0] < 10

    simulate(scenario)


def test_a_window_that_is_closed_is_waited_for() -> None:
    async def scenario() -> None:
        # It is midnight.
        upgrade = {**AT_ONCE, "windows": [{"schedule": "0 3 * * *", "duration": "1h"}]}
        async with fleet("a", upgrade=upgrade) as here:
            begun = here.cluster.clock.now()
            async with here.upgrading():
                await here.policy(NEW, upgrade=upgrade)
                await here.until(lambda: here.board.held_back("p") == "the maintenance window is closed")
                assert here.are("upgrade-required")
                await here.until(lambda: not here.are("upgrade-required"), within_s=4 * 3600)
                assert begun + 3 * 3600 - 120 <= here.cluster.clock.now() <= begun + 3 * 3600 + 5

    simulate(scenario)


def test_by_hand_one_node_at_a_time_is_asked_for() -> None:
    async def scenario() -> None:
        upgrade = {**AT_ONCE, "auto": False}
        async with fleet("a b", upgrade=upgrade) as here:
            async with here.upgrading():
                await here.policy(NEW, upgrade=upgrade)
                await asyncio.sleep(300)
                assert here.are("")
                await here.annotate("a", REQUESTED, "true")
                await here.until(lambda: here.states() == {"a": "upgrade-done", "b": ""})
                # It was for that one.
                await here.policy(NEWER, upgrade=upgrade)
                await asyncio.sleep(300)
                assert here.states() == {"a": "upgrade-done", "b": ""}
            assert here.drivers() == {"a": NEW, "b": OLD}

    simulate(scenario)


@pytest.mark.parametrize("state", ["wait-for-jobs-required", "pod-restart-required"])
def test_a_policy_that_moves_on_is_followed(state: str) -> None:
    async def scenario() -> None:
        upgrade = {**AT_ONCE, "waitForJobs": {"timeout": "2m"}}
        async with fleet("a", upgrade=upgrade) as here, here.upgrading():
            await _job(here)
            await here.policy(NEW, upgrade=upgrade)
            await here.until(lambda: here.are(state))
            await here.policy(NEWER, upgrade=upgrade)
            await here.until(lambda: here.are("upgrade-done") and here.drivers() == {"a": NEWER})
            assert here.cordoned() == []

    simulate(scenario)


async def _skip(here: Fleet) -> None:
    await here.label("b", skip="true")


async def _stop(here: Fleet) -> None:
    await here.policy(NEW, upgrade={**ONE_BY_ONE, "auto": False})


async def _turn_back(here: Fleet) -> None:
    await here.policy(OLD, upgrade=ONE_BY_ONE)


@pytest.mark.parametrize(
    ("what", "drivers"),
    [(_skip, {"a": NEW, "b": OLD}), (_stop, {"a": NEW, "b": OLD}), (_turn_back, {"a": OLD, "b": OLD})],
    ids=["skip", "auto off", "back"],
)
def test_who_waits_does_not_start_any_more_and_who_is_under_way_is_finished(
    what: Any, drivers: dict[str, str]
) -> None:
    async def scenario() -> None:
        async with fleet("a b", upgrade=ONE_BY_ONE) as here, here.upgrading():
            await here.policy(NEW, upgrade=ONE_BY_ONE)
            await here.until(lambda: here.states() == {"a": "pod-restart-required", "b": "upgrade-required"})
            await what(here)
            await here.until(lambda: here.states() == {"a": "upgrade-done", "b": ""})
            await asyncio.sleep(120)
            assert here.states() == {"a": "upgrade-done", "b": ""}
            assert here.drivers() == drivers
            assert here.cordoned() == []

    simulate(scenario)


async def _delete_policy(here: Fleet) -> None:
    await here.cluster.admin.delete(GPUPOLICIES, "p")


async def _deselect(here: Fleet) -> None:
    await here.policy(NEW, nodeSelector={"matchLabels": {"gpu": "other"}})


async def _lose_gpus(here: Fleet) -> None:
    await here.label("a", discovered=None, policy="p")


async def _refuse_driver(here: Fleet) -> None:
    await here.label("a", driver="false")


@pytest.mark.parametrize("state", ["wait-for-jobs-required", "pod-restart-required", "validation-required"])
@pytest.mark.parametrize(
    "what", [_delete_policy, _deselect, _lose_gpus, _refuse_driver], ids=lambda one: one.__name__
)
def test_a_node_that_is_let_go_half_way_is_as_before(state: str, what: Any) -> None:
    async def scenario() -> None:
        upgrade = {**AT_ONCE, "waitForJobs": {"timeout": "2m"}}
        async with fleet("a", upgrade=upgrade) as here, here.upgrading():
            await _job(here)
            await here.policy(NEW, upgrade=upgrade)
            await here.until(lambda: here.are(state))
            assert here.cordoned() == ["a"]
            await what(here)
            await here.until(lambda: here.are("") and not here.cordoned() and not here.paused())
            node = await here.cluster.admin.get(NODES, "a")
            assert MEMORY not in node["metadata"].get("annotations", {})

    simulate(scenario)


def test_who_was_closed_before_stays_closed() -> None:
    async def scenario() -> None:
        async with fleet("a b") as here, here.upgrading():
            await here.cordon("a")
            await here.policy(NEW)
            await here.until(lambda: here.are("upgrade-done"))
            assert here.cordoned() == ["a"]

    simulate(scenario)


def test_who_was_closed_anew_meanwhile_stays_closed() -> None:
    async def scenario() -> None:
        upgrade = {**AT_ONCE, "waitForJobs": {"timeout": "2m"}}
        async with fleet("a b", upgrade=upgrade) as here, here.upgrading():
            await _job(here)
            await here.policy(NEW, upgrade=upgrade)
            await here.until(lambda: here.states().get("a") == "wait-for-jobs-required")
            for closed in (False, True):
                await here.cordon("a", on=closed)
            await here.until(lambda: here.are("upgrade-done"))
            assert here.cordoned() == ["a"]

    simulate(scenario)


@pytest.mark.parametrize(
    ("state", "text", "label"),
    [
        ("wait-for-jobs-required", "{", ""),
        ("wait-for-jobs-required", None, ""),
        ("wait-for-jobs-required", "{", None),
        ("wait-for-jobs-required", None, None),
        ("pod-restart-required", "{", ""),
        ("validation-required", "{", ""),
        ("validation-required", "{", None),
    ],
)
def test_an_annotation_that_nobody_can_read_leaves_nothing_of_ours_behind(
    state: str, text: str | None, label: str | None
) -> None:
    async def scenario() -> None:
        upgrade = {**AT_ONCE, "waitForJobs": {"timeout": "2m"}}
        async with fleet("a", upgrade=upgrade) as here, here.upgrading():
            await _job(here)
            await here.policy(NEW, upgrade=upgrade)
            await here.until(lambda: here.are(state) and here.cordoned() == ["a"])
            marks: dict[str, Any] = {"annotations": {MEMORY: text}}
            if label is None:
                marks["labels"] = {STATE_LABEL: None}
            await here.cluster.admin.patch(NODES, "a", {"metadata": marks})
            await here.until(lambda: not here.cordoned())
            if label is not None:
                await here.until(lambda: here.are("upgrade-failed"))
                await asyncio.sleep(1800)
                assert here.are("upgrade-failed")
                assert here.cordoned() == here.paused() == []
                (told,) = await here.cluster.events("DriverUpgradeFailed")
                assert "what was known of its upgrade is gone" in told
                await here.annotate("a", RETRY, "true")
                await here.until(lambda: here.are("upgrade-done"))
            await here.until(lambda: here.drivers() == {"a": NEW} and not here.paused())
            await asyncio.sleep(1800)
            assert here.cordoned() == here.paused() == []

    simulate(scenario)


def test_a_node_that_is_deleted_half_way_keeps_nobody_else() -> None:
    async def scenario() -> None:
        async with fleet("a b", upgrade=ONE_BY_ONE) as here, here.upgrading():
            await here.policy(NEW, upgrade=ONE_BY_ONE)
            await here.until(lambda: here.states()["a"] == "pod-restart-required")
            await here.cluster.admin.delete(NODES, "a")
            await here.until(lambda: here.states() == {"b": "upgrade-done"})

    simulate(scenario)


def test_a_spec_that_is_refused_lets_those_under_way_finish_and_nobody_start() -> None:
    async def scenario() -> None:
        upgrade = {**ONE_BY_ONE, "maxUnavailable": 2}
        async with fleet("a b", upgrade=upgrade) as here, here.upgrading():
            await here.policy(NEW, upgrade=upgrade)
            await here.until(lambda: here.states()["a"] == "pod-restart-required")
            wrong = {"spec": {"upgrade": {"windows": [{"schedule": "0 25 * * *", "duration": "1h"}]}}}
            await here.cluster.admin.patch(GPUPOLICIES, "p", wrong)
            await here.until(lambda: here.states()["a"] == "upgrade-done")
            await asyncio.sleep(600)
            assert here.states() == {"a": "upgrade-done", "b": "upgrade-required"}
            assert here.cordoned() == []

    simulate(scenario)


def test_what_users_turned_off_stays_off() -> None:
    async def scenario() -> None:
        async with fleet("a") as here, here.upgrading():
            await here.label("a", exporter="false")
            await here.policy(NEW)
            await here.until(lambda: here.are("upgrade-done"))
            node = await here.cluster.admin.get(NODES, "a")
            assert node["metadata"]["labels"]["nvidia.com/gpu.deploy.dcgm-exporter"] == "false"
            assert here.paused() == []

    simulate(scenario)


def test_a_node_whose_gpus_the_driver_does_not_know_is_left_and_told_of_once() -> None:
    async def scenario() -> None:
        async with fleet("a b") as here, here.upgrading():
            volta = {"nvidia.com/gpu.compute.major": "7", "nvidia.com/gpu.compute.minor": "0"}
            await here.cluster.admin.patch(NODES, "a", {"metadata": {"labels": volta}})
            await here.policy(NEW)
            await here.until(lambda: here.states() == {"a": "", "b": "upgrade-done"})
            await asyncio.sleep(600)
            assert here.drivers() == {"a": OLD, "b": NEW}
            assert await here.cluster.events("DriverDoesNotFit") == [
                f"driver {NEW} does not know its GPUs: 580 is the last branch for Maxwell, Pascal and Volta"
            ]
            # Nothing is left of it once the policy has another.
            await here.policy(OLD)
            await here.until(lambda: here.drivers() == {"a": OLD, "b": OLD} and here.are("upgrade-done", "b"))
            node = await here.cluster.admin.get(NODES, "a")
            assert MEMORY not in node["metadata"].get("annotations", {})

    simulate(scenario)
