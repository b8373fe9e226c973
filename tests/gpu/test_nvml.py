"""What only NVML has: its session, its error numbers, its quirks. The promises are in test_driver_contract."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aliquot.gpu.driver import DriverError, Fabric, LinkKind, MigState, ReturnCode, XidEvent
from aliquot.gpu.nvml import NvmlDriver
from aliquot.gpu.nvml.nvidia_smi import nvidia_smi as run_nvidia_smi
from aliquot.gpu.nvml.session import architecture, return_code

MakeMachine = Callable[..., Any]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (1, ReturnCode.UNINITIALIZED),
        (15, ReturnCode.GPU_IS_LOST),
        (19, ReturnCode.IN_USE),
        (23, ReturnCode.INSUFFICIENT_RESOURCES),
        (13, ReturnCode.NOT_SUPPORTED),
        (28, ReturnCode.NOT_FOUND),
        (17, ReturnCode.UNKNOWN),
        (999, ReturnCode.UNKNOWN),
        (4711, ReturnCode.UNKNOWN),
    ],
)
def test_error_numbers_are_nvmls(number: int, code: ReturnCode) -> None:
    assert return_code(number) is code


@pytest.mark.parametrize(
    ("capability", "family"),
    [
        ((6, 1), "pascal"),
        ((7, 0), "volta"),
        ((7, 5), "turing"),
        ((8, 0), "ampere"),
        ((8, 6), "ampere"),
        ((8, 9), "ada-lovelace"),
        ((9, 0), "hopper"),
        ((10, 3), "blackwell"),
        ((12, 0), "blackwell"),
        ((99, 0), ""),
    ],
)
def test_the_family_follows_from_the_compute_capability(capability: tuple[int, int], family: str) -> None:
    assert architecture(*capability) == family


def test_without_a_driver_the_cause_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    def fail() -> None:
        raise pynvml.NVMLError(12)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)
    with pytest.raises(DriverError) as caught:
        NvmlDriver()
    assert str(caught.value) == "NVML cannot be opened: NVML Shared Library Not Found"


@pytest.mark.parametrize(("reported", "known"), [(0x16C110DE, 0x16C110DE), (0, None)])
def test_the_subsystem_tells_boards_of_one_chip_apart(
    nvml_machine: MakeMachine, reported: int, known: int | None
) -> None:
    (gpu,) = nvml_machine("h100-80gb", subsystem_id=reported).driver.gpus()
    assert (gpu.pci_device_id, gpu.pci_subsystem_id) == (0x233010DE, known)


def test_a_reset_finds_no_session_open_and_leaves_one(nvml_machine: MakeMachine) -> None:
    machine = nvml_machine("a100-40gb")
    gpu = machine.driver.gpus()[0].uuid
    machine.driver.wait_event(0)
    machine.driver.set_mig_mode(gpu, True)
    machine.driver.reset_gpu(gpu)  # the fake refuses while a session is open
    assert machine.library.fake_sessions() == 1
    assert machine.driver.gpus()[0].mig is MigState.ENABLED


def test_nobody_is_registered_for_events_while_a_mode_changes(
    nvml_machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pynvml

    driver = nvml_machine("h100-80gb:2").driver
    first, other = (gpu.uuid for gpu in driver.gpus())
    really = pynvml.nvmlDeviceSetMigMode

    def set_mode(handle: Any, mode: int) -> int:
        assert driver.wait_event(0) is None
        assert driver._events is None
        monkeypatch.setattr(pynvml, "nvmlDeviceSetMigMode", really)
        # The other one's change ends before this one's does.
        driver.set_mig_mode(other, True)
        assert driver.wait_event(0) is None
        assert driver._events is None
        return int(really(handle, mode))

    driver.wait_event(0)
    monkeypatch.setattr(pynvml, "nvmlDeviceSetMigMode", set_mode)
    assert driver.set_mig_mode(first, True) is MigState.ENABLED
    driver.wait_event(0)
    assert driver._events is not None


def test_a_reset_that_fails_leaves_a_working_session(nvml_machine: MakeMachine) -> None:
    machine = nvml_machine("a100-40gb")

    def fail(gpu_uuid: str, *_: str) -> None:
        raise DriverError(ReturnCode.IN_USE, "held by another")

    machine.driver._smi = fail
    gpu = machine.driver.gpus()[0].uuid
    with pytest.raises(DriverError, match="held by another"):
        machine.driver.reset_gpu(gpu)
    assert machine.driver.gpus()[0].uuid == gpu


def test_after_a_loss_the_events_of_the_others_still_come(nvml_machine: MakeMachine) -> None:
    machine = nvml_machine("l4:2")
    lost, other = (gpu.uuid for gpu in machine.driver.gpus())
    assert machine.driver.wait_event(0) is None
    machine.lose_gpu(lost)
    with pytest.raises(DriverError) as caught:
        machine.driver.wait_event(0)
    assert caught.value.code is ReturnCode.GPU_IS_LOST
    machine.inject_xid(other, 31)
    assert machine.driver.wait_event(0) == XidEvent(other, 31)


def test_a_gpu_that_was_lost_before_the_start_is_not_there(nvml_machine: MakeMachine) -> None:
    machine = nvml_machine("l4:2")
    gpus = [gpu.uuid for gpu in machine.driver.gpus()]
    machine.driver.close()
    machine.lose_gpu(gpus[0])
    machine.driver._session.open()
    assert [gpu.uuid for gpu in machine.driver.gpus()] == [gpus[1]]


@pytest.mark.parametrize(
    ("number", "told"),
    [(15, ReturnCode.GPU_IS_LOST), (16, ReturnCode.RESET_REQUIRED), (14, ReturnCode.UNKNOWN)],
)
def test_what_is_wrong_with_one_gpu_hides_no_other(
    nvml_machine: MakeMachine, number: int, told: ReturnCode
) -> None:
    machine = nvml_machine("l4:3")
    bad, *good = (gpu.uuid for gpu in machine.driver.gpus())
    machine.library.fake_fail(bad.encode(), number)
    assert [gpu.uuid for gpu in machine.driver.gpus()] == good
    assert [(lost.index, lost.uuid, lost.error.code) for lost in machine.driver.lost_gpus()] == [
        (0, bad, told)
    ]
    assert [link.peer_uuid for link in machine.driver.links(good[0])] == [good[1]]


def test_a_process_that_never_saw_a_lost_gpu_knows_its_index(nvml_machine: MakeMachine) -> None:
    machine = nvml_machine("l4:2")
    machine.lose_gpu(machine.driver.gpus()[1].uuid)
    machine.driver.close()
    machine.driver._session = type(machine.driver._session)(Path("/sys"))  # as another process opens it
    assert [(lost.index, lost.uuid) for lost in machine.driver.lost_gpus()] == [(1, "")]
    assert [gpu.index for gpu in machine.driver.gpus()] == [0]


@pytest.mark.parametrize("content", ["-1\n", "", None])
def test_without_a_numa_node_there_is_none(
    nvml_machine: MakeMachine, tmp_path: Path, content: str | None
) -> None:
    machine = nvml_machine("l4")
    (path,) = tmp_path.glob("sys/bus/pci/devices/*/numa_node")
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    assert machine.driver.gpus()[0].numa_node is None


@pytest.mark.parametrize(
    ("level", "kind"),
    [
        (0, LinkKind.SAME_BOARD),
        (10, LinkKind.SINGLE_SWITCH),
        (20, LinkKind.MULTI_SWITCH),
        (30, LinkKind.HOST_BRIDGE),
        (40, LinkKind.SAME_CPU),
        (50, LinkKind.CROSS_CPU),
    ],
)
def test_pcie_levels_have_their_names(
    nvml_machine: MakeMachine, tmp_path: Path, level: int, kind: LinkKind
) -> None:
    machine = nvml_machine("l4:2")
    scene = tmp_path / "scene"
    scene.write_text(scene.read_text().replace("level 1 50", f"level 1 {level}"))
    machine.driver.close()
    machine.library.fake_load(str(scene).encode())
    machine.driver._session.open()
    (link,) = machine.driver.links(machine.driver.gpus()[0].uuid)
    assert (link.kind, link.lanes) == (kind, 0)


def test_nvlinks_are_told_where_the_pcie_topology_is_not(
    nvml_machine: MakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = nvml_machine("h100-80gb:2")
    nvml = machine.driver._session.nvml

    def not_supported(one: object, other: object) -> int:
        raise nvml.NVMLError(nvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(nvml, "nvmlDeviceGetTopologyCommonAncestor", not_supported)
    (link,) = machine.driver.links(machine.driver.gpus()[0].uuid)
    assert link.kind is LinkKind.NVLINK


@pytest.mark.parametrize(
    ("cluster", "state", "status", "joined"),
    [
        ("8a5b6c7d-0102-4304-8506-0708090a0b0c", 3, 0, True),
        ("8a5b6c7d-0102-4304-8506-0708090a0b0c", 2, 0, False),
        ("8a5b6c7d-0102-4304-8506-0708090a0b0c", 3, 999, False),
        ("00000000-0000-0000-0000-000000000000", 3, 0, False),
    ],
    ids=["completed", "in progress", "failed", "switches of the node alone"],
)
def test_a_domain_counts_once_it_is_joined(
    nvml_machine: MakeMachine, cluster: str, state: int, status: int, joined: bool
) -> None:
    machine = nvml_machine("h100-80gb")
    (gpu,) = machine.driver.gpus()
    machine.report_fabric(gpu.uuid, Fabric(cluster, 3), state=state, status=status)
    assert machine.driver.gpus()[0].fabric == (Fabric(cluster, 3) if joined else None)


@pytest.mark.parametrize(
    ("content", "known"), [("0x030200\n", 0x030200), ("0x030000\n", 0x030000), ("", None), (None, None)]
)
def test_the_pci_class_is_sysfs(
    nvml_machine: MakeMachine, tmp_path: Path, content: str | None, known: int | None
) -> None:
    machine = nvml_machine("l4")
    (path,) = tmp_path.glob("sys/bus/pci/devices/*/class")
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    assert machine.driver.gpus()[0].pci_class == known


def test_compute_profiles_are_known_once_an_instance_exists(nvml_machine: MakeMachine) -> None:
    driver = nvml_machine("h100-80gb:1:mig").driver
    gpu = driver.gpus()[0].uuid
    assert all(profile.compute_profiles == () for profile in driver.instance_profiles(gpu))
    driver.create_gpu_instance(gpu, 14, 0)
    known = {p.profile_id: p.compute_profiles for p in driver.instance_profiles(gpu)}
    assert [(c.profile_id, c.compute_slices) for c in known[14]] == [(0, 1), (1, 2)]
    assert known[19] == ()


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a shell script of that name on the path."""

    def install(script: str) -> Path:
        path = tmp_path / "bin/nvidia-smi"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return install


