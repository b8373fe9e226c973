import json
from pathlib import Path

import pytest

from aliquot.node.cdi.writer import CdiError, CdiFiles

ONE, OTHER = {"gpu": {"kind": "v/gpu", "devices": []}}, {"gpu": {"kind": "v/gpu", "devices": [1]}}
NAME = "k8s.device-plugin.nvidia.com-gpu.json"


def test_files_are_written_and_exchanged(tmp_path: Path) -> None:
    files = CdiFiles(tmp_path / "cdi")
    files.keep(ONE)
    path = tmp_path / "cdi" / NAME
    assert json.loads(path.read_text()) == ONE["gpu"]
    first = path.stat().st_ino
    files.keep(ONE)
    assert path.stat().st_ino == first
    files.keep(OTHER)
    assert json.loads(path.read_text()) == OTHER["gpu"]
    assert [one.name for one in path.parent.iterdir()] == [NAME]


def test_what_somebody_removed_or_spoilt_is_written_again(tmp_path: Path) -> None:
    files = CdiFiles(tmp_path)
    files.keep(ONE)
    (tmp_path / NAME).write_text("{")
    files.keep(ONE)
    assert json.loads((tmp_path / NAME).read_text()) == ONE["gpu"]
    (tmp_path / NAME).unlink()
    files.keep(ONE)
    assert (tmp_path / NAME).exists()


def test_only_files_of_this_vendor_go(tmp_path: Path) -> None:
    (tmp_path / "nvidia.json").write_text("{}")
    files = CdiFiles(tmp_path)
    files.keep({**ONE, "gds": {"kind": "v/gds"}})
    files.keep(ONE)
    assert sorted(one.name for one in tmp_path.iterdir()) == [NAME, "nvidia.json"]


def test_a_directory_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cdi").write_text("")
    with pytest.raises(CdiError, match=r"/cdi.*: ") as refused:
        CdiFiles(tmp_path / "cdi").keep(ONE)
    assert "\n" not in str(refused.value)
