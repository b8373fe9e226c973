"""The GPUs' figures: names, labels and whose they are, to the letter."""

from collections.abc import Sequence

from prometheus_client.parser import text_string_to_metric_families

from aliquot.gpu.driver import Driver, DriverError, Telemetry
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.metrics.exposition import render
from aliquot.node.inventory import Snapshot, observe, remember
from aliquot.node.metrics.gpu_figures import gpu_families
from aliquot.node.metrics.holders import holders_by_device
from aliquot.node.pod_resources import Holding
from tests.node.machines import NODE, cut, machine


def shown(
    driver: Driver,
    *holdings: tuple[str, str, Sequence[str]],
    snapshot: Snapshot | None = None,
    xids: dict[str, int] | None = None,
) -> str:
    """`holdings`: (pod, container, device ids)."""
    telemetry: dict[str, Telemetry] = {}
    snapshot = snapshot or observe(driver)
    for uuid in snapshot.by_uuid:
        try:
            telemetry[uuid] = driver.telemetry(uuid)
        except DriverError:
            continue
    held = [Holding(pod, container, "nvidia.com/x", tuple(ids)) for pod, container, ids in holdings]
    return render(gpu_families(NODE, snapshot, telemetry, holders_by_device(held), xids or {}))


def series(text: str, name: str) -> list[str]:
    """Lines of a metric, without its name."""
    lines = (line for line in text.splitlines() if line.startswith(f"{name}{{"))
    return [line.removeprefix(name) for line in lines]


def by_label(text: str, name: str, *wanted: str) -> dict[tuple[str, ...], float]:
    """As a foreign reader finds it: these labels' values -> the sample's."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return {
        tuple(sample.labels.get(label, "") for label in wanted): sample.value
        for sample in families[name].samples
    }


def labels(driver: SimulatedDriver, index: int, more: str = "") -> str:
    gpu = driver.gpus()[index]
    return (
        f'gpu="{index}",UUID="{gpu.uuid}",pci_bus_id="{gpu.pci_bus_id}",device="nvidia{index}",'
        f'modelName="{gpu.product}",{more}hostname="gpu-0",DCGM_FI_DRIVER_VERSION="580.82.07"'
    )


TRAIN = 'container="main",namespace="ml",pod="train"'


def test_a_whole_gpu_to_the_letter() -> None:
    driver = machine("h100-80gb:1")
    gpu = driver.gpus()[0]
    driver.start_process(gpu.uuid, pid=7, memory_mib=1000)
    driver.measure(gpu.uuid, energy_mj=123456789012345, power_watts=303.25)
    whole = f"{{{labels(driver, 0)},{TRAIN}}}"
    up = f'gpu="0",UUID="{gpu.uuid}",pci_bus_id="{gpu.pci_bus_id}",device="nvidia0",modelName="{gpu.product}"'
    assert shown(driver, ("ml/train", "main", [gpu.uuid]), xids={gpu.uuid: 31}) == (
        f"""\
