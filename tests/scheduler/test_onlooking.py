"""What a scheduler that only looks knows of a cluster, and that it writes nothing."""

from aliquot.scheduler.onlooking import looked
from aliquot.scheduler.recording.capturing import captured
from aliquot.scheduler.recording.document import Recording
from aliquot.scheduler.recording.restoring import restored
from aliquot.scheduler.recording.verdict import decided_again
from tests.scheduler.fake_api import World, simulate
from tests.scheduler.running import gpu_node, node, pod


def test_a_cluster_is_recorded_without_a_write_and_decided_on_elsewhere() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        for name in ("a", "b"):
            api.put("nodes", node(name, gpus=2))
            api.put("gpunodes", gpu_node(name, gpus=2))
        api.put("pods", pod("runs", gpus=2, nodeName="a"))
        api.put("pods", pod("fits", gpus=2))
        api.put("pods", pod("waits", gpus=2))
        api.put("pods", pod("theirs", gpus=1, scheduler="other"))
        recording: Recording = await looked(
            world.client(),
            lambda scheduler: captured(scheduler.case()),
            clock=world.clock,
            names=["default-scheduler"],
        )
        assert api.writes == []
        assert sorted(job.spec.key for job in recording.jobs) == [
            "default/fits",
            "default/runs",
            "default/waits",
        ]
        assert recording.verdict is None and recording.guards is not None
        outcome, _ = decided_again(restored(recording))
        assert outcome is not None
        assert [(bind.pod.key, bind.placed.node) for bind in outcome.binds] == [("default/fits", "b")]

    simulate(scenario)
