"""The life of pods on an emulated node, seen through the API."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from aliquot.clock import VirtualClock, parse_rfc3339
from aliquot.emulator.kubelet.checkpoint import MemoryCheckpoints
from aliquot.emulator.kubelet.runtimes.base import ContainerConfig, ContainerRecord
from aliquot.emulator.kubelet.runtimes.simulated import SimulatedRuntime
from aliquot.kube.resources import CONFIGMAPS, PERSISTENTVOLUMECLAIMS, PODS
from tests.emulator.kubelet.site import ONE, RUN_5S, Site, on_a_node

# Running.


def test_a_bound_pod_runs() -> None:
    async def scenario(site: Site) -> None:
        await site.create(ONE)
        assert await site.until("Running") < 0.1
        status = await site.status()
        conditions = {c["type"]: c["status"] for c in status["conditions"]}
        assert conditions == dict.fromkeys(
            ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"), "True"
        )
        assert (status["hostIP"], status["podIP"]) == ("127.0.0.1", "10.244.0.2")
        assert (await site.container())["state"].keys() == {"running"}
        assert ("Started", "Started container main") in await site.events()

    on_a_node(scenario)


@pytest.mark.parametrize(
    ("annotations", "policy", "phase", "code"),
    [
        (RUN_5S, "Never", "Succeeded", 0),
        (RUN_5S | {"aliquot.dev/exit-code": "3"}, "Never", "Failed", 3),
        (RUN_5S, "OnFailure", "Succeeded", 0),
    ],
)
def test_a_pod_ends_as_its_annotations_say(
    annotations: dict[str, str], policy: str, phase: str, code: int
) -> None:
    async def scenario(site: Site) -> None:
        await site.create(f"{ONE}, restartPolicy: {policy}", annotations=annotations)
        await site.until("Running")
        assert await site.until(phase) == pytest.approx(5.0, abs=0.1)
        terminated = (await site.container())["state"]["terminated"]
        assert terminated["exitCode"] == code
        assert parse_rfc3339(terminated["finishedAt"]) - parse_rfc3339(terminated["startedAt"]) == 5

    on_a_node(scenario)


class _NoCommandRuns(SimulatedRuntime):
    """As a container engine reports a command that it cannot run: the container was made, and has ended."""

    async def start(self, config: ContainerConfig) -> ContainerRecord:
        return self._failed(await super().start(config))

    def containers(self, pod_uid: str) -> Sequence[ContainerRecord]:
        return [self._failed(record) for record in super().containers(pod_uid)]

    @staticmethod
    def _failed(record: ContainerRecord) -> ContainerRecord:
        return replace(
            record, finished_at=record.started_at, exit_code=128, reason="StartError", message="no such file"
        )


def _no_command_runs(clock: VirtualClock) -> SimulatedRuntime:
    return _NoCommandRuns(MemoryCheckpoints(), clock=clock, rng=random.Random(5))


def test_a_command_that_cannot_be_run_was_never_started() -> None:
    async def scenario(site: Site) -> None:
        await site.create(ONE)
        await site.until("Running")
        container = await site.container()
        assert container["state"] == {"waiting": {"reason": "RunContainerError", "message": "no such file"}}
        last = container["lastState"]["terminated"]
        assert (last["exitCode"], last["reason"], last["message"]) == (128, "StartError", "no such file")
        assert (container["restartCount"], container["started"]) == (0, False)
        await asyncio.sleep(10)
        assert (await site.container())["restartCount"] == 1
        await asyncio.sleep(25)
        container = await site.container()
        assert (container["restartCount"], container["state"]["waiting"]["reason"]) == (2, "CrashLoopBackOff")
        events = await site.events()
        assert ("Failed", "Error: no such file") in events
        assert "Started" not in {reason for reason, _ in events}

    on_a_node(scenario, runtime=_no_command_runs)


def test_a_command_that_cannot_be_run_fails_a_pod_that_is_not_restarted() -> None:
    async def scenario(site: Site) -> None:
        await site.create(f"{ONE}, restartPolicy: Never")
        await site.until("Failed")
        assert (await site.container())["state"]["terminated"]["reason"] == "StartError"
        assert ("Failed", "Error: no such file") in await site.events()

    on_a_node(scenario, runtime=_no_command_runs)


def test_restarts_back_off_and_count() -> None:
    async def scenario(site: Site) -> None:
        await site.create(ONE, annotations={"aliquot.dev/run-for": "1s", "aliquot.dev/exit-code": "1"})
        await site.until("Running")
        seen: dict[int, float] = {}
        began = asyncio.get_running_loop().time()
        while len(seen) < 6:
            seen.setdefault(
                (await site.container())["restartCount"], asyncio.get_running_loop().time() - began
            )
            await asyncio.sleep(0.05)
        waits = [round(seen[n + 1] - seen[n] - 1.0) for n in range(5)]
        assert waits == [0, 10, 20, 40, 80]
        await asyncio.sleep(5)
        container = await site.container()
        assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert container["lastState"]["terminated"]["exitCode"] == 1
        assert "BackOff" in {reason for reason, _ in await site.events()}
        # Of all its runs only the last two are kept.
        (uid,) = site.kubelet.runtime.pods()
        assert [run.attempt for run in site.kubelet.runtime.containers(uid)] == [4, 5]

    on_a_node(scenario)


def test_init_containers_run_before_the_others() -> None:
    async def scenario(site: Site) -> None:
        await site.create("initContainers: [{name: i1}, {name: i2}], containers: [{name: main}]")
        await site.until("Running")
        status = await site.status()
        assert [c["state"]["terminated"]["reason"] for c in status["initContainerStatuses"]] == [
            "Completed"
        ] * 2

    on_a_node(scenario)


def test_a_pod_that_takes_too_long_is_failed() -> None:
    async def scenario(site: Site) -> None:
        await site.create(f"{ONE}, activeDeadlineSeconds: 20")
        await site.until("Running")
        assert await site.until("Failed") == pytest.approx(20.0, abs=1.0)
        assert (await site.status())["reason"] == "DeadlineExceeded"

    on_a_node(scenario)


def test_a_missing_config_map_is_waited_for() -> None:
    async def scenario(site: Site) -> None:
        variable = "{name: V, valueFrom: {configMapKeyRef: {name: later, key: k}}}"
        await site.create(f"containers: [{{name: main, env: [{variable}]}}]")
        await asyncio.sleep(1)
        waiting = (await site.container())["state"]["waiting"]
        assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "later" not found'}
        assert await site.phase() == "Pending"
        await site.client.create(
            CONFIGMAPS, {"metadata": {"name": "later", "namespace": "default"}, "data": {"k": "v"}}
        )
        await site.until("Running", limit_s=11)

    on_a_node(scenario)


def test_the_scheduler_s_condition_is_left_alone() -> None:
    async def scenario(site: Site) -> None:
        created = await site.create(ONE)
        await site.until("Running")
        scheduled = {
            "type": "PodScheduled",
            "status": "True",
            "lastTransitionTime": created["metadata"]["creationTimestamp"],
        }
        await site.client.patch(
            PODS,
            "p",
            {"status": {"conditions": [*(await site.status())["conditions"], scheduled]}},
            "default",
            subresource="status",
        )
        site.kubelet.restart()
        await asyncio.sleep(1)
        conditions = {c["type"]: c for c in (await site.status())["conditions"]}
        assert conditions["PodScheduled"] == scheduled

    on_a_node(scenario)


# What containers are made with.


def test_a_container_waits_for_a_whole_configmap() -> None:
    async def scenario(site: Site) -> None:
        await site.create(
            "containers: [{name: main, envFrom: [{configMapRef: {name: later}}, "
            "{secretRef: {name: never, optional: true}}]}]"
        )
        await asyncio.sleep(1)
        waiting = (await site.container())["state"]["waiting"]
        assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "later" not found'}
        assert ("Failed", 'Error: configmap "later" not found') in await site.events()
        await site.client.create(CONFIGMAPS, {"metadata": {"name": "later", "namespace": "default"}})
        await site.until("Running")

    on_a_node(scenario)


def test_a_pod_waits_for_what_its_volumes_are_made_of() -> None:
    async def scenario(site: Site) -> None:
        await site.create(
            "volumes: [{name: settings, configMap: {name: later, items: [{key: level, path: l}]}}, "
            "{name: unused, secret: {secretName: none}}], "
            "containers: [{name: main, volumeMounts: [{name: settings, mountPath: /etc/settings}]}]"
        )
        await asyncio.sleep(5)
        assert (await site.container())["state"] == {"waiting": {"reason": "ContainerCreating"}}
        conditions = {c["type"]: c["status"] for c in (await site.status())["conditions"]}
        assert conditions["PodReadyToStartContainers"] == "False"
        prefix = 'MountVolume.SetUp failed for volume "settings" : '
        assert ("FailedMount", f'{prefix}configmap "later" not found') in await site.events()
        body = {"metadata": {"name": "later", "namespace": "default"}, "data": {"other": "x"}}
        await site.client.create(CONFIGMAPS, body)
        await asyncio.sleep(20)
        problem = "configmap references non-existent config key: level"
        assert ("FailedMount", f"{prefix}{problem}") in await site.events()
        await site.client.patch(CONFIGMAPS, "later", {"data": {"level": "high"}}, "default")
        await site.until("Running")

    on_a_node(scenario)


def test_a_pod_waits_until_its_claim_is_bound() -> None:
    async def scenario(site: Site) -> None:
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        body = {"metadata": {"name": "data", "namespace": "default"}, "spec": spec}
        await site.client.create(PERSISTENTVOLUMECLAIMS, body)
        await site.create(
            "volumes: [{name: v, persistentVolumeClaim: {claimName: data}}], "
            "containers: [{name: main, volumeMounts: [{name: v, mountPath: /v}]}]"
        )

        async def told() -> bool:
            return any("PVC is not bound" in message for _, message in await site.events())

        # It may be bound in a moment, and is only told of when it is not.
        await asyncio.sleep(0.3)
        assert not await told()
        await asyncio.sleep(5)
        assert await told()
        assert await site.phase() == "Pending"
        bound = {"status": {"phase": "Bound"}}
        await site.client.patch(PERSISTENTVOLUMECLAIMS, "data", bound, "default", subresource="status")
        await site.until("Running")

    on_a_node(scenario)


def test_a_pod_that_is_deleted_while_it_waits_for_its_volumes_is_let_go() -> None:
    async def scenario(site: Site) -> None:
        await site.create(
            "volumes: [{name: v, secret: {secretName: none}}], "
            "containers: [{name: main, volumeMounts: [{name: v, mountPath: /v}]}]"
        )
        await asyncio.sleep(300)
        assert await site.phase() == "Pending"
        await site.client.delete(PODS, "p", "default")
        await site.until("")

    on_a_node(scenario)


def test_a_runtime_without_mounts_says_what_containers_will_miss() -> None:
    class Bare(SimulatedRuntime):
        mounts_volumes = False

    def bare(clock: VirtualClock) -> Bare:
        return Bare(MemoryCheckpoints(), clock=clock, rng=random.Random(5))

    async def scenario(site: Site) -> None:
        mounting = "volumeMounts: [{name: v, mountPath: /data}]"
        await site.create(f"volumes: [{{name: v, emptyDir: {{}}}}], containers: [{{name: main, {mounting}}}]")
        await site.create(ONE, name="q")
        await site.until("Running")
        await asyncio.sleep(1)
        text = "the simulated runtime mounts no volumes: containers will not find /data (emptyDir v)"
        told = [message for reason, message in await site.events() if reason == "VolumesNotMounted"]
        assert told == [text]

    on_a_node(scenario, runtime=bare)


def test_a_pod_whose_details_cannot_be_read_is_looked_at_again() -> None:
    async def scenario(site: Site) -> None:
        site.faults.lose = lambda request: request.method == "GET" and request.path.endswith("/pods/p")
        await site.create(ONE)
        await asyncio.sleep(60)
        assert await site.phase() == "Pending"
        site.faults.lose = lambda request: False
        await site.until("Running")

    on_a_node(scenario)


# Ending.


def test_a_deleted_pod_is_ended_and_let_go() -> None:
    async def scenario(site: Site) -> None:
        await site.create(ONE)
        await site.until("Running")
        await site.client.delete(PODS, "p", "default")
        assert await site.until("") < 1.0
        assert ("Killing", "Stopping container main") in await site.events()

    on_a_node(scenario)


def test_a_pod_deleted_before_it_was_admitted_is_let_go() -> None:
    async def scenario(site: Site) -> None:
        site.kubelet.restart(down_s=20)
        await asyncio.sleep(1)
        await site.create(ONE)
        await site.client.delete(PODS, "p", "default")
        assert await site.phase() == "Pending"
        await site.until("")

    on_a_node(scenario)


def test_a_pod_forced_out_of_the_api_is_ended() -> None:
    async def scenario(site: Site) -> None:
        created = await site.create(ONE)
        await site.until("Running")
        await site.client.delete(PODS, "p", "default", grace_period_s=0)
        await asyncio.sleep(2)
        assert site.kubelet.runtime.containers(created["metadata"]["uid"]) == []

    on_a_node(scenario)


def test_a_pod_made_anew_under_the_same_name_is_another_pod() -> None:
    async def scenario(site: Site) -> None:
        first = await site.create(ONE)
        await site.until("Running")
        await site.client.delete(PODS, "p", "default", grace_period_s=0)
        second = await site.create(ONE)
        await site.until("Running")
        assert (await site.container())["restartCount"] == 0
        assert site.kubelet.runtime.pods() == (second["metadata"]["uid"],)
        assert first["metadata"]["uid"] != second["metadata"]["uid"]

    on_a_node(scenario)


def test_what_has_ended_stays_ended() -> None:
    async def scenario(site: Site) -> None:
        await site.create(ONE)
        await site.until("Running")
        status = {"phase": "Succeeded", "reason": "SomebodySaidSo"}
        await site.client.patch(PODS, "p", {"status": status}, "default", subresource="status")
        await asyncio.sleep(5)
        # Its container was killed, and did not end well; that changes nothing any more.
        found = await site.status()
        assert (found["phase"], found["reason"]) == ("Succeeded", "SomebodySaidSo")
        assert not site.kubelet.runtime.containers((await site.pod())["metadata"]["uid"])[0].running

    on_a_node(scenario)


# An API server that does not answer.


def test_a_status_that_was_lost_is_written_later() -> None:
    async def scenario(site: Site) -> None:
        site.faults.lose = lambda request: request.path.endswith("/status")
        await site.create(f"{ONE}, restartPolicy: Never", annotations=RUN_5S)
        await asyncio.sleep(60)
        assert await site.phase() == "Pending"
        site.faults.lose = lambda request: False
        await site.until("Succeeded")

    on_a_node(scenario)


def test_a_deletion_that_was_lost_is_sent_again() -> None:
    async def scenario(site: Site) -> None:
        await site.create(ONE)
        await site.until("Running")
        site.faults.lose = lambda request: request.method == "DELETE"
        await site.client.delete(PODS, "p", "default")
        await asyncio.sleep(60)
        assert await site.phase() == "Failed"
        site.faults.lose = lambda request: False
        await site.until("")

    on_a_node(scenario)


def test_an_unchanged_pod_is_not_written_again() -> None:
    async def scenario(site: Site) -> None:
        await site.create(ONE)
        await site.until("Running")
        await asyncio.sleep(1)
        before = site.faults.writes("/p/status")
        await site.client.patch(PODS, "p", {"metadata": {"labels": {"new": "label"}}}, "default")
        await asyncio.sleep(60)
        assert site.faults.writes("/p/status") == before

    on_a_node(scenario)


def test_a_container_that_comes_later_is_started_and_shown() -> None:
    async def scenario(site: Site) -> None:
        await site.create(ONE)
        await site.until("Running")
        patch = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox"}]}}
        await site.client.patch(PODS, "p", patch, "default", subresource="ephemeralcontainers")
        await asyncio.sleep(1)
        (shown,) = (await site.status())["ephemeralContainerStatuses"]
        assert (shown["name"], shown["ready"], set(shown["state"])) == ("debug", False, {"running"})
        assert (await site.status())["phase"] == "Running"
        assert ("Started", "Started container debug") in await site.events()

    on_a_node(scenario)
