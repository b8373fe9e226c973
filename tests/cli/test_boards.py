import json

import click
import pytest
from click.testing import CliRunner

from aliquot.cli.boards import complete_board, complete_gpus
from aliquot.cli.main import cli

CONTEXT = click.Context(click.Command("x"))
PARAMETER = click.Option(["--gpus"])


def test_a_board_without_mig_says_so() -> None:
    assert CliRunner().invoke(cli, ["gpu", "boards", "l4"]).output == (
        "l4: NVIDIA L4, 23034 MiB, ada-lovelace, no MIG\n"
    )


def test_a_board_with_mig_shows_its_profiles() -> None:
    lines = CliRunner().invoke(cli, ["gpu", "boards", "a30-24gb"]).output.splitlines()
    assert lines[0] == "a30-24gb: NVIDIA A30, 24576 MiB, ampere, MIG with 4 memory slots"
    assert [line.split()[0] for line in lines[2:]] == [
        "PROFILE",
        "1g.6gb",
        "1g.6gb+me",
        "2g.12gb",
        "2g.12gb+me",
        "4g.24gb",
    ]


def test_programs_get_the_whole_board() -> None:
    shown = json.loads(CliRunner().invoke(cli, ["gpu", "boards", "l4", "-o", "json"]).output)
    assert (shown["key"], shown["mig"]) == ("l4", None)


@pytest.mark.parametrize(
    ("typed", "boards", "gpus"),
    [
        ("l4", {"l4", "l40s"}, {"l4", "l40s"}),
        ("nope", set(), set()),
        ("t4:2,l40", set(), {"t4:2,l40s"}),
    ],
)
def test_the_shell_completes_boards(typed: str, boards: set[str], gpus: set[str]) -> None:
    assert {item.value for item in complete_board(CONTEXT, PARAMETER, typed)} == boards
    assert {item.value for item in complete_gpus(CONTEXT, PARAMETER, typed)} == gpus
