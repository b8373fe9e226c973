"""What the containers of node software do to a node, one after the other and in the wrong order."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from aliquot.cli.programs import driver
from aliquot.cli.programs.images import name_of, tag_of
from aliquot.cli.programs.recognise import program
from aliquot.cli.programs.software import DRIVER_FAILS, PREINSTALLED, NodeSoftware, Surroundings
from aliquot.clock import VirtualClock, VirtualTimeLoop
from aliquot.emulator.kubelet.checkpoint import MemoryCheckpoints
from aliquot.emulator.kubelet.machine import Machine
from aliquot.emulator.kubelet.runtimes.base import (
    ContainerConfig,
    ContainerRecord,
    ExecCheck,
    ProbeRequest,
    RunOptions,
    StartRefused,
)
from aliquot.emulator.kubelet.runtimes.simulated import SimulatedRuntime
from aliquot.gpu.driver import DriverError
from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.kube.api.gpupolicy import GPUPolicy
from aliquot.node.plugin_config.file import Flags
from aliquot.operator.core.operands import Image, shipped
from aliquot.operator.core.policies import read
from aliquot.operator.core.pools import Pool
from aliquot.operator.core.rendering.operands import manifests

UBUNTU, KERNEL = "Ubuntu 24.04.1 LTS", "6.8.0-45-generic"
ASKED = ProbeRequest("Readiness", ExecCheck(("true",)), timeout_s=60)
GPU = {"nvidia.com/gpu": ("GPU-1",)}


class Site:
    """One machine. Its containers are what the operator renders for the shipped policy, by operand."""

    def __init__(self, labels: Mapping[str, str] | None = None) -> None:
        self.annotations: dict[str, str] = {}
        self.agents: list[tuple[Flags, str]] = []
        self.hardware = SimulatedDriver(parse_gpus("h100-80gb:1"), node="node-0")
        machine = Machine("node-0", labels=labels or {}, os_image=UBUNTU, kernel_version=KERNEL)
        self.software = NodeSoftware(machine, self.hardware)
        self.checkpoints = MemoryCheckpoints()
        self.runtime = self._runtime()
        self._exits = asyncio.create_task(self.runtime.run(lambda uid: None))

    def _runtime(self) -> SimulatedRuntime:
        runtime = SimulatedRuntime(
            self.checkpoints, clock=VirtualClock(), rng=random.Random(1), programs=self.software
        )
        self.software.device_holders = runtime.device_holders
        self.software.surroundings = Surroundings(
            VirtualClock(),
            lambda name: self.annotations,
            self._agent,
            lambda account, node: pytest.fail("nobody asks the API"),
        )
        return runtime

    async def _agent(self, node: str, given: Flags, config_map: str) -> None:
        self.agents.append((given, config_map))
        await asyncio.Event().wait()

    async def another_process(self) -> None:
        """As `aliquot down` and `aliquot up`."""
        self._exits.cancel()
        await self.runtime.close()
        self.software = NodeSoftware(self.software.machine, self.hardware)
        self.runtime = self._runtime()
        self._exits = asyncio.create_task(self.runtime.run(lambda uid: None))
        await asyncio.sleep(0.01)

    async def run(self, container: str, **more: Any) -> ContainerRecord:
        """Starts it and waits until it is well, or has ended."""
        made = await self.runtime.start(rendered(container, **more))
        await asyncio.sleep(0)
        await self.runtime.probe(made.id, ASKED)
        return self.record(made)

    def record(self, made: ContainerRecord) -> ContainerRecord:
        return next(one for one in self.runtime.containers(made.pod_uid) if one.id == made.id)

    async def stop(self, made: ContainerRecord) -> None:
        self.runtime.stop(made.id, 30)
        await asyncio.sleep(0.01)

    @property
    def version(self) -> str:
        """As programs on the node hear it; empty: nobody answers."""
        try:
            return self.software.loadable.driver.version().driver
        except DriverError:
            return ""


def rendered(
    container: str, *, version: str = "", env: Mapping[str, str] | None = None, **more: Any
) -> ContainerConfig:
    """A container of the shipped policy; `version`: another driver's."""
    spec = {"driver": {"version": version}} if version else {}
    policy = msgspec.convert({"metadata": {"name": "p"}, "spec": spec}, GPUPolicy)
    plans = read(policy, 0.0, shipped(Image("example.com", "aliquot", "1")))
    for one in manifests(plans, "aliquot-system", [Pool("ubuntu24.04")]):
        pod = one["spec"]["template"]["spec"]
        for found in (*pod.get("initContainers", ()), *pod["containers"]):
            if found["name"] == container:
                said = {e["name"]: e["value"] for e in found.get("env", ()) if "value" in e}
                return ContainerConfig(
                    pod_uid=f"uid-{container}-{version}",
                    pod_namespace="aliquot-system",
                    pod_name=f"{container}-x",
                    name=container,
                    attempt=0,
                    image=found["image"],
                    command=tuple(found.get("command", ())),
                    args=tuple(found.get("args", ())),
                    env={**said, **(env or {})},
                    runtime_handler=pod.get("runtimeClassName", ""),
                    **more,
                )
    raise AssertionError(f"nobody renders {container}")


