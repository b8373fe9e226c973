"""What the agent tells of its own work: from counts to text, and from what happens to counts."""

import asyncio

import pytest

from aliquot.gpu.driver import DriverError, GpuInstance, ReturnCode
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.metrics.exposition import render
from aliquot.node.advertise import advertise
from aliquot.node.health.figures import REASONS
from aliquot.node.inventory import observe
from aliquot.node.metrics.agent_figures import agent_families
from aliquot.node.metrics.counts import Counts
from aliquot.node.metrics.holders import Holder
from aliquot.node.plugin_config.file import MigStrategy
from tests.node.fake_api import wanted
from tests.node.machines import NODE, cut, machine
from tests.node.site import Site, run_site

HOLDER = Holder("ml", "train", "main")


def text_of(driver: SimulatedDriver, counts: Counts, *, held: str = "", ailing: str = "") -> str:
    advertisement = advertise(observe(driver).gpus, MigStrategy.MIXED)
    return render(agent_families(NODE, counts, advertisement, {held: [HOLDER]}, {ailing}))


def lines(text: str, name: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(f"{name}{{")]


def test_to_the_letter() -> None:
    counts = Counts()
    counts.allocated("nvidia.com/gone")
    counts.health_changed("XID48")
    counts.reconfigured("Done")
    for duration_s in (0.004, 0.005, 0.5, 60.0):
        counts.looked(duration_s)
    driver = machine("l4:3")
    held, ailing, _ = (gpu.uuid for gpu in driver.gpus())
    assert text_of(driver, counts, held=held, ailing=ailing) == (
        """\
# HELP aliquot_allocations_total Containers that were given devices of the resource, since the agent started.
# TYPE aliquot_allocations_total counter
aliquot_allocations_total{hostname="gpu-0",resource="nvidia.com/gone"} 1
aliquot_allocations_total{hostname="gpu-0",resource="nvidia.com/gpu"} 0
# HELP aliquot_health_changes_total Devices and GPUs that fell ill, by reason, or recovered, since the agent started.
# TYPE aliquot_health_changes_total counter
aliquot_health_changes_total{hostname="gpu-0",reason="GPULost"} 0
aliquot_health_changes_total{hostname="gpu-0",reason="NotAnswering"} 0
aliquot_health_changes_total{hostname="gpu-0",reason="Recovered"} 0
aliquot_health_changes_total{hostname="gpu-0",reason="XID48"} 1
# HELP aliquot_reconfigurations_total Changes of MIG mode or slices that came to an end, since the agent started.
# TYPE aliquot_reconfigurations_total counter
aliquot_reconfigurations_total{hostname="gpu-0",outcome="Done"} 1
aliquot_reconfigurations_total{hostname="gpu-0",outcome="DriverError"} 0
# HELP aliquot_devices Devices that the node offers, a shared one counted once.
# TYPE aliquot_devices gauge
aliquot_devices{hostname="gpu-0",resource="nvidia.com/gpu",state="free"} 1
aliquot_devices{hostname="gpu-0",resource="nvidia.com/gpu",state="held"} 1
aliquot_devices{hostname="gpu-0",resource="nvidia.com/gpu",state="unusable"} 1
# HELP aliquot_look_duration_seconds Looks at driver, kubelet and API.
# TYPE aliquot_look_duration_seconds histogram
aliquot_look_duration_seconds_bucket{hostname="gpu-0",le="0.005"} 2
aliquot_look_duration_seconds_bucket{hostname="gpu-0",le="0.01"} 2
aliquot_look_duration_seconds_bucket{hostname="gpu-0",le="0.025"} 2
aliquot_look_duration_seconds_bucket{hostname="gpu-0",le="0.05"} 2
aliquot_look_duration_seconds_bucket{hostname="gpu-0",le="0.1"} 2
aliquot_look_duration_seconds_bucket{hostname="gpu-0",le="0.25"} 2
aliquot_look_duration_seconds_bucket{hostname="gpu-0",le="0.5"} 3
aliquot_look_duration_seconds_bucket{hostname="gpu-0",le="1.0"} 3
aliquot_look_duration_seconds_bucket{hostname="gpu-0",le="2.5"} 3
aliquot_look_duration_seconds_bucket{hostname="gpu-0",le="5.0"} 3
aliquot_look_duration_seconds_bucket{hostname="gpu-0",le="10.0"} 3
aliquot_look_duration_seconds_bucket{hostname="gpu-0",le="+Inf"} 4
aliquot_look_duration_seconds_sum{hostname="gpu-0"} 60.509
aliquot_look_duration_seconds_count{hostname="gpu-0"} 4
"""
    )


