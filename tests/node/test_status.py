"""GPUNode.status from findings."""

from dataclasses import replace

import msgspec
import pytest

from aliquot.gpu.driver import DriverError, Link, LinkKind, LostGpu, ReturnCode
from aliquot.kube.api.gpunode import (
    AllocationPolicy,
    Cure,
    GPUAilment,
    GPUNodeStatus,
    GPUShares,
    Health,
    Sharing,
)
from aliquot.kube.api.meta import Condition
from aliquot.node.advertise import advertise
from aliquot.node.health.ailment import Ailment
from aliquot.node.inventory import Snapshot, observe
from aliquot.node.plugin_config.file import MigStrategy, Replicas, SharingSection
from aliquot.node.plugin_config.references import References
from aliquot.node.plugin_config.settings import Settings
from aliquot.node.pod_resources import Allocations, Holding
from aliquot.node.sharing import share
from aliquot.node.status import Findings, Note, build
from tests.node.machines import cut, machine

NOW = 1_767_225_600.0


def findings(strategy: MigStrategy = MigStrategy.MIXED) -> Findings:
    driver = machine("h100-80gb:1:mig,h100-80gb:1")
    cut(driver, driver.gpus()[0], ("3g.40gb", 4))
    snapshot = observe(driver)
    return Findings(snapshot, strategy, advertise(snapshot.gpus, strategy), Allocations(failure=""))


def uncut() -> Findings:
    snapshot = observe(machine("h100-80gb:1:mig"))
    offered = advertise(snapshot.gpus, MigStrategy.MIXED)
    return Findings(snapshot, MigStrategy.MIXED, offered, Allocations(failure=""))


FOUND = findings()
FIRST, SECOND = (observed.gpu.uuid for observed in FOUND.snapshot.gpus)
SLICE = next(d.id for d in FOUND.advertisement.devices if d.slice)


def ailing(reason: str, message: str, cure: Cure = Cure.RESET) -> list[Ailment]:
    return [Ailment(reason, message, cure, NOW, NOW)]


def condition(status: GPUNodeStatus, kind: str) -> tuple[str, str, str]:
    found = next(c for c in status.conditions if c.type == kind)
    return found.status, found.reason, found.message


def test_slices_and_whole_gpus_are_described() -> None:
    holder = Holding("default/train", "main", "nvidia.com/mig-3g.40gb", (SLICE,))
    allocations = Allocations(
        (holder,), {"nvidia.com/gpu": frozenset({SLICE, SECOND})}, asked_at=NOW, failure=""
    )
    status = build(replace(FOUND, allocations=allocations, observed_generation=3), (), NOW)
    assert (status.driver_version, status.cuda_version, status.observed_generation) == (
        "580.82.07",
        "13.0",
        3,
    )
    first, second = status.gpus
    (made,) = first.instances
    assert (made.profile, made.start, made.size, made.ready, made.pods) == (
        "3g.40gb",
        4,
        4,
        True,
        ["default/train"],
    )
    assert made.memory_mib
    assert (first.resource, first.ready, first.pods) == ("", False, [])
    assert (second.resource, second.ready) == ("nvidia.com/gpu", True)


def test_shares_and_the_policy_by_which_they_are_given_are_told() -> None:
    section = SharingSection(
        (Replicas("nvidia.com/gpu", 4, References()),), fail_requests_greater_than_one=True
    )
    shared = share(FOUND.advertisement, FOUND.snapshot.gpus, Settings(time_slicing=section)).advertisement
    found = replace(FOUND, advertisement=shared, allocation_policy=AllocationPolicy.PACKED)
    status = build(found, (), NOW)
    assert status.allocation_policy is AllocationPolicy.PACKED
    assert status.gpus[1].shares == GPUShares(
        strategy=Sharing.TIME_SLICING, replicas=4, one_per_container=True
    )


def test_the_status_survives_the_wire() -> None:
    status = build(FOUND, (), NOW)
    assert msgspec.json.decode(msgspec.json.encode(status), type=GPUNodeStatus) == status


def test_equal_findings_give_equal_status() -> None:
    first = build(FOUND, (), NOW)
    assert build(FOUND, first.conditions, NOW + 60) == first