def user_pod(**options: Any) -> ContainerConfig:
    return ContainerConfig(
        "uid-training", "default", "training", "main", 0, "pytorch", options=RunOptions(**options)
    )


def virtual(scenario: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(3600):
            await scenario()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


def test_every_container_that_the_operator_renders_is_known() -> None:
    async def scenario() -> None:
        site = Site()
        await site.run("driver")
        await site.run("toolkit")
        for name in ("unload-last-driver", "driver", "toolkit", "agent", "exporter", "validator"):
            assert program(site.software, rendered(name), resumed=False) is not None, name
        assert program(site.software, user_pod(), resumed=False) is None

    virtual(scenario)


# --- the driver ---


def test_a_driver_is_there_from_its_loading_to_the_end_of_its_container() -> None:
    async def scenario() -> None:
        site = Site()
        assert (await site.run("unload-last-driver")).exit_code == 0
        assert site.version == ""
        loop = asyncio.get_running_loop()
        made = await site.run("driver", version="570.86.15")
        assert (site.version, round(loop.time())) == ("570.86.15", 2)
        await site.stop(made)
        assert site.version == ""

    virtual(scenario)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("nvcr.io/nvidia/driver:595.91.07-ubuntu24.04", "595.91.07"),
        ("mirror:5000/driver:570.86-ubuntu24.04", "570.86"),
        ("driver:570-6.8.0-45-generic-ubuntu24.04", "570.0.0"),
        ("driver@sha256:abc", "580.82.07"),
        ("driver:595.91.07-ubuntu22.04", None),
        ("driver:595.91.07", None),
        ("driver:latest-ubuntu24.04", None),
        ("driver:570-5.15.0-105-generic-ubuntu24.04", None),
    ],
)
def test_images_of_drivers(image: str, version: str | None) -> None:
    if version is not None:
        assert driver.version_of(image, UBUNTU, KERNEL) == version
        return
    with pytest.raises(StartRefused, match=r"VERSION-ubuntu24\.04") as refused:
        driver.version_of(image, UBUNTU, KERNEL)
    assert refused.value.reason == "ImagePullBackOff"


def test_there_is_no_driver_for_a_system_that_nobody_knows() -> None:
    with pytest.raises(StartRefused, match="no drivers for nodes that run Plan 9"):
        driver.version_of("driver:595.91.07-ubuntu24.04", "Plan 9", KERNEL)


