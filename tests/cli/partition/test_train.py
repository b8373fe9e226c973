import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from aliquot.cli.main import cli
from aliquot.gpu.boards import board
from aliquot.partition.board_states import ordinary, states_of
from aliquot.partition.value_tables import decode

QUICK = ("--gpus", "2", "--load", "1.0", "--candidates", "3")


def train(into: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["partition", "train", "--into", str(into), *QUICK, *arguments])
    return result.exit_code, result.output.replace(str(into.parent) + "/", "")


def test_a_table_is_learned_and_others_are_kept(tmp_path: Path) -> None:
    into = tmp_path / "tables.json"
    code, text = train(into, "--mix", "uniform")
    assert code == 0 and "3 of 3 candidates" in text and "uniform: " in text.splitlines()[-1]
    assert train(into, "--mix", "bimodal")[0] == 0
    first = into.read_bytes()
    assert train(into, "--mix", "bimodal") == train(into, "--mix", "bimodal")
    assert into.read_bytes() == first
    uniform, bimodal = decode(first)
    assert (uniform.name, bimodal.name) == ("uniform", "bimodal")
    mig = board("h100-80gb").mig
    assert mig is not None
    assert bimodal.mix(states_of(ordinary(mig.instance_profiles()))) == (0.40, 0.05, 0.05, 0.05, 0.05, 0.40)


def test_a_cluster_s_own_requests_on_its_own_board(tmp_path: Path) -> None:
    history = tmp_path / "history.json"
    seen = [{"profile": "1g.6gb", "stayed": 60}, {"profile": "4g.24gb", "stayed": 600.5}]
    history.write_text(json.dumps({"history": seen}))
    into = tmp_path / "tables.json"
    code, text = train(into, "--history", str(history), "--board", "a30-24gb", "--name", "mine")
    assert code == 0 and "mine: " in text
    [table] = decode(into.read_bytes())
    assert table.shares == {"1/1": 0.5, "2/2": 0.0, "4/4": 0.5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Error: give one of --mix and --history"),
        (["--mix", "uniform", "--board", "h100"], "Error: unknown board 'h100'; did you mean"),
        (["--mix", "uniform", "--board", "l4"], "Error: board 'l4' has no MIG placements"),
        (["--mix", "uniform", "--board", "a30-24gb"], "the board has 3: use --history"),
        (["--history", "HISTORY"], "history.yaml:1: the board has no profile '1g.11gb'; did you mean"),
        (["--history", "EMPTY"], "empty.yaml:1: the history is empty: there is nothing to learn from"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_learned(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "history.yaml").write_text("history: [{profile: 1g.11gb, stayed: 4}]\n")
    (tmp_path / "empty.yaml").write_text("history: []\n")
    paths = {"HISTORY": str(tmp_path / "history.yaml"), "EMPTY": str(tmp_path / "empty.yaml")}
    into = tmp_path / "tables.json"
    code, text = train(into, *(paths.get(argument, argument) for argument in arguments))
    assert code != 0 and message in text and not into.exists()


def test_a_file_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    into = tmp_path / "tables.json"
    into.write_text("{}")
    code, text = train(into, "--mix", "uniform")
    assert code == 1 and "tables.json is no file of value tables" in text and into.read_text() == "{}"
