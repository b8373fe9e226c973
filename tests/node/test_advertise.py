"""Names, ids and refusals of the three MIG strategies."""

from dataclasses import replace

import pytest

from aliquot.gpu.driver import DriverError, MigState, ReturnCode
from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.advertise import Advertisement, advertise, possible_names
from aliquot.node.inventory import ObservedGpu, Snapshot, observe, remember
from aliquot.node.plugin_config.file import MigStrategy
from aliquot.node.plugin_config.names import Naming
from tests.node.machines import cut, machine


def observed(text: str, *layouts: tuple[tuple[str, int], ...]) -> tuple[ObservedGpu, ...]:
    driver = machine(text)
    for gpu, layout in zip(driver.gpus(), layouts, strict=False):
        cut(driver, gpu, *layout)
    return observe(driver).gpus


def counts(advertisement: Advertisement) -> dict[str, int]:
    return {name: len(devices) for name, devices in advertisement.resources.items() if devices}


@pytest.mark.parametrize(
    ("text", "layouts", "strategy", "expected"),
    [
        ("h100-80gb:2", (), MigStrategy.NONE, {"nvidia.com/gpu": 2}),
        ("h100-80gb:2:mig", ((("7g.80gb", 0),), ()), MigStrategy.NONE, {"nvidia.com/gpu": 2}),
        ("h100-80gb:2", (), MigStrategy.SINGLE, {"nvidia.com/gpu": 2}),
        (
            "h100-80gb:2:mig",
            ((("3g.40gb", 0), ("3g.40gb", 4)), (("3g.40gb", 4),)),
            MigStrategy.SINGLE,
            {"nvidia.com/gpu": 3},
        ),
        ("h100-80gb:2", (), MigStrategy.MIXED, {"nvidia.com/gpu": 2}),
        ("h100-80gb:1:mig,l4:1", (), MigStrategy.MIXED, {"nvidia.com/gpu": 1}),
        (
            "h100-80gb:1:mig",
            ((("1g.10gb+me", 6), ("1g.10gb", 0), ("1g.20gb", 2)),),
            MigStrategy.MIXED,
            {"nvidia.com/mig-1g.10gb.me": 1, "nvidia.com/mig-1g.10gb": 1, "nvidia.com/mig-1g.20gb": 1},
        ),
    ],
)
def test_resources_of_a_machine(
    text: str,
    layouts: tuple[tuple[tuple[str, int], ...], ...],
    strategy: MigStrategy,
    expected: dict[str, int],
) -> None:
    found = advertise(observed(text, *layouts), strategy)
    assert counts(found) == expected
    assert found.withheld == {}


@pytest.mark.parametrize(
    ("text", "layouts", "reason"),
    [
        ("h100-80gb:1:mig,h100-80gb:1", ((("7g.80gb", 0),),), "it is off on GPU 1"),
        ("h100-80gb:2:mig", ((("7g.80gb", 0),),), "GPU 1 has none"),
        (
            "h100-80gb:2:mig",
            ((("7g.80gb", 0),), (("4g.40gb", 0),)),
            "one profile on all GPUs: found 4g.40gb, 7g.80gb",
        ),
    ],
)
def test_single_refuses_gpus_that_differ(
    text: str, layouts: tuple[tuple[tuple[str, int], ...], ...], reason: str
) -> None:
    found = advertise(observed(text, *layouts), MigStrategy.SINGLE)
    assert counts(found) == {}
    assert len(found.withheld) == 2
    assert all(text.endswith(reason) for text in found.withheld.values())


def test_single_does_not_let_a_dead_gpu_condemn_the_others() -> None:
    alive, dead = observed("h100-80gb:2:mig", (("7g.80gb", 0),))
    dead = replace(dead, failure=DriverError(ReturnCode.GPU_IS_LOST, "lost"))
    assert counts(advertise((alive, dead), MigStrategy.SINGLE)) == {"nvidia.com/gpu": 1}


def test_what_single_does_not_offer_is_still_known() -> None:
    gpus = observed("h100-80gb:1:mig,h100-80gb:1", (("7g.80gb", 0),))
    devices = advertise(gpus, MigStrategy.SINGLE).devices
    assert [(d.resource, d.slice.profile if d.slice else "") for d in devices] == [("", "7g.80gb"), ("", "")]


def test_none_knows_the_slices_of_a_gpu_that_it_shows_as_unusable() -> None:
    gpus = observed("h100-80gb:1:mig", (("7g.80gb", 0),))
    devices = advertise(gpus, MigStrategy.NONE).devices
    assert [(d.resource, bool(d.unusable), bool(d.slice)) for d in devices] == [
        ("nvidia.com/gpu", True, False),
        ("", False, True),
    ]


