"""The `mig` commands as a user types them, on simulated GPUs."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from aliquot.cli.main import cli
from aliquot.gpu.driver import Process
from aliquot.gpu.inventory import InventoryGpus
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.node.mig.journal import Journal, Layout, SliceRecord
from aliquot.node.mig.one_writer import held

CONFIG = """\
version: v1
mig-configs:
  all-balanced:
  - devices: all
    mig-enabled: true
    mig-devices: {1g.10gb: 2, 2g.20gb: 1, 3g.40gb: 1}
  all-disabled:
  - devices: all
    mig-enabled: false
  too-much:
  - devices: all
    mig-enabled: true
    mig-devices: {1g.10gb: 8}
  divided:
  - devices: [0]
    mig-enabled: true
    mig-instances:
    - {profile: 3g.40gb, start: 0, compute: [1c.3g.40gb, 2c.3g.40gb]}
  - devices: [1]
    mig-enabled: true
    mig-devices: {}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "inventory.yaml").write_text("gpus: [{board: h100-80gb, count: 2, mig: true}]\n")
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def mig(place: Path, command: str, *arguments: str, text: str | None = None) -> Result:
    driver = ("--driver", f"simulated:{place / 'inventory.yaml'}", "--state", str(place / "state"))
    return CliRunner().invoke(cli, ["mig", command, *driver, *arguments], input=text)


def configured(place: Path, command: str, name: str, *more: str) -> Result:
    return mig(place, command, "-f", str(place / "config.yaml"), "-c", name, *more)


def cut(place: Path, gpu: int, profile_id: int, start: int, *parts: int) -> None:
    """As an earlier command left it."""
    (place / "state").mkdir(exist_ok=True)
    driver = SimulatedDriver(
        [InventoryGpus("h100-80gb", 2, True)], node="node-0", state_file=place / "state" / "node-0.json"
    )
    uuid = driver.gpus()[gpu].uuid
    made = driver.create_gpu_instance(uuid, profile_id, start)
    for part in parts or (None,):
        driver.create_compute_instance(uuid, made.gi_id, part)


def test_a_plan_says_by_its_exit_code_whether_there_is_something_to_do(place: Path) -> None:
    assert configured(place, "plan", "all-balanced").exit_code == 2
    (place / "inventory.yaml").write_text("gpus: [{board: h100-80gb}]\n")
    nothing = configured(place, "plan", "all-disabled")
    assert (nothing.exit_code, nothing.output.splitlines()[-1]) == (
        0,
        "1 GPU: 0 to change; 0 instances to make, 0 to destroy, 0 kept",
    )


def test_a_plan_changes_nothing(place: Path) -> None:
    configured(place, "plan", "all-balanced")
    assert not (place / "state").exists()


def test_what_is_in_the_way_is_one_line_for_all_gpus_alike(place: Path) -> None:
    refused = configured(place, "plan", "too-much")
    assert refused.exit_code == 4
    assert refused.output.splitlines()[-1] == (
        "Error: node-0/0-1: 8 x 1g.10gb do not fit on one GPU: at most 7 1g.10gb fit"
    )


def test_programs_read_the_plan_of_each_gpu(place: Path) -> None:
    first, second = json.loads(configured(place, "plan", "divided", "-o", "json").output)
    assert first["slices"] == [{"profile": "3g.40gb", "start": 0, "compute": [1, 2]}]
    assert (second["slices"], second["steps"]) == ([], [])


def test_assert_is_content_when_the_devices_are_there_wherever_they_are(place: Path) -> None:
    for gpu in (0, 1):
        for profile_id, start in ((19, 2), (19, 3), (14, 0), (9, 4)):
            cut(place, gpu, profile_id, start)
    good = configured(place, "assert", "all-balanced")
    assert (good.exit_code, good.output) == (0, "the configuration is applied\n")
    bad = configured(place, "assert", "all-disabled")
    assert bad.exit_code == 1
    assert configured(place, "assert", "all-disabled", "-a").exit_code == 0


def test_assert_of_the_mode_alone_takes_any_slices(place: Path) -> None:
    cut(place, 0, 9, 4)
    assert configured(place, "assert", "all-balanced").exit_code == 1
    assert configured(place, "assert", "all-balanced", "-m").exit_code == 0


