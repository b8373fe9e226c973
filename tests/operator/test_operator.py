"""The operator on a cluster: from bare to validated, and back."""

from tests.operator.world import World, simulated

READY = {
    "nvidia.com/gpu.present": "true",
    "aliquot.dev/gpu-policy": "p",
    "aliquot.dev/driver-pool": "ubuntu24.04",
    "nvidia.com/gpu.deploy.driver": "true",
    "nvidia.com/gpu.deploy.container-toolkit": "true",
    "nvidia.com/gpu.deploy.device-plugin": "true",
    "nvidia.com/gpu.deploy.dcgm-exporter": "true",
    "nvidia.com/gpu.deploy.operator-validator": "true",
}
ALL = {"driver", "toolkit", "agent", "exporter", "validator"}


def test_a_bare_node_becomes_ready_by_itself() -> None:
    async def test(world: World) -> None:
        await world.node("a")
        await world.node("cpu", gpus=False)
        await world.policy()
        await world.until_validated("a")
        assert await world.labels("a") == READY
        assert await world.labels("cpu") == {}
        assert await world.pods("a") == ALL

    simulated(test)