def test_slices_of_a_sick_gpu_are_unusable_though_held() -> None:
    driver = machine("h100-80gb:1:mig")
    gpu = driver.gpus()[0]
    found = cut(driver, gpu, ("1g.10gb", 0), ("1g.10gb", 1))
    text = text_of(driver, Counts(), held=found[0].compute_instances[0].uuid, ailing=gpu.uuid)
    assert [line for line in lines(text, "aliquot_devices") if 'mig-1g.10gb"' in line] == [
        'aliquot_devices{hostname="gpu-0",resource="nvidia.com/mig-1g.10gb",state="free"} 0',
        'aliquot_devices{hostname="gpu-0",resource="nvidia.com/mig-1g.10gb",state="held"} 0',
        'aliquot_devices{hostname="gpu-0",resource="nvidia.com/mig-1g.10gb",state="unusable"} 2',
    ]


# --- the agent counts ---


def test_allocations_holders_and_looks() -> None:
    async def scenario(site: Site) -> None:
        await site.kubelet.admit("train", "nvidia.com/gpu", 2)
        await asyncio.sleep(2)
        text = await site.metrics.text()
        assert lines(text, "aliquot_allocations_total") == [
            'aliquot_allocations_total{hostname="gpu-0",resource="nvidia.com/gpu"} 1'
        ]
        assert 'aliquot_devices{hostname="gpu-0",resource="nvidia.com/gpu",state="held"} 2' in text
        util = lines(text, "DCGM_FI_DEV_GPU_UTIL")
        assert [line.count('container="main",namespace="default",pod="train"') for line in util] == [1, 1, 0]
        assert 'aliquot_look_duration_seconds_count{hostname="gpu-0"} 0' not in text

    run_site("l4:3", scenario)


def test_health_changes_and_xids() -> None:
    async def scenario(site: Site) -> None:
        first, second, third = (gpu.uuid for gpu in site.gpus)
        site.driver.lose_gpu(first)
        site.driver.inject_xid(second, 94)
        site.driver.inject_xid(third, 31)
        await asyncio.sleep(15)
        text = await site.metrics.text()
        counted = {
            line.partition('reason="')[2].partition('"')[0]: line.rpartition(" ")[2]
            for line in lines(text, "aliquot_health_changes_total")
        }
        foreseen = dict.fromkeys(("NotAnswering", "Recovered", *REASONS), "0")
        assert counted == {"GPULost": "1", "XID79": "1", "XID94": "1"} | foreseen
        xids = [line.rpartition(" ")[2] for line in lines(text, "DCGM_FI_DEV_XID_ERRORS")]
        assert xids == ["79", "94", "31"], "an application's error too, though it makes nobody ill"
        await asyncio.sleep(90)
        assert (
            'aliquot_health_changes_total{hostname="gpu-0",reason="Recovered"} 1' in await site.metrics.text()
        )

    run_site("l4:3", scenario)


def test_reconfigurations_by_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> GpuInstance:
        raise DriverError(ReturnCode.INSUFFICIENT_RESOURCES, "no room")

    async def scenario(site: Site) -> None:
        gpu = site.gpus[0]
        site.api.want(wanted(gpu, ("1g.10gb", 0)))
        await asyncio.sleep(30)
        assert (
            'aliquot_reconfigurations_total{hostname="gpu-0",outcome="Done"} 1' in await site.metrics.text()
        )
        monkeypatch.setattr(site.driver, "create_gpu_instance", refuse)
        site.api.want(wanted(gpu, ("1g.10gb", 0), ("1g.10gb", 1)))
        await asyncio.sleep(4)
        assert (
            'aliquot_reconfigurations_total{hostname="gpu-0",outcome="DriverError"} 1'
            in await site.metrics.text()
        )

    run_site("h100-80gb:1:mig", scenario)
