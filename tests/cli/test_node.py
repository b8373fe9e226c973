"""`aliquot node preview`: what a node would serve, on paper."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from aliquot.cli.main import cli


def preview(folder: Path, *more: str) -> str:
    (folder / "inventory.yaml").write_text("gpus: [{board: l4, count: 2}]\n")
    (folder / "machine").write_text("PowerEdge R760xa\n")
    arguments = ["--driver", f"simulated:{folder / 'inventory.yaml'}"]
    arguments += ["--machine-type-file", str(folder / "machine"), *more]
    return CliRunner().invoke(cli, ["node", "preview", *arguments], catch_exceptions=False).stdout


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_the_labels_as_a_field(tmp_path: Path, output: str, read: object) -> None:
    assert callable(read)
    labels = read(preview(tmp_path, "-o", output))["labels"]
    assert labels["nvidia.com/gpu.product"] == "NVIDIA-L4"
    assert labels["nvidia.com/gpu.machine"] == "PowerEdge-R760xa"


def test_people_get_the_labels_below_the_devices(tmp_path: Path) -> None:
    devices, labels = preview(tmp_path).split("\n\n")
    assert devices.startswith("RESOURCE")
    assert labels.splitlines()[0].split() == ["LABEL", "VALUE"]
    assert ["nvidia.com/gpu.count", "2"] in [line.split() for line in labels.splitlines()]
