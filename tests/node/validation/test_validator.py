"""What a node's validator finds and tells."""

import asyncio

import pytest

from aliquot.clock import parse_rfc3339
from aliquot.kube.api.node_checks import WORKLOAD_LABELS
from aliquot.node.validation.checks import Answer
from aliquot.node.validation.validator import LOOK_S
from tests.emulator.api import MERGE, Json
from tests.node.machines import NODE
from tests.node.validation.world import (
    GONE,
    WELL,
    WORKLOAD,
    World,
    ended,
    make_gpu_node,
    simulated,
    unschedulable,
    waiting,
)


def test_a_node_that_is_well() -> None:
    async def scenario(world: World) -> None:
        world.becomes = ended(0, "1048576 numbers added on NVIDIA H100\n")
        await world.start()
        await asyncio.sleep(20)
        told = await world.condition()
        assert (told.status, told.reason) == ("True", "Passed")
        assert told.message == (
            "driver 580.82.07 has 8 GPUs; containers get devices; advertised: 8 nvidia.com/gpu; "
            "a pod that asks for 1 nvidia.com/gpu ran: 1048576 numbers added on NVIDIA H100"
        )
        assert world.told == [("Unknown", "Checking"), ("True", "Passed")]
        assert await world.events() == [("Normal", "Validated", told.message)]
        assert await world.pod() is None
        assert world.validator is not None
        assert world.validator.waits_for() == ""

    simulated(scenario)


@pytest.mark.parametrize(
    ("answer", "not_injected", "offers", "becomes", "reason", "message"),
    [
        (
            GONE,
            "",
            {"nvidia.com/gpu": "8"},
            None,
            "DriverNotAnswering",
            "Driver Not Loaded: see the driver's pod",
        ),
        (Answer("580", gpus=0), "", {}, None, "DriverNotAnswering", "driver 580 finds no GPU: see"),
        (
            Answer("580", gpus=0, lost=2),
            "",
            {},
            None,
            "DriverNotAnswering",
            "finds no GPU, 2 have fallen off the bus",
        ),
        (
            GONE,
            "no GPU below /dev",
            {},
            None,
            "ToolkitNotWorking",
            "no GPU below /dev: see the toolkit's pod",
        ),
        (
            WELL,
            "no GPU below /dev",
            {},
            None,
            "ToolkitNotWorking",
            "no GPU below /dev: see the toolkit's pod",
        ),
        (WELL, "", {"cpu": "8"}, None, "NothingAdvertised", "see the agent's pod"),
        (WELL, "", {"nvidia.com/gpu": "0"}, None, "NothingAdvertised", "the node advertises no device"),
        (
            WELL,
            "",
            {"nvidia.com/gpu": "1"},
            ended(1, "x\ncuInit: no device\n"),
            "WorkloadFailed",
            "failed: cuInit: no device",
        ),
        (
            WELL,
            "",
            {"nvidia.com/gpu": "1"},
            ended(139, "", "Error"),
            "WorkloadFailed",
            "ended with code 139 (Error)",
        ),
        (
            WELL,
            "",
            {"nvidia.com/gpu": "1"},
            {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "no devices"},
            "WorkloadFailed",
            "failed: UnexpectedAdmissionError: no devices",
        ),
        (
            WELL,
            "",
            {"nvidia.com/gpu": "1"},
            waiting("ImagePullBackOff", "not found"),
            "WorkloadFailed",
            "a pod that asks for 1 nvidia.com/gpu did not end within 300 s: ImagePullBackOff: not found",
        ),
        (
            WELL,
            "",
            {"nvidia.com/gpu": "1"},
            None,
            "WorkloadFailed",
            "within 300 s: kubelet has not started it",
        ),
    ],
    ids=[
        "no driver",
        "no GPU",
        "GPUs off the bus",
        "no toolkit",
        "driver by other ways",
        "nothing advertised",
        "nothing left of what was",
        "wrong result",
        "killed",
        "refused by kubelet",
        "no image",
        "no kubelet",
    ],
)
def test_what_is_wrong_is_told(
    answer: Answer, not_injected: str, offers: dict[str, str], becomes: Json | None, reason: str, message: str
) -> None:
    async def scenario(world: World) -> None:
        world.answer, world.not_injected, world.becomes = answer, not_injected, becomes
        await world.start()
        await asyncio.sleep(310)
        told = await world.condition()
        assert (told.status, told.reason) == ("False", reason)
        assert message in told.message
        assert ("Warning", reason, told.message) in await world.events()
        assert world.validator is not None
        assert world.validator.waits_for() == told.message

    simulated(scenario, offers)


def test_a_pod_that_nobody_schedules_says_why() -> None:
    async def scenario(world: World) -> None:
        world.bound, world.becomes = False, unschedulable("0/1 nodes are available: 1 Insufficient cpu.")
        await world.start()
        await asyncio.sleep(310)
        told = await world.condition()
        assert told.reason == "WorkloadFailed"
        assert told.message.endswith(
            "within 300 s: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu."
        )

    simulated(scenario)