def test_a_condition_that_changes_gets_a_new_time() -> None:
    before = [
        Condition(type="Ready", status="False", reason="Other", last_transition_time="2025-01-01T00:00:00Z")
    ]
    (ready, *_) = build(FOUND, before, NOW).conditions
    assert (ready.status, ready.last_transition_time) == ("True", "2026-01-01T00:00:00Z")


def test_nvlink_is_shown_before_the_pcie_path() -> None:
    links = (Link(SECOND, LinkKind.NVLINK, 18), Link(SECOND, LinkKind.HOST_BRIDGE, 0))
    first, second = FOUND.snapshot.gpus
    snapshot = Snapshot(FOUND.snapshot.version, (replace(first, links=links), second))
    (link,) = build(replace(FOUND, snapshot=snapshot), (), NOW).gpus[0].links
    assert (link.kind, link.lanes) == ("NVLink", 18)


@pytest.mark.parametrize(
    ("ailments", "notes", "health", "reason"),
    [
        ({FIRST: ailing("XID79", "gone")}, {FIRST: Note("InUse", "held")}, Health.UNHEALTHY, "XID79"),
        ({SLICE: ailing("XID94", "ecc")}, {FIRST: Note("InUse", "held")}, Health.HEALTHY, "XID94"),
        ({}, {FIRST: Note("InUse", "held")}, Health.HEALTHY, "InUse"),
        ({}, {FIRST: Note()}, Health.HEALTHY, ""),
    ],
)
def test_the_dominant_reason_of_a_gpu(
    ailments: dict[str, list[Ailment]], notes: dict[str, Note], health: Health, reason: str
) -> None:
    gpu = build(replace(FOUND, ailments=ailments, notes=notes), (), NOW).gpus[0]
    assert (gpu.health, gpu.reason) == (health, reason)


def test_a_gpu_that_waits_for_its_users_says_so() -> None:
    first, second = build(replace(FOUND, changing=[SECOND]), (), NOW).gpus
    assert first.reason == ""
    assert second.reason == "WaitingForUsers"
    assert second.message == "it is configured otherwise by now, and offered so once nobody holds it"


def test_readiness_has_one_dominant_reason() -> None:
    sick = {FIRST: ailing("XID79", "XID 79: gone")}
    cases = [
        (FOUND, ("True", "Serving", "2 GPUs are served to kubelet")),
        (replace(FOUND, ailments=sick), ("True", "UnhealthyGPU", "GPU 0: XID 79: gone")),
        (
            replace(FOUND, ailments=sick | {SECOND: ailing("XID48", "XID 48: ecc")}),
            ("False", "UnhealthyGPU", "GPU 0: XID 79: gone; GPU 1: XID 48: ecc"),
        ),
        (replace(FOUND, allocations=Allocations()), ("False", "PodResourcesNotAnswering")),
        (
            replace(FOUND, unregistered={"nvidia.com/gpu": "no kubelet"}, allocations=Allocations()),
            ("False", "NotRegistered", "nvidia.com/gpu: no kubelet"),
        ),
        (
            replace(FOUND, snapshot=Snapshot(failure=DriverError(ReturnCode.UNINITIALIZED, "no driver"))),
            ("False", "DriverNotAnswering", "no driver"),
        ),
        (replace(FOUND, snapshot=Snapshot()), ("False", "NoGPU", "the driver lists no GPU")),
        (replace(FOUND, faults=[Note("NoSpec", "no spec")]), ("False", "NoSpec", "no spec")),
        (
            replace(FOUND, left_alone={FIRST: Note("Other", "theirs")}),
            ("True", "Serving", "1 of 2 GPUs are served to kubelet"),
        ),
        (
            replace(FOUND, left_alone=dict.fromkeys((FIRST, SECOND), Note("Other", "theirs"))),
            ("True", "NothingOffered", "none of 2 GPUs is served to kubelet; GPU 0: theirs"),
        ),
        (
            replace(FOUND, changing=[SECOND]),
            ("True", "Serving", "1 of 2 GPUs are served to kubelet"),
        ),
        (
            replace(FOUND, faults=[Note("NoSpec", "no spec")], ailments=sick),
            ("False", "NoSpec", "no spec"),
        ),
        (
            uncut(),
            (
                "True",
                "NothingOffered",
                "none of 1 GPUs is served to kubelet; GPU 0: MIG is on, and nothing is cut",
            ),
        ),
        (findings(MigStrategy.SINGLE), ("False", "LayoutsDiffer")),
    ]
    for found, expected in cases:
        assert condition(build(found, (), NOW), "Ready")[: len(expected)] == expected


