"""What would be served, without serving it."""

from aliquot.node.companions import CompanionFiles
from aliquot.node.inventory import observe
from aliquot.node.plugin_config.file import Flags, MigStrategy, parse
from aliquot.node.plugin_config.settings import Companion, Settings, resolve
from aliquot.node.preview import changes, preview
from tests.node.machines import cut, machine


def test_a_preview_names_resources_devices_and_environment() -> None:
    driver = machine("h100-80gb:1:mig,h100-80gb:1")
    cut(driver, driver.gpus()[0], ("1g.10gb+me", 2))
    found = preview(observe(driver), Settings(mig_strategy=MigStrategy.MIXED))
    assert found.problems == ()
    devices = {resource.name: resource.devices for resource in found.resources if resource.devices}
    assert list(devices) == ["nvidia.com/gpu", "nvidia.com/mig-1g.10gb.me"]
    (part,) = devices["nvidia.com/mig-1g.10gb.me"]
    assert (part.gpu_index, part.profile, part.start, part.fault) == (0, "1g.10gb+me", 2, "")
    assert part.answer.environment == {
        "NVIDIA_VISIBLE_DEVICES": part.id,
        "ALIQUOT_VISIBLE_DEVICES_MIG_1G_10GB_ME": part.id,
    }
    assert "nvidia.com/mig-7g.80gb" in {resource.name for resource in found.resources}


def test_a_fault_of_all_gpus_is_said_once() -> None:
    found = preview(
        observe(machine("h100-80gb:1:mig,h100-80gb:1")), Settings(mig_strategy=MigStrategy.SINGLE)
    )
    assert found.problems == ("MIG strategy single needs MIG on every GPU or on none: it is off on GPU 1",)


def test_a_fault_of_one_gpu_names_it() -> None:
    driver = machine("h100-80gb:1,h100-80gb:1:mig")
    driver.create_gpu_instance(driver.gpus()[1].uuid, 0, 0)
    (problem,) = preview(observe(driver), Settings(mig_strategy=MigStrategy.MIXED)).problems
    assert problem == "GPU 1: GPU instance 0 has no compute instance, so it is no device"


def test_all_that_is_wrong_is_said_once_each() -> None:
    text = "flags: {mpsRoot: /m}\nsharing: {mps: {resources: [{name: gpu, replicas: 49}, {name: mig-9g.1gb, replicas: 2}]}}"
    found = preview(observe(machine("h100-80gb:2")), resolve(Flags(), parse(text, source="f")))
    assert found.problems == (
        "f:2: this node has no nvidia.com/mig-9g.1gb",
        "49 MPS shares of GPU 0: NVIDIA H100 80GB HBM3 takes 48 clients",
        "49 MPS shares of GPU 1: NVIDIA H100 80GB HBM3 takes 48 clients",
    )


def test_a_gpu_that_cannot_be_used_says_why() -> None:
    found = preview(observe(machine("h100-80gb:1:mig")), Settings(mig_strategy=MigStrategy.NONE))
    assert "MIG strategy is none" in found.resources[0].devices[0].fault


def test_a_preview_has_the_labels_of_the_node() -> None:
    driver = machine("h100-80gb:1:mig,h100-80gb:1")
    cut(driver, driver.gpus()[0], ("1g.10gb+me", 2))
    labels = preview(observe(driver), Settings(), "DGX H100").labels
    assert labels["nvidia.com/mig-1g.10gb.me.count"] == "1"
    assert labels["nvidia.com/gpu.machine"] == "DGX-H100"
    assert "nvidia.com/gfd.timestamp" not in labels


def test_companions_that_the_machine_does_not_have_are_left_out_and_told() -> None:
    settings = Settings(companions=(Companion.GDRCOPY, Companion.GDS))
    found = preview(
        observe(machine("h100-80gb:1")), settings, companions={Companion.GDS: CompanionFiles(("/dev/x",))}
    )
    (device,) = found.resources[0].devices
    assert "NVIDIA_GDS" in device.answer.environment
    assert "NVIDIA_GDRCOPY" not in device.answer.environment
    assert found.notes == ("gdrcopyEnabled: this machine has no /dev/gdrdrv, so containers get none",)


def test_nothing_is_counted_without_the_channel_that_is_required() -> None:
    settings = Settings(companions=(Companion.IMEX_CHANNEL,), imex_required=True)
    found = preview(observe(machine("h100-80gb:1")), settings, companions={})
    (problem,) = found.problems
    assert problem.startswith("imex.required: this machine has no ")
    assert [(r.count, r.devices[0].fault) for r in found.resources if r.devices] == [(0, problem)]


def test_two_configurations_are_told_apart_by_what_they_come_to() -> None:
    snapshot = observe(machine("h100-80gb:2"))
    text = (
        "sharing: {timeSlicing: {renameByDefault: true, resources: [{name: gpu, replicas: 4, devices: [0]}]}}"
    )
    shared = resolve(Flags(), parse(text, source="f"))
    before, after = preview(snapshot, Settings()), preview(snapshot, shared)
    assert changes(before, before) == ()
    told = {change.what: (change.before, change.after) for change in changes(before, after)}
    uuid = snapshot.gpus[0].gpu.uuid
    assert told["nvidia.com/gpu"] == ("2", "1")
    assert told["nvidia.com/gpu.shared"] == ("", "4")
    assert told[f"device {uuid}"] == ("nvidia.com/gpu", "nvidia.com/gpu.shared, timeSlicing x 4")
    assert f"device {snapshot.gpus[1].gpu.uuid}" not in told
