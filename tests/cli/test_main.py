import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from aliquot.cli.main import COMMANDS, cli


def test_every_listed_command_exists_and_says_what_it_is_for() -> None:
    for name in COMMANDS:
        shown = CliRunner().invoke(cli, [name, "--help"])
        assert shown.exit_code == 0, name
        assert "Usage:" in shown.output


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from aliquot.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & set(%r)), file=sys.stderr)"
    )
    heavy = ["grpc", "aiohttp", "msgspec", "rich", "yaml", "cryptography", "structlog", "uvicorn", "asyncio"]
    done = subprocess.run(
        [sys.executable, "-c", program % heavy, "--help"], check=True, capture_output=True, text=True
    )
    assert done.stderr.strip() == "[]"
    assert "Commands:" in done.stdout


UP = ["up", "--state", "/nowhere/state"]
ONE_GPU = f"simulated:{Path(__file__).parents[2] / 'examples/inventories/three-nodes.yaml'}"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["gpu", "boards", "h100-8gb"], 1, "error: unknown board 'h100-8gb'; did you mean 'h100-80gb'?"),
        (["nope"], 2, "No such command 'nope'"),
        (
            ["node", "run", "--node-name", "n", "--driver", "magic"],
            2,
            "neither 'nvml' nor 'simulated:INVENTORY'",
        ),
        (["gpu", "list", "--kubeconfig", "/nowhere/kubeconfig"], 1, "/nowhere/kubeconfig"),
        (["up", "--detach", "--state", ""], 2, "it is empty; leave the option out for the default."),
        (["down", "--state", ""], 2, "it is empty"),
        (
            [*UP, "--gpus", "h100-8gb:8"],
            2,
            "Invalid value for '--gpus': unknown board 'h100-8gb'; did you mean 'h100-80gb'?",
        ),
        (
            [*UP, "--gpus", "l4:8,,t4:2", "--detach"],
            2,
            "Invalid value for '--gpus': 'l4:8,,t4:2' names no board at one place",
        ),
        ([*UP, "--gpus", ""], 2, "Invalid value for '--gpus': it is empty"),
        (
            [*UP, "--wait", "nan"],
            2,
            "Invalid value for '--wait': 'nan' is no number of seconds; give one like 110.",
        ),
        ([*UP, "--wait", "inf", "--detach"], 2, "Invalid value for '--wait': 'inf' is no number of seconds"),
        ([*UP, "--wait", "-1"], 2, "Invalid value for '--wait': -1.0 is not in the range x>=0."),
        (
            ["scheduler", "run", "--scheduler-name", ""],
            2,
            "'--scheduler-name': it is empty; leave the option out",
        ),
        (
            ["scheduler", "run", "--placement", "tidy"],
            2,
            "Invalid value for '--placement': 'tidy' is not one of 'worth', 'pack', 'spread'.",
        ),
        (
            ["scheduler", "run", "--usage-half-life", "5s"],
            2,
            "Invalid value for '--usage-half-life': '5s' is too short: give 60s or more.",
        ),
        (
            ["scheduler", "run", "--ageing", "week"],
            2,
            "Invalid value for '--ageing': 'week' is not a duration: write 90s, 45m or 1h30m.",
        ),
        (["gpu", "list", "--kubeconfig", ""], 2, "Invalid value for '--kubeconfig': it is empty"),
        (
            ["gpu", "list", "--kubeconfig", "/dev/null"],
            1,
            "error: /dev/null: no contexts in it; give another",
        ),
        (["gpu", "list", "--kubeconfig", "/"], 1, "error: /: Is a directory; give another kubeconfig"),
        (
            ["node", "run", "--node-name", "ada-0", "--kubelet-dir", "/nowhere", "--driver", ONE_GPU],
            1,
            "error: /nowhere/aliquot-simulated-gpus.json: No such file or directory; is --kubelet-dir one",
        ),
    ],
)
def test_what_is_wrong_is_one_line_and_a_code(arguments: list[str], code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "aliquot.cli.main", *arguments], check=False, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    shown = CliRunner().invoke(cli, ["completion", shell])
    assert shown.exit_code == 0
    assert "_ALIQUOT_COMPLETE" in shown.output


def test_programs_get_json() -> None:
    shown = CliRunner().invoke(cli, ["gpu", "boards", "-o", "json"])
    boards = json.loads(shown.output)
    assert [b["mig"] is None for b in boards if b["key"] in ("h100-80gb", "l4")] == [False, True]