def test_what_is_exported_is_what_is_applied(place: Path) -> None:
    cut(place, 0, 9, 4, 0, 1)
    cut(place, 1, 19, 0)
    exported = mig(place, "export", "-l", "mine").output
    assert yaml.safe_load(exported) == {
        "version": "v1",
        "mig-configs": {
            "mine": [
                {"devices": [0], "mig-enabled": True, "mig-devices": {"1c.3g.40gb": 1, "2c.3g.40gb": 1}},
                {"devices": [1], "mig-enabled": True, "mig-devices": {"1g.10gb": 1}},
            ]
        },
    }
    assert mig(place, "assert", "-f", "-", text=exported).exit_code == 0


def test_a_checkpoint_is_written_whole_to_its_file(place: Path) -> None:
    cut(place, 1, 9, 4)
    assert mig(place, "checkpoint", "-f", str(place / "c.json")).exit_code == 0
    first, second = json.loads((place / "c.json").read_text())["MigState"]["Devices"]
    assert first["GpuInstances"] is None
    assert [one["Placement"]["Start"] for one in second["GpuInstances"]] == [4]
    assert not list(place.glob("*.partial"))


def test_profiles_of_the_gpus_at_hand_say_where_there_is_room(place: Path) -> None:
    cut(place, 0, 9, 4)
    found = json.loads(mig(place, "profiles", "-o", "json").output)
    room = {(one["gpu"], one["profile"]): one["freeStarts"] for one in found}
    assert (room[0, "3g.40gb"], room[1, "3g.40gb"]) == ([0], [0, 4])
    assert room[0, "7g.80gb"] == []