@pytest.mark.parametrize(
    ("offers", "held", "asked"),
    [
        ({"nvidia.com/gpu": "8"}, {}, "nvidia.com/gpu"),
        ({"nvidia.com/gpu": "8"}, {"nvidia.com/gpu": 7}, "nvidia.com/gpu"),
        ({"nvidia.com/gpu": "4", "nvidia.com/mig-1g.10gb": "7"}, {}, "nvidia.com/mig-1g.10gb"),
        (
            {"nvidia.com/gpu": "4", "nvidia.com/mig-1g.10gb": "7"},
            {"nvidia.com/mig-1g.10gb": 7},
            "nvidia.com/gpu",
        ),
        ({"nvidia.com/gpu": "4", "class.aliquot.dev/small": "7"}, {}, "class.aliquot.dev/small"),
        ({"nvidia.com/gpu.shared": "10"}, {"nvidia.com/gpu.shared": 9}, "nvidia.com/gpu.shared"),
    ],
)
def test_it_asks_for_what_is_free_and_smallest(
    offers: dict[str, str], held: dict[str, int], asked: str
) -> None:
    async def scenario(world: World) -> None:
        for number, (resource, count) in enumerate(held.items()):
            await world.hold(f"p{number}", resource, count)
        await world.start()
        await asyncio.sleep(20)
        assert [pod["spec"]["containers"][0]["resources"]["limits"] for pod in world.pods] == [{asked: "1"}]
        assert (await world.condition()).status == "True"

    simulated(scenario, offers)


def test_a_node_whose_devices_are_all_in_use_passes_without_a_pod() -> None:
    async def scenario(world: World) -> None:
        await world.hold("p", "nvidia.com/gpu", 8)
        await world.start()
        await asyncio.sleep(20)
        told = await world.condition()
        assert (told.status, told.reason, world.pods) == ("True", "Passed", [])
        assert told.message.endswith("workload skipped: every device is in use")

    simulated(scenario)


def test_one_whose_last_device_goes_to_a_faster_pod_passes_too() -> None:
    async def scenario(world: World) -> None:
        world.bound, world.becomes = False, unschedulable("1 Insufficient nvidia.com/gpu")
        await world.start()
        await asyncio.sleep(5)
        await world.hold("p", "nvidia.com/gpu", 8)
        await asyncio.sleep(310)
        told = await world.condition()
        assert (told.status, len(world.pods)) == ("True", 1)
        assert told.message.endswith("workload skipped: every device is in use")

    simulated(scenario)


def test_without_a_workload_no_pod_is_made() -> None:
    async def scenario(world: World) -> None:
        await world.start(workload=None)
        await asyncio.sleep(20)
        assert ((await world.condition()).status, world.pods) == ("True", [])

    simulated(scenario)


def test_it_is_checked_again_without_a_pod_and_told_once() -> None:
    async def scenario(world: World) -> None:
        await world.start()
        await asyncio.sleep(20)
        first = await world.condition()
        await asyncio.sleep(10 * LOOK_S)
        assert (await world.condition()).last_transition_time == first.last_transition_time
        assert (len(world.pods), len(await world.events())) == (1, 1)
        assert world.told == [("Unknown", "Checking"), ("True", "Passed")]

    simulated(scenario)


def test_a_driver_that_dies_later_is_told_and_so_is_its_return() -> None:
    async def scenario(world: World) -> None:
        await world.start()
        await asyncio.sleep(20)
        world.answer = GONE
        await asyncio.sleep(LOOK_S + 70)
        assert (await world.condition()).reason == "DriverNotAnswering"
        world.answer = WELL
        await asyncio.sleep(LOOK_S)
        assert (await world.condition()).reason == "Passed"
        assert [reason for _, reason in world.told] == ["Checking", "Passed", "DriverNotAnswering", "Passed"]
        assert len(world.pods) == 2

    simulated(scenario)


def test_what_comes_within_its_time_was_never_missing() -> None:
    async def scenario(world: World) -> None:
        world.answer = GONE
        await world.start()
        await asyncio.sleep(50)
        world.answer = WELL
        await asyncio.sleep(100)
        await world.offer({"nvidia.com/gpu": "8"})
        await asyncio.sleep(20)
        assert world.told == [("Unknown", "Checking"), ("True", "Passed")]

    simulated(scenario, {})


def test_a_validator_that_starts_says_first_that_it_does_not_know_yet() -> None:
    """Whoever waits for a validation of after a change is not to take the one of before for it."""

    async def scenario(world: World) -> None:
        await world.start()
        await asyncio.sleep(20)
        first = await world.condition()
        await world.stop()
        await asyncio.sleep(100)
        await world.start()
        await asyncio.sleep(20)
        second = await world.condition()
        assert world.told == [("Unknown", "Checking"), ("True", "Passed")] * 2
        times = [parse_rfc3339(one.last_transition_time or "") for one in (first, second)]
        assert times[1] - times[0] > 100

    simulated(scenario)


