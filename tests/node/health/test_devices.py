"""What an XID condemns, and what brings it back."""

from dataclasses import replace

import msgspec
import pytest

from aliquot.gpu.driver import DriverError, RecoveryAction, ReturnCode, Telemetry, XidEvent
from aliquot.kube.api.gpunode import GPUNodeStatus
from aliquot.node.advertise import Device, advertise
from aliquot.node.health.ailment import PROBE_S, QUIET_S, Change
from aliquot.node.health.devices import Health
from aliquot.node.health.policy import IGNORED_XIDS, HealthPolicy
from aliquot.node.inventory import Snapshot, observe
from aliquot.node.plugin_config.file import MigStrategy
from aliquot.node.status import Findings, build
from tests.node.machines import cut, machine


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
    health = Health(HealthPolicy())
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
    health = Health(HealthPolicy())
    assert not health.xid(event(xid), SNAPSHOT, 0)
    assert sick(health) == []


def test_an_event_of_an_unknown_gpu_condemns_nobody() -> None:
    health = Health(HealthPolicy())
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
    health = Health(HealthPolicy())
    health.observe(failing(), 0)
    assert sick(health) == [0, 1, 2]
    (ailment,) = health.all_of(GPU, GPU)
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


def test_every_change_for_the_worse_or_the_better_is_told_once() -> None:
    health = Health(HealthPolicy())
    changes = health.observe(SNAPSHOT, 0)
    for _ in range(2):
        changes += health.xid(event(94, 1, whole_instance=True), SNAPSHOT, 0)
    changes += health.xid(event(31), SNAPSHOT, 0)
    for moment in (QUIET_S, QUIET_S + 1):
        changes += health.observe(SNAPSHOT, moment)
    for moment in (100.0, 101.0):
        changes += health.observe(failing(), moment)
    for moment in (102.0, 102.0 + PROBE_S, 103.0 + PROBE_S):
        changes += health.observe(SNAPSHOT, moment)
    _, second, third, _ = (device.id for device in DEVICES)
    assert told(changes) == [
        (second, "XID94", False),
        (third, "XID94", False),
        (second, "XID94", True),
        (third, "XID94", True),
        (GPU, "GPULost", False),
        (GPU, "GPULost", True),
    ]


def told(changes: list[Change]) -> list[tuple[str, str, bool]]:
    """Device, reason, and whether it recovered; of one moment sorted by device."""
    return [(change.device_id, change.ailment.reason, change.recovered) for change in changes]


# --- instances: who is named ---


@pytest.mark.parametrize(
    ("gi_id", "ci_id", "expected"),
    [
        ("own", "own", [1]),
        ("own", None, [1, 2]),
        ("other", None, [0]),
        (None, "own", [0, 1]),
        (None, "other", [2]),
        (None, None, [0, 1, 2]),
    ],
)
def test_an_event_with_one_of_the_two_ids_names_all_that_have_it(
    gi_id: str | None, ci_id: str | None, expected: list[int]
) -> None:
    """Device 1 is compute instance 0 of its GPU instance, as device 0 is of the other; device 2 is number 1."""
    first, second, third = (device.slice for device in DEVICES[:3])
    assert first is not None and second is not None and third is not None
    gi_ids = {"own": second.gi_id, "other": first.gi_id, None: None}
    ci_ids = {"own": second.ci_id, "other": third.ci_id, None: None}
    assert sick(struck(XidEvent(GPU, 94, gi_ids[gi_id], ci_ids[ci_id]))) == expected


def test_slices_with_names_of_old_drivers_are_told_apart_by_their_ids_alone() -> None:
    """Those drivers build a MIG device's name of GPU and ids; it is not taken apart."""
    gpu = SNAPSHOT.gpus[0]
    instances = tuple(
        replace(
            i,
            compute_instances=tuple(
                replace(c, uuid=f"MIG-{GPU}/{i.gi_id}/{c.ci_id}") for c in i.compute_instances
            ),
        )
        for i in gpu.instances
    )
    snapshot = Snapshot(SNAPSHOT.version, (replace(gpu, instances=instances),))
    health = Health(HealthPolicy())
    health.observe(snapshot, 0)
    second = DEVICES[1].slice
    assert second is not None
    changes = health.xid(event(94, 1), snapshot, 0)
    assert told(changes) == [(f"MIG-{GPU}/{second.gi_id}/{second.ci_id}", "XID94", False)]


# --- policy ---


def test_what_the_policy_ignores_condemns_nobody_and_what_it_watches_does() -> None:
    health = Health(HealthPolicy(xids=False, watched=frozenset({31})))
    health.observe(SNAPSHOT, 0)
    assert not health.xid(event(48), SNAPSHOT, 0)
    assert health.xid(event(31), SNAPSHOT, 0)
    assert sick(health) == [0, 1, 2]