@pytest.mark.parametrize(
    ("boards", "balanced"),
    [
        (["a30-24gb"], [{"1g.6gb": 2, "2g.12gb": 1}]),
        (["h100-80gb"], [{"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}]),
        (
            ["h100-80gb", "a30-24gb"],
            [{"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}, {"1g.6gb": 2, "2g.12gb": 1}],
        ),
    ],
)
def test_the_usual_configurations_are_generated(
    place: Path, boards: list[str], balanced: list[dict[str, int]]
) -> None:
    found = yaml.safe_load(mig(place, "generate", *boards).output)["mig-configs"]
    assert [entry["mig-devices"] for entry in found["all-balanced"]] == balanced
    assert ("device-filter" in found["all-balanced"][0]) is (len(boards) > 1)
    assert {"all-disabled", "all-enabled"} <= found.keys()


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("plan", ["-f", "CONFIG", "-c", "nope"], "there is no configuration 'nope'; there are all-balanced"),
        ("plan", ["-f", "CONFIG"], "which configuration? There are all-balanced, all-disabled"),
        ("plan", ["-f", "missing.yaml"], "missing.yaml: cannot be read"),
        ("profiles", ["h100"], "unknown board 'h100'"),
        ("profiles", ["l4"], "board 'l4' has no MIG"),
        ("generate", ["l4"], "board 'l4' has no MIG"),
        ("export", ["--node", "other", "--driver", "simulated:missing"], "missing: cannot be read"),
        ("checkpoint", ["-f", "/no/such/directory/c.json"], "choose another file"),
    ],
)
def test_bad_input_is_one_line(place: Path, command: str, arguments: list[str], message: str) -> None:
    config = str(place / "config.yaml")
    done = mig(place, command, *[config if one == "CONFIG" else one for one in arguments])
    assert done.exit_code != 0
    assert message in done.output


def test_apply_cuts_as_planned_and_a_second_time_has_nothing_to_do(place: Path) -> None:
    done = configured(place, "apply", "all-balanced")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert "node-0/0: 1/8 creating 1g.10gb at slot 0" in lines
    assert lines[-1] == "2 GPUs: done"
    assert configured(place, "assert", "all-balanced").exit_code == 0
    assert configured(place, "apply", "all-balanced").output == "2 GPUs: nothing to do\n"


def test_apply_is_refused_as_a_whole(place: Path) -> None:
    refused = configured(place, "apply", "too-much")
    assert refused.exit_code == 4
    assert "8 x 1g.10gb do not fit" in refused.output
    assert mig(place, "export").output.count("mig-devices: {}") == 1


def test_a_dry_run_is_the_plan(place: Path) -> None:
    shown = configured(place, "apply", "all-balanced", "--dry-run")
    assert shown.output == configured(place, "plan", "all-balanced").output
    assert not (place / "state").exists()


def test_without_a_state_an_apply_is_on_paper(place: Path) -> None:
    driver = f"simulated:{place / 'inventory.yaml'}"
    arguments = ["mig", "apply", "-f", str(place / "config.yaml"), "-c", "all-balanced", "--driver", driver]
    for _ in range(2):
        assert CliRunner().invoke(cli, arguments).output.endswith("2 GPUs: done\n")


def test_restore_brings_back_the_very_slices(place: Path) -> None:
    cut(place, 0, 19, 5)
    cut(place, 1, 9, 0, 1, 0)
    before = mig(place, "checkpoint").output
    (place / "c.json").write_text(before)
    assert configured(place, "apply", "all-balanced").exit_code == 0
    assert mig(place, "checkpoint").output != before
    assert mig(place, "restore", "-f", str(place / "c.json")).exit_code == 0
    assert mig(place, "checkpoint").output == before
    (place / "c.json").write_text(before.replace("GPU-", "GPU-x"))
    missing = mig(place, "restore", "-f", str(place / "c.json"))
    assert missing.exit_code == 1 and "there is no GPU GPU-x" in missing.output


def test_what_was_cut_short_is_shown_finished_and_rolled_back(place: Path) -> None:
    assert mig(place, "recover").output == "nothing was cut short\n"
    cut(place, 0, 19, 5)
    driver = SimulatedDriver(
        [InventoryGpus("h100-80gb", 2, True)], node="node-0", state_file=place / "state" / "node-0.json"
    )
    uuid = driver.gpus()[0].uuid
    journal = place / "state" / "node-0" / "journal"
    for way, left in (("--roll-back", ["1g.10gb"]), ("--finish", ["3g.40gb"])):
        journal.mkdir(parents=True, exist_ok=True)
        began = Layout(True, (SliceRecord(19, 5),))
        Journal(journal, uuid, Layout(True, (SliceRecord(9, 4),)), began, 0.0).begin()
        shown = mig(place, "recover")
        assert shown.exit_code == 6
        assert "node-0/0: cut short before its first step" in shown.output
        refused = configured(place, "apply", "divided")
        assert refused.exit_code == 6 and "an earlier change was cut short" in refused.output
        assert mig(place, "recover", way).exit_code == 0
        config = yaml.safe_load(mig(place, "export").output)["mig-configs"]["current"]
        assert list(config[0]["mig-devices"]) == left


def test_who_is_named_may_go_and_no_other(place: Path) -> None:
    wrong = configured(place, "apply", "all-balanced", "--release", "0:4")
    assert "--release 0:4: no instance begins there" in wrong.output
    assert configured(place, "apply", "all-balanced", "--release", "x").exit_code == 1


def test_hooks_run_around_a_change_with_what_they_are_told(place: Path) -> None:
    def hook(point: str, more: str = "") -> str:
        said = f"echo {point} $MIG_PARTED_SELECTED_CONFIG $OWN $HOME >> {place}/said{more}"
        return f"  {point}:\n  - command: /bin/sh\n    args: ['-c', '{said}']\n    envs: {{OWN: x}}\n"

    points = ("apply-start", "pre-apply-mode", "pre-apply-config", "apply-exit")
    (place / "hooks.yaml").write_text("version: v1\nhooks:\n" + "".join(map(hook, points)))
    with_hooks = ("-k", str(place / "hooks.yaml"))
    assert configured(place, "apply", "all-balanced", *with_hooks).exit_code == 0
    assert configured(place, "apply", "all-balanced", *with_hooks).exit_code == 0
    assert (place / "said").read_text().splitlines() == [
        f"{point} all-balanced x" for point in ("apply-start", "pre-apply-config", "apply-exit")
    ] + ["apply-start all-balanced x", "apply-exit all-balanced x"]
    (place / "hooks.yaml").write_text(
        "version: v1\nhooks:\n" + hook("pre-apply-mode", "; exit 3") + hook("apply-exit")
    )
    (place / "said").unlink()
    failed = configured(place, "apply", "all-disabled", *with_hooks)
    assert failed.exit_code == 1
    assert "hook 1 of pre-apply-mode, /bin/sh: ended with 3" in failed.output
    assert len((place / "said").read_text().splitlines()) == 2
    assert configured(place, "assert", "all-balanced").exit_code == 0


def test_who_came_while_the_hooks_ran_is_not_overrun(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(place, 0, 9, 4)
    really = SimulatedDriver.processes

    def processes(driver: SimulatedDriver, gpu_uuid: str) -> Sequence[Process]:
        came = (place / "ran").exists() and gpu_uuid == driver.gpus()[0].uuid
        return (
            [Process(12, instance.gi_id, None, None) for instance in driver.instances(gpu_uuid)]
            if came
            else really(driver, gpu_uuid)
        )

    monkeypatch.setattr(SimulatedDriver, "processes", processes)
    hook = f"  pre-apply-config:\n  - {{command: /usr/bin/touch, args: ['{place / 'ran'}']}}\n"
    (place / "hooks.yaml").write_text("version: v1\nhooks:\n" + hook)
    refused = configured(place, "apply", "all-disabled", "-k", str(place / "hooks.yaml"))
    assert refused.exit_code == 3
    assert "3g.40gb at slot 4 is in use by process 12" in refused.output
    assert yaml.safe_load(mig(place, "export").output)["mig-configs"]["current"][0]["mig-devices"] == {
        "3g.40gb": 1
    }


def test_two_commands_do_not_change_one_nodes_simulated_gpus(place: Path) -> None:
    (place / "state").mkdir()
    with held(place / "state", "node-0"):
        refused = configured(place, "apply", "all-balanced")
        assert (refused.exit_code, "is changing node-0: wait until it has ended" in refused.output) == (
            3,
            True,
        )
        assert configured(place, "plan", "all-balanced").exit_code == 2
    assert configured(place, "apply", "all-balanced").exit_code == 0


# --- a lost GPU ---


def lose(place: Path, gpu: int) -> str:
    (place / "state").mkdir(exist_ok=True)
    driver = SimulatedDriver(
        [InventoryGpus("h100-80gb", 2, True)], node="node-0", state_file=place / "state" / "node-0.json"
    )
    uuid = driver.gpus()[gpu].uuid
    driver.lose_gpu(uuid)
    return uuid


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "-f", "config.yaml", "-c", "all-balanced"),
        ("assert", "-f", "config.yaml", "-c", "all-balanced"),
        ("assert", "-f", "config.yaml", "-c", "divided"),
        ("apply", "-f", "config.yaml", "-c", "all-balanced"),
        ("apply", "-f", "config.yaml", "-c", "all-balanced", "--dry-run"),
        ("restore", "-f", "before.json"),
        ("checkpoint",),
        ("export",),
    ],
    ids=" ".join,
)
def test_a_lost_gpu_is_named_and_nothing_is_begun(
    place: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]
) -> None:
    monkeypatch.chdir(place)
    cut(place, 0, 9, 0)
    mig(place, "checkpoint", "-f", "before.json")
    uuid = lose(place, 1)
    before = (place / "state" / "node-0.json").read_text()
    command, *rest = arguments
    refused = mig(place, command, *rest)
    assert refused.exit_code == 5
    assert refused.output.splitlines()[-1] == (
        f"Error: node-0/1 ({uuid}) is lost: it has fallen off the bus; reboot the machine"
    )
    assert (place / "state" / "node-0.json").read_text() == before


