"""`--value-table` of those who place: refused before anything is connected to."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from aliquot.cli.main import cli

TABLE = {"name": "own", "shares": {"1/1": 1.0}, "weights": {"empty": 1.0}}


@pytest.mark.parametrize("command", [("scheduler", "run"), ("partition", "controller")])
@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([TABLE | {"shares": {"1/1": 0.5}}], "own.json: table 'own': the shares sum to 0.500, and not to 1"),
        ([TABLE | {"more": 1}], "own.json is no file of value tables: "),
        ([TABLE], "nowhere: no such kubeconfig"),
    ],
)
def test_a_table_is_read_before_the_cluster(
    tmp_path: Path, command: tuple[str, ...], tables: list[object], message: str
) -> None:
    path, nowhere = tmp_path / "own.json", tmp_path / "nowhere"
    path.write_text(json.dumps(tables))
    result = CliRunner().invoke(cli, [*command, "--value-table", str(path), "--kubeconfig", str(nowhere)])
    assert result.exit_code == 1 and message in result.output
    assert len(result.output.splitlines()) == 1
