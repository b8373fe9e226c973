import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from aliquot.cli.main import cli

CLASS = """apiVersion: aliquot.dev/v1alpha1
kind: GPUClass
metadata: {name: notebook}
spec:
  ways:
  - timeSlicing: {replicas: 4}
  - mig: {profile: 1g.5gb}
"""


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["partition", "choose", *arguments])
    return result.exit_code, result.output


def of_class(tmp_path: Path, text: str, *arguments: str) -> tuple[int, str]:
    path = tmp_path / "class.yaml"
    path.write_text(text)
    code, output = run("--class", str(path), *arguments)
    return code, output.replace(str(path), "class.yaml")


def test_ways_with_their_price_then_risks_then_what_does_not_serve() -> None:
    code, text = run("--board", "h100-80gb", "--memory", "15Gi", "--isolation", "Limits")
    lines = text.splitlines()
    assert code == 0
    assert lines[0].split("   ")[0] == "WAY"
    assert lines[1].split() == [
        "MIG",
        "slice",
        "1g.20gb",
        "19.6",
        "GiB",
        "14",
        "%",
        "Hardware",
        "4.6",
        "GiB",
        "14",
        "%",
    ]
    assert lines[2].split() == [
        "MPS",
        "share,",
        "1",
        "of",
        "5",
        "15.9",
        "GiB",
        "20",
        "%",
        "Limits",
        "0.9",
        "GiB",
        "20",
        "%",
    ]
    assert sum(line.startswith("risk: ") for line in lines) == 1
    assert any(line.startswith("risk: MPS does not isolate faults") for line in lines)
    assert "does not serve: time slice, 1 of 5: its isolation is None, Limits is needed" in lines
    assert "does not serve: MIG slice 1g.10gb: it has 9.8 GiB, 15.0 are needed" in lines


def test_nothing_serves() -> None:
    code, text = run("--board", "l4", "--memory", "80Gi")
    assert code == 0 and text.startswith("no way serves on l4\n")


def test_programs_get_the_figures() -> None:
    code, text = run("--board", "h100-80gb", "--memory", "9Gi", "--compute-percent", "10", "-o", "json")
    found = json.loads(text)
    assert code == 0 and found["board"] == "h100-80gb"
    best, second = found["ways"][:2]
    assert (best["way"], best["memoryMib"], best["wastedMemoryMib"]) == ("MPS share, 1 of 8", 10194, 978)
    assert best["isolation"] == "Limits" and "may lift them" in best["risk"]
    assert second["way"] == "time slice, 1 of 8" and "isolate neither" in second["risk"]
    assert found["unfit"] == []


def test_a_class_of_a_file(tmp_path: Path) -> None:
    code, text = of_class(tmp_path, CLASS, "--board", "h100-80gb")
    assert code == 0
    assert text.splitlines()[1].startswith("time slice, 1 of 4 ")
    assert text.splitlines()[2].startswith("risk: time slices isolate neither")
    assert (
        text.splitlines()[3]
        == "does not serve: MIG slice 1g.5gb: the board has no such profile; the nearest is 1g.10gb"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CLASS.replace("GPUClass", "GpuClass"), "class.yaml:2: "),
        (CLASS.replace("  ways", "  way"), "unknown field 'way' in spec; did you mean 'ways'?"),
        (
            CLASS.replace("mig: {profile: 1g.5gb}", "{}"),
            "class.yaml:7: each way is exactly one of mig, mps, timeSlicing and whole",
        ),
        (CLASS.replace("spec:", "spec:\n  boards: [l4]"), "is for boards l4, and not for 'h100-80gb'"),
        (CLASS.replace("spec:", "spec:\n  memory: much"), "memory: 'much' is not a quantity"),
    ],
)
def test_a_bad_class_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    code, output = of_class(tmp_path, text, "--board", "h100-80gb")
    assert code == 1 and message in output and len(output.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--board", "h100"], 1, "unknown board 'h100'; did you mean"),
        (["--board", "l4"], 2, "give --memory, --compute-percent or --class"),
        (["--board", "l4", "--memory", "ten"], 1, "memory: 'ten' is not a quantity"),
        (["--board", "l4", "--class", "a.yaml", "--memory", "1Gi"], 2, "--class says what is needed"),
        (["--board", "l4", "--class", "./a"], 1, "a: cannot be read"),
    ],
)
def test_what_is_asked_wrongly(arguments: list[str], code: int, message: str) -> None:
    # The board is looked up first.
    found, output = run(*arguments, *(["--memory", "1Gi"] if arguments == ["--board", "h100"] else []))
    assert found == code and message in output