def test_a_lost_gpu_that_the_configuration_leaves_out_is_in_nobodys_way(place: Path) -> None:
    lose(place, 1)
    text = (
        "version: v1\nmig-configs:\n  a:\n  - {devices: [0], mig-enabled: true, mig-devices: {3g.40gb: 2}}\n"
    )
    assert mig(place, "apply", "-f", "-", text=text).exit_code == 0
    assert mig(place, "assert", "-f", "-", text=text).exit_code == 0


@pytest.mark.parametrize("command", ["profiles", "generate"])
def test_what_is_known_without_a_lost_gpu_is_said_with_a_warning(place: Path, command: str) -> None:
    lose(place, 1)
    said = mig(place, command)
    assert said.exit_code == 0 and "3g.40gb" in said.stdout
    assert said.stderr.startswith("warning: node-0/1 (GPU-")


# --- what cannot stand in a configuration ---


def test_export_says_what_the_file_cannot_say(place: Path) -> None:
    (place / "inventory.yaml").write_text("gpus: [{board: a100-80gb}, {board: a100-80gb, mig: true}]\n")
    (place / "state").mkdir()
    driver = SimulatedDriver(
        [InventoryGpus("a100-80gb"), InventoryGpus("a100-80gb", mig=True)],
        node="node-0",
        state_file=place / "state" / "node-0.json",
    )
    off, on = (gpu.uuid for gpu in driver.gpus())
    driver.set_mig_mode(off, True)
    driver.create_gpu_instance(on, 9, 4)
    exported = mig(place, "export")
    assert exported.exit_code == 0
    assert exported.stderr.splitlines() == [
        "warning: node-0/0: MIG is off, and goes on with the next reset",
        "warning: node-0/1: 3g.40gb at slot 4 has no compute instances, and is left out",
    ]
    assert "warning" not in exported.stdout