def test_a_validator_that_is_stopped_takes_its_pod_along() -> None:
    async def scenario(world: World) -> None:
        world.becomes = None
        await world.start()
        await asyncio.sleep(10)
        assert await world.pod() is not None
        await world.stop()
        await asyncio.sleep(5)
        assert await world.pod() is None

    simulated(scenario)


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.3, 0.6, 1.1, 1.6, 2.6, 3.1, 10.0])
def test_one_that_is_killed_at_any_time_is_followed_by_one_that_starts_anew(after_s: float) -> None:
    async def scenario(world: World) -> None:
        await world.start()
        await asyncio.sleep(after_s)
        # Nothing more is heard of it.
        world.is_down = True
        await world.stop()
        world.is_down = False
        left = await world.pod()
        await world.start()
        await asyncio.sleep(60)
        assert (await world.condition()).status == "True"
        assert await world.pod() is None
        if left is not None:
            assert world.pods[-1]["metadata"]["uid"] != left["metadata"]["uid"]

    simulated(scenario)


@pytest.mark.parametrize("after_s", [0.1, 3, 20], ids=["at the start", "with its pod", "between two runs"])
def test_an_api_that_is_away_for_ten_minutes_is_no_failure(after_s: float) -> None:
    async def scenario(world: World) -> None:
        world.becomes = None
        await world.start()
        await asyncio.sleep(after_s)
        world.is_down = True
        await asyncio.sleep(600)
        world.is_down, world.becomes = False, ended(0)
        await asyncio.sleep(LOOK_S + 100)
        assert world.told == [("Unknown", "Checking"), ("True", "Passed")]
        assert await world.pod() is None

    simulated(scenario)


def test_the_pod_is_let_in_where_pods_are_restricted() -> None:
    async def scenario(world: World) -> None:
        labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
        path = f"/api/v1/namespaces/{WORKLOAD.namespace}"
        await world.api.ok("PATCH", path, {"metadata": {"labels": labels}}, type=MERGE)
        await world.start()
        await asyncio.sleep(20)
        assert (await world.condition()).status == "True"
        assert len(world.pods) == 1

    simulated(scenario)


def test_a_pod_that_may_not_be_made_is_told() -> None:
    async def scenario(world: World) -> None:
        quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
        await world.api.ok("POST", f"/api/v1/namespaces/{WORKLOAD.namespace}/resourcequotas", quota)
        await asyncio.sleep(10)
        await world.start()
        await asyncio.sleep(20)
        told = await world.condition()
        assert told.reason == "WorkloadFailed"
        assert "no pod can be made" in told.message

    simulated(scenario)


def test_a_gpu_node_that_comes_later_is_waited_for() -> None:
    async def scenario(world: World) -> None:
        await world.start()
        await asyncio.sleep(60)
        assert world.pods == []
        await make_gpu_node(world.api)
        await asyncio.sleep(60)
        assert (await world.condition()).status == "True"

    simulated(scenario, gpu_node=False)


def test_a_condition_that_somebody_takes_away_comes_back() -> None:
    async def scenario(world: World) -> None:
        await world.start()
        await asyncio.sleep(20)
        await world.api.ok("DELETE", f"/apis/aliquot.dev/v1alpha1/gpunodes/{NODE}")
        await make_gpu_node(world.api)
        await asyncio.sleep(LOOK_S)
        assert (await world.condition()).status == "True"

    simulated(scenario)


def test_the_pod_is_of_this_node_and_may_do_nothing() -> None:
    async def scenario(world: World) -> None:
        await world.start()
        await asyncio.sleep(20)
        (pod,) = world.pods
        assert pod["metadata"]["labels"] == WORKLOAD_LABELS
        assert [(one["kind"], one["name"]) for one in pod["metadata"]["ownerReferences"]] == [
            ("GPUNode", NODE)
        ]
        spec = pod["spec"]
        (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        assert term == {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [NODE]}]}
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert (spec["restartPolicy"], spec["automountServiceAccountToken"]) == ("Never", False)

    simulated(scenario)


def test_a_node_that_was_never_told_costs_few_requests() -> None:
    """Of five hundred nodes all come at once."""

    async def scenario(world: World) -> None:
        await world.start()
        await asyncio.sleep(20)
        assert (await world.condition()).status == "True"
        assert world.requests <= 12

    simulated(scenario)


def test_prometheus_hears_of_it() -> None:
    async def scenario(world: World) -> None:
        await world.start()
        await asyncio.sleep(20)
        assert world.validator is not None
        text = await world.validator.text()
        for check in ("driver", "toolkit", "plugin", "workload"):
            assert f'aliquot_validation_passed{{hostname="{NODE}",check="{check}"}} 1\n' in text
        assert f'aliquot_validation_devices{{hostname="{NODE}",resource="nvidia.com/gpu"}} 8\n' in text
        assert f'aliquot_validation_runs_total{{hostname="{NODE}",outcome="passed"}} 1\n' in text
        world.answer = GONE
        await asyncio.sleep(LOOK_S + 70)
        text = await world.validator.text()
        assert f'aliquot_validation_passed{{hostname="{NODE}",check="driver"}} 0\n' in text
        # It was not asked.
        assert f'aliquot_validation_passed{{hostname="{NODE}",check="plugin"}}' not in text

    simulated(scenario)
