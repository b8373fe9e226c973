import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from aliquot.cli.main import cli

BINDINGS = """\
roles:
  developers: {groups: ["https://login.example.com#dev"]}
  on-call: {groups: ["https://login.example.com#on-call"]}
  lead: {groups: ["https://login.example.com#leads"]}
  security: {groups: ["https://login.example.com#security"]}
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["access", "templates", *arguments])


@pytest.fixture
def pod_logs(tmp_path: Path) -> Path:
    """A copy of the shipped one, as its documentation has it made."""
    file = tmp_path / "pod-logs.yaml"
    file.write_text(run("show", "pod-logs").output)
    return file


@pytest.fixture
def bindings(tmp_path: Path) -> Path:
    file = tmp_path / "who.yml"
    file.write_text(BINDINGS)
    return file


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_what_is_shipped_is_listed() -> None:
    lines = run("list").output.splitlines()
    assert lines[0].split() == ["NAME", "TIER", "WHERE", "MOST", "APPROVAL", "STEP-UP", "TICKET", "EMERGENCY"]
    (secret,) = [line.split("   ") for line in lines if line.startswith("secret-read")]
    words = [word.strip() for word in secret if word.strip()]
    assert words == [
        "secret-read",
        "high",
        "namespace",
        "30m",
        "leads|platform + security",
        "webauthn/webauthn",
        "required",
        "-",
    ]
    assert "Read one Secret." in run("list", "-o", "wide").output
    names = [line.split()[0] for line in lines[1:]]
    assert [one["name"] for one in json.loads(run("list", "-o", "json").output)] == names


def test_a_file_is_shown_to_be_copied(pod_logs: Path) -> None:
    checked = run("check", str(pod_logs))
    assert (checked.exit_code, checked.output) == (0, "1 template: nothing speaks against it\n")


def test_what_comes_of_a_file_is_shown_with_its_digest(bindings: Path) -> None:
    unbound = yaml.safe_load(run("show", "pod-logs", "-o", "yaml").output)
    bound = json.loads(run("show", "pod-logs", "-o", "json", "--bindings", str(bindings)).output)
    assert unbound["requesters"] == {"groups": [], "people": []}
    assert bound["requesters"]["groups"] == [
        "https://login.example.com#dev",
        "https://login.example.com#on-call",
    ]
    assert bound["role"] == "aliquot-bg:pod-logs"
    assert bound["digest"].startswith("sha256:") and bound["digest"] != unbound["digest"]
    assert json.loads(run("show", "pod-exec", "-o", "json").output)["role"] == ""


def test_one_that_is_not_shipped() -> None:
    shown = run("show", "pod-log")
    assert shown.exit_code == 1
    assert "no template 'pod-log' is shipped; did you mean 'pod-logs'" in shown.output


def test_what_speaks_against_a_file_is_told_by_line(pod_logs: Path) -> None:
    change(pod_logs, "pods/log, events], verbs: [get, list, watch]", "secrets], verbs: [get, escalate]")
    checked = run("check", str(pod_logs))
    assert checked.exit_code == 1
    assert checked.output.startswith(f"{pod_logs}:7: error: refused: verbs 'escalate': it lets its holder")
    (found,) = json.loads(run("check", str(pod_logs), "-o", "json").output)
    assert (found["file"], found["line"], found["weight"]) == (str(pod_logs), 7, "error")


def test_all_files_of_a_directory_are_read_though_one_is_broken(pod_logs: Path) -> None:
    (pod_logs.parent / "broken.yaml").write_text("name: [")
    (pod_logs.parent / "same.yaml").write_text(pod_logs.read_text())
    (pod_logs.parent / "wrong.yaml").write_text(pod_logs.read_text().replace("owner:", "ownr:"))
    checked = run("check", str(pod_logs.parent))
    assert checked.exit_code == 1
    told = [line.removeprefix(f"{pod_logs.parent}/") for line in checked.output.splitlines()]
    assert [line.partition(": error: ")[0] for line in told] == [
        "broken.yaml:2",
        "same.yaml:1",
        "wrong.yaml:2",
    ]
    assert "pod-logs.yaml:1 is template 'pod-logs' as well: rename one" in told[1]
    assert "unknown field 'ownr'; did you mean 'owner'?" in told[2]


def test_two_of_one_name_in_one_file(pod_logs: Path) -> None:
    pod_logs.write_text(f"{pod_logs.read_text()}---\n{pod_logs.read_text()}")
    assert "is template 'pod-logs' as well" in run("check", str(pod_logs)).output


def test_words_that_are_bound_to_nobody_are_told(pod_logs: Path, bindings: Path) -> None:
    checked = run("check", str(pod_logs), "--bindings", str(bindings))
    assert checked.exit_code == 0
    notes = [line.partition(": note: ")[2] for line in checked.output.splitlines()[:-1]]
    assert notes == ["'leads' is bound to nobody; did you mean 'lead'?"] * 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["check"], 2, "Missing argument 'FILE...'"),
        (["check", "/nowhere.yaml"], 1, "/nowhere.yaml: error: cannot be read: No such file or directory"),
        (["check", "{empty}"], 1, "no *.yaml in it"),
        (["check", "{empty}/x", "--bindings", "/nowhere"], 1, "/nowhere: cannot be read"),
        (["show", "pod-logs", "-o", "wide"], 2, "'wide' is not one of"),
    ],
)
def test_a_wrong_command_line(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    done = run(*(one.format(empty=tmp_path) for one in arguments))
    assert done.exit_code == code
    assert said in done.output


def test_wrong_bindings_are_told_by_line(pod_logs: Path, bindings: Path) -> None:
    change(bindings, "https://login.example.com#dev", "dev")
    checked = run("check", str(pod_logs), "--bindings", str(bindings))
    assert checked.exit_code == 1
    assert f"{bindings}:2: 'dev' is no group: write ISSUER#NAME" in checked.output