@pytest.mark.parametrize(
    ("written", "asked", "end"),
    [
        ("on", "on", """there are true (on without quotes is a truth value of YAML: write it as "on")"""),
        ("No", "No", """there are false (No without quotes is a truth value of YAML: write it as "No")"""),
        ('"on"', "yes", "there are on"),
    ],
)
def test_a_name_that_yaml_reads_as_a_truth_value_is_told_of(
    place: Path, written: str, asked: str, end: str
) -> None:
    text = f"version: v1\nmig-configs:\n  {written}:\n  - {{devices: all, mig-enabled: false}}\n"
    refused = mig(place, "plan", "-f", "-", "-c", asked, text=text)
    assert refused.exit_code == 1
    assert refused.output.rstrip().endswith(f"there is no configuration '{asked}'; {end}")
    known = {"on": "true", "No": "false", '"on"': "on"}[written]
    assert mig(place, "plan", "-f", "-", "-c", known, text=text).exit_code == 2


@pytest.mark.parametrize("arguments", [["plan", "--nope"], ["nope"], ["--nope"], ["plan"]], ids=" ".join)
def test_a_wrong_command_line_is_told_from_changes(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, ["mig", *arguments]).exit_code == 1


@pytest.mark.parametrize("way", ["--finish", "--roll-back", None])
def test_where_nothing_was_cut_short_it_is_said(place: Path, way: str | None) -> None:
    said = mig(place, "recover", *([way] if way else []))
    assert (said.exit_code, said.output) == (0, "nothing was cut short\n")


# --- modes that wait for a reset ---


def test_without_a_reset_the_mode_is_set_and_the_slices_wait(place: Path) -> None:
    (place / "inventory.yaml").write_text("gpus: [{board: a100-80gb, count: 2}]\n")
    said = configured(place, "apply", "all-balanced", "--skip-reset")
    assert (said.exit_code, said.stderr.splitlines()) == (
        7,
        [
            f"{start}node-0/{gpu}: its MIG mode waits for a reset of the GPU, or a reboot; apply again after it"
            for gpu, start in enumerate(("Error: ", ""))
        ],
    )
    mode = configured(place, "apply", "all-balanced", "-s", "-m")
    assert (mode.exit_code, mode.stderr.splitlines()[0]) == (
        0,
        "warning: node-0/0: its MIG mode waits for a reset of the GPU, or a reboot",
    )
    assert mig(place, "recover").output == "nothing was cut short\n"
    assert configured(place, "apply", "all-balanced").exit_code == 0
    assert configured(place, "assert", "all-balanced").exit_code == 0


def test_where_no_reset_is_needed_skipping_it_changes_nothing(place: Path) -> None:
    assert configured(place, "apply", "all-balanced", "-s").exit_code == 0
    assert configured(place, "assert", "all-balanced").exit_code == 0


def test_what_was_cut_short_on_a_lost_gpu_waits_for_it(place: Path) -> None:
    uuid = lose(place, 1)
    journal = place / "state" / "node-0" / "journal"
    journal.mkdir(parents=True)
    Journal(journal, uuid, Layout(True, (SliceRecord(9, 4),)), Layout(True), 0.0).begin()
    assert "node-0/1: cut short before its first step" in mig(place, "recover").output
    refused = mig(place, "recover", "--finish")
    assert (refused.exit_code, refused.output) == (
        5,
        f"Error: node-0/1: {uuid}: GPU is lost; when it is back, `aliquot mig recover` finishes it, or rolls it back\n",
    )


def test_one_nodes_failure_leaves_no_other_node_cut_short(place: Path) -> None:
    (place / "inventory.yaml").write_text(
        "nodes:\n" + "".join(f"- {{name: n{i}, gpus: [{{board: h100-80gb, mig: true}}]}}\n" for i in (0, 1))
    )
    (place / "state").mkdir()
    for name in ("n0", "n1"):
        driver = SimulatedDriver(
            [InventoryGpus("h100-80gb", 1, True)], node=name, state_file=place / "state" / f"{name}.json"
        )
        uuid = driver.gpus()[0].uuid
        journal = place / "state" / name / "journal"
        journal.mkdir(parents=True)
        Journal(journal, uuid, Layout(True, (SliceRecord(9, 4),)), Layout(True), 0.0).begin()
        if name == "n0":
            driver.lose_gpu(uuid)
    assert mig(place, "recover", "--finish").exit_code == 5
    assert mig(place, "recover", "--node", "n1").output == "nothing was cut short\n"
    assert "3g.40gb: 1" in mig(place, "export", "--node", "n1").output
