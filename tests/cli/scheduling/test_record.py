"""`aliquot scheduler run --record`: what is refused before anything runs."""

from pathlib import Path

from click.testing import CliRunner

from aliquot.cli.main import cli


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["scheduler", "run", *arguments])
    return result.exit_code, result.output


def test_a_number_of_cycles_needs_a_place_for_them() -> None:
    code, text = run("--record-last", "3")
    assert code == 2
    assert text.endswith("Error: --record-last says how many --record keeps: give --record DIR too\n")


def test_a_place_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, text = run("--record", str(tmp_path / "file" / "cycles"))
    assert code == 1
    assert text == f"Error: --record {tmp_path}/file/cycles: Not a directory\n"