def test_no_switch_hands_out_a_lost_gpu() -> None:
    health = Health(HealthPolicy(xids=False, memory=False))
    health.observe(failing(), 0)
    assert sick(health) == [0, 1, 2]


# --- figures ---

SOUND = Telemetry(row_remap_pending=False, row_remap_failed=False, uncorrected_errors=0)
PENDING = replace(SOUND, row_remap_pending=True)


def answering(policy: HealthPolicy | None = None) -> Health:
    health = Health(policy or HealthPolicy())
    health.observe(SNAPSHOT, 0)
    return health


def test_what_a_figure_tells_holds_until_it_tells_otherwise() -> None:
    health = answering()
    assert told(health.take_figures({GPU: PENDING}, 60)) == [(GPU, "RowRemapPending", False)]
    assert told(health.take_figures({GPU: PENDING}, 120)) == []
    assert health.waits_for_figures
    health.observe(SNAPSHOT, 86_400)
    assert sick(health) == [0, 1, 2]
    (ailment,) = health.all_of(GPU, GPU)
    assert (ailment.since, ailment.last_seen) == (60, 120)
    assert told(health.take_figures({GPU: SOUND}, 180)) == [(GPU, "RowRemapPending", True)]
    assert sick(health) == [] and not health.waits_for_figures


def test_a_gpu_that_tells_no_figures_keeps_what_it_told() -> None:
    health = answering()
    health.take_figures({GPU: PENDING}, 60)
    assert health.take_figures({}, 120) == []
    assert sick(health) == [0, 1, 2]


def test_new_errors_on_a_board_that_contains_them_are_over_after_a_quiet_time() -> None:
    health = answering()
    health.take_figures({GPU: replace(SOUND, uncorrected_errors=2)}, 60)
    assert sick(health) == []
    health.take_figures({GPU: replace(SOUND, uncorrected_errors=3)}, 120)
    assert sick(health) == [0, 1, 2]
    health.take_figures({GPU: replace(SOUND, uncorrected_errors=3)}, 180)
    health.observe(SNAPSHOT, 120 + QUIET_S)
    assert sick(health) == []


def test_a_policy_without_memory_leaves_figures_alone() -> None:
    health = answering(HealthPolicy(memory=False))
    assert health.take_figures({GPU: PENDING}, 60) == []


def test_a_device_with_two_ailments_recovers_when_the_last_is_over() -> None:
    health = struck(event(94))
    health.take_figures({GPU: PENDING}, 10)
    assert [ailment.reason for ailment in health.all_of(GPU, GPU)] == ["RowRemapPending", "XID94"]
    assert health.observe(SNAPSHOT, QUIET_S) == []
    assert sick(health) == [0, 1, 2]
    assert told(health.take_figures({GPU: SOUND}, 70)) == [(GPU, "RowRemapPending", True)]


@pytest.mark.parametrize(
    ("action", "at", "expected"),
    [
        (RecoveryAction.NONE, QUIET_S, []),
        (RecoveryAction.NONE, QUIET_S - 1, [0, 1, 2]),
        (None, QUIET_S, [0, 1, 2]),
        (RecoveryAction.GPU_RESET, QUIET_S, [0, 1, 2]),
    ],
    ids=["nothing needed", "too early to know", "the driver does not tell", "a reset needed"],
)
def test_a_driver_that_says_that_nothing_is_needed_is_believed(
    action: RecoveryAction | None, at: float, expected: list[int]
) -> None:
    health = struck(event(48))
    health.take_figures({GPU: replace(SOUND, recovery_action=action)}, at)
    assert sick(health) == expected


# --- what was away, and what was not ---


def test_a_lost_gpu_that_comes_back_was_reset() -> None:
    health = struck(event(48))
    health.observe(failing(), 5)
    assert [a.reason for a in health.all_of(GPU, GPU)] == ["GPULost", "XID48"]
    health.observe(SNAPSHOT, 10)
    assert told(health.observe(SNAPSHOT, 10 + PROBE_S))[-1:] == [(GPU, "XID48", True)]
    assert sick(health) == []


def test_a_gpu_that_did_not_answer_once_was_not_reset_by_that() -> None:
    health = struck(event(48))
    health.observe(failing(DriverError(ReturnCode.UNKNOWN, "Unknown Error")), 5)
    assert [a.reason for a in health.all_of(GPU, GPU)] == ["NotAnswering", "XID48"]
    health.observe(SNAPSHOT, 10)
    health.observe(SNAPSHOT, 86_400)
    assert [a.reason for a in health.all_of(GPU, GPU)] == ["XID48"]