def test_a_driver_that_fails_on_its_node_says_why() -> None:
    async def scenario() -> None:
        site = Site()
        site.annotations[DRIVER_FAILS] = "NVRM: GPU 0000:17:00.0: RmInitAdapter failed!"
        made = await site.run("driver")
        await asyncio.sleep(5)
        record = site.record(made)
        assert (record.exit_code, record.message) == (1, "NVRM: GPU 0000:17:00.0: RmInitAdapter failed!")
        assert site.version == ""

    virtual(scenario)


@pytest.mark.parametrize(
    ("client", "who"),
    [
        pytest.param("agent", "aliquot-system/agent-x", id="node software"),
        pytest.param("exporter", "aliquot-system/exporter-x", id="an exporter"),
        pytest.param("", "default/training", id="a job"),
    ],
)
def test_a_driver_that_is_in_use_is_neither_unloaded_nor_exchanged(client: str, who: str) -> None:
    async def scenario() -> None:
        site = Site()
        old = await site.run("driver", version="570.86.15")
        await site.run("toolkit")
        if client:
            holder = await site.run(client)
        else:
            holder = await site.runtime.start(user_pod(device_ids=GPU))
        await site.stop(old)
        assert site.version == "570.86.15"
        refused = await site.run("unload-last-driver")
        assert refused.exit_code == 1
        assert refused.message == f"the last driver cannot be unloaded: module nvidia is in use by {who}"
        new = await site.run("driver", version="595.91.07")
        await asyncio.sleep(5)
        assert (site.record(new).exit_code, site.version) == (1, "570.86.15")

        await site.stop(holder)
        assert (await site.run("unload-last-driver", env={"TRY": "2"})).exit_code == 0
        await site.run("driver", version="595.91.08")
        assert site.version == "595.91.08"

    virtual(scenario)


def test_a_driver_whose_pod_is_made_anew_stays_loaded_under_those_who_use_it() -> None:
    async def scenario() -> None:
        site = Site()
        old = await site.run("driver", version="570.86.15")
        await site.run("toolkit")
        agent = await site.run("agent")
        await site.stop(old)
        assert (await site.run("unload-last-driver", version="570.86.15")).exit_code == 0
        assert (await site.run("driver", version="570.86.15", env={"TRY": "2"})).running
        assert (site.version, site.record(agent).running) == ("570.86.15", True)
        await site.stop(agent)
        assert (await site.run("unload-last-driver", version="570.86.15")).exit_code == 0
        assert site.version == "570.86.15"

    virtual(scenario)


def test_a_driver_of_the_nodes_own_image_stays() -> None:
    async def scenario() -> None:
        site = Site({PREINSTALLED: "550.54.15"})
        assert site.version == "550.54.15"
        refused = await site.run("unload-last-driver")
        assert "driver.preinstalled" in refused.message
        site.runtime.reboot()
        assert site.version == "550.54.15"

    virtual(scenario)


def test_another_process_finds_the_node_as_it_was_and_a_reboot_does_not() -> None:
    async def scenario() -> None:
        site = Site()
        await site.run("driver", version="570.86.15")
        await site.run("toolkit")
        await site.run("agent")
        (gpu,) = site.hardware.gpus()
        site.hardware.set_mig_mode(gpu.uuid, True)
        profile = site.hardware.instance_profiles(gpu.uuid)[0]
        site.hardware.create_gpu_instance(gpu.uuid, profile.profile_id, None)

        await site.another_process()
        assert site.version == "570.86.15"
        assert len(site.hardware.instances(gpu.uuid)) == 1
        assert site.software.users() == ["aliquot-system/agent-x"]
        assert (await site.runtime.start(user_pod(device_ids=GPU))).running

        site.runtime.reboot()
        await asyncio.sleep(0.1)
        assert (site.version, site.software.toolkit, list(site.software.users())) == ("", None, [])

    virtual(scenario)


# --- the toolkit ---


