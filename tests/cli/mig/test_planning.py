from collections.abc import Callable
from typing import Any

import pytest

from aliquot.cli.mig import planning
from aliquot.cli.mig.machines import Machine, look
from aliquot.cli.mig.planning import Goals, plan, refusals, show, summary
from aliquot.gpu.demands import counted, demands
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.advertise import known_profiles
from aliquot.node.mig.reconfiguration import Goal, Outcome, Refused, reconfigure


def machine(name: str, *gpus: InventoryGpus) -> tuple[Machine, SimulatedDriver]:
    driver = SimulatedDriver(gpus, node=name or "here")
    return look(name, driver, {}), driver


def again(found: Machine) -> Machine:
    return look(found.name, found.driver, found.users)


def goals(counts: dict[str, int]) -> Callable[[Machine], Goals]:
    def of(found: Machine) -> Goals:
        wanted = {}
        for observed in found.gpus:
            profiles = known_profiles(observed)
            if profiles:
                devices = counted(counts, profiles)
                wanted[observed.gpu.uuid] = Goal(True, tuple(demands(devices, profiles)), devices)
        return wanted

    return of


H100 = InventoryGpus("h100-80gb", count=2, mig=True)
BALANCED = {"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}


def test_gpus_in_one_state_are_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    here, _ = machine("", H100)
    show(plan([here], goals(BALANCED)))
    assert capsys.readouterr().out == (
        "GPU 0-1  NVIDIA H100 80GB HBM3\n"
        "  before ┃         ┃         ┃         ┃         ┃         ┃         ┃         ┃         ┃\n"
        "  after  ┃1g.10gb  ┃1g.10gb  ┃2g.20gb            ┃3g.40gb                                ┃\n"
        "         ┃new      ┃new      ┃new                ┃new                                    ┃\n"
        "\n"
        "2 GPUs: 2 to change; 8 instances to make, 0 to destroy, 0 kept\n"
    )


def test_what_stays_what_goes_and_who_is_there_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    here, driver = machine("", InventoryGpus("h100-80gb", mig=True))
    gpu = driver.gpus()[0].uuid
    for profile, start in ((9, 4), (19, 1)):
        made = driver.create_gpu_instance(gpu, profile, start)
        device = driver.create_compute_instance(gpu, made.gi_id, None)
        if profile == 9:
            driver.start_process(device.uuid, pid=12)
    show(plan([again(here)], goals({"3g.40gb": 1, "4g.40gb": 1})))
    assert capsys.readouterr().out.splitlines()[1:5] == [
        "  before ┃         ┃1g.10gb  ┃         ┃         ┃3g.40gb                                ┃",
        "         ┃         ┃destroy  ┃         ┃         ┃keep (process 12)                      ┃",
        "  after  ┃4g.40gb                                ┃3g.40gb                                ┃",
        "         ┃new                                    ┃                                       ┃",
    ]


def test_mig_that_is_off_before_is_drawn_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    here, _ = machine("", InventoryGpus("a30-24gb"))
    show(plan([here], goals({"4g.24gb": 1})))
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  before ┃MIG off                                ┃",
        "  after  ┃4g.24gb                                ┃",
        "         ┃new                                    ┃",
        "         switching MIG on",
        "",
        "1 GPU: 1 to change; 1 instance to make, 0 to destroy, 0 kept",
    ]


def test_what_no_slot_shows_is_said_below(capsys: pytest.CaptureFixture[str]) -> None:
    here, driver = machine("", InventoryGpus("h100-80gb", mig=True))
    driver.create_gpu_instance(driver.gpus()[0].uuid, 9, 4)
    show(plan([again(here)], goals({"3g.40gb": 1})))
    assert (
        "         creating a compute instance in the GPU instance at slot 4"
        in capsys.readouterr().out.splitlines()
    )
    here, driver = machine("", InventoryGpus("a100-40gb", mig=True))
    driver.set_mig_mode(driver.gpus()[0].uuid, False)
    show(plan([again(here)], goals({})))
    assert "         switching MIG on" in capsys.readouterr().out.splitlines()


def test_a_fleet_is_named_by_its_first_nodes() -> None:
    fleet = [machine(f"node-{n}", H100)[0] for n in range(6)]
    planned = plan(fleet, goals({"7g.80gb": 2}))
    assert refusals(planned) == [
        "node-0/0-1, node-1/0-1, node-2/0-1 and 3 nodes more (12 GPUs): 2 x 7g.80gb do not fit on one GPU: "
        "at most 1 7g.80gb fits"
    ]
    assert summary(planned).startswith("12 GPUs: 0 to change, 12 refused; ")


def test_gpus_without_a_goal_are_left_alone() -> None:
    here, driver = machine("", InventoryGpus("l4"), InventoryGpus("h100-80gb", mig=True))
    planned = plan([here], goals(BALANCED))
    assert [one.observed.gpu.index for one in planned] == [1]
    refused = Refused("MIGUnsupported", "no MIG")
    first = driver.gpus()[0].uuid
    (told,) = plan([here], lambda _: {first: refused})
    assert told.outcome == refused and told.steps == ()


def test_programs_get_every_gpu() -> None:
    here, _ = machine("", H100)
    first, second = planning.documents(plan([here], goals({"7g.80gb": 1})))
    assert (first["gpu"], second["gpu"]) == (0, 1)
    assert first["slices"] == [{"profile": "7g.80gb", "start": 0, "compute": []}]
    assert first["steps"] == [
        "creating 7g.80gb at slot 0",
        "creating a compute instance in the GPU instance at slot 0",
    ]


def test_the_same_state_is_planned_once_for_a_whole_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counting(*arguments: Any) -> Outcome:
        asked.append(arguments)
        return reconfigure(*arguments)

    monkeypatch.setattr("aliquot.cli.mig.planning.reconfigure", counting)
    fleet = [machine(f"node-{n}", H100)[0] for n in range(6)]
    assert len(plan(fleet, goals(BALANCED))) == 12
    assert len(asked) == 1