def test_all_that_keeps_the_configuration_from_being_in_effect_is_told() -> None:
    found = replace(
        FOUND,
        faults=[Note("CDINotWritten", "no place")],
        configured=[Note("DoesNotFit", "no GPU 7"), Note("WaitingForUsers", "held", in_progress=True)],
        remarks=["a remark"],
    )
    told = condition(build(found, (), NOW), "Configured")
    assert told == ("False", "CDINotWritten", "no place; no GPU 7; held")


def test_what_should_be_known_of_what_is_in_effect_is_told() -> None:
    told = condition(build(replace(FOUND, remarks=["one thing", "another"]), (), NOW), "Configured")
    assert told == ("True", "InEffect", "one thing; another")


def test_what_is_stuck_comes_before_what_is_under_way() -> None:
    notes = {FIRST: Note("Reconfiguring", "working", in_progress=True), SECOND: Note("InUse", "held by x")}
    status = build(replace(FOUND, notes=notes), (), NOW)
    assert condition(status, "MIGConfigured") == ("False", "InUse", "GPU 1: held by x (and 1 more)")


def test_what_is_wrong_is_told_in_full_with_what_comes_next_and_who_holds_it() -> None:
    pending = Ailment("RowRemapPending", "a row waits", Cure.RESET, NOW, NOW, measured=True)
    sick = {
        FIRST: [*ailing("XID48", "XID 48: ecc"), pending],
        SLICE: ailing("XID94", "XID 94: mem", Cure.QUIET),
    }
    holders = (
        Holding("default/train", "main", "nvidia.com/mig-3g.40gb", (SLICE,)),
        Holding("default/serve", "main", "nvidia.com/gpu", (SECOND,)),
    )
    allocations = Allocations(holders, failure="")
    status = build(replace(FOUND, ailments=sick, allocations=allocations, boot_id="b1"), (), NOW)
    first, second = status.gpus
    told = (
        "XID 48: ecc; a row waits; not handed out until the GPU is reset or the node rebooted; "
        "still held by default/train"
    )
    assert (first.reason, first.message) == ("XID48", told)
    assert (second.reason, second.message, second.ailments) == ("", "", [])
    since = "2026-01-01T00:00:00Z"
    assert first.ailments == [
        GPUAilment(device=FIRST, reason="XID48", message="XID 48: ecc", cure=Cure.RESET, since=since),
        GPUAilment(
            device=FIRST,
            reason="RowRemapPending",
            message="a row waits",
            cure=Cure.RESET,
            since=since,
            measured=True,
        ),
        GPUAilment(device=SLICE, reason="XID94", message="XID 94: mem", cure=Cure.QUIET, since=since),
    ]
    assert status.boot_id == "b1"
    assert condition(status, "GPUsHealthy") == (
        "False",
        "Unhealthy",
        f"GPU 0: {told} | GPU 0: 3g.40gb at slot 4: XID 94: mem; "
        "handed out again after 60 s without another; still held by default/train",
    )


def test_a_gpu_that_nobody_ever_saw_alive_is_not_healthy_either() -> None:
    lost = LostGpu(2, "", DriverError(ReturnCode.GPU_IS_LOST, "GPU is lost"))
    assert condition(build(FOUND, (), NOW), "GPUsHealthy")[:2] == ("True", "AllHealthy")
    found = replace(FOUND, snapshot=replace(FOUND.snapshot, lost=(lost,)))
    assert condition(build(found, (), NOW), "GPUsHealthy") == ("False", "Unhealthy", "GPU 2: GPU is lost")