@pytest.mark.parametrize(
    ("config", "reason", "text"),
    [
        (rendered("exporter"), "ContainerCreating", 'no runtime for "nvidia" is configured'),
        (
            user_pod(device_ids=GPU, cdi_devices=("nvidia.com/gpu=GPU-1",)),
            "CreateContainerError",
            "unresolvable CDI devices nvidia.com/gpu=GPU-1",
        ),
        (
            user_pod(device_ids=GPU, env={"NVIDIA_VISIBLE_DEVICES": "GPU-1"}),
            "RunContainerError",
            "nvidia-container-runtime",
        ),
    ],
)
def test_without_a_toolkit_no_container_is_shown_a_gpu(
    config: ContainerConfig, reason: str, text: str
) -> None:
    async def scenario() -> None:
        site = Site()
        await site.run("driver")
        with pytest.raises(StartRefused, match=text) as refused:
            await site.runtime.start(config)
        assert refused.value.reason == reason
        made = await site.run("toolkit")
        assert (await site.runtime.start(config)).running
        await site.stop(made)
        with pytest.raises(StartRefused, match=text):
            await site.runtime.start(config)

    virtual(scenario)


def test_with_a_toolkit_and_no_driver_containers_find_no_library() -> None:
    async def scenario() -> None:
        site = Site()
        await site.run("toolkit")
        for config in (rendered("exporter"), user_pod(device_ids=GPU)):
            with pytest.raises(StartRefused, match=r"libnvidia-ml\.so\.1"):
                await site.runtime.start(config)
        assert (await site.runtime.start(user_pod())).running

    virtual(scenario)


# --- the others ---


@pytest.mark.parametrize("container", ["toolkit", "exporter"])
def test_an_image_that_nobody_has(container: str) -> None:
    async def scenario() -> None:
        site = Site()
        await site.run("driver")
        await site.run("toolkit")
        config = rendered(container)
        broken = config.image.rpartition(":")[0] + ":no-such-thing"
        with pytest.raises(StartRefused, match=r"no-such-thing.*not found") as refused:
            await site.runtime.start(replace(config, image=broken))
        assert refused.value.reason == "ImagePullBackOff"

    virtual(scenario)


@pytest.mark.parametrize(
    ("args", "env", "strategy", "config_map"),
    [
        ((), {}, None, "device-plugin-config"),
        (("--mig-strategy", "single", "--config-map", "mine"), {}, "single", "mine"),
        ((), {"MIG_STRATEGY": "none", "CONFIG_MAP": ""}, "none", ""),
    ],
)
def test_the_agent_goes_by_its_command_line(
    args: tuple[str, ...], env: dict[str, str], strategy: str | None, config_map: str
) -> None:
    async def scenario() -> None:
        site = Site()
        await site.run("driver")
        await site.run("toolkit")
        config = rendered("agent", env=env)
        await site.runtime.start(replace(config, args=(*config.args, *args)))
        await asyncio.sleep(0.1)
        ((given, found),) = site.agents
        assert (given.mig_strategy, found) == (strategy, config_map)
        assert given.mps_root == "/run/nvidia/mps"

    virtual(scenario)


def test_an_agent_that_is_told_nonsense_ends_and_says_so() -> None:
    async def scenario() -> None:
        site = Site()
        await site.run("driver")
        await site.run("toolkit")
        config = rendered("agent", env={"MIG_STRATEGY": "sideways"})
        made = await site.runtime.start(config)
        await asyncio.sleep(0.1)
        assert site.record(made).exit_code == 2
        assert "sideways" in site.record(made).message

    virtual(scenario)


@pytest.mark.parametrize(
    ("image", "name", "tag"),
    [
        ("nvcr.io/nvidia/driver:1.2", "driver", "1.2"),
        ("mirror:5000/a/driver", "driver", ""),
        ("driver@sha256:00", "driver", ""),
    ],
)
def test_references(image: str, name: str, tag: str) -> None:
    assert (name_of(image), tag_of(image)) == (name, tag)