def test_an_error_after_the_reset_needs_another_reset() -> None:
    health = struck(event(48))
    health.was_reset(GPU)
    health.observe(SNAPSHOT, 1)
    health.xid(event(48), SNAPSHOT, 2)
    health.observe(SNAPSHOT, 86_400)
    assert sick(health) == [0, 1, 2]


def test_another_gpu_in_the_slot_is_not_blamed() -> None:
    health = struck(event(48))
    other = SNAPSHOT.gpus[1]
    health.observe(Snapshot(SNAPSHOT.version, (other,)), 1)
    assert health.ailments() == {}


# --- a new agent ---


def reported(health: Health, now: float, boot_id: str = "") -> GPUNodeStatus:
    advertisement = advertise(SNAPSHOT.gpus, MigStrategy.MIXED)
    found = Findings(SNAPSHOT, MigStrategy.MIXED, advertisement, ailments=health.ailments(), boot_id=boot_id)
    return build(found, (), now)


def restarted(before: Health, now: float, boot_id: str = "", policy: HealthPolicy | None = None) -> Health:
    wire = msgspec.json.encode(reported(before, now, boot_id))
    health = Health(policy or HealthPolicy())
    health.take_over(msgspec.json.decode(wire, type=GPUNodeStatus), now)
    assert health.observe(SNAPSHOT, now) == [], "nothing new"
    return health


@pytest.mark.parametrize("position", [None, 1])
def test_a_new_agent_goes_on_from_what_the_last_one_reported(position: int | None) -> None:
    before = struck(event(48, position))
    health = restarted(before, 10.0)
    assert health.ailments().keys() == before.ailments().keys()
    (((now,),), ((then,),)) = (health.ailments().values(), before.ailments().values())
    assert replace(now, last_seen=0.0) == then
    health.observe(SNAPSHOT, 86_400)
    assert sick(health) == sick(before)


def test_what_was_taken_over_comes_back_by_the_same_rules() -> None:
    quiet = restarted(struck(event(94)), 10.0)
    assert told(quiet.observe(SNAPSHOT, 10 + QUIET_S)) == [(GPU, "XID94", True)]
    reset = restarted(struck(event(48)), 10.0)
    reset.was_reset(GPU)
    reset.observe(SNAPSHOT, 20)
    assert told(reset.observe(SNAPSHOT, 20 + PROBE_S)) == [(GPU, "XID48", True)]
    sound = restarted(struck(event(48)), 10.0)
    nothing = replace(SOUND, recovery_action=RecoveryAction.NONE)
    assert told(sound.take_figures({GPU: nothing}, 10 + QUIET_S)) == [(GPU, "XID48", True)]
    ill = answering()
    ill.take_figures({GPU: PENDING}, 5)
    assert told(restarted(ill, 10.0).take_figures({GPU: SOUND}, 20)) == [(GPU, "RowRemapPending", True)]


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [("b1", "b2", []), ("b1", "b1", [0, 1, 2]), ("b1", "", [0, 1, 2]), ("", "b2", [0, 1, 2])],
    ids=["rebooted", "the same boot", "not known now", "not known then"],
)
def test_a_reboot_has_reset_the_gpus(then: str, now: str, expected: list[int]) -> None:
    health = restarted(struck(event(48)), 10.0, boot_id=then)
    health.booted(now)
    health.observe(SNAPSHOT, 20)
    health.observe(SNAPSHOT, 20 + PROBE_S)
    assert sick(health) == expected


def test_what_the_new_policy_ignores_is_not_taken_over() -> None:
    policy = HealthPolicy(ignored=IGNORED_XIDS | {48})
    assert restarted(struck(event(48)), 10.0, policy=policy).ailments() == {}


def test_a_report_with_a_damaged_time_is_taken_over_all_the_same() -> None:
    status = reported(struck(event(48)), 1.0)
    status.gpus[0].ailments[0].since = "yesterday"
    health = Health(HealthPolicy())
    health.take_over(status, 7.0)
    assert health.all_of(GPU, GPU)[0].since == 7.0


def test_a_gpu_that_was_away_before_and_since_recovers_when_it_is_back() -> None:
    """The new agent has never seen it; its report says why it was not handed out."""
    before = Health(HealthPolicy())
    before.observe(failing(), 0)
    health = Health(HealthPolicy())
    health.take_over(reported(before, 1), 10)
    health.observe(Snapshot(SNAPSHOT.version, SNAPSHOT.gpus[1:]), 10)
    health.observe(SNAPSHOT, 20)
    assert told(health.observe(SNAPSHOT, 20 + PROBE_S)) == [(GPU, "GPULost", True)]
