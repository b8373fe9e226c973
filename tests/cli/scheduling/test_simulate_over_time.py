import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from aliquot.cli.main import cli

JOBS = "".join(
    json.dumps(
        {
            "submit_s": n,
            "runtime_s": 60 + 40 * (n % 3),
            "gpus": 8 if n % 5 == 0 else 1 + n % 3,
            "estimate_s": 200,
            "queue": "ab"[n % 2],
        }
    )
    + "\n"
    for n in range(60)
)


def run(tmp_path: Path, *arguments: str, jobs: str = JOBS) -> tuple[int, str]:
    (tmp_path / "jobs.jsonl").write_text(jobs)
    files = ["--format", "jsonl", "--jobs", str(tmp_path / "jobs.jsonl")]
    result = CliRunner().invoke(cli, ["scheduler", "simulate", *files, *arguments])
    return result.exit_code, result.output.replace(f"{tmp_path}/", "")


def test_a_table_of_styles_and_one_of_queues(tmp_path: Path) -> None:
    code, text = run(tmp_path, "--nodes", "2", "--backfill", "none,easy,strict")
    assert code == 0
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["BACKFILL", "none", "easy", "strict"]
    assert [line.split()[:2] for line in lines[6:8]] == [["none", "a"], ["none", "b"]]


def test_programs_get_seconds(tmp_path: Path) -> None:
    code, text = run(tmp_path, "--nodes", "2", "--estimates", "exact", "-o", "json")
    found = json.loads(text)
    assert code == 0
    assert set(found) == {"none", "easy"}
    assert found["easy"]["of_all"]["jobs"] == 60
    assert found["easy"]["promised"] > 0
    assert found["easy"]["late"] == 0
    assert found["easy"]["large"]["most"] < found["none"]["large"]["most"]


def test_what_if_a_queue_had_more(tmp_path: Path) -> None:
    def wait(*arguments: str) -> float:
        code, text = run(tmp_path, "--nodes", "2", "--backfill", "easy", *arguments, "-o", "json")
        assert code == 0
        return float(json.loads(text)["easy"]["by_queue"]["a"]["waits"]["mean"])

    assert wait("--queue", "a.quota=16", "--queue", "b.weight=0") < wait("--queue", "a.quota=0")


def test_queues_take_back_what_is_theirs(tmp_path: Path) -> None:
    more = ["--backfill", "easy", "--queue", "a.quota=12", "--queue", "b.quota=0"]
    code, text = run(tmp_path, "--nodes", "2", *more, "-o", "json")
    found = json.loads(text)["easy"]
    assert code == 0
    assert found["evictions"] == found["by_queue"]["b"]["evictions"] > 0
    assert found["lost_gpu_hours"] > 0
    assert found["by_queue"]["a"]["owed"] < found["by_queue"]["a"]["due"]
    code, text = run(tmp_path, "--nodes", "2", *more)
    assert code == 0 and "OWED" in text and "SHARE ERROR" in text


@pytest.mark.parametrize("name", ["use.png", "use.html"])
def test_a_plot(tmp_path: Path, name: str) -> None:
    pytest.importorskip("matplotlib")
    code, text = run(tmp_path, "--nodes", "2", "--plot", str(tmp_path / "plots" / name))
    assert (code, f"drawn: plots/{name}" in text) == (0, True)
    drawn = (tmp_path / "plots" / name).read_bytes()
    assert drawn.startswith(b"\x89PNG" if name.endswith("png") else b"<!doctype html>")
    assert (b"<svg" in drawn and b"MEAN WAIT" in drawn) is name.endswith("html")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--nodes", "0"], "'0' is not a number from 1 on"),
        (["--nodes", "2", "--seeds", "3"], "--seeds is nothing to jsonl; leave it out"),
        (
            ["--nodes", "2", "--backfill", "easy,hard"],
            "there is no 'hard'; there are none, strict, easy, conservative",
        ),
        (["--nodes", "2", "--queue", "a=3"], "'a=3' is not NAME."),
    ],
)
def test_what_is_wrong_is_told_in_a_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    code, text = run(tmp_path, *arguments)
    assert code == 2
    assert told in text


def test_a_line_that_cannot_be_read(tmp_path: Path) -> None:
    code, text = run(tmp_path, "--nodes", "2", jobs='{"submit_s": 0, "runtime_s": 1}\n{}\n')
    assert (code, text) == (1, "Error: jobs.jsonl:2: Object missing required field `submit_s`\n")


def test_philly_needs_a_table_of_throughputs(tmp_path: Path) -> None:
    (tmp_path / "p.trace").write_text("A\tx\t-n\t1\t100\t0\t1\n")
    arguments = [
        "scheduler",
        "simulate",
        "--format",
        "philly",
        "--jobs",
        str(tmp_path / "p.trace"),
        "--nodes",
        "1",
    ]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1
    assert "simulation_throughputs.json: No such file or directory" in result.output
    (tmp_path / "simulation_throughputs.json").write_text('{"v100": {"(\'A\', 1)": {"null": 1.0}}}')
    result = CliRunner().invoke(cli, [*arguments, "-o", "json"])
    assert json.loads(result.stdout)["none"]["makespan_s"] == 100


def test_openb_takes_no_jobs(tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text(JOBS)
    result = CliRunner().invoke(
        cli,
        ["scheduler", "simulate", "--nodes", "n", "--pods", __file__, "--jobs", str(tmp_path / "jobs.jsonl")],
    )
    assert result.exit_code == 2
    assert "--jobs is nothing to openb; leave it out" in result.output