# HELP DCGM_FI_DEV_SM_CLOCK Clock of the SMs in MHz.
# TYPE DCGM_FI_DEV_SM_CLOCK gauge
DCGM_FI_DEV_SM_CLOCK{whole} 1755
# HELP DCGM_FI_DEV_MEM_CLOCK Clock of the memory in MHz.
# TYPE DCGM_FI_DEV_MEM_CLOCK gauge
DCGM_FI_DEV_MEM_CLOCK{whole} 2619
# HELP DCGM_FI_DEV_MEMORY_TEMP Temperature of the memory in degrees Celsius.
# TYPE DCGM_FI_DEV_MEMORY_TEMP gauge
DCGM_FI_DEV_MEMORY_TEMP{whole} 52
# HELP DCGM_FI_DEV_GPU_TEMP Temperature of the GPU in degrees Celsius.
# TYPE DCGM_FI_DEV_GPU_TEMP gauge
DCGM_FI_DEV_GPU_TEMP{whole} 46
# HELP DCGM_FI_DEV_POWER_USAGE Power drawn now in watts.
# TYPE DCGM_FI_DEV_POWER_USAGE gauge
DCGM_FI_DEV_POWER_USAGE{whole} 303.25
# HELP DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION Energy used since the driver was loaded, in millijoules.
# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{whole} 123456789012345
# HELP DCGM_FI_DEV_PCIE_REPLAY_COUNTER Transfers over PCIe that had to be repeated.
# TYPE DCGM_FI_DEV_PCIE_REPLAY_COUNTER counter
DCGM_FI_DEV_PCIE_REPLAY_COUNTER{whole} 0
# HELP DCGM_FI_DEV_GPU_UTIL Share of the time in which any kernel ran, in percent.
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{whole} 35
# HELP DCGM_FI_DEV_MEM_COPY_UTIL Share of the time in which memory was read or written, in percent.
# TYPE DCGM_FI_DEV_MEM_COPY_UTIL gauge
DCGM_FI_DEV_MEM_COPY_UTIL{whole} 17
# HELP DCGM_FI_DEV_ENC_UTIL Use of the encoder in percent.
# TYPE DCGM_FI_DEV_ENC_UTIL gauge
DCGM_FI_DEV_ENC_UTIL{whole} 0
# HELP DCGM_FI_DEV_DEC_UTIL Use of the decoder in percent.
# TYPE DCGM_FI_DEV_DEC_UTIL gauge
DCGM_FI_DEV_DEC_UTIL{whole} 0
# HELP DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS Rows of memory replaced after errors that could not be corrected.
# TYPE DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS counter
DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS{whole} 0
# HELP DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS Rows of memory replaced after errors that could be corrected.
# TYPE DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS counter
DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS{whole} 0
# HELP DCGM_FI_DEV_ROW_REMAP_PENDING Whether a row of memory waits for a reset to be replaced.
# TYPE DCGM_FI_DEV_ROW_REMAP_PENDING gauge
DCGM_FI_DEV_ROW_REMAP_PENDING{whole} 0
# HELP DCGM_FI_DEV_ROW_REMAP_FAILURE Whether a row of memory could not be replaced.
# TYPE DCGM_FI_DEV_ROW_REMAP_FAILURE gauge
DCGM_FI_DEV_ROW_REMAP_FAILURE{whole} 0
# HELP DCGM_FI_DEV_ECC_DBE_VOL_TOTAL Errors of memory that ECC could not correct, since the last reset.
# TYPE DCGM_FI_DEV_ECC_DBE_VOL_TOTAL counter
DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{whole} 0
# HELP DCGM_FI_DEV_FB_FREE Memory that is free, in MiB.
# TYPE DCGM_FI_DEV_FB_FREE gauge
DCGM_FI_DEV_FB_FREE{whole} 79922
# HELP DCGM_FI_DEV_FB_USED Memory that is used, in MiB.
# TYPE DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_FB_USED{whole} 1000
# HELP DCGM_FI_DEV_FB_RESERVED Memory that the driver keeps for itself, in MiB.
# TYPE DCGM_FI_DEV_FB_RESERVED gauge
DCGM_FI_DEV_FB_RESERVED{whole} 637
# HELP DCGM_FI_DEV_XID_ERRORS The last XID since the agent started; 0: none.
# TYPE DCGM_FI_DEV_XID_ERRORS gauge
DCGM_FI_DEV_XID_ERRORS{whole} 31
# HELP aliquot_gpu_up Whether the GPU told its figures when it was asked.
# TYPE aliquot_gpu_up gauge
aliquot_gpu_up{{{up},hostname="gpu-0"}} 1
"""
    )


def test_an_idle_gpu_is_shown_without_a_pod() -> None:
    driver = machine("l4:2")
    held = driver.gpus()[0].uuid
    text = shown(driver, ("ml/train", "main", [held]))
    assert series(text, "DCGM_FI_DEV_GPU_UTIL") == [
        f"{{{labels(driver, 0)},{TRAIN}}} 0",
        f"{{{labels(driver, 1)}}} 0",
    ]


def test_in_mig_mode_memory_is_that_of_the_instances_and_the_rest_is_the_gpus() -> None:
    driver = machine("h100-80gb:1:mig")
    big, small = cut(driver, driver.gpus()[0], ("3g.40gb", 4), ("1g.10gb", 0))
    assert (big.gi_id, small.gi_id) == (2, 7)
    driver.start_process(big.compute_instances[0].uuid, pid=7, memory_mib=2000)
    text = shown(driver, ("ml/train", "main", [big.compute_instances[0].uuid]))
    first = labels(driver, 0, 'GPU_I_PROFILE="3g.40gb",GPU_I_ID="2",')
    second = labels(driver, 0, 'GPU_I_PROFILE="1g.10gb",GPU_I_ID="7",')
    assert series(text, "DCGM_FI_DEV_FB_USED") == [f"{{{first},{TRAIN}}} 2000", f"{{{second}}} 0"]
    assert series(text, "DCGM_FI_DEV_FB_RESERVED") == [f"{{{first},{TRAIN}}} 316", f"{{{second}}} 78"]
    assert series(text, "DCGM_FI_DEV_GPU_TEMP") == [f"{{{labels(driver, 0)}}} 46"]
    assert series(text, "DCGM_FI_DEV_GPU_UTIL") == [], "NVML has none in MIG mode"


def test_parts_of_one_gpu_instance_share_its_memory_and_its_series() -> None:
    driver = machine("h100-80gb:1:mig")
    gpu = driver.gpus()[0].uuid
    made = driver.create_gpu_instance(gpu, 9, 4)
    parts = [driver.create_compute_instance(gpu, made.gi_id, 0).uuid for _ in range(3)]
    text = shown(driver, ("ml/a", "main", parts[:1]), ("ml/b", "main", parts[1:2]))
    assert by_label(text, "DCGM_FI_DEV_FB_USED", "GPU_I_PROFILE", "pod") == {
        ("3g.40gb", "a"): 0,
        ("3g.40gb", "b"): 0,
    }


def test_a_shared_gpu_is_shown_once_for_each_container() -> None:
    driver = machine("l4:1")
    gpu = driver.gpus()[0].uuid
    text = shown(
        driver,
        ("ml/b", "main", [f"{gpu}::0", f"{gpu}::3"]),
        ("ml/a", "two", [f"{gpu}::2"]),
        ("ml/a", "one", [f"{gpu}::1"]),
    )
    assert by_label(text, "DCGM_FI_DEV_GPU_UTIL", "namespace", "pod", "container") == {
        ("ml", "a", "one"): 0,
        ("ml", "a", "two"): 0,
        ("ml", "b", "main"): 0,
    }
    assert len(series(text, "DCGM_FI_DEV_GPU_UTIL")) == 3


def test_a_shared_slice_is_shown_once_for_each_container() -> None:
    driver = machine("h100-80gb:1:mig")
    (slice_,) = cut(driver, driver.gpus()[0], ("7g.80gb", 0))
    mig = slice_.compute_instances[0].uuid
    text = shown(driver, ("ml/a", "main", [f"{mig}::0"]), ("ml/b", "main", [f"{mig}::1"]))
    assert set(by_label(text, "DCGM_FI_DEV_FB_USED", "GPU_I_ID", "pod")) == {("0", "a"), ("0", "b")}


def test_of_a_lost_gpu_only_that_is_shown_and_the_others_stay() -> None:
    driver = machine("l4:2")
    lost, other = (gpu.uuid for gpu in driver.gpus())
    before = observe(driver)
    driver.lose_gpu(lost)
    snapshot = remember(before, observe(driver))
    text = shown(driver, ("ml/train", "main", [lost]), snapshot=snapshot, xids={lost: 79})
    assert by_label(text, "aliquot_gpu_up", "UUID") == {(lost,): 0, (other,): 1}
    assert by_label(text, "DCGM_FI_DEV_XID_ERRORS", "UUID", "pod") == {(lost, "train"): 79, (other, ""): 0}
    lines = [line for line in text.splitlines() if lost in line]
    assert len(lines) == 2
    assert by_label(text, "DCGM_FI_DEV_GPU_TEMP", "UUID") == {(other,): 32}


def test_a_foreign_reader_takes_it_all_and_no_series_comes_twice() -> None:
    driver = machine("h100-80gb:1:mig,h100-80gb:2,t4:1")
    gpus = [gpu.uuid for gpu in driver.gpus()]
    cut(driver, driver.gpus()[0], *(("1g.10gb", start) for start in range(7)))
    text = shown(driver, ("ml/a", "main", [gpus[1]]), ("ml/a", "main", [f"{gpus[2]}::1"]))
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    assert len(samples) == sum(not line.startswith("#") for line in text.splitlines())
    assert len({(s.name, *sorted(s.labels.items())) for s in samples}) == len(samples)
    assert series(text, "DCGM_FI_DEV_RETIRED_SBE") == [f"{{{labels(driver, 3)}}} 0"]