def test_a_gpu_is_reset_by_nvidia_smi(nvidia_smi: Callable[[str], Path]) -> None:
    path = nvidia_smi('echo "$@" > "$0.called"')
    run_nvidia_smi("GPU-1", "--gpu-reset")
    assert path.with_suffix(".called").read_text() == "--gpu-reset -i GPU-1\n"


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        (
            "echo; echo 'Unable to reset: in use'; exit 19",
            ReturnCode.IN_USE,
            "GPU-1: Unable to reset: in use",
        ),
        ("echo 'root needed' >&2; exit 4", ReturnCode.NO_PERMISSION, "GPU-1: root needed"),
        ("exit 255", ReturnCode.UNKNOWN, "GPU-1: nvidia-smi ended with 255"),
    ],
)
def test_what_nvidia_smi_says_is_passed_on(
    nvidia_smi: Callable[[str], Path], script: str, code: ReturnCode, message: str
) -> None:
    nvidia_smi(script)
    with pytest.raises(DriverError) as caught:
        run_nvidia_smi("GPU-1", "--gpu-reset")
    assert (caught.value.code, str(caught.value)) == (code, message)


def test_without_nvidia_smi_a_reset_is_not_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DriverError, match="nvidia-smi, which is not on the path"):
        run_nvidia_smi("GPU-1", "--gpu-reset")


def test_time_slices_are_set_by_nvidia_smi(nvidia_smi: Callable[[str], Path]) -> None:
    path = nvidia_smi('echo "$@" > "$0.called"')
    run_nvidia_smi("GPU-1", "compute-policy", "--set-timeslice=2")
    assert path.with_suffix(".called").read_text() == "compute-policy --set-timeslice=2 -i GPU-1\n"