def test_a_gpu_instance_without_compute_is_no_device_and_says_so() -> None:
    driver = machine("h100-80gb:1:mig")
    made = driver.create_gpu_instance(driver.gpus()[0].uuid, 9, 4)
    found = advertise(observe(driver).gpus, MigStrategy.MIXED)
    assert counts(found) == {}
    assert list(found.withheld.values()) == [
        f"GPU instance {made.gi_id} has no compute instance, so it is no device"
    ]


def test_two_parts_of_one_gpu_instance_are_two_devices() -> None:
    driver = machine("h100-80gb:1:mig")
    gpu = driver.gpus()[0]
    made = driver.create_gpu_instance(gpu.uuid, 9, 4)
    for _ in range(2):
        driver.create_compute_instance(gpu.uuid, made.gi_id, 0)
    found = advertise(observe(driver).gpus, MigStrategy.MIXED)
    assert counts(found) == {"nvidia.com/mig-1c.3g.40gb": 2}
    assert len({d.id for d in found.devices}) == 2


def test_devices_come_in_the_order_of_gpus_and_slots() -> None:
    gpus = observed("h100-80gb:2:mig", (("1g.10gb", 3), ("1g.10gb", 0)), (("1g.10gb", 1),))
    found = advertise(gpus, MigStrategy.MIXED).resources["nvidia.com/mig-1g.10gb"]
    assert [(d.gpu_index, d.slice.placement.start if d.slice else None) for d in found] == [
        (0, 0),
        (0, 3),
        (1, 1),
    ]


def test_a_pending_mode_is_not_yet_in_effect() -> None:
    driver = machine("a100-40gb:1")
    assert driver.set_mig_mode(driver.gpus()[0].uuid, True) is MigState.PENDING_ENABLE
    assert counts(advertise(observe(driver).gpus, MigStrategy.MIXED)) == {"nvidia.com/gpu": 1}


def test_names_are_known_before_an_old_driver_lists_profiles() -> None:
    (gpu,) = observed("a100-40gb:1")
    expected = possible_names((gpu,), MigStrategy.MIXED, Naming())
    assert "nvidia.com/mig-1g.5gb.me" in expected
    assert possible_names((replace(gpu, profiles=()),), MigStrategy.MIXED, Naming()) == expected


@pytest.mark.parametrize("strategy", [MigStrategy.NONE, MigStrategy.SINGLE])
def test_only_mixed_has_names_of_profiles(strategy: MigStrategy) -> None:
    assert possible_names(observed("h100-80gb:1"), strategy, Naming()) == ("nvidia.com/gpu",)


# --- what is remembered of GPUs that do not answer ---


def test_a_gpu_that_is_gone_stays_listed_as_lost() -> None:
    driver = machine("l4:2")
    before = observe(driver)
    driver.lose_gpu(before.gpus[0].gpu.uuid)
    after = remember(before, observe(driver))
    assert [gpu.gpu for gpu in after.gpus] == [gpu.gpu for gpu in before.gpus]
    failure = after.gpus[0].failure
    assert failure is not None
    assert failure.code is ReturnCode.GPU_IS_LOST
    assert after.gpus[1].failure is None


def test_a_gpu_that_is_replaced_is_forgotten() -> None:
    before = observe(machine("l4:1"))
    other = replace(before.gpus[0], gpu=replace(before.gpus[0].gpu, uuid="GPU-new"))
    after = remember(before, Snapshot(before.version, (other,)))
    assert [gpu.gpu.uuid for gpu in after.gpus] == ["GPU-new"]


def test_a_gpu_that_fails_keeps_its_last_known_slices() -> None:
    driver = machine("h100-80gb:1:mig")
    cut(driver, driver.gpus()[0], ("7g.80gb", 0))
    before = observe(driver)
    failure = DriverError(ReturnCode.UNKNOWN, "no")
    failing = replace(before.gpus[0], instances=(), profiles=(), failure=failure)
    after = remember(before, Snapshot(before.version, (failing,)))
    assert after.gpus[0].instances == before.gpus[0].instances
    assert after.gpus[0].failure is failure


def test_what_does_not_change_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = machine("h100-80gb:2:mig")
    before = observe(driver)
    monkeypatch.delattr(type(driver), "links")
    cut(driver, driver.gpus()[0], ("7g.80gb", 0))
    after = observe(driver, before)
    assert [gpu.failure for gpu in after.gpus] == [None, None]
    assert [gpu.links for gpu in after.gpus] == [gpu.links for gpu in before.gpus]
    assert [len(gpu.instances) for gpu in after.gpus] == [1, 0]


def test_another_mode_is_reason_to_ask_again() -> None:
    driver = SimulatedDriver(parse_gpus("h100-80gb:1"), node="n", old_driver=True)
    before = observe(driver)
    assert before.gpus[0].profiles == ()
    driver.set_mig_mode(before.gpus[0].gpu.uuid, True)
    assert observe(driver, before).gpus[0].profiles
