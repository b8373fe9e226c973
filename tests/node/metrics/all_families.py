"""Every metric of the agent, with every label it may have."""

from aliquot.metrics.exposition import Family
from aliquot.node.advertise import advertise
from aliquot.node.inventory import observe
from aliquot.node.metrics.agent_figures import agent_families
from aliquot.node.metrics.counts import Counts
from aliquot.node.metrics.gpu_figures import gpu_families
from aliquot.node.metrics.holders import holders_by_device
from aliquot.node.plugin_config.file import MigStrategy
from aliquot.node.pod_resources import Holding
from tests.node.machines import NODE, cut, machine


def all_families() -> list[Family]:
    """Of a node that has one of each: an old board, a whole GPU, a GPU in MIG mode; all held."""
    driver = machine("t4:1,h100-80gb:1,h100-80gb:1:mig")
    (instance,) = cut(driver, driver.gpus()[2], ("7g.80gb", 0))
    snapshot = observe(driver)
    telemetry = {uuid: driver.telemetry(uuid) for uuid in snapshot.by_uuid}
    ids = (*snapshot.by_uuid, instance.compute_instances[0].uuid)
    holders = holders_by_device([Holding("ml/train", "main", "nvidia.com/gpu", ids)])
    advertisement = advertise(snapshot.gpus, MigStrategy.MIXED)
    return [
        *gpu_families(NODE, snapshot, telemetry, holders, {}),
        *agent_families(NODE, Counts(), advertisement, holders, ()),
    ]
