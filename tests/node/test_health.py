"""What an XID condemns, and what brings it back."""

from dataclasses import replace

import pytest

from aliquot.gpu.driver import DriverError, ReturnCode, XidEvent
from aliquot.node.advertise import Device, advertise
from aliquot.node.health import IGNORED_XIDS, PROBE_S, QUIET_S, Health
from aliquot.node.inventory import Snapshot, observe
from aliquot.node.metrics.counts import Counts
from aliquot.node.plugin_config.file import MigStrategy
from tests.node.conftest import cut, machine


def cut_machine() -> tuple[Snapshot, tuple[Device, ...]]:
    """One GPU with three slices, the last two in one GPU instance, and a second GPU."""
    driver = machine("h100-80gb:1:mig,h100-80gb:1")
    gpu = driver.gpus()[0]
    cut(driver, gpu, ("1g.10gb", 0))
    made = driver.create_gpu_instance(gpu.uuid, 9, 4)
    for _ in range(2):
        driver.create_compute_instance(gpu.uuid, made.gi_id, 0)
    snapshot = observe(driver)
    return snapshot, advertise(snapshot.gpus, MigStrategy.MIXED).devices


SNAPSHOT, DEVICES = cut_machine()
GPU = SNAPSHOT.gpus[0].gpu.uuid
LOST = DriverError(ReturnCode.GPU_IS_LOST, "GPU is lost")


def failing(error: DriverError = LOST) -> Snapshot:
    return Snapshot(SNAPSHOT.version, (replace(SNAPSHOT.gpus[0], failure=error), SNAPSHOT.gpus[1]))


def sick(health: Health) -> list[int]:
    """Positions among the devices: 0 a slice of its own, 1 and 2 of one instance, 3 the other GPU."""
    return [position for position, device in enumerate(DEVICES) if health.of(device)]


def event(xid: int, position: int | None = None, *, whole_instance: bool = False) -> XidEvent:
    if position is None:
        return XidEvent(GPU, xid)
    chosen = DEVICES[position].slice
    assert chosen is not None
    return XidEvent(GPU, xid, chosen.gi_id, None if whole_instance else chosen.ci_id)


def struck(found: XidEvent, now: float = 0.0) -> Health:
    health = Health(Counts())
    health.observe(SNAPSHOT, now)
    assert health.xid(found, SNAPSHOT, now)
    return health


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (event(94, 0), [0]),
        (event(94, 1), [1]),
        (event(94, 1, whole_instance=True), [1, 2]),
        (event(94), [0, 1, 2]),
        (XidEvent(GPU, 94, gi_id=99), [0, 1, 2]),
    ],
    ids=["slice", "compute instance", "GPU instance", "GPU", "an instance that nobody knows"],
)
def test_an_xid_condemns_what_it_names(found: XidEvent, expected: list[int]) -> None:
    assert sick(struck(found)) == expected


@pytest.mark.parametrize("xid", sorted(IGNORED_XIDS))
def test_application_errors_condemn_nobody(xid: int) -> None:
    health = Health(Counts())
    assert not health.xid(event(xid), SNAPSHOT, 0)
    assert sick(health) == []


def test_an_event_of_an_unknown_gpu_condemns_nobody() -> None:
    health = Health(Counts())
    assert not health.xid(XidEvent("GPU-elsewhere", 79), SNAPSHOT, 0)
    assert sick(health) == []


def test_a_passing_error_is_over_after_a_quiet_time() -> None:
    health = struck(event(94))
    health.observe(SNAPSHOT, QUIET_S - 1)
    assert sick(health) == [0, 1, 2]
    health.observe(SNAPSHOT, QUIET_S)
    assert sick(health) == []


def test_another_event_begins_the_quiet_time_anew() -> None:
    health = struck(event(94))
    health.xid(event(94), SNAPSHOT, 50)
    health.observe(SNAPSHOT, QUIET_S + 1)
    assert sick(health) == [0, 1, 2]


def test_quiet_does_not_mend_what_needs_a_reset() -> None:
    health = struck(event(48))
    health.observe(SNAPSHOT, 86_400)
    assert sick(health) == [0, 1, 2]


def test_a_reset_mends_it_once_the_gpu_answers_for_a_while() -> None:
    health = struck(event(48))
    health.was_reset(GPU)
    health.observe(SNAPSHOT, 100)
    assert sick(health) == [0, 1, 2]
    health.observe(SNAPSHOT, 100 + PROBE_S)
    assert sick(health) == []


def test_a_lost_gpu_is_trusted_again_once_it_answers_for_a_while() -> None:
    health = Health(Counts())
    health.observe(failing(), 0)
    assert sick(health) == [0, 1, 2]
    ailment = health.of_gpu(GPU)
    assert ailment is not None
    assert (ailment.reason, ailment.message) == ("GPULost", "GPU is lost")
    health.observe(SNAPSHOT, 100)
    health.observe(failing(), 105)
    health.observe(SNAPSHOT, 110)
    assert sick(health) == [0, 1, 2]
    health.observe(SNAPSHOT, 110 + PROBE_S)
    assert sick(health) == []


def test_a_new_slice_does_not_inherit_the_ailment_of_its_predecessor() -> None:
    health = struck(event(94, 0))
    gpu = SNAPSHOT.gpus[0]
    instances = tuple(
        replace(
            i,
            compute_instances=tuple(
                replace(c, uuid=f"MIG-new-{i.gi_id}-{c.ci_id}") for c in i.compute_instances
            ),
        )
        for i in gpu.instances
    )
    health.observe(Snapshot(SNAPSHOT.version, (replace(gpu, instances=instances), SNAPSHOT.gpus[1])), 1)
    health.observe(SNAPSHOT, 2)
    assert sick(health) == []


def test_every_change_for_the_worse_or_the_better_is_counted_once() -> None:
    counts = Counts()
    health = Health(counts)
    health.observe(SNAPSHOT, 0)
    for _ in range(2):
        health.xid(event(94, 1, whole_instance=True), SNAPSHOT, 0)
    health.xid(event(31), SNAPSHOT, 0)
    for moment in (QUIET_S, QUIET_S + 1):
        health.observe(SNAPSHOT, moment)
    for moment in (100.0, 101.0):
        health.observe(failing(), moment)
    for moment in (102.0, 102.0 + PROBE_S, 103.0 + PROBE_S):
        health.observe(SNAPSHOT, moment)
    assert +counts.health_changes == {"XID94": 2, "GPULost": 1, "Recovered": 3}
