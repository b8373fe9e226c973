"""A node without hardware or cluster: simulated GPUs, kubelet, API and agent, on virtual time."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from aliquot.clock import VirtualClock
from aliquot.kube.kubeletapi.sockets import MemorySockets
from aliquot.node.agent import Agent
from aliquot.node.configuration import Configuration
from aliquot.node.health.policy import HealthPolicy
from aliquot.node.host import Host
from aliquot.node.mps.control import Control
from aliquot.node.plugin_config.settings import Settings
from aliquot.node.watched import Watched
from tests.node.fake_api import Api
from tests.node.kubelet import Kubelet
from tests.node.machines import NODE, directly, machine, virtual

T = TypeVar("T")


class Site:
    """One node with its kubelet, API and agent, on virtual time."""

    def __init__(self, gpus: str, settings: Settings | None = None, seed: int = 0) -> None:
        self.driver = machine(gpus)
        self.gpus = self.driver.gpus()
        self.clock = VirtualClock()
        self.api = Api()
        self.plugin_sockets = MemorySockets()
        self.pod_resources_sockets = MemorySockets()
        self.kubelet = Kubelet(self.plugin_sockets, self.pod_resources_sockets)
        self.settings = settings or Settings()
        self.config_map = ""
        """Whose configurations the agent follows, from its next start on."""
        self.health_policy = HealthPolicy()
        self.rng = random.Random(seed)
        self.host: Host | None = None
        self.mps_control: Control | None = None
        self.mig_directory: Path | None = None
        """Where the agent meets `aliquot mig`; taken at its next start."""
        self.agent_task: asyncio.Task[None] | None = None

    async def start(self) -> "Site":
        await self.kubelet.start()
        await self.start_agent()
        return self

    async def start_agent(self) -> None:
        agent = Agent(
            NODE,
            client=self.api.client,
            driver=self.driver,
            plugin_sockets=self.plugin_sockets,
            pod_resources_sockets=self.pod_resources_sockets,
            clock=self.clock,
            rng=self.rng,
            run_blocking=directly,
            configuration=Configuration(
                settings=None if self.config_map else self.settings, config_map=self.config_map
            ),
            health_policy=self.health_policy,
            watched=Watched(
                pods=self.api.pod_feed(),
                nodes=self.api.node_feed(),
                gpu_nodes=self.api.gpu_node_feed(),
                mig_configs=self.api.config_map_feed(),
                slices=self.api.slice_feed(),
                plugin_configs=self.api.config_map_feed() if self.config_map else None,
            ),
            host=self.host,
            mps_control=self.mps_control,
            mig_directory=self.mig_directory,
        )
        self.metrics = agent.metrics
        self.agent_task = asyncio.get_running_loop().create_task(agent.run())
        await asyncio.sleep(3)

    async def stop_agent(self) -> None:
        assert self.agent_task is not None
        self.agent_task.cancel()
        await asyncio.wait((self.agent_task,))
        assert self.agent_task.cancelled(), self.agent_task.exception()

    async def stop(self) -> None:
        await self.stop_agent()
        await self.kubelet.stop()

    def gpu_status(self, index: int) -> Any:
        return self.api.gpu_node.status.gpus[index]

    def slice_ids(self, index: int) -> Mapping[tuple[str, int], str]:
        return {(i.profile, i.start): i.uuid for i in self.gpu_status(index).instances}

    def offered(self) -> Mapping[str, int]:
        """Resource -> number of devices that kubelet would allocate, where there are any."""
        counts = {resource: len(self.kubelet.allocatable(resource)) for resource in self.kubelet.offered}
        return {resource: count for resource, count in counts.items() if count}


def run_site(
    gpus: str, scenario: Callable[[Site], Coroutine[Any, Any, T]], settings: Settings | None = None
) -> T:
    """Start a site, play the scenario, stop it cleanly."""

    async def main() -> T:
        site = await Site(gpus, settings).start()
        try:
            return await scenario(site)
        finally:
            await site.stop()

    return virtual(main())
