import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from aliquot.cli.main import cli

NODES = "sn,cpu_milli,memory_mib,gpu,model\n" + "".join(f"n{n},64000,1024,4,A\n" for n in range(30))
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n" + "".join(
    f"p{n:03},4000,1,1,{(1000, 470, 810, 320)[n % 4]}\n" for n in range(120)
)


def run(tmp_path: Path, *arguments: str, nodes: str = NODES, pods: str = PODS) -> tuple[int, str]:
    (tmp_path / "nodes.csv").write_text(nodes)
    (tmp_path / "pods.csv").write_text(pods)
    files = ["--nodes", str(tmp_path / "nodes.csv"), "--pods", str(tmp_path / "pods.csv")]
    result = CliRunner().invoke(cli, ["scheduler", "simulate", *files, "--processes", "1", *arguments])
    return result.exit_code, result.output.replace(f"{tmp_path}/", "")


def test_a_table(tmp_path: Path) -> None:
    code, text = run(tmp_path, "--policy", "aliquot,fgd", "--seeds", "2")
    header, first, second = text.splitlines()
    assert code == 0
    assert header.split("   ")[0] == "POLICY" and header.count("VS ALIQUOT") == 2
    assert first.startswith("aliquot") and second.startswith("fgd")


def test_of_policies_that_are_given_one_by_one_none_is_lost(tmp_path: Path) -> None:
    given = ("--policy", "fgd", "--policy", "random,fgd", "--policy", "bestfit")
    code, text = run(tmp_path, *given, "--seeds", "1", "-o", "json")
    assert code == 0
    assert list(json.loads(text)["policies"]) == ["fgd", "random", "bestfit"]


def test_programs_get_every_run(tmp_path: Path) -> None:
    code, text = run(tmp_path, "--policy", "bestfit,random", "--seeds", "2", "-o", "json")
    found = json.loads(text)
    assert code == 0
    assert [(one["policy"], one["seed"]) for one in found["runs"]] == [
        ("bestfit", 42),
        ("random", 42),
        ("bestfit", 43),
        ("random", 43),
    ]
    assert all(0 < one["allocation_at_100"] <= one["allocation_at_130"] <= 100 for one in found["runs"])
    summary = found["policies"]["random"]
    assert summary["difference"]["to"] == "bestfit"
    mean = {name: one["mean"]["allocation_at_130"] for name, one in found["policies"].items()}
    difference = summary["difference"]["allocation_at_130"]
    assert difference["mean"] == pytest.approx(mean["random"] - mean["bestfit"])
    assert difference["half_width"] > 0


def test_how_much_is_in_pieces_too_small(tmp_path: Path) -> None:
    code, text = run(tmp_path, "--policy", "fgd,random", "--seeds", "2", "-o", "json")
    found = json.loads(text)["policies"]
    assert code == 0
    fragmented = {name: one["fragmented"]["allocation_at_100"] for name, one in found.items()}
    assert 0 <= fragmented["fgd"] < fragmented["random"] < 100


@pytest.mark.parametrize("name", ["packing.png", "packing.html"])
def test_a_plot(tmp_path: Path, name: str) -> None:
    pytest.importorskip("matplotlib")
    code, text = run(
        tmp_path, "--policy", "fgd,random", "--seeds", "1", "--plot", str(tmp_path / "plots" / name)
    )
    assert (code, f"drawn: plots/{name}" in text) == (0, True)
    drawn = (tmp_path / "plots" / name).read_bytes()
    assert drawn.startswith(b"\x89PNG" if name.endswith("png") else b"<!doctype html>")
    assert (b"<svg" in drawn and b"FRAGMENTED @100" in drawn) is name.endswith("html")


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    code, text = run(tmp_path, "--policy", "fgd,bestfit", "--seeds", "1", "-o", "json")
    found = json.loads(text)["policies"]["bestfit"]
    assert code == 0
    assert found["sd"] == {"allocation_at_100": None, "allocation_at_130": None}
    assert found["difference"]["allocation_at_100"]["half_width"] is None


def test_an_unknown_policy(tmp_path: Path) -> None:
    code, text = run(tmp_path, "--policy", "aliquot,best")
    assert code == 2
    assert "there is no 'best'; there are aliquot, fgd, bestfit, packing" in text


def test_a_bad_line_is_one_line(tmp_path: Path) -> None:
    code, text = run(tmp_path, pods=PODS + "px,4000,1,1,1500\n")
    assert code == 1
    assert text == "Error: pods.csv:122: gpu_milli is 1500; a GPU has 1000\n"


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_bytes(b"\xff\xfe\x00")
    result = CliRunner().invoke(
        cli,
        [
            "scheduler",
            "simulate",
            "--nodes",
            str(tmp_path / "other.csv"),
            "--pods",
            str(tmp_path / "other.csv"),
        ],
    )
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {tmp_path}/other.csv: it is no text in UTF-8")


def test_without_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("aliquot.scheduler.simulation")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)
    code, text = run(tmp_path)
    assert code == 1
    assert (
        text.endswith("simulations need numpy: pip install 'aliquot[partition]'\n") and text.count("\n") == 1
    )


def test_several_processes_come_to_the_same(tmp_path: Path) -> None:
    code, alone = run(tmp_path, "--policy", "random,fgd", "--seeds", "2", "-o", "json")
    several_code, several = run(
        tmp_path, "--policy", "random,fgd", "--seeds", "2", "--processes", "2", "-o", "json"
    )
    assert code == several_code == 0
    timed = ("decisions_per_s",)
    one, other = (
        [
            {name: value for name, value in run.items() if name not in timed}
            for run in json.loads(text)["runs"]
        ]
        for text in (alone, several)
    )
    assert one == other
